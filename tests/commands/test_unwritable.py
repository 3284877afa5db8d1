"""Where nothing can be made, every command that writes says so in one line that names the field, before it works."""

from __future__ import annotations

from pathlib import Path

import pytest

from dqn_mer.__main__ import main
from tests.helpers.runs import write_run

COMMANDS = [
    ("train --log-dir {}", "log_dir"),
    ("train --run-dir {}", "run_dir"),
    ("sweep --seeds 0 --out {}", "out"),
    ("sweep --seeds 0 --dry-run --out {}", "out"),
    ("compare {runs} --out {}", "out"),
    ("supervised --preset quick --out {}", "out"),
    ("evaluate {runs} --json {}", "json"),
    ("watch {runs} --out {}", "out"),
    ("export {runs} {}", "out"),
]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is a file system of Linux")
@pytest.mark.parametrize(("words", "field"), COMMANDS)
def test_a_folder_that_has_all_permissions_and_takes_nothing(
    words: str, field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(words, field, "/proc/new", tmp_path, capsys)


@pytest.mark.parametrize(("words", "field"), COMMANDS)
@pytest.mark.parametrize("name", ["file/new", "n" * 300], ids=["below-a-file", "too-long"])
def test_a_name_that_no_file_can_have(
    words: str, field: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    refused(words, field, str(tmp_path / name), tmp_path, capsys)
    assert (tmp_path / "file").read_text() == ""


def refused(words: str, field: str, path: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(folder / "runs" / "run", [[1.0, 2.0]] * 3)
    before = sorted(folder.rglob("*"))
    assert main(words.format(path, runs=folder / "runs").split()) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {field}='{path}': cannot be written: ") and said.count("\n") == 1
    assert sorted(folder.rglob("*")) == before
