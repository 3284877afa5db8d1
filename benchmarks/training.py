"""Training frames per second against Stable-Baselines3's DQN: ``python -m benchmarks.training``.

The same environment, network, optimizer and batch, one update a frame, no evaluation and no logging.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.harness import cores, read_options, report, spread
from dqn_mer.agents.build import build_agent, build_exploration
from dqn_mer.agents.memory import Transition
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.config.task import game_task

WARMUP = 200


@dataclass
class Options:
    """Time whole training, frame by frame."""

    threads: int = 1
    """Cores to run on, each with a PyTorch thread."""
    repeats: int = 3
    """Measurements of each side, in turn."""
    pixel_frames: int = 200
    """Frames per measurement from pixels."""
    state_frames: int = 2_000
    """Frames per measurement from the game's numbers."""


def our_side(agent_name: str, observation: str, optimizer: str) -> Callable[[int], None]:
    """Return a call that trains our agent for some frames."""
    rate = {"sgd": 1e-3, "adam": 1e-4}[optimizer]
    return our_side_of(
        default_config(
            agent=agent_name, observation=observation, optimizer=optimizer, learning_rate=rate, warmup_frames=WARMUP
        )
    )


def our_side_of(config: Config) -> Callable[[int], None]:
    """Return a call that trains the agent of a configuration for some frames."""
    task, streams = game_task(config), spawn_streams(0)
    env = task.training_env()
    agent = build_agent(config, env, streams, task.action_probabilities)
    exploration = build_exploration(config, task.action_probabilities, streams)
    seen, _ = env.reset(seed=0)
    state: dict[str, Any] = {"observation": seen}

    def train(frames: int) -> None:
        observation = state["observation"]
        for _ in range(frames):
            action = exploration.random_action(agent.frames)
            if action is None:
                action = agent.greedy_action(observation)
            following, reward, terminated, truncated, _ = env.step(action)
            agent.observe(Transition(observation, action, float(reward), following, bool(terminated)))
            observation = env.reset()[0] if terminated or truncated else following
        state["observation"] = observation

    train(WARMUP)
    return train


def their_side(observation: str, optimizer: str) -> Callable[[int], None]:
    """Return a call that trains Stable-Baselines3's DQN for some frames, with a mini-batch of 17 a frame."""
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    pixels = observation == "pixels"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about memory, which benchmarks.memory measures
        model = DQN(
            "CnnPolicy" if pixels else "MlpPolicy",
            gymnasium.make("ContinualPLE/Catcher-v0", observation=observation),
            learning_rate={"sgd": 1e-3, "adam": 1e-4}[optimizer],
            buffer_size=5_000,
            batch_size=17,
            train_freq=1,
            gradient_steps=1,
            learning_starts=WARMUP,
            target_update_interval=1_000,
            policy_kwargs={"net_arch": [] if pixels else [128, 128], "optimizer_class": kinds[optimizer]},
            device="cpu",
        )

    class Nothing(BaseCallback):
        def _on_step(self) -> bool:
            return True

    def train(frames: int) -> None:
        model.learn(frames, callback=Nothing(), reset_num_timesteps=False)

    train(WARMUP)
    return train


def measure(observation: str, optimizer: str, frames: int, repeats: int) -> list[dict[str, Any]]:
    """Return one row for each agent."""
    sides = {name: our_side(name, observation, optimizer) for name in ("dqn", "dqn-mer")}
    sides["Stable-Baselines3 DQN"] = their_side(observation, optimizer)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, train in sides.items():
            start_s = time.perf_counter()
            train(frames)
            rates[name].append(frames / (time.perf_counter() - start_s))
    theirs = float(np.median(rates["Stable-Baselines3 DQN"]))
    rows = []
    for name, values in rates.items():
        middle, low, high = spread(values)
        row: dict[str, Any] = {"observation": observation, "optimizer": optimizer, "agent": name, "frames/s": middle}
        row["low-high"] = f"{low:.0f}-{high:.0f}"
        row["times Stable-Baselines3"] = middle / theirs
        rows.append(row)
    return rows


def main() -> None:
    """Measure both observations and optimizers."""
    options = read_options(Options)
    lengths = {"pixels": options.pixel_frames, "state": options.state_frames}
    with cores(options.threads):
        rows = [
            row
            for observation, frames in lengths.items()
            for optimizer in ("sgd", "adam")
            for row in measure(observation, optimizer, frames, options.repeats)
        ]
        report("training", rows)


if __name__ == "__main__":
    main()
