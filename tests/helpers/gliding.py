"""An agent of another library that never flaps, and its runs on the changing stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqn_mer import StreamRun

SMALL: dict[str, Any] = {
    "game": "flappy_bird", "observation": "state", "settings": (100.0, 80.0), "frames_per_setting": 60,
    "eval_every": 40, "eval_episodes": 2, "eval_frame_limit": 30, "log_every": 20,
}  # fmt: skip

SHORT = {**SMALL, "frames_per_setting": 50, "eval_every": 50}


def glide(observations: NDArray[Any]) -> NDArray[np.int64]:
    """Never flap."""
    return np.ones(len(observations), np.int64)


class Gliding:
    """The same as an object, as Stable-Baselines3 has them."""

    def predict(self, observation: NDArray[Any], deterministic: bool = False) -> tuple[NDArray[np.int64], None]:
        assert deterministic
        return glide(observation), None


def play(env: StreamRun, frames: int) -> None:
    """Play as a library does: reset, then step, and reset after each episode."""
    env.reset()
    for _ in range(frames):
        _, _, terminated, truncated, _ = env.step(np.int64(1))
        if terminated or truncated:
            env.reset()


def glider_run(folder: Path, seed: int = 0, **options: float) -> Path:
    """Make a run of another library's agent, and return its folder."""
    env = StreamRun("glider", options=options, seed=seed, run_dir=folder, **SHORT)
    env.policy = glide
    play(env, env.frames)
    env.finish()
    env.close()
    return folder
