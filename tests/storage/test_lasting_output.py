"""A terminal or a pipe that goes away takes the display with it, and nothing else."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dqn_mer.commands.train import main as train_command
from dqn_mer.config.defaults import default_config
from dqn_mer.storage.lasting_output import LastingStream, lasting_console, lasting_output
from dqn_mer.training.loop import TrainingLoop
from dqn_mer.training.trainer import train
from tests.helpers.resuming import ROOT, TINY, At, flags, what_is_left


class Broken(io.StringIO):
    """A stream that fails in a way, as often as it is told to."""

    def __init__(self, error: OSError, times: int) -> None:
        super().__init__()
        self.error, self.times = error, times

    def write(self, text: str) -> int:
        self.times -= 1
        if self.times >= 0:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize("number", [errno.EIO, errno.EPIPE, errno.ENOSPC])
def test_text_that_nobody_can_read_is_dropped_from_the_first_error_on(number: int) -> None:
    broken = Broken(OSError(number, os.strerror(number)), times=1)
    stream = LastingStream(broken)
    assert stream.write("lost") == 4 and stream.write("never tried") == 11
    stream.flush()
    assert broken.getvalue() == "" and broken.times == 0
    assert stream.encoding == broken.encoding and not stream.isatty()


def test_a_full_pipe_that_does_not_wait_loses_one_text_only() -> None:
    broken = Broken(BlockingIOError(), times=1)
    stream = LastingStream(broken)
    stream.write("lost")
    stream.write("written")
    assert broken.getvalue() == "written"


def open_pipe(kind: str) -> tuple[int, int]:
    if kind == "pipe":
        return os.pipe()
    return pytest.importorskip("pty").openpty()


@pytest.mark.parametrize("frame", [0, 150, 299], ids=["at the start", "in the middle", "at the last frame"])
@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_a_run_outlives_its_reader(
    kind: str, frame: int, at_frame: At, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = open_pipe(kind)
    with open(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        at_frame(frame, lambda loop: os.close(reading))
        assert train_command(flags(run_dir=tmp_path / "run")) == 0
        assert sys.stdout is stream
    assert what_is_left(tmp_path / "run") == whole[1]


def test_so_does_one_that_python_starts(at_frame: At, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()

    def close(loop: TrainingLoop) -> None:
        os.close(reading)

    with open(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        at_frame(150, close)
        result = train(default_config(**TINY, run_dir=tmp_path / "run"))
        print("text of the script's own, which is lost as well", flush=True)
    assert result.summary["frames"] == 300


def test_a_process_without_a_reader_ends_without_a_word(tmp_path: Path) -> None:
    """What is pending when Python ends would otherwise be an error of its own, with exit code 120."""
    script = "from dqn_mer.storage.lasting_output import lasting_output\nwith lasting_output(): print('x' * 100)"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_process_may_have_no_output_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with lasting_output():
        print("dropped")
        lasting_console().print("dropped")
    assert sys.stdout is None
