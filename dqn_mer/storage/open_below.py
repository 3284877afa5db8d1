"""Files and folders below a folder, opened without following a link."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from dqn_mer.storage.files import NO_FOLLOW, DamagedError, kind_of

_BY_DESCRIPTOR = os.open in os.supports_dir_fd and os.stat in os.supports_dir_fd
# Opened by its own name in a folder, a part leads nowhere else; in a whole path, a colon or a backslash might.
_PART = re.compile(r"(?!\.{1,2}$)[^/\0]{1,255}" if _BY_DESCRIPTOR else r"(?!\.{1,2}$)[\w.,=+-]{1,255}")


def open_below(root: Path, name: str, wanted: Callable[[int], bool]) -> int:
    """Return a descriptor of a file or folder, with no link followed below ``root``.

    Args:
        root: Folder to start from, which may itself be a link.
        name: Name of the file or folder relative to it, with slashes; each part is checked.
        wanted: Function that returns whether a mode is of the right kind: `stat.S_ISREG` or `stat.S_ISDIR`.

    Returns:
        The descriptor, open for reading; -1 for a folder where the system opens none.

    Raises:
        DamagedError: if a part is no plain name, or something of the wrong kind is in its place.
        OSError: if it is missing or cannot be opened.
    """
    parts = name.split("/")
    for part in parts:
        if not _PART.fullmatch(part):
            raise DamagedError(f"{root}: {part[:100]!r}: not the name of a file in a run folder")
    at, parent = root, None
    with ExitStack() as opened:
        if _BY_DESCRIPTOR:
            parent = os.open(at, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, parent)
        for place, part in enumerate(parts):
            at /= part
            last = place == len(parts) - 1
            is_right = wanted if last else stat.S_ISDIR
            here = part if parent is not None else at
            mode = os.stat(here, dir_fd=parent, follow_symlinks=False).st_mode
            if not is_right(mode):
                kind = "a folder" if is_right is stat.S_ISDIR else "a plain file"
                raise DamagedError(f"{at}: must be {kind}, is {kind_of(mode)}")
            if is_right is stat.S_ISDIR and parent is None:
                continue
            folder = os.O_DIRECTORY if is_right is stat.S_ISDIR else 0
            descriptor = os.open(here, os.O_RDONLY | NO_FOLLOW | folder, dir_fd=parent)
            if last:
                return descriptor
            opened.callback(os.close, descriptor)
            parent = descriptor
    return -1
