"""Files that a kill, a full disk or a flipped bit cannot damage unnoticed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

SUMS = "SHA256SUMS"
"""The checksums of a folder's files, as `sha256sum -c SHA256SUMS` reads them."""
CHUNK_BYTES = 2**20
NO_FOLLOW: int = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
"""Flags of `os.open` with which a link is an error, and a pipe without a writer blocks nobody."""

Writer = Callable[[Path], None]


class DamagedError(ValueError):
    """A file differs from what was written; the message is one line that names it."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError name the file it was about; one of writing does not by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def check_plain(descriptor: int, path: Path, least_bytes: int = 0, most_bytes: int | None = None) -> None:
    """Raise DamagedError unless an open file is a plain one of a size between these limits."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise DamagedError(f"{path}: must be a plain file, is {kind_of(status.st_mode)}")
    if status.st_size < least_bytes:
        raise DamagedError(f"{path}: must be a plain file of at least {least_bytes:,} bytes, has {status.st_size:,}")
    if most_bytes is not None and status.st_size > most_bytes:
        raise DamagedError(f"{path}: must have at most {most_bytes:,} bytes, has {status.st_size:,}")


def kind_of(mode: int) -> str:
    """Return what stands in the place of a file, for a message, from its mode.

    >>> kind_of(os.stat(".").st_mode)
    'a folder'
    """
    kinds = {
        stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFREG: "a plain file", stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "a device")


@contextmanager
def naming_field(field: str, path: Path) -> Iterator[None]:
    """Let an OSError be a ValueError that names the field that gave the path."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{field}={str(path)!r}: cannot be written: {error.strerror}") from None


def is_taken(path: Path) -> bool:
    """Return whether there is anything at a path; OSError if nothing can be there, as under too long a name."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def check_may_write(field: str, path: Path, above: Path) -> None:
    """Raise ValueError, naming the field and its path, unless something can be made in the folder ``above``."""
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise ValueError(f"{field}={str(path)!r}: cannot be written: {above} must be a folder that may be written to")
    with naming_field(field, path), tempfile.TemporaryFile(dir=above):  # /proc has all permissions, and takes nothing
        pass


def check_may_make(field: str, path: Path, folder: Path) -> Path:
    """Check that a folder can be made, and return the nearest one above it that exists, or the folder itself.

    Args:
        field: Field that gave the path.
        path: The path that it gave.
        folder: The folder to make, at the path or below it; those above it are made too.

    Raises:
        ValueError: if it cannot be made; the message names the field and its path.
    """
    with naming_field(field, path):
        above = next(one for one in (folder, *folder.absolute().parents) if is_taken(one))
        check_may_write(field, path, above)
    return above


def open_log(path: Path) -> BinaryIO:
    """Open a file to add to its end, new or not.

    Raises:
        DamagedError: if it is a link, a pipe or a device.
        OSError: if it cannot be written; the message names the file.
    """
    with naming(path):
        if path.is_symlink():
            raise DamagedError(f"{path}: must be a plain file, is a link")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_FOLLOW, 0o666)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            # Nobody reads the pipe, or it is a socket.
            raise DamagedError(f"{path}: must be a plain file, is {kind_of(path.lstat().st_mode)}") from None
    file = os.fdopen(descriptor, "ab")
    try:
        check_plain(descriptor, path)
    except BaseException:
        file.close()
        raise
    return file


def write_folder(folder: Path, files: Mapping[str, bytes | Writer]) -> None:
    """Write a folder of files and their checksums, whole or not at all.

    Args:
        folder: Folder to make; must not exist.
        files: Content of each file by name, or a function that writes a file at the path that it is given.

    Raises:
        FileExistsError: if the folder exists.
        OSError: if a file cannot be written; the message names it, and nothing is left of the folder.
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
        OSError: if the file cannot be written; the message names it, and the file is as it was.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # as `remove_scratch` knows it
    try:
        with naming(path):
            _write_file(scratch, content)
            os.replace(scratch, path)
    except BaseException:
        with suppress(OSError):  # the error is the one above, which names the file
            scratch.unlink()
        raise


def remove_scratch(folder: Path) -> None:
    """Remove the files that `replace_file` leaves in a folder where it is killed, and no others."""
    for path in folder.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.\d+\.tmp", path.name) and not path.is_dir():
            path.unlink()


def write_new_file(path: Path, content: bytes) -> None:
    """Write a file that does not exist yet, whole or not at all, unless the process is killed meanwhile.

    Raises:
        OSError: if the file exists by now or cannot be written; the message names it.
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
        path.unlink(missing_ok=True)  # left by a kill, or a link that would be followed
        if isinstance(content, bytes):
            with path.open("xb") as file:
                file.write(content)
        else:
            content(path)
        with path.open("r+b") as file:
            os.fsync(file.fileno())


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return digest_of(file)


def digest_of(file: BinaryIO) -> str:
    """Return the SHA-256 of the rest of an open file."""
    sha = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        sha.update(chunk)
    return sha.hexdigest()


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlive a power cut; Windows has no call for it and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
