"""What tells the run of a supervised stream from that of an agent in a game: its configuration says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

STREAM_OBSERVATION = "image"
"""Value of the field ``observation`` by which the run of a supervised stream is known."""


def is_supervised(described: object) -> bool:
    """Return whether a ``config.json``, or the header of a saved state, is that of a run of ``supervised``.

    >>> is_supervised({"config": {"observation": "image"}}), is_supervised({"config": {"observation": "pixels"}})
    (True, False)
    """
    config = described.get("config") if isinstance(described, Mapping) else None
    return isinstance(config, Mapping) and config.get("observation") == STREAM_OBSERVATION


def is_no_agent(path: Path) -> str:
    """Return the complaint about a supervised run in the place of an agent that can play."""
    return f"{path}: is a supervised run, which keeps no agent to play or share; `compare` shows what it learned"


def is_no_training_run(path: Path) -> str:
    """Return the complaint about a supervised run that ``train --resume`` is given."""
    return (
        f"{path}: is a supervised run; the same `python -m dqn_mer supervised` command that began it resumes it "
        "(`command` in its config.json)"
    )
