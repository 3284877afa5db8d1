"""Runs on environments of the user's own, stopped and resumed."""

from __future__ import annotations

import functools
import io
import signal
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from rich.console import Console
from torch import nn

from continual_ple.tasks import Task, own_task
from dqn_mer.commands.train import main as train_command
from dqn_mer.runs.stopping import RunStopped
from dqn_mer.training.state_trial import why_not_saved
from dqn_mer.training.trainer import resume
from tests.helpers.own_envs import (
    QUIET,
    Count,
    ForgetsItsDraws,
    ForgetsItsSetting,
    KeepsAnObject,
    LosesItsState,
    NeedsAReset,
    WithState,
    count_task,
    train_tiny,
)
from tests.helpers.resuming import At, stop, what_is_left


def two_layers(shape: tuple[int, ...], actions: int) -> nn.Module:
    return nn.Sequential(nn.Linear(shape[0], 6), nn.Tanh(), nn.Linear(6, actions))


def pole_task(network: Any = None) -> Task:
    return own_task("CartPole-v1", "gravity", [9.8, 5.0], 60, network=network)


TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "classic control": (pole_task, {}),
    "a network of one's own": (functools.partial(pole_task, two_layers), {"hidden_sizes": (300, 300)}),
    "get_state and set_state": (functools.partial(count_task, WithState), {}),
    "observations outside their box": (
        functools.partial(count_task, functools.partial(WithState, box=spaces.Box(0, 1, (1,), np.float32))), {},
    ),
    "a large parameter": (functools.partial(own_task, WithState, "speed", [1.0, 1e15], 60), {}),
    "images of floats": (
        functools.partial(count_task, functools.partial(WithState, box=spaces.Box(0, 1, (2, 36, 36), np.float32))),
        {"hidden_sizes": (40,)},  # a first dense layer far smaller than that of 84x84 pixels
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*WARN")
@pytest.mark.parametrize("kind", TASKS)
def test_a_stopped_run_ends_as_if_it_had_not_been_stopped(kind: str, at_frame: At, tmp_path: Path) -> None:
    make_task, choices = TASKS[kind]
    choices = {"run_dir": tmp_path / "run", "agent": "dqn-mer", "save_every": 30, **choices}
    whole = train_tiny(make_task(), tmp_path, **{**choices, "run_dir": tmp_path / "whole"})
    at_frame(73, stop(signal.SIGTERM))
    with pytest.raises(RunStopped) as stopped:
        train_tiny(make_task(), tmp_path, **choices)
    advice = f"resume from Python with: resume({str(tmp_path / 'run')!r}, task)"
    assert str(stopped.value) == f"stopped by SIGTERM at frame 74; {advice}"
    resumed = resume(tmp_path / "run", make_task(), console=QUIET)
    assert (resumed.agent.online.vector == whole.agent.online.vector).all()
    assert what_is_left(resumed.run_dir) == what_is_left(whole.run_dir)
    with pytest.raises(RunStopped, match="this run is finished"):
        resume(tmp_path / "run", make_task(), console=QUIET)


def test_the_command_and_another_task_are_refused_in_one_line(
    at_frame: At, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    at_frame(73, stop(signal.SIGTERM))
    with pytest.raises(RunStopped):
        train_tiny(pole_task(), tmp_path, run_dir=run)
    kept = sorted(path.name for path in run.iterdir())
    assert train_command(["--resume", str(run)]) == 2
    advice = f"give its --task MODULE:NAME, or resume from Python with: resume({str(run)!r}, task)"
    assert capsys.readouterr().err == f"error: {run}: CartPole-v1 is no game of ours; {advice}\n"
    with pytest.raises(ValueError, match=r"^task: must have the schedule of the run in .*, has another one$"):
        resume(run, count_task(), console=QUIET)
    with pytest.raises(
        ValueError, match=r"agent.online: must be float32 of shape \(.*\), is float32 of shape \(58,\)$"
    ) as refused:
        resume(run, pole_task(two_layers), console=QUIET)
    assert sorted(path.name for path in run.iterdir()) == kept
    assert resume(run, pole_task(), console=QUIET).run_dir == run, "a refused task leaves the folder locked"
    assert refused.value is not None  # kept alive, as a notebook does, with all that its frames hold


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Count, "Count must have get_state() and set_state(state)"),
        (
            lambda: gymnasium.wrappers.TransformReward(Count(), abs),
            "TransformReward and Count must have get_state() and set_state(state)",
        ),
        (ForgetsItsDraws, "after set_state(get_state()) an environment plays differently"),
        (ForgetsItsSetting, "after set_state(get_state()) an environment plays differently"),
        (
            NeedsAReset,
            "ValueError: environment: not a state of 2-NeedsAReset: 'NeedsAReset' object has no attribute 'board'",
        ),
        (KeepsAnObject, "TypeError: Object of type KeepsAnObject is not JSON serializable"),
    ],
)
def test_what_cannot_be_saved_is_said_at_the_start_and_trained(
    make: Any, reason: str, at_frame: At, tmp_path: Path
) -> None:
    said = io.StringIO()
    at_frame(73, stop(signal.SIGTERM))
    with pytest.raises(RunStopped, match=r"^stopped by SIGTERM at frame 74; nothing was saved$"):
        train_tiny(count_task(make), tmp_path, console=Console(file=said, width=500), run_dir=tmp_path / "run")
    line = "this run cannot be resumed if it is stopped: the environment's state cannot be saved"
    assert said.getvalue().count(f"{line}: {reason}\n") == 1
    assert not (tmp_path / "run" / "resume").exists()


def test_a_state_that_cannot_be_saved_any_more_is_said_once_and_ends_no_run(
    at_frame: At, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choices = {"run_dir": tmp_path / "run", "save_every": 30}
    train_tiny(count_task(LosesItsState), tmp_path, **{**choices, "run_dir": tmp_path / "whole"})
    reason = "ValueError: Out of range float values are not JSON compliant"
    line = f"this run cannot be saved any more: the environment's state cannot be saved: {reason}"
    said = capsys.readouterr().err
    assert said.startswith(f"frame 120: {line}") and said.count("\n") == 1
    at_frame(113, stop(signal.SIGTERM))
    with pytest.raises(RunStopped) as stopped:
        train_tiny(count_task(LosesItsState), tmp_path, **choices)
    how = f"resume from Python with: resume({str(tmp_path / 'run')!r}, task)"
    assert str(stopped.value) == f"stopped by SIGTERM at frame 114; saved at frame 90; {how}"
    assert resume(tmp_path / "run", count_task(LosesItsState), console=QUIET).agent.frames == 120


def test_what_can_be_saved_needs_no_word() -> None:
    for make in (functools.partial(gymnasium.make, "Acrobot-v1"), WithState):
        assert why_not_saved(make) is None


class ForgetsItsCount(WithState):
    """Is restored after a reset alone, when its count is that of a new environment."""

    def get_state(self) -> dict[str, Any]:
        return {"speed": self.speed, "draws": self.np_random.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        self.speed = state["speed"]
        self.np_random.bit_generator.state = state["draws"]


@pytest.mark.parametrize("length", range(2, 10))
def test_what_is_forgotten_is_seen_however_long_episodes_are(length: int) -> None:
    assert why_not_saved(functools.partial(WithState, limit=length)) is None
    expected = "after set_state(get_state()) an environment plays differently"
    assert why_not_saved(functools.partial(ForgetsItsCount, limit=length)) == expected
