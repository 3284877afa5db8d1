"""Ordinary environments as people write them, and runs on them of a few frames."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from rich.console import Console

from continual_ple.tasks import Task, own_task
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.training.loop import TrainingLoop
from dqn_mer.training.trainer import RunResult, train

QUIET = Console(quiet=True)
LIMIT = 20


class Count(gymnasium.Env[Any, Any]):
    """Counts the frames of an episode; the second action scores a point."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(
        self,
        render_mode: str | None = None,
        box: spaces.Space[Any] | None = None,
        start: int = 0,
        show: Callable[[int], Any] | None = None,
        reward: Callable[[float], Any] = float,
        info: dict[str, Any] | None = None,
        limit: int = LIMIT,
    ) -> None:
        self.render_mode, self.speed, self.count, self.limit = render_mode, 1.0, 0, limit
        self.observation_space = spaces.Box(0, LIMIT, (1,), np.float32) if box is None else box
        self.action_space = spaces.Discrete(2, start=start)
        self.show = show or (lambda count: np.full(self.observation_space.shape, count, self.observation_space.dtype))
        self.reward, self.info = reward, info or {}
        self.taken: list[int] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self.show(0), dict(self.info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), f"action {action} is not in {self.action_space}"
        self.taken.append(action)
        self.count += 1
        reward = self.reward(float(action == self.action_space.start + 1))
        return self.show(self.count), reward, False, self.count >= self.limit, dict(self.info)

    def render(self) -> Any:
        return np.full((8, 8, 3), self.count, np.uint8)


class WithoutRenderMode(Count):
    def __init__(self) -> None:
        super().__init__()


def box(low: float, high: float, shape: tuple[int, ...], dtype: type) -> Callable[..., Count]:
    """Return what makes a `Count` with observations in such a box."""
    return functools.partial(Count, box=spaces.Box(low, high, shape, dtype))


class WithState(Count):
    """Draws its next count, and can be saved."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation + np.float32(self.np_random.random()), reward, terminated, truncated, info

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count, "speed": self.speed, "draws": self.np_random.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        self.count, self.speed = state["count"], state["speed"]
        self.np_random.bit_generator.state = state["draws"]


class ForgetsItsDraws(WithState):
    def get_state(self) -> dict[str, Any]:
        return {"count": self.count, "speed": self.speed}

    def set_state(self, state: dict[str, Any]) -> None:
        self.count, self.speed = state["count"], state["speed"]


class ForgetsItsSetting(WithState):
    """Has a speed that matters, and is not part of its state."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, *others = super().step(action)
        return (observation * np.float32(self.speed), *others)

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count, "draws": self.np_random.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state({"speed": self.speed, **state})


class NeedsAReset(WithState):
    """Has a board from its first reset on."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.board = np.zeros(3)
        return super().reset(seed=seed)

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "board": self.board}

    def set_state(self, state: dict[str, Any]) -> None:
        self.board[:] = state["board"]
        super().set_state(state)


class LosesItsState(WithState):
    """Has, in its sixth episode, a state that no file can hold."""

    episodes = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.episodes += 1
        return super().reset(seed=seed)

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "best": 0.0 if self.episodes < 6 else float("-inf")}


class KeepsAnObject(WithState):
    def get_state(self) -> dict[str, Any]:
        return {"self": self}


def count_task(make: Callable[..., Any] = Count, frames: int = 60, **options: Any) -> Task:
    """Return a task of one of these environments, whose speed changes once."""
    return own_task(make, "speed", [1.0, 2.0], frames, **options)


def kept_task() -> Task:
    """Return such a task whose runs can be resumed; for ``--task tests.helpers.own_envs:kept_task``."""
    return count_task(WithState)


def tiny_config(**choices: Any) -> Config:
    """Return the configuration of a run of a few frames."""
    values: dict[str, Any] = {
        "agent": "dqn", "batch_size": 4, "hidden_sizes": (8,), "capacity": 500, "warmup_frames": 20, "eval_every": 60,
        "eval_episodes": 1, "eval_worker": False, "meter_every": 50, "target_sync_frames": 50, "log_every": 50,
        "threads": 1, "device": "cpu", "epsilon_end": 0.5, "epsilon_decay_frames": 0,
    }  # fmt: skip
    return default_config(**{**values, **choices})


def train_tiny(task: Task, folder: Path, console: Console = QUIET, **choices: Any) -> RunResult:
    """Train on a task for a few frames, into a new folder inside ``folder``."""
    return train(tiny_config(log_dir=folder, **choices), task, console=console)


def play_tiny(task: Task, folder: Path, frames: int = 60, **choices: Any) -> TrainingLoop:
    """Play, learn and evaluate for a few frames without a run's figures, and return what did."""
    with TrainingLoop(task, tiny_config(frames=frames, **choices)) as loop:
        loop.begin(folder, "")
        for _ in range(frames):
            loop.step()
    return loop
