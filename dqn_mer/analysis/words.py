"""What a comparison calls its parts: the runs' folders say whether they are of a game or of a supervised stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dqn_mer.config.supervised_runs import is_supervised


@dataclass(frozen=True)
class Words:
    """Words for captions, axes and pages.

    Attributes:
        setting: One of the things that are learned one after the other.
        score: Result on one of them.
        unit: Units that training is counted in.
        time: How far training is, as a label of an axis without its unit.
        learner: Who learns.
        untrained: Name of the play or model whose score is that of knowing nothing.
    """

    setting: str
    score: str
    unit: str
    time: str
    learner: str
    untrained: str

    def fill(self, text: str) -> str:
        """Return a text in which ``{setting}`` and the like stand for words; a capital letter inside makes one.

        >>> OF_STREAMS.fill("{Score} on each {setting}")
        'Accuracy on each task'
        """
        for field in fields(self):
            word = getattr(self, field.name)
            text = text.replace(f"{{{field.name}}}", word)
            text = text.replace(f"{{{field.name.capitalize()}}}", word[0].upper() + word[1:])
        return text


OF_GAMES = Words("setting", "score", "frames", "training frames", "agent", "random play")
OF_STREAMS = Words("task", "accuracy", "examples", "examples", "learner", "the untrained model")


def words_of(config: Mapping[str, Any]) -> Words:
    """Return the words for a run with this configuration."""
    return OF_STREAMS if is_supervised({"config": config}) else OF_GAMES
