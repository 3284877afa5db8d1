"""Made-up runs of the protocol, and the verdicts on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from evidence import GAMES, MEASURED, Evidence, Run
from verdicts import verdicts

SPREAD = np.linspace(-1, 1, 6)


def runs(part: str, arm: str, games: Sequence[str] = GAMES, seeds: int = 6, **means: float) -> list[Run]:
    """Return runs of an arm on each game, at most six, spread by one around the means; what has none is 0."""
    return [
        Run(part, game, arm, seed, {name: means.get(name, 0.0) + offset for name in MEASURED}, {})
        for game in games
        for seed, offset in enumerate(SPREAD[:seeds])
    ]


def verdict(made: Sequence[Run], sentence: int, part: str = "state") -> str:
    """Return the verdict on a sentence."""
    (found,) = [verdict.verdict for verdict in verdicts(Evidence(made), part) if verdict.sentence == sentence]
    return found
