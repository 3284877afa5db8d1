"""Stopping and going on: by signal, by fault, and from a damaged state; the end is always the same, to the bit."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dqn_mer.cli import train_command
from dqn_mer.config import AGENTS
from dqn_mer.course import Course
from dqn_mer.evaluation_worker import WorkerEvaluation
from dqn_mer.run_state import find_state
from tests.resuming import flags, outcome, start, stop_after, train_and_digest, what_is_left

At = Callable[[int, Callable[[Course], None]], None]


@pytest.fixture
def at_frame(monkeypatch: pytest.MonkeyPatch) -> At:
    """Return what lets something happen, once, when so many frames are done."""
    frame_on = Course.frame_on

    def arrange(frame: int, event: Callable[[Course], None]) -> None:
        waiting = [event]

        def with_event(course: Course) -> dict[str, Any]:
            if course.frame == frame and waiting:
                waiting.pop()(course)
            return frame_on(course)

        monkeypatch.setattr(Course, "frame_on", with_event)

    return arrange


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """Return the digest, and what is left, of a tiny run that nothing disturbs."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    return train_and_digest(flags(run_dir=run_dir))[1], what_is_left(run_dir)


def check_same(run_dir: Path, whole: tuple[str, dict[str, Any]]) -> None:
    """Resume, and compare with the run that nothing disturbed."""
    assert train_and_digest(["--resume", str(run_dir)]) == (0, whole[0])
    left = what_is_left(run_dir)
    assert left == whole[1]


def stop(number: int) -> Callable[[Course], None]:
    return lambda course: os.kill(os.getpid(), number)


def stopped(at_frame: At, run_dir: Path, frame: int = 150, **choices: Any) -> Path:
    """Leave a run that was stopped after ``frame`` frames, and so has states of that frame and of one before."""
    at_frame(frame, stop(signal.SIGTERM))
    assert train_command(flags(**choices, run_dir=run_dir)) == 143
    return run_dir


