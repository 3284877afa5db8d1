"""What is seen of many runs while they are made."""

from __future__ import annotations

import io
import os
import re
import signal
from pathlib import Path

import pytest
from rich.console import Console

from dqn_mer.supervised import command, processes
from dqn_mer.supervised.command import supervised
from dqn_mer.supervised.options import RunSpec
from dqn_mer.supervised.progress import RunsProgress
from tests.helpers.stream_runs import make_options


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)


def drawn(console: Console) -> list[str]:
    """Return the lines that were drawn, without colours and movements of the cursor."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    return [" ".join(line.split()) for line in re.split(r"[\r\n]+", text) if line.strip()]


def test_the_bars_say_how_far_all_runs_and_those_in_progress_are() -> None:
    console = terminal()
    places = [0, 0, 0]
    with RunsProgress(["a", "b", "c"], [100, 100, 100], places, console) as progress:
        progress.ended(0, skipped=True)
        places[1] = 40
        progress._draw()
        places[1] = 100
        progress.ended(1, skipped=False)
    lines = drawn(console)
    assert lines[0].startswith("0 of 3 runs") and "0/300" in lines[0]
    assert any(line.startswith("1 of 3 runs") and "40/200" in line for line in lines)  # the first had been finished
    assert any(line.startswith("b ") and "40/100" in line for line in lines)
    assert lines[-1].startswith("2 of 3 runs") and "100/200" in lines[-1]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_all_runs_are_shown_on_a_terminal(jobs: int, images: Path, tmp_path: Path) -> None:
    console = terminal()
    assert supervised(make_options(images, tmp_path, learner=("er", "mer-7"), jobs=jobs), console=console) == 0
    lines = drawn(console)
    assert any(line.startswith("0 of 2 runs") and "/240" in line for line in lines)
    assert any(line.startswith("1 of 2 runs") for line in lines)


def test_what_takes_time_is_said_before_it_begins(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=io.StringIO(), width=200)
    said: list[str] = []
    monkeypatch.setattr(command, "WHY_NOT_COMPILED", "ImportError: no numba")
    monkeypatch.setattr(command, "execute", lambda *_: said.append(console.file.getvalue()) or _stop())
    with pytest.raises(KeyboardInterrupt):
        supervised(make_options(images, tmp_path), console=console)
    assert f"1 run in {tmp_path}; the first examples compile kernels if need be\n" in said[0]
    assert "Numba cannot be imported, so PyTorch's autograd learns, more slowly (ImportError: no numba)" in said[0]


def _stop() -> None:
    raise KeyboardInterrupt


def test_a_killed_process_takes_no_other_run_with_it(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = processes._Worker.begin
    killed: list[int] = []

    def begin(worker: processes._Worker, index: int, spec: RunSpec) -> None:
        if spec.seed == 1 and not killed:
            os.kill(worker.process.pid or 0, signal.SIGKILL)
            worker.process.join()
            killed.append(index)
        begun(worker, index, spec)

    monkeypatch.setattr(processes._Worker, "begin", begin)
    console = Console(file=io.StringIO(), width=200)
    assert supervised(make_options(images, tmp_path, seeds="0-4", jobs=2), console=console) == 1
    assert "er/memory-40/seed-1: its process was killed; the same command resumes it" in console.file.getvalue()
    assert [path.parent.name for path in sorted(tmp_path.rglob("summary.json"))] == [f"seed-{n}" for n in (0, 2, 3, 4)]
