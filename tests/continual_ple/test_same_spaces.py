"""One agent plays under all settings: what it sees and does must be the same under each."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from continual_ple import ArcadeEnv, Observation, Setting, Task, own_task, register_observation
from continual_ple.learnable import UnlearnableError
from continual_ple.settings import schedule_of_values
from dqn_mer import StreamRun, default_config, train
from tests.helpers.added import nothing_left
from tests.helpers.falling_stone import Colour
from tests.helpers.own_envs import QUIET, Count


@pytest.fixture(autouse=True)
def taken_away() -> Iterator[None]:
    with nothing_left():
        yield


class Resized(Count):
    """Has one of its spaces after its size."""

    def __init__(self, kind: str = "shape", size: int = 3) -> None:
        super().__init__()
        self.kind = kind
        self.configure(size)

    def configure(self, size: float) -> None:
        if self.kind == "shape":
            self.observation_space = spaces.Box(0, 9, (int(size),), np.float32)
        elif self.kind == "actions":
            self.action_space = spaces.Discrete(int(size))
        elif self.kind == "start":
            self.action_space = spaces.Discrete(2, start=int(size))
        else:
            self.observation_space = spaces.Box(0, size, (4, 4) if self.kind == "scale" else (4,), np.float32)


CHANGED = {
    "shape": r"Box\(0.0, 9.0, \(3,\), float32\) and Discrete\(2\); has Box\(0.0, 9.0, \(5,\), float32\) and ",
    "actions": r".* and Discrete\(3\); has .* and Discrete\(5\)",
    "start": r".* and Discrete\(2, start=3\); has .* and Discrete\(2, start=5\)",
    "scale": r"Box\(0.0, 3.0, \(4, 4\), float32\) .*; has Box\(0.0, 5.0, \(4, 4\), float32\) ",
}


@pytest.mark.parametrize("kind", CHANGED)
@pytest.mark.parametrize("by_hand", [False, True])
def test_other_spaces_under_another_setting_are_one_line_and_nothing_is_written(
    kind: str, by_hand: bool, tmp_path: Path
) -> None:
    def make(setting: Setting, frame_limit: int | None = None, render_mode: str | None = None) -> Any:
        return Resized(kind, int(setting.parameters["size"]))

    task = own_task(functools.partial(Resized, kind), "size", [3, 5], 30)
    if by_hand:
        task = Task(make, schedule_of_values("size", [3, 5], 30), "size", np.full(2, 0.5))
    message = rf"^setting '1-size=5': must have the observations and actions of '0-size=3', {CHANGED[kind]}"
    with pytest.raises(UnlearnableError, match=message) as error:
        train(default_config(run_dir=tmp_path / "run"), task, console=QUIET)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())
    with pytest.raises(UnlearnableError, match=message):
        StreamRun("other", task, run_dir=tmp_path / "run")


def test_bounds_by_which_nothing_is_scaled_may_change() -> None:
    env = own_task(functools.partial(Resized, "bounds"), "size", [3, 5], 30).training_env()
    assert env.reset(seed=0)[0].shape == (4,)


@pytest.mark.parametrize("kind", [Colour, None])
def test_a_view_of_another_space_under_other_parameters_is_refused(
    kind: type[Observation] | None, tmp_path: Path
) -> None:
    class Bounded(Colour):
        """Has the same shape always, but not the same bounds."""

        name = "bounded"

        def __init__(self, game: Any, frame_stack: int) -> None:
            super().__init__(game, frame_stack)
            self.space = spaces.Box(int(game.parameters["width"]) - 64, 255, (3, 192, 192), np.uint8)

    view = register_observation(kind or Bounded)
    env = ArcadeEnv("catcher", observation=view.name)
    env.reset(seed=0)
    expected = rf"^{view.__name__}.space: must be the same for all parameters, is Box.* after Box"
    with pytest.raises(ValueError, match=expected):
        env.configure(width=96)
    env.configure(fall_speed=0.1)
    env.reset()
    assert env.parameters["width"] == 64 and env.parameters["fall_speed"] == 0.1
    stream = gymnasium.make(
        "ContinualPLE/Catcher-stream-v0", observation=view.name, vary="width", settings=[64, 96], frames_per_setting=2
    )
    stream.reset(seed=0)
    stream.step(0)
    stream.step(0)
    with pytest.raises(ValueError, match=expected):
        stream.reset()
    if kind is not None:
        config = default_config(observation=view.name, vary="width", settings=(64, 96), run_dir=tmp_path / "run")
        with pytest.raises(UnlearnableError, match=r"^setting '1-width=96': must have the observations and "):
            train(config, console=QUIET)
        assert not list(tmp_path.iterdir())
