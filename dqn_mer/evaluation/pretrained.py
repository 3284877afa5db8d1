"""Which folder a user's words for an agent mean: a path, an agent that comes with this package, or one on the hub."""

from __future__ import annotations

import os
from pathlib import Path

PRETRAINED = Path(__file__).parents[1] / "pretrained"
"""Folder of the agents that come with this package, each a folder as `export` writes it; there may be none."""


def pretrained_names() -> list[str]:
    """Return the names of the agents that come with this package."""
    return sorted(path.name for path in PRETRAINED.glob("*") if path.is_dir())


def agent_folder(path: Path) -> Path:
    """Return the folder of an agent.

    Args:
        path: A path; if nothing is there, ``pretrained/NAME`` is an agent of this package, and ``hf://USER/REPO`` one
            of the Hugging Face hub, which is downloaded.

    Raises:
        ValueError: if there is no pretrained agent of the name, or the hub's is not sound.
        ImportError: if an agent of the hub is asked for, and its package is missing.
        OSError: if the hub has no such agent, or cannot be reached.
    """
    first, *rest = path.parts or ("",)
    if os.path.lexists(path) or len(rest) == 0:
        return path
    if first == "pretrained" and len(rest) == 1:
        names = pretrained_names()
        if rest[0] not in names:
            raise ValueError(f"{path}: must be a path, or a pretrained agent of {', '.join(names) or 'none'}")
        return PRETRAINED / rest[0]
    if first == "hf:":
        from dqn_mer.evaluation.hub import from_hub

        return from_hub("/".join(rest))
    return path
