"""Which folder a user's words for an agent mean: a path, an agent that comes with this package, or one on the hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dqn_mer.evaluation.checkpoint_folders import find_checkpoint

PRETRAINED = Path(__file__).parents[1] / "pretrained"
"""Folder of the agents that come with this package, each a folder as `export` writes it; there may be none."""
REPO_ID = re.compile("[^/]+/[^/]+")
"""Form of the name of a repository on the hub, USER/REPO."""


def pretrained_names() -> list[str]:
    """Return the names of the agents that come with this package."""
    return sorted(path.name for path in PRETRAINED.glob("*") if path.is_dir())


def as_typed(path: Path) -> str:
    """Return a user's words for an agent; of ``hf://USER/REPO`` a path holds only one of the slashes.

    >>> as_typed(Path("hf://someone/agent"))
    'hf://someone/agent'
    """
    return f"hf://{'/'.join(path.parts[1:])}" if _is_on_hub(path) else str(path)


def check_agent(path: Path) -> None:
    """Check what can be known of `agent_folder` before anything slow is loaded: the hub is not asked.

    Raises:
        ValueError: if the name is not of a pretrained agent or of the hub's form, or no checkpoint is in the folder.
    """
    if _is_on_hub(path):
        _repo_id(path)
    else:
        find_checkpoint(agent_folder(path))


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
    if _is_on_hub(path):
        repo_id = _repo_id(path)
        from dqn_mer.evaluation.hub import from_hub  # imports PyTorch, which takes seconds

        return from_hub(repo_id)
    first, *rest = path.parts or ("",)
    if first == "pretrained" and len(rest) == 1 and not os.path.lexists(path):
        names = pretrained_names()
        if rest[0] not in names:
            raise ValueError(f"{path}: must be a path, or a pretrained agent of {', '.join(names) or 'none'}")
        return PRETRAINED / rest[0]
    return path


def _is_on_hub(path: Path) -> bool:
    return path.parts[:1] == ("hf:",) and not os.path.lexists(path)


def _repo_id(path: Path) -> str:
    """Return the name of a repository of the hub; raises ValueError unless it is USER/REPO."""
    repo_id = "/".join(path.parts[1:])
    if not REPO_ID.fullmatch(repo_id):
        raise ValueError(f"{as_typed(path)}: must be hf://USER/REPO")
    return repo_id
