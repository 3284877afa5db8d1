"""Snapshots that could not be read back are not written, and hostile ones are reported in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqn_mer.storage.files import DamagedError, open_log, replace_file, write_folder
from dqn_mer.storage.json_files import parse_json
from dqn_mer.storage.snapshots import ARRAYS, DESCRIPTION, FORMAT, VERSION, find_state, save_state, set_aside
from dqn_mer.storage.state import SavedState, StateError

UNREADABLE: dict[str, tuple[dict[str, Any], str]] = {
    "whole numbers of 32 bits": ({"x": np.zeros(2, np.int32)}, r"^state\.env/x: dtype=int32: must be one of float64, "),
    "halves": ({"x": np.zeros(2, np.float16)}, r"^state\.env/x: dtype=float16: must be one of float64, "),
    "two of a name": ({"a/b": np.zeros(2), "a": {"b": np.ones(2)}}, r"^state\.env/a/b: must be one array, is two"),
    "a mark": ({"x": {"$array": 3}}, r"^state\.env/x\.\$array: must have another name"),
}


@pytest.mark.parametrize(("env", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_state_that_could_not_be_read_back_is_not_written(env: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(StateError, match=message):
        save_state(tmp_path, 1, {}, {"env": env})
    assert find_state(tmp_path) is None


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.uint8, np.bool_])
def test_every_other_array_comes_back(kind: Any, tmp_path: Path) -> None:
    for frame, array in enumerate((np.ones((3, 4), kind).T, np.ones((), kind), np.ones((0, 3), kind))):
        save_state(tmp_path, frame, {}, {"env": {"x": array}})
        kept = find_state(tmp_path)
        assert kept is not None
        back = SavedState(kept.state).plain("env")["x"]
        assert (back.dtype, back.shape) == (array.dtype, array.shape) and np.array_equal(back, array)


@pytest.mark.parametrize("shape", [[0, 2**63], [0, 2**62, 2**62], [1] * 100])
def test_arrays_of_shapes_that_numpy_has_not_are_one_line(shape: list[int], tmp_path: Path) -> None:
    size = int(0 not in shape)
    header = json.dumps({"x": {"dtype": "U8", "shape": shape, "data_offsets": [0, size]}}).encode()
    state = {"format": FORMAT, "version": VERSION, "state": {"env": {"x": {"$array": "x"}}}}
    files = {
        DESCRIPTION: json.dumps(state).encode(),
        ARRAYS: len(header).to_bytes(8, "little") + header + b"0" * size,
    }
    (tmp_path / "resume").mkdir()
    write_folder(tmp_path / "resume" / "frame-000000001", files)
    kept = find_state(tmp_path)
    assert kept is not None
    with pytest.raises(StateError, match=r"^'x': cannot be read: "):
        SavedState(kept.state).plain("env")


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "Infinity", "[0.5, 1e400]", "9" * 400 + ".0"])
def test_json_holds_finite_numbers_only(text: str) -> None:
    with pytest.raises(DamagedError, match=r"^run\.json: cannot be read: .* is not a number allowed in JSON$"):
        parse_json(f'{{"a": {text}}}'.encode(), Path("run.json"))


def test_resuming_removes_files_that_were_being_replaced_and_no_others(tmp_path: Path) -> None:
    (tmp_path / ".cache.12.tmp").mkdir()
    for name in (".notes.tmp", ".summary.json.123.tmp", "summary.json"):
        (tmp_path / name).write_text("{}")
    set_aside(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".cache.12.tmp", ".notes.tmp", "summary.json"]


def test_a_log_that_is_a_pipe_which_nobody_reads_is_reported_as_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(DamagedError, match=r"log: must be a plain file, is a pipe$"):
        open_log(tmp_path / "log")


def test_an_error_of_replacing_a_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for path, kind in (
        (tmp_path / "gone" / "x.json", FileNotFoundError),
        (tmp_path / "file" / "x.json", NotADirectoryError),
        (tmp_path / "folder", IsADirectoryError),
    ):
        with pytest.raises(kind) as caught:
            replace_file(path, b"{}")
        assert (caught.value.filename, caught.value.filename2) == (str(path), None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
