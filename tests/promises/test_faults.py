"""Faults while a run goes on or lies there: one clear line, nothing lost, and the same end after it, bit for bit."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dqn_mer.commands.train import main as train_command
from dqn_mer.evaluation.beside_training import WorkerEvaluation
from dqn_mer.storage.snapshots import find_state
from dqn_mer.training.loop import TrainingLoop
from tests.helpers.resuming import At, check_same, flags, outcome, start, train_and_digest, what_is_left


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 4
    path.write_bytes({"flipped": bytes(data), "cut": bytes(data[: len(data) // 2]), "empty": b""}[how])


@pytest.mark.parametrize("name", ["state.json", "arrays.safetensors", "SHA256SUMS"])
@pytest.mark.parametrize("how", ["flipped", "cut", "empty"])
def test_a_damaged_state_is_passed_over(
    how: str, name: str, stopped_run: Path, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(stopped_run, tmp_path / "run"))
    damage(run / "resume" / "frame-000000151" / name, how)
    snapshot = find_state(run)
    assert snapshot is not None and snapshot.folder.name == "frame-000000120"
    assert len(snapshot.passed_over) == 1 and "frame-000000151" in snapshot.passed_over[0]
    if how == "flipped":
        check_same(run, whole)
        assert "passed over: " in capsys.readouterr().out
    damage(run / "resume" / "frame-000000120" / name, how) if how != "flipped" else None
    if how != "flipped":
        assert train_command(["--resume", str(run)]) == 2
        complaint = capsys.readouterr().err
        assert complaint.count("\n") == 1 and "no whole state left" in complaint
        assert (run / "resume" / "frame-000000151").exists()


def test_a_clock_that_goes_back(stopped_run: Path, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Path(shutil.copytree(stopped_run, tmp_path / "run"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1e6)
    check_same(run, whole)


def test_a_worker_that_is_killed_loses_nothing(at_frame: At, whole: Any, tmp_path: Path) -> None:
    def kill_worker(loop: TrainingLoop) -> None:
        assert isinstance(loop.evaluation, WorkerEvaluation)
        loop.evaluation.process.kill()

    at_frame(139, kill_worker)
    assert train_and_digest(flags(run_dir=tmp_path / "run", eval_worker=True))[1] == whole[0]
    assert what_is_left(tmp_path / "run") == whole[1]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_learning_that_diverges_stops_the_run(
    value: float, at_frame: At, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(loop: TrainingLoop) -> None:
        loop.agent.online.vector.data[:3] = value

    run = tmp_path / "run"
    at_frame(100, diverge)
    assert train_command(flags(run_dir=run)) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and "frame 120: a weight of the network is not finite" in complaint
    assert (
        f"saved for inspection in {run / 'diverged' / 'frame-000000120'}; the last good state is that of frame 60"
        in complaint
    )
    assert (run / "diverged" / "frame-000000120" / "arrays.safetensors").is_file()
    shutil.rmtree(run / "diverged")
    check_same(run, whole)


@contextlib.contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a small disk in memory, where that is allowed."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs root, to mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(("frame", "what"), [(59, "saving.tmp"), (60, ""), (69, "")])
def test_a_full_disk_is_one_line_and_costs_nothing(
    frame: int, what: str, at_frame: At, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another program fills the disk before a save, a row and its points, or an evaluation."""
    with small_disk(tmp_path / "disk", 2_000) as disk:

        def fill(loop: TrainingLoop) -> None:
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
                while file.write(bytes(512)):
                    pass

        at_frame(frame, fill)
        choices = {"log_every": 30, "save_every": 60} if not what else {"log_every": 31, "save_every": 60}
        run = disk / "run"
        assert train_command(flags(**choices, run_dir=run)) == 1
        complaint = capsys.readouterr().err
        assert complaint.count("\n") == 1 and "No space left on device" in complaint and f"--resume {run}" in complaint
        assert what in complaint and str(run) in complaint
        assert not list(run.rglob("*.tmp"))
        (disk / "filler").unlink()
        if what:
            assert train_command(["--resume", str(run)]) == 0
        else:
            check_same(run, whole)


def test_a_folder_that_cannot_be_written_any_more(
    at_frame: At, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"

    def lock(loop: TrainingLoop) -> None:
        if os.geteuid() == 0:  # for whom permissions are no hindrance
            if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", str(run / "resume")]).returncode:
                pytest.skip("needs chattr, or another user than root")
        (run / "resume").chmod(0o500) if os.geteuid() else None

    def unlock() -> None:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", str(run / "resume")], check=True)
        else:
            (run / "resume").chmod(0o700)

    at_frame(70, lock)
    try:
        assert train_command(flags(run_dir=run)) == 1
    finally:
        unlock()
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and f"{run / 'resume'}" in complaint and "saved at frame 60" in complaint
    check_same(run, whole)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the memory of a process this way")
@pytest.mark.parametrize("choices", [{"capacity": 100_000_000}, {"hidden_sizes": (8192,) * 4}])
def test_more_than_the_memory_there_is(choices: dict[str, Any], tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30,) * 2)

    code, complaint = outcome(start(*flags(**choices, run_dir=tmp_path / "run"), preexec_fn=limit))
    assert (code, complaint.count("\n")) == (2, 1) and "need more memory than there is" in complaint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("error", [MemoryError("no more"), RuntimeError("CUDA out of memory.")])
def test_memory_that_runs_out_in_a_run(
    error: Exception, at_frame: At, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(loop: TrainingLoop) -> None:
        raise error

    at_frame(100, fail)
    run = tmp_path / "run"
    assert train_command(flags(run_dir=run)) == 1
    assert capsys.readouterr().err.startswith(
        "frame 100: out of memory; saved at frame 60; fix the problem, then resume"
    )
    check_same(run, whole)
