"""Run folders from anyone: every command reads a run through a `RunReader`, and opens nothing in it otherwise.

A folder that a stranger made may hold links that lead elsewhere, pipes and devices that never end, files of any size
and JSON of any depth. What is opened here is a plain file below the folder, reached without following a link, of a
size that its kind can have; all else is one line that names the file. The folder itself may be a link: the user gave
its name.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import safetensors

from dqn_mer.storage.files import SUMS, DamagedError, check_plain, digest_of, kind_of
from dqn_mer.storage.json_files import parse_json
from dqn_mer.storage.open_below import open_below

JSON_BYTES = 2**22
"""Largest description of a run or an agent: those of 100 settings and 1,000 segments have 30 kB."""
STATE_BYTES = 2**26
"""Largest ``state.json``, whose arrays are in a file beside it: it has 20 kB."""
TABLE_BYTES = 2**30
"""Largest CSV file: the evaluations of ten million frames on 100 settings have 20 MB."""
TENSORS_BYTES = 2**36
"""Largest safetensors file: two million transitions of pixels that do not compress have 70 GB."""
TENSOR_HEADER_BYTES = 2**22
SUMS_BYTES = 4_096
LINE_CHARACTERS = 2**16
MOST_ENTRIES = 100_000

CONFIG, SUMMARY, RESUME = "config.json", "summary.json", "resume"
LOCK = ".lock"
"""Held while a process trains in the folder. Only a finished run has none: two processes could hold two of one name."""
TABLES = ("metrics.csv", "evaluations.csv", "interference.csv")
RUN_FILES = (CONFIG, SUMMARY, LOCK, *TABLES, "matrix.csv", "learning_curves.png")
RUN_FOLDERS = (RESUME, "checkpoints", "diverged")
"""What a run writes in its folder, besides TensorBoard's files."""

_FRAME = re.compile(r"frame-\d{1,12}", re.ASCII)


