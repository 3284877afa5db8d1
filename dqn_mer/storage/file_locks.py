"""Whether a folder's file system has file locks, tested without leaving anything in the folder."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
"""Errors of `flock` on a file system without locks, as some network file systems are mounted."""


def check_locks(named: str, folder: Path) -> None:
    """Raise an error unless files in a folder can be locked.

    Args:
        named: Description of the folder in the message, such as ``log_dir='runs'``.
        folder: An existing folder that may be written to.

    Raises:
        ValueError: if the file system has no locks.
        OSError: if the folder cannot be written to.
    """
    try:
        import fcntl  # here, because Windows has none; its locks are part of every file system
    except ImportError:
        return
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise ValueError(
                f"{named}: the file system of {folder} has no file locks ({error.strerror}), without which two "
                "processes could train in one folder; must be on another one"
            ) from None
