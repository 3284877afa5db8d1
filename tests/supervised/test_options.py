"""Options of ``python -m dqn_mer supervised``: which runs they mean, and one line for what they cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dqn_mer.__main__ import main
from dqn_mer.supervised.options import plan
from tests.helpers.stream_runs import make_options


def test_learners_without_a_memory_run_once(images: Path, tmp_path: Path) -> None:
    specs = plan(make_options(images, tmp_path, learner=("online", "er"), memory=(40, 20), seeds="0,1"))
    assert [spec.name.removeprefix("permutations/") for spec in specs] == [
        "online/no-memory/seed-0", "er/memory-40/seed-0", "er/memory-20/seed-0",
        "online/no-memory/seed-1", "er/memory-40/seed-1", "er/memory-20/seed-1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--stream", "letters"], "stream='letters': must be words of rotations, permutations"),
        (["--learner", "mer-8"], "learner='mer-8': must be words of online, ewc"),
        (["--memory", "0"], "memory=0: must be a whole number from 1 to 1,000,000"),
        (["--memory", "10", "--learner", "gem", "--examples", "9"], "memory=10: must be at least 20 for gem"),
        (["--memory", "1", "--learner", "er,a-gem", "--stream", "classes"], "memory=1: must be at least 2 for a-gem"),
        (["--seeds", "4-0"], "seeds='4-0': range 4-0 must rise"),
        (["--examples", "5000"], "examples=5,000: must be at most 200, the images to learn from"),
        (["--data", "missing"], "data='missing': must be a folder"),
        (["--preset", "slow"], "preset='slow': must be one of paper, quick"),
        (["--within-batch-rate", "1.5"], "within_batch_rate=1.5: must be a number from 0 to 1"),
        (["--hidden-sizes", ""], "hidden_sizes: empty"),
        (["--stream", ""], "stream: empty"),
        (["--seeds", "0-9999", "--memory", "1,2"], "must be at most 10,000"),
        (["--num-batches", "2000", "--batch-size", "2000"], "must make at most 10^6"),
        (["--strength", "1", "--learner", "er,mer-7"], "strength=1.0: not read by er, mer-7; must be left out"),
        (["--leaner", "er"], "did you mean --learner?"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, words: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["supervised", "--data", str(images), *words]) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_refused(images: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["supervised", "--data", str(images), "--examples", "9", "--out", str(tmp_path / "file")]) == 2
    assert "must be a folder that may be written to" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_reading_the_flags_does_not_load_pytorch() -> None:
    code = "import sys; from dqn_mer.supervised.options import SupervisedOptions; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