@pytest.mark.parametrize(("number", "name", "code"), [(signal.SIGTERM, "SIGTERM", 143), (signal.SIGINT, "Ctrl-C", 130)])
def test_a_signal_saves_and_says_how_to_go_on(
    number: int, name: str, code: int, at_frame: At, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_frame(97, stop(number))
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    assert train_command(flags(run_dir=tmp_path / "run")) == code
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    told = f"stopped by {name} at frame 98; go on with: python train.py --resume {tmp_path / 'run'}\n"
    assert capsys.readouterr().err == told
    check_same(tmp_path / "run", whole)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("game", ["catcher", "flappy_bird"])
def test_every_agent_goes_on_to_the_same_end(game: str, agent: str, at_frame: At, tmp_path: Path) -> None:
    choices = {"game": game, "agent": agent}
    if agent != "random":
        choices["optimizer"] = "sgd" if game == "catcher" else "rmsprop"
    expected = train_and_digest(flags(**choices, run_dir=tmp_path / "whole"))
    run = stopped(at_frame, tmp_path / "run", 121, **choices)
    assert train_and_digest(["--resume", str(run)]) == expected
    assert what_is_left(run) == what_is_left(tmp_path / "whole")


@pytest.mark.parametrize("game", ["catcher", "flappy_bird"])
def test_pixels_go_on_to_the_same_end(game: str, at_frame: At, tmp_path: Path) -> None:
    choices = {
        "observation": "pixels", "game": game, "frames": 70, "frames_per_setting": 40, "eval_every": 100,
        "eval_frame_limit": 4, "meter_every": 60,
    }  # fmt: skip
    expected = train_and_digest(flags(**choices, run_dir=tmp_path / "whole"))
    run = stopped(at_frame, tmp_path / "run", 47, **choices)
    assert train_and_digest(["--resume", str(run)]) == expected
    assert what_is_left(run) == what_is_left(tmp_path / "whole")


def test_saving_changes_nothing(whole: Any, tmp_path: Path) -> None:
    for name, choices in (("seldom", {"save_every": 0, "save_minutes": 0}), ("often", {"save_minutes": 1e-9})):
        assert train_and_digest(flags(**choices, run_dir=tmp_path / name))[1] == whole[0]


def test_the_last_two_states_are_kept_and_none_of_a_finished_run(at_frame: At, tmp_path: Path) -> None:
    run = stopped(at_frame, tmp_path / "run", 200)
    assert sorted(path.name for path in (run / "resume").iterdir()) == ["frame-000000180", "frame-000000201"]
    shutil.copytree(run / "resume" / "frame-000000180", run / "resume" / "saving.tmp")  # as a kill leaves it
    assert train_command(["--resume", str(run), "--save-every", "7"]) == 0
    assert not (run / "resume").exists() and not list(run.rglob("*.tmp"))


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
    found = find_state(run)
    assert found is not None and found.folder.name == "frame-000000120"
    assert len(found.passed_over) == 1 and "frame-000000151" in found.passed_over[0]
    if how == "flipped":
        check_same(run, whole)
        assert "passed over: " in capsys.readouterr().out
    damage(run / "resume" / "frame-000000120" / name, how) if how != "flipped" else None
    if how != "flipped":
        assert train_command(["--resume", str(run)]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "no whole state left" in told
        assert (run / "resume" / "frame-000000151").exists()


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was stopped at frame 151, for tests to copy."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    assert stop_after(150, flags(run_dir=run)) == 143
    return run


def test_a_clock_that_goes_back(stopped_run: Path, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Path(shutil.copytree(stopped_run, tmp_path / "run"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1e6)
    check_same(run, whole)


def test_a_run_killed_before_its_first_state_starts_anew(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def die(*arguments: object) -> None:
        raise SystemExit  # as good as a kill: nothing is saved on the way out

    with monkeypatch.context() as patch:
        patch.setattr("dqn_mer.training.save_state", die)
        with pytest.raises(SystemExit):
            train_command(flags(run_dir=tmp_path / "run"))
    check_same(tmp_path / "run", whole)
    assert "no state was saved yet: starting from frame 0" in capsys.readouterr().out


def test_a_worker_that_is_killed_loses_nothing(at_frame: At, whole: Any, tmp_path: Path) -> None:
    def kill_worker(course: Course) -> None:
        assert isinstance(course.evaluation, WorkerEvaluation)
        course.evaluation.process.kill()

    at_frame(139, kill_worker)
    assert train_and_digest(flags(run_dir=tmp_path / "run", eval_worker=True))[1] == whole[0]
    assert what_is_left(tmp_path / "run") == whole[1]


def test_evaluations_that_wait_when_a_run_stops_are_made_up_for(
    at_frame: At, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(WorkerEvaluation, "finished", lambda self, wait=False: [])  # a worker that is far behind
        at_frame(150, stop(signal.SIGTERM))
        assert train_command(flags(run_dir=tmp_path / "run", eval_worker=True)) == 143
    assert len(what_is_left_of_evaluations(tmp_path / "run")) == 0
    check_same(tmp_path / "run", whole)


def what_is_left_of_evaluations(run_dir: Path) -> list[str]:
    return (run_dir / "evaluations.csv").read_text().splitlines()[1:]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_learning_that_diverges_stops_the_run(
    value: float, at_frame: At, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(course: Course) -> None:
        course.agent.online.vector.data[:3] = value

    run = tmp_path / "run"
    at_frame(100, diverge)
    assert train_command(flags(run_dir=run)) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "frame 120: a weight of the network is not finite" in told
    assert (
        f"saved for inspection in {run / 'diverged' / 'frame-000000120'}; the last good state is that of frame 60"
        in told
    )
    assert (run / "diverged" / "frame-000000120" / "arrays.safetensors").is_file()
    shutil.rmtree(run / "diverged")
    check_same(run, whole)


def test_two_processes_cannot_have_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = start(*flags(run_dir=run, frames=1_000_000))
    try:
        while not (run / "resume" / "frame-000000000").exists() and first.poll() is None:
            time.sleep(0.05)
        code, told = outcome(start("--resume", str(run)))
    finally:
        first.terminate()
        first_code, first_told = outcome(first)
    assert (code, told) == (2, f"error: {run}: another process is training in this folder\n")
    assert first_code == 143, first_told


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--resume", "--resume"),
        ("--resume NOWHERE", "must be the folder of a run"),
        ("--resume RUN --frames 900", "--frames"),
        ("--resume RUN --seed=3", "--seed"),
        ("--resume RUN --save-every -1", "save_every=-1: must be"),
    ],
)
def test_mistakes_take_one_line_and_change_nothing(
    words: str, expected: str, stopped_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in stopped_run.rglob("*")}
    assert train_command(words.replace("RUN", str(stopped_run)).split()) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and expected in told
    assert {path: path.stat().st_mtime_ns for path in stopped_run.rglob("*")} == before


def test_a_finished_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train_command(flags(run_dir=run, frames=30)) == 0
    capsys.readouterr()
    assert train_command(["--resume", str(run)]) == 0
    assert capsys.readouterr().out == f"{run}: this run is finished, there is nothing to go on with\n"


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

        def fill(course: Course) -> None:
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
                while file.write(bytes(512)):
                    pass

        at_frame(frame, fill)
        choices = {"log_every": 30, "save_every": 60} if not what else {"log_every": 31, "save_every": 60}
        run = disk / "run"
        assert train_command(flags(**choices, run_dir=run)) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "No space left on device" in told and f"--resume {run}" in told
        assert what in told and str(run) in told
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

    def lock(course: Course) -> None:
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
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"{run / 'resume'}" in told and "saved at frame 60" in told
    check_same(run, whole)
