"""Files that a kill, a full disk or a flipped bit cannot spoil unseen."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SUMS = "SHA256SUMS"
"""The checksums of a folder's files, as `sha256sum -c SHA256SUMS` reads them."""
CHUNK_BYTES = 2**20

Writer = Callable[[Path], None]


class DamagedError(ValueError):
    """A file is not what was written; the message is one line that names it."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError say which file it was about; one of writing does not by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


class GrowingFile:
    """A file that pieces are added to, each written at once: nothing is pending when a process ends or a disk is full.

    Args:
        path: of the file.
        keep_bytes: None for a new file; else one that is there is cut to this size, and goes on from there.

    Raises:
        FileExistsError: if the file should be new, and is there.
        DamagedError: if the file should be there, and is missing, shorter, or no plain file.
    """

    def __init__(self, path: Path, keep_bytes: int | None = None) -> None:
        self.path = path
        if keep_bytes is not None:
            check_plain_file(path, keep_bytes)
        with naming(path):
            self._file = path.open("xb" if keep_bytes is None else "r+b", buffering=0)
            if keep_bytes is not None:
                self._file.truncate(keep_bytes)
                self._file.seek(keep_bytes)

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
    """Raise DamagedError unless there is a file, and no link, of at least this size."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size < least_bytes:
        raise DamagedError(f"{path}: must be a plain file of at least {least_bytes:,} bytes")


def write_folder(folder: Path, files: Mapping[str, bytes | Writer]) -> None:
    """Write a folder of files and their checksums, whole or not at all.

    Args:
        folder: to make; must not exist.
        files: name -> content, or what writes a file of the path that it is given.

    Raises:
        FileExistsError: if the folder exists.
        OSError: that names the file, if it cannot be written; then nothing is left of it.
    """
    if os.path.lexists(folder):
        raise FileExistsError(f"{folder}: is there already")
    scratch = folder.with_name("saving.tmp")  # one name for all, so that what a kill left is cleared by the next save
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir(parents=True)
        sums = []
        for name, content in files.items():
            _write_file(scratch / name, content)
            sums.append(f"{digest(scratch / name)}  {name}\n")
        _write_file(scratch / SUMS, "".join(sums).encode())
        sync_folder(scratch)
        os.replace(scratch, folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def replace_file(path: Path, content: bytes) -> None:
    """Write a file in one step: a reader sees the old content or the new, never half of it.

    Raises:
        OSError: that names the file, if it cannot be written; then it is as it was.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write_file(scratch, content)
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_new_file(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, whole or not at all.

    Raises:
        OSError: that names the file, if it is there by now or cannot be written.
    """
    with naming(path), path.open("xb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink()
            raise


def _write_file(path: Path, content: bytes | Writer) -> None:
    with naming(path):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(path)
        with path.open("r+b") as file:
            os.fsync(file.fileno())


def check_folder(folder: Path, names: tuple[str, ...]) -> None:
    """Check that a folder holds these files as they were written, by their checksums.

    Raises:
        DamagedError: naming the first file that is missing or changed.
    """
    try:
        listed = (folder / SUMS).read_bytes()[: 100 * (len(names) + 1)].decode("ascii", "replace").splitlines()
        for name in names:
            if f"{digest(folder / name)}  {name}" not in listed:
                raise DamagedError(f"{folder / name}: differs from its checksum in {SUMS}")
    except OSError as error:
        raise DamagedError(f"{error.filename or folder}: cannot be read: {error.strerror}") from None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlive a power cut; Windows has no such call and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
