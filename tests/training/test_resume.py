"""Stopping by a signal and going on: the end is always the same, bit for bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dqn_mer import load_run, resume
from dqn_mer.commands import train as train_module
from dqn_mer.commands.train import TRAINS
from dqn_mer.commands.train import main as train_command
from dqn_mer.config.agent_registry import AGENTS
from dqn_mer.evaluation.beside_training import WorkerEvaluation
from dqn_mer.training.loop import TrainingLoop
from tests.helpers.resuming import At, check_same, flags, outcome, start, stop, train_and_digest, what_is_left


def stopped(at_frame: At, run_dir: Path, frame: int = 150, **choices: Any) -> Path:
    """Leave a run that was stopped after ``frame`` frames, and so has states of that frame and of one before."""
    at_frame(frame, stop(signal.SIGTERM))
    assert train_command(flags(**choices, run_dir=run_dir)) == 143
    return run_dir


LISTENED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@pytest.fixture
def signals() -> Iterator[None]:
    """Let signals do what they do by default, however the tests were started, such as under nohup."""
    before = {one: signal.signal(one, signal.SIG_DFL) for one in LISTENED[1:]}
    # A shell starts what is to run in the background with SIGINT ignored, and then Python leaves it so.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (signal.SIGTERM, "SIGTERM", 143), (signal.SIGINT, "Ctrl-C", 130), (signal.SIGHUP, "SIGHUP", 129),
        (signal.SIGUSR1, "SIGUSR1", 128 + signal.SIGUSR1),
    ],
)  # fmt: skip
def test_a_signal_saves_and_says_how_to_resume(
    number: int, name: str, code: int, at_frame: At, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_frame(97, stop(number))
    handlers = [signal.getsignal(one) for one in LISTENED]
    assert train_command(flags(run_dir=tmp_path / "run")) == code
    assert [signal.getsignal(one) for one in LISTENED] == handlers
    line = f"stopped by {name} at frame 98; resume with: python -m dqn_mer train --resume {tmp_path / 'run'}\n"
    assert capsys.readouterr().err == line
    check_same(tmp_path / "run", whole)


@pytest.mark.usefixtures("signals")
def test_a_closing_terminal_that_sends_several_signals_is_one_request(
    at_frame: At, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def close_terminal(loop: TrainingLoop) -> None:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1):
            os.kill(os.getpid(), number)

    at_frame(97, close_terminal)
    assert train_command(flags(run_dir=tmp_path / "run")) == 129
    assert capsys.readouterr().err.startswith("stopped by SIGHUP at frame 98; ")
    check_same(tmp_path / "run", whole)


@pytest.mark.usefixtures("signals")
def test_a_second_ctrl_c_acts_at_once(at_frame: At, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def twice(loop: TrainingLoop) -> None:
        signal.raise_signal(signal.SIGINT)  # in this thread: two sent to the process may arrive as one
        signal.raise_signal(signal.SIGINT)

    at_frame(97, twice)
    assert train_command(flags(run_dir=tmp_path / "run")) == 130
    assert capsys.readouterr().err.startswith("stopped at once by Ctrl-C; ")
    assert [path.name for path in (tmp_path / "run" / "resume").iterdir()][-1] <= "frame-000000060"


@pytest.mark.usefixtures("signals")
def test_ctrl_c_while_it_loads_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "load", interrupted)
    assert train_command(flags(run_dir=tmp_path / "run")) == 130
    assert capsys.readouterr().err == "stopped by Ctrl-C before the first frame\n"
    assert not (tmp_path / "run").exists()


def test_signals_that_are_ignored_or_handled_already_stay_so(at_frame: At, whole: Any, tmp_path: Path) -> None:
    """``nohup`` ignores SIGHUP; a script may have a use of its own for SIGUSR1."""
    heard: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))

    def send(loop: TrainingLoop) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)

    at_frame(97, send)
    assert train_command(flags(run_dir=tmp_path / "run")) == 0
    assert heard == [signal.SIGUSR1]
    assert what_is_left(tmp_path / "run") == whole[1]


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


def test_a_run_killed_before_its_first_state_starts_anew(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def die(*arguments: object) -> None:
        raise SystemExit  # as good as a kill: nothing is saved on the way out

    with monkeypatch.context() as patch:
        patch.setattr("dqn_mer.training.saves.save_state", die)
        with pytest.raises(SystemExit):
            train_command(flags(run_dir=tmp_path / "run"))
    check_same(tmp_path / "run", whole)
    assert "no state was saved yet: starting from frame 0" in capsys.readouterr().out


def test_a_run_of_a_game_is_resumed_from_python_without_a_task(at_frame: At, whole: Any, tmp_path: Path) -> None:
    run = stopped(at_frame, tmp_path / "run", 100)
    assert resume(run, console=Console(quiet=True)).run_dir == run
    assert what_is_left(run) == whole[1]


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


def test_two_processes_cannot_have_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = start(*flags(run_dir=run, frames=1_000_000))
    try:
        while not (run / "resume" / "frame-000000000").exists() and first.poll() is None:
            time.sleep(0.05)
        code, complaint = outcome(start("--resume", str(run)))
    finally:
        first.terminate()
        first_code, first_told = outcome(first)
    assert (code, complaint) == (2, f"error: {run}: another process is training in this folder\n")
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
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and expected in complaint
    assert {path: path.stat().st_mtime_ns for path in stopped_run.rglob("*")} == before


def test_a_finished_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train_command(flags(run_dir=run, frames=30)) == 0
    capsys.readouterr()
    assert train_command(["--resume", str(run)]) == 0
    finished = f"{run}: this run is finished, there is nothing to resume"
    assert capsys.readouterr().out.splitlines() == [f"resuming {run}", f"loading {', '.join(TRAINS)}", finished]
    assert not (run / ".lock").exists()


@pytest.mark.parametrize("left", [None, b"", b'{"config": {"agent": "dqn"', b'{"config": {}, "schedule": 3}'])
def test_a_damaged_description_is_written_again(
    left: bytes | None, at_frame: At, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = stopped(at_frame, tmp_path / "run")
    before = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").unlink() if left is None else (run_dir / "config.json").write_bytes(left)
    assert train_command(["--resume", str(run_dir)]) == 0
    assert "written again from the saved state: " in capsys.readouterr().out
    after = json.loads((run_dir / "config.json").read_text())
    assert {name: after[name] for name in ("config", "schedule", "machine")} == {
        name: before[name] for name in ("config", "schedule", "machine")
    }
    assert load_run(run_dir).config["agent"] == before["config"]["agent"]
