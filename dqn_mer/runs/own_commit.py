"""Which commit of this package is running."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def git_commit() -> str | None:
    """Return the commit of this package's own checkout, with ``-dirty`` if it has changes.

    None where the package runs from elsewhere, such as a virtual environment that lies in another project's repository.
    """
    package = Path(__file__).resolve().parents[1]
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != package.parent:
        return None
    if not _git(package, "ls-files", "--", "__init__.py"):
        return None  # copied into somebody's repository, and no part of it
    return _git(package, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *words: str) -> str | None:
    """Return the output of git in a folder, None if it fails or prints nothing."""
    # In a hook of another repository these variables point to it, whatever the folder.
    elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