class RunReader:
    """Reads the files of a run folder, or of a folder inside one.

    Names are relative to the folder, with slashes; each part is checked.

    Args:
        path: Path of the run folder.
        inside: Name of a folder inside it, to be read instead.

    Attributes:
        folder: Folder that is read.

    Raises:
        DamagedError: if something is not as a run leaves it, in any method; the message names the file.
    """

    def __init__(self, path: Path, inside: str = "") -> None:
        self._root, self._inside = path, inside
        self.folder = path / inside

    def below(self, name: str) -> RunReader:
        """Return the reader of a folder inside this one."""
        return RunReader(self._root, f"{self._inside}/{name}" if self._inside else name)

    def has(self, name: str) -> bool:
        """Return whether there is a plain file of this name; anything else of that name is an error."""
        with self._reporting(name):
            try:
                os.close(self._descriptor(name, stat.S_ISREG))
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def has_folder(self, name: str) -> bool:
        """Return whether there is a folder of this name; anything else of that name is an error."""
        with self._reporting(name):
            try:
                self._names(name)
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def open(self, name: str, most_bytes: int) -> BinaryIO:
        """Open a plain file of at most ``most_bytes`` for reading."""
        with self._reporting(name):
            descriptor = self._descriptor(name, stat.S_ISREG)
            file = os.fdopen(descriptor, "rb")
        try:
            check_plain(file.fileno(), self.folder / name, most_bytes=most_bytes)
        except BaseException:
            file.close()
            raise
        return file

    def read(self, name: str, most_bytes: int) -> bytes:
        """Return the content of a file, at most ``most_bytes`` of it even if it grows meanwhile."""
        with self.open(name, most_bytes) as file, self._reporting(name):
            return file.read(most_bytes)

    def json(self, name: str, most_bytes: int = JSON_BYTES) -> dict[str, Any]:
        """Return the object that a JSON file holds; NaN and infinity are no JSON."""
        return parse_json(self.read(name, most_bytes), self.folder / name)

    def heading(self, name: str) -> list[str]:
        """Return the names of a CSV file's columns."""
        with self.open(name, TABLE_BYTES) as file:
            text = io.TextIOWrapper(file, "utf-8", newline="")  # held for as long as the file is open, which it closes
            try:
                return next(csv.reader(_short_lines(text)), [])
            except (csv.Error, OSError, ValueError) as error:
                raise DamagedError(f"{self.folder / name}: no table: {error}") from None

    def rows(self, name: str, columns: Sequence[str], first_bytes: int = TABLE_BYTES) -> Iterator[list[str]]:
        """Yield the fields in these columns of each row of a CSV file with a heading, or of its ``first_bytes``."""
        path = self.folder / name
        with self.open(name, TABLE_BYTES) as whole:
            file = whole if first_bytes >= TABLE_BYTES else io.BytesIO(whole.read(first_bytes))
            text = io.TextIOWrapper(file, "utf-8", newline="")
            try:
                lines = csv.reader(_short_lines(text))
                heading = next(lines, [])
                places = [heading.index(column) for column in columns]
                for row in lines:
                    if row:
                        yield [row[place] for place in places]
            except (csv.Error, IndexError, OSError, ValueError) as error:
                raise DamagedError(f"{path}: no table with columns {', '.join(columns)}: {error}") from None

    def tensors(self, name: str, most_bytes: int = TENSORS_BYTES, framework: str = "np") -> Any:
        """Return an open safetensors file, a `safe_open`, which lacks types; no tensor has been read by then."""
        with self.open(name, most_bytes) as file, self._reporting(name):
            if int.from_bytes(file.read(8), "little") > TENSOR_HEADER_BYTES:
                raise DamagedError(f"{self.folder / name}: header must have at most {TENSOR_HEADER_BYTES:,} bytes")
            try:
                return safetensors.safe_open(_name_of(file, self.folder / name), framework=framework)
            except (OSError, safetensors.SafetensorError) as error:
                raise DamagedError(f"{self.folder / name}: cannot be read: {error}") from None

    def digest(self, name: str, most_bytes: int) -> str:
        """Return the SHA-256 of a file."""
        with self.open(name, most_bytes) as file, self._reporting(name):
            return digest_of(file)

    def check_sums(self, most_bytes: dict[str, int]) -> None:
        """Check files, of these sizes at most, against the checksums that are kept beside them."""
        listed = self.read(SUMS, SUMS_BYTES).decode("ascii", "replace").splitlines()
        for name, most in most_bytes.items():
            if f"{self.digest(name, most)}  {name}" not in listed:
                raise DamagedError(f"{self.folder / name}: differs from its checksum in {SUMS}")

    def frames(self, name: str) -> list[RunReader]:
        """Return the folders ``frame-N`` of a folder in the order of N; none if it is missing."""
        with self._reporting(name):
            try:
                names = self._names(name)
            except (FileNotFoundError, NotADirectoryError):
                return []
            folders = sorted((one for one in names if _FRAME.fullmatch(one)), key=lambda one: (int(one[6:]), one))
        for one in folders:
            with self._reporting(f"{name}/{one}"):
                self._names(f"{name}/{one}")
        return [self.below(f"{name}/{one}") for one in folders]

    def check_writable(self) -> None:
        """Check that everything a run writes to belongs to it: no links, pipes or devices, and none in its folders."""
        for name in RUN_FILES:
            self.has(name)
        if self.has(LOCK) and os.lstat(self.folder / LOCK).st_nlink > 1:  # which taking it empties
            raise DamagedError(f"{self.folder / LOCK}: must be one file, has other names (hard links)")
        for name in RUN_FOLDERS:
            if self.has_folder(name):
                self._check_tree(name)

    def _check_tree(self, name: str) -> None:
        waiting, seen = [name], 0
        while waiting:
            folder = waiting.pop()
            with self._reporting(folder):
                names = self._names(folder)
            seen += len(names)
            if seen > MOST_ENTRIES or folder.count("/") > 5:
                raise DamagedError(f"{self.folder / name}: must hold at most {MOST_ENTRIES:,} files, 5 folders deep")
            for one in names:
                path = self.folder / folder / one
                mode = os.lstat(path).st_mode
                if stat.S_ISDIR(mode):
                    waiting.append(f"{folder}/{one}")
                elif not stat.S_ISREG(mode):
                    raise DamagedError(f"{path}: must be a plain file or a folder, is {kind_of(mode)}")

    def _names(self, name: str) -> list[str]:
        descriptor = self._descriptor(name, stat.S_ISDIR)
        if descriptor < 0:
            return os.listdir(self.folder / name)
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)

    def _descriptor(self, name: str, wanted: Callable[[int], bool]) -> int:
        return open_below(self._root, f"{self._inside}/{name}" if self._inside else name, wanted)

    @contextmanager
    def _reporting(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DamagedError(f"{self.folder / name}: cannot be read: {error.strerror or error}") from None


def _short_lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LINE_CHARACTERS + 1):
        if len(line) > LINE_CHARACTERS:
            raise ValueError(f"a line has more than {LINE_CHARACTERS:,} characters")
        yield line


def _name_of(file: BinaryIO, path: Path) -> str:
    """Return a name under which a library opens this very file, whatever has its old name by then."""
    name = f"/dev/fd/{file.fileno()}"
    return name if os.path.exists(name) else str(path)
