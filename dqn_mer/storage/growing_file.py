"""Files that grow during a run, and are cut back to a saved size when it is resumed."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from dqn_mer.storage.files import NO_FOLLOW, DamagedError, check_plain, naming


class GrowingFile:
    """A file that pieces are added to, each written at once: nothing is pending when a process ends or a disk is full.

    Args:
        path: Path of the file.
        keep_bytes: None for a new file; else an existing one is cut to this size, and continued from there.

    Raises:
        FileExistsError: if the file should be new, and exists.
        DamagedError: if the file should exist, and is missing, shorter, or no plain file.
    """

    def __init__(self, path: Path, keep_bytes: int | None = None) -> None:
        self.path = path
        self._file: FileIO
        if keep_bytes is not None:
            self._file = _reopened(path, keep_bytes)
        else:
            with naming(path):
                self._file = path.open("xb", buffering=0)

    def write(self, data: bytes) -> None:
        """Add ``data``."""
        left = memoryview(data)
        with naming(self.path):
            while left:
                left = left[self._file.write(left) :]

    def sync(self) -> int:
        """Return the size in bytes, once all of it would outlive a power cut."""
        with naming(self.path):
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()


def check_plain_file(path: Path, least_bytes: int) -> None:
    """Raise DamagedError unless there is a file of one name, and no link, of at least this size."""
    _opened(path, least_bytes).close()


def _opened(path: Path, least_bytes: int) -> FileIO:
    """Open a file that is written to in place, if it is one that `check_plain_file` allows."""
    try:
        descriptor = os.open(path, os.O_RDWR | NO_FOLLOW)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise DamagedError(f"{path}: must be a plain file of at least {least_bytes:,} bytes") from None
    except OSError as error:
        if os.path.islink(path):
            raise DamagedError(f"{path}: must be a plain file, is a link") from None
        raise OSError(error.errno, error.strerror, str(path)) from None
    file = FileIO(descriptor, "r+")
    try:
        check_plain(descriptor, path, least_bytes)
        if os.fstat(descriptor).st_nlink > 1:  # else a copy made of hard links would be cut with it
            raise DamagedError(f"{path}: must be one file, has other names (hard links)")
    except BaseException:
        file.close()
        raise
    return file


def _reopened(path: Path, keep_bytes: int) -> FileIO:
    file = _opened(path, keep_bytes)
    try:
        with naming(path):
            file.truncate(keep_bytes)
            file.seek(keep_bytes)
    except BaseException:
        file.close()
        raise
    return file
