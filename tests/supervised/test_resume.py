"""Supervised runs that are stopped or killed: resumed, they end as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dqn_mer.config.help_texts import written
from dqn_mer.supervised import execute as execution
from dqn_mer.supervised.command import supervised
from dqn_mer.supervised.execute import execute
from dqn_mer.supervised.options import LEARNERS, SupervisedOptions, plan
from dqn_mer.supervised.run import SupervisedRun
from tests.helpers.logs import load
from tests.helpers.stream_runs import QUIET, RATES, make_options, run_of, what_is_left

FLAGS = (
    "stream", "learner", "memory", "data", "tasks", "examples", "hidden_sizes", "eval_every", "meter_every",
    "save_every", "out", *RATES,
)  # fmt: skip


def command_of(options: SupervisedOptions, *more: str) -> list[str]:
    """Return the command with these options: those in `FLAGS`, and more."""
    words = [f"--{name.replace('_', '-')}={written(getattr(options, name))}" for name in (*FLAGS, *more)]
    return [sys.executable, "-m", "dqn_mer", "supervised", *words]


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_run_stopped_by_a_signal_resumes_to_the_same_end(
    finished: Path, images: Path, tmp_path: Path, learner: str
) -> None:
    (spec,) = plan(make_options(images, tmp_path, learner=(learner,)))

    def stop(place: int) -> None:
        if place == 61:
            os.kill(os.getpid(), signal.SIGTERM)

    outcome = execute(spec, (), stop)
    assert outcome.exit_code == 128 + signal.SIGTERM
    assert "stopped by SIGTERM at example 61; the same command resumes it" in outcome.problem
    assert supervised(make_options(images, tmp_path, learner=(learner,)), console=QUIET) == 0
    assert what_is_left(spec.run_dir) == what_is_left(run_of(finished, learner))


class Killed(BaseException):
    """Ends a run at once, as a kill does."""


@pytest.mark.parametrize("place", [0, 30, 49, 50, 99, 119])
def test_a_killed_run_resumes_from_its_last_save(
    finished: Path, images: Path, tmp_path: Path, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spec,) = plan(make_options(images, tmp_path, learner=("mer-1",)))
    advance = SupervisedRun.advance

    def killed(run: SupervisedRun, speed: float) -> None:
        if run.place == place:
            raise Killed
        advance(run, speed)

    monkeypatch.setattr(SupervisedRun, "advance", killed)
    with pytest.raises(Killed):
        execute(spec, (), lambda place: None)
    monkeypatch.setattr(SupervisedRun, "advance", advance)
    assert supervised(spec.options, console=QUIET) == 0
    assert what_is_left(spec.run_dir) == what_is_left(run_of(finished, "mer-1"))
    assert [point.step for point in load(spec.run_dir).Scalars("accuracy/mean")] == [25, 40, 50, 75, 80, 100, 120]


@pytest.mark.slow
def test_a_command_killed_for_good_resumes_to_the_same_end(finished: Path, images: Path, tmp_path: Path) -> None:
    command = command_of(make_options(images, tmp_path, learner=("mer-7",)))
    with subprocess.Popen([*command, "--save-minutes=0.0001"], stdout=subprocess.DEVNULL) as process:
        while not list(run_of(tmp_path, "mer-7").glob("resume/frame-*")) and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    killed = not (run_of(tmp_path, "mer-7") / "summary.json").exists()
    assert killed  # else the test has seen nothing
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert what_is_left(run_of(tmp_path, "mer-7")) == what_is_left(run_of(finished, "mer-7"))


def test_a_command_of_several_processes_stops_them_all(finished: Path, images: Path, tmp_path: Path) -> None:
    options = make_options(images, tmp_path, learner=("gem", "mer-7"), seeds="0-40", jobs=2)
    command = command_of(options, "seeds", "jobs")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.rglob("summary.json")) and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM and "the same command resumes" in said
    assert 0 < len(list(tmp_path.rglob("summary.json"))) < 82
    for folder in (path.parent for path in tmp_path.rglob("config.json")):
        with execution.lock_run(folder):  # no process has it any more
            pass
    assert supervised(make_options(images, tmp_path, learner=("gem", "mer-7")), console=QUIET) == 0
    for learner in ("gem", "mer-7"):
        assert what_is_left(run_of(tmp_path, learner)) == what_is_left(run_of(finished, learner))


def test_a_damaged_save_is_passed_over_or_named(images: Path, tmp_path: Path) -> None:
    (spec,) = plan(make_options(images, tmp_path, learner=("er",)))
    execute(spec, (), lambda place: os.kill(os.getpid(), signal.SIGINT) if place == 105 else None)
    saves = sorted((spec.run_dir / "resume").iterdir())
    assert [path.name for path in saves] == ["frame-000000100", "frame-000000105"]
    (saves[1] / "state.json").write_text("{}")
    (saves[0] / "arrays.safetensors").write_bytes(b"")
    outcome = execute(spec, (), lambda place: None)
    assert outcome.exit_code == 1 and "no whole state left" in outcome.problem
    assert f"remove {spec.run_dir} to start it anew" in outcome.problem


@pytest.mark.parametrize(("late", "folder_there"), [(False, False), (True, True), (True, False)])
def test_a_signal_stops_the_runs_after_this_one_whatever_happens_to_this_one(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool, folder_there: bool
) -> None:
    advance = SupervisedRun.advance

    def stop(run: SupervisedRun, speed: float) -> None:
        advance(run, speed)
        if run.place == (120 if late else 20):
            if not folder_there:
                shutil.rmtree(tmp_path / "permutations")
                (tmp_path / "permutations").write_text("in the way")
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(SupervisedRun, "advance", stop)
    options = make_options(images, tmp_path, learner=("er", "online"), memory=(40, 30))
    assert supervised(options, console=QUIET) == 128 + signal.SIGTERM
    if folder_there:
        assert (run_of(tmp_path, "er") / "summary.json").is_file()  # the signal came too late for this one
        assert not run_of(tmp_path, "online").exists()
