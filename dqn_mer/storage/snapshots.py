"""Snapshots: the whole state of a run on the disk, saved while it runs and loaded to resume it.

`resume/frame-N/` holds the state after N frames: ``state.json``, ``arrays.safetensors`` and their checksums. Loading
runs no code and reads no array before its type and shape are known to fit.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray
from torch import Tensor

from dqn_mer.storage.escapes import shown
from dqn_mer.storage.files import DamagedError, remove_scratch, write_folder
from dqn_mer.storage.run_reader import RESUME, STATE_BYTES, TENSORS_BYTES, RunReader
from dqn_mer.storage.state import State, StateError

FORMAT = "dqn-mer run"
VERSION = 1
DESCRIPTION = "state.json"
ARRAYS = "arrays.safetensors"
KEPT = 2
"""States that are kept: the last, and the one before it should the last be damaged."""
ARRAY_MARK = "$array"
"""Stands for an array in state.json, with its name in arrays.safetensors."""

_DTYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "U8": np.uint8, "BOOL": np.bool_}


@dataclass(frozen=True)
class ArrayInFile:
    """An array of a safetensors file, not read yet.

    Attributes:
        file: Open `safetensors.safe_open` that holds the array.
        name: Name of the array in the file.
        dtype: NumPy dtype of the array.
        shape: Shape of the array.
    """

    file: Any
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def load(self) -> NDArray[Any]:
        """Read the array; StateError if it cannot be, as where an empty one has more axes than NumPy's."""
        try:
            array: NDArray[Any] = self.file.get_tensor(self.name)
        except (OverflowError, ValueError) as error:
            raise StateError(f"{shown(self.name)}: cannot be read: {error}") from None
        return array


@dataclass(frozen=True)
class FoundState:
    """A state on the disk, with its checksums right.

    Attributes:
        folder: Folder that holds the snapshot.
        header: Description of the run in the snapshot.
        state: State of the run; arrays are `ArrayInFile`.
        passed_over: Newer snapshots that are damaged, each with a line that says how.
    """

    folder: Path
    header: dict[str, Any]
    state: State
    passed_over: tuple[str, ...]


def write_state(folder: Path, header: State, state: State) -> None:
    """Write a state folder, whole or not at all.

    Raises:
        OSError: if a file cannot be written; the message names it.
    """
    arrays: dict[str, NDArray[Any]] = {}
    plain = without_arrays(state, "", arrays)
    text = json.dumps({"format": FORMAT, "version": VERSION, **header, "state": plain}, indent=1, allow_nan=False)
    if len(text) > STATE_BYTES:  # which nobody would read back
        raise OSError(errno.EFBIG, f"has more than {STATE_BYTES:,} bytes", str(folder / DESCRIPTION))
    write_folder(folder, {DESCRIPTION: text.encode(), ARRAYS: lambda path: _save_arrays(arrays, path)})


def save_state(run_dir: Path, frame: int, header: State, state: State) -> Path:
    """Save the state after ``frame`` frames, then remove those before the last two; return its folder."""
    folder = run_dir / RESUME / f"frame-{frame:09d}"
    if not folder.exists():  # else the run was resumed from it, and has not moved since
        write_state(folder, header, state)
    for old in RunReader(run_dir).frames(RESUME)[:-KEPT]:
        shutil.rmtree(old.folder)
    return folder


def drop_states(run_dir: Path) -> None:
    """Remove the states of a finished run."""
    shutil.rmtree(run_dir / RESUME, ignore_errors=True)


def find_state(run_dir: Path) -> FoundState | None:
    """Return the newest state that is complete, or None if the run was stopped before its first.

    Raises:
        StateError: if there are states, but no complete one.
        DamagedError: if a link, or anything else that is no folder, stands in the place of one.
    """
    damaged: list[str] = []
    for reader in reversed(RunReader(run_dir).frames(RESUME)):
        try:
            return _read_state(reader, tuple(damaged))
        except (DamagedError, StateError) as error:
            damaged.append(str(error))
    if damaged:
        raise StateError(f"{run_dir}: no whole state left: {'; '.join(damaged)}")
    return None


