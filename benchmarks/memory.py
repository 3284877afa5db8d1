"""Bytes per stored pixel transition and peak memory, against Stable-Baselines3: ``python -m benchmarks.memory``.

Each side is filled with the same play in a process of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from benchmarks.harness import read_options, report
from continual_ple import ENV_IDS
from dqn_mer.agents.memory import FifoMemory, Transition
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import random_odds


@dataclass
class Options:
    """Fill memories with play."""

    capacity: int = 50_000
    """Transitions."""
    side: str = ""
    """Used by the program itself: the side to measure, as GAME/WHO."""


def fill(who: str, game: str, capacity: int) -> dict[str, Any]:
    """Fill one memory and return what it took, in bytes and in µs for one sampled batch of 16."""
    env = gymnasium.make(ENV_IDS[game])
    rng = np.random.default_rng(0)
    odds = random_odds(default_config(game=game))
    if who == "ours":
        memory: Any = FifoMemory(capacity, (4, 84, 84), np.dtype(np.uint8))
    else:
        from stable_baselines3.common.buffers import ReplayBuffer

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            memory = ReplayBuffer(capacity, env.observation_space, env.action_space, device="cpu")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    observation, _ = env.reset(seed=0)
    for action in rng.choice(len(odds), size=capacity, p=odds).tolist():
        following, reward, terminated, truncated, _ = env.step(action)
        last = Transition(observation, action, float(reward), following, bool(terminated))
        if who == "ours":
            memory.add(last)
        else:
            memory.add(observation, following, np.array([action]), np.array([reward]), np.array([terminated]), [{}])
        observation = env.reset()[0] if terminated or truncated else following
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    size = memory.nbytes if who == "ours" else memory.observations.nbytes + memory.next_observations.nbytes
    start_s = time.perf_counter()
    for _ in range(200):
        if who == "ours":
            memory.sample(16, rng, last)
        else:
            memory.sample(16)
    return {"bytes": size, "grown": grown, "sample_us": (time.perf_counter() - start_s) / 200 * 1e6}


def main() -> None:
    """Measure both games and sides."""
    options = read_options(Options)
    if options.side:
        game, who = options.side.split("/")
        print(json.dumps(fill(who, game, options.capacity)))
        return
    rows = []
    for game in ENV_IDS:
        for who in ("ours", "Stable-Baselines3"):
            command = [sys.executable, "-m", "benchmarks.memory", "--capacity", str(options.capacity)]
            done = subprocess.run([*command, "--side", f"{game}/{who}"], capture_output=True, text=True, check=True)
            measurement = json.loads(done.stdout.splitlines()[-1])
            row: dict[str, Any] = {"game": game, "who": who, "transitions": options.capacity}
            row["MB"] = measurement["bytes"] / 1e6
            row["bytes per transition"] = round(measurement["bytes"] / options.capacity)
            row["peak RSS grown by, MB"] = measurement["grown"] / 1e6
            row["sample of 16, µs"] = round(measurement["sample_us"])
            rows.append(row)
    report("memory", rows)


if __name__ == "__main__":
    main()
