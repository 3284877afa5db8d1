"""A chain of states with a known Q*, whose only reward is at its end: nothing is learned without bootstrapping."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit

from continual_ple.settings import Schedule, Setting
from continual_ple.tasks import Task

LENGTH = 6
DISCOUNT = 0.8


class Chain(gymnasium.Env[np.ndarray, np.int64]):
    """Walk left or right from the first state; reaching the last one pays `prize` and terminates."""

    def __init__(self, prize: float = 1.0) -> None:
        self.prize = prize
        self.place = 0
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (LENGTH,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def _observe(self) -> np.ndarray:
        return np.eye(LENGTH, dtype=np.float32)[self.place]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = 0
        return self._observe(), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.place = min(self.place + 1, LENGTH - 1) if action == 1 else max(self.place - 1, 0)
        end = self.place == LENGTH - 1
        return self._observe(), self.prize if end else 0.0, end, False, {}


def optimal_q() -> np.ndarray:
    """Return Q* of the states before the end, shape (LENGTH - 1, 2): left, right."""
    value = np.array([DISCOUNT ** (LENGTH - 2 - place) for place in range(LENGTH - 1)])
    left = np.array([DISCOUNT * value[max(place - 1, 0)] for place in range(LENGTH - 1)])
    return np.stack([left, value], axis=1)


def chain_task(prizes: tuple[float, ...] = (1.0,), frames_per_setting: int = 5_000) -> Task:
    """Return the chain as a task whose prize changes."""
    settings = tuple(Setting(f"{i}-prize={prize:g}", {"prize": prize}) for i, prize in enumerate(prizes))

    def make_env(setting: Setting, frame_limit: int | None = None, render_mode: str | None = None) -> gymnasium.Env:
        return TimeLimit(Chain(**setting.parameters), frame_limit or 30)

    return Task(
        make_env, Schedule(settings, tuple(range(len(prizes))), frames_per_setting), "prize", np.array([0.5, 0.5])
    )