def set_aside(run_dir: Path, frame: int) -> None:
    """Rename the states, and remove the checkpoints, of frames that a run resumed from ``frame`` will reach again."""
    for folder in (reader.folder for reader in RunReader(run_dir).frames(RESUME)):
        if _frame(folder) > frame:
            aside = folder.with_name(f"{folder.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(folder, aside)
    remove_scratch(run_dir)
    for folder in (reader.folder for reader in RunReader(run_dir).frames("checkpoints")):
        if _frame(folder) > frame:
            shutil.rmtree(folder)


def _frame(folder: Path) -> int:
    return int(folder.name.partition("-")[2])


def _read_state(reader: RunReader, passed_over: tuple[str, ...]) -> FoundState:
    path = reader.folder / DESCRIPTION
    header = reader.json(DESCRIPTION, STATE_BYTES)
    if header.get("format") != FORMAT:
        raise StateError(f"{path}: format must be {FORMAT!r}")
    if header.get("version") != VERSION:
        raise StateError(f"{path}: version={shown(header.get('version'))}: must be {VERSION}")
    if not isinstance(header.get("state"), dict):
        raise StateError(f"{path}: state: must be an object with named fields")
    arrays = _stored_arrays(reader)
    state = with_arrays(header.pop("state"), arrays)
    if arrays:
        raise StateError(f"{reader.folder / ARRAYS}: {shown(min(arrays))}: not an array that {DESCRIPTION} names")
    reader.check_sums({DESCRIPTION: STATE_BYTES, ARRAYS: TENSORS_BYTES})  # last, because it reads everything
    return FoundState(reader.folder, header, state, passed_over)


def _save_arrays(arrays: dict[str, NDArray[Any]], path: Path) -> None:
    try:
        safetensors.numpy.save_file(arrays, path)
    except safetensors.SafetensorError as error:  # what it calls an error of writing
        raise OSError(_errno_in(str(error)), str(error), str(path)) from None


def _errno_in(message: str) -> int:
    match = re.search(r"os error (\d+)|code: (\d+)", message)
    return int(match[1] or match[2]) if match else 5


def _stored_arrays(reader: RunReader) -> dict[str, ArrayInFile]:
    file = reader.tensors(ARRAYS)
    arrays = {}
    for name in file.keys():
        part = file.get_slice(name)
        if part.get_dtype() not in _DTYPES:
            path, allowed = reader.folder / ARRAYS, ", ".join(_DTYPES)
            raise StateError(f"{path}: {shown(name)}: dtype={part.get_dtype()}: must be one of {allowed}")
        arrays[name] = ArrayInFile(file, name, np.dtype(_DTYPES[part.get_dtype()]), tuple(part.get_shape()))
    return arrays


def without_arrays(value: Any, path: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return ``value`` with every array put into ``arrays``, under its path, and a mark in its place.

    Raises:
        StateError: if `with_arrays`, or what reads the file, would not give it back.
    """
    if isinstance(value, dict):
        if ARRAY_MARK in value:
            raise StateError(f"state.{path}.{ARRAY_MARK}: must have another name, which is no mark")
        return {name: without_arrays(item, f"{path}/{name}" if path else name, arrays) for name, item in value.items()}
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        if value.dtype not in _DTYPES.values():
            allowed = ", ".join(np.dtype(kind).name for kind in _DTYPES.values())
            raise StateError(f"state.{path}: dtype={value.dtype}: must be one of {allowed}")
        if path in arrays:
            raise StateError(f"state.{path}: must be one array, is two, as names have slashes")
        arrays[path] = np.asarray(value, order="C")
        return {ARRAY_MARK: path}
    return value.item() if isinstance(value, np.generic) else value


def with_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    """Return ``value`` with the arrays, read or not, in the place of their marks, taken out of ``arrays``."""
    if not isinstance(value, dict):
        return value
    if ARRAY_MARK in value:
        name = value[ARRAY_MARK]
        if not isinstance(name, str) or name not in arrays or len(value) > 1:
            raise StateError(f"state: {shown(name)}: no such array")
        return arrays.pop(name)
    return {name: with_arrays(item, arrays) for name, item in value.items()}
