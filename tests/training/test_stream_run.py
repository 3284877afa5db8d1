"""Agents of other libraries on the changing stream: their runs are filed as ours are."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from dqn_mer import StreamRun, benchmark, compare, default_config, load_run, train
from tests.helpers.examples import load_example

SMALL: dict[str, Any] = {
    "game": "flappy_bird", "observation": "state", "settings": (100.0, 80.0), "frames_per_setting": 60,
    "eval_every": 40, "eval_episodes": 2, "eval_frame_limit": 30, "log_every": 20,
}  # fmt: skip


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


@pytest.mark.parametrize("policy", [glide, Gliding()])
def test_a_run_is_filed_and_compared_as_ours_are(policy: Any, tmp_path: Path) -> None:
    env = StreamRun("glider", options={"rate": 0.5}, run_dir=tmp_path / "runs" / "glider", **SMALL)
    env.policy = policy
    play(env, 130)  # ten more than are recorded
    summary = env.finish()
    env.close()
    run = load_run(tmp_path / "runs" / "glider")
    assert run.frames.tolist() == [0, 40, 60, 80, 120] and run.config["agent_options"] == {"rate": 0.5}
    assert run.metrics["retained_accuracy"] == summary["metrics"]["retained_accuracy"]
    assert summary["frames"] == 120 and (run.path / "learning_curves.png").exists()
    with (run.path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["setting/index"] for row in rows] == ["0"] * 3 + ["1"] * 3
    assert float(rows[2]["train/episode_length"]) > 0

    config = default_config(agent="random", eval_worker=False, run_dir=tmp_path / "runs" / "random", **SMALL)
    train(config, console=Console(quiet=True))
    ours = json.loads((tmp_path / "runs" / "random" / "summary.json").read_text())
    assert ours["random_scores"] == summary["random_scores"]  # the same seed: the same episodes
    (comparison,) = compare(tmp_path / "runs", tmp_path / "report")
    assert {group.label for group in comparison.groups} == {"glider", "random"}


def test_the_episodes_of_a_setting_are_those_of_our_agents(tmp_path: Path) -> None:
    rows = benchmark(glide, episodes=3, seed=7, game="flappy_bird", observation="state", settings=(100.0, 80.0))
    assert [row["setting"] for row in rows] == ["0-pipe_gap=100", "1-pipe_gap=80"]
    assert rows[0]["scores"] == [0.0] * 3 and 20 < rows[0]["length_mean_frames"] < 70
    assert rows == benchmark(
        Gliding(), episodes=3, seed=7, game="flappy_bird", observation="state", settings=(100.0, 80.0)
    )


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="agent='dqn': is an agent of this package"):
        StreamRun("dqn", **SMALL)
    with pytest.raises(ValueError, match="episodes=0: must be a whole number from 1"):
        benchmark(glide, episodes=0)
    env = StreamRun("glider", run_dir=tmp_path / "run", **SMALL)
    with pytest.raises(ValueError, match="policy=None: must be a function"):
        env.reset()
    assert not (tmp_path / "run").exists()  # nothing half-written
    env.policy = glide
    play(env, 50)
    with pytest.raises(ValueError, match="frame=50: must be 120, the last of the run"):
        env.finish()
    env.close()
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_example("sb3_agents")


@pytest.mark.parametrize("algorithm", ["DQN", "PPO"])
def test_agents_of_stable_baselines3(algorithm: str, example: ModuleType, tmp_path: Path) -> None:
    model = example.train(
        algorithm, 3, run_dir=tmp_path / "run", **{k: v for k, v in SMALL.items() if k != "observation"}
    )
    assert load_run(tmp_path / "run").config["agent"] == f"sb3-{algorithm.lower()}"
    assert len(benchmark(model, episodes=2, **SMALL)) == 2
