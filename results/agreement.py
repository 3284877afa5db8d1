"""How far gradients of saved agents agree between settings, measured alike: ``python results/agreement.py OUT``.

The meter of a run measures the gradients that it learns from: those of its own memory, against its own target network,
which some arms copy a hundred times as often as others. Their cosine is that of the gradients of Q, times 1 or -1 as
the temporal-difference errors have one sign or two. Here each agent saved at a border plays every setting that it has
met, and its own network is the target; rewards are clipped if it learned them so. ``agreement.csv`` of each run gets a
row for each saved agent with both factors.
"""

from __future__ import annotations

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from continual_ple.frame_skip import FRAMES_PLAYED
from continual_ple.settings import Setting
from dqn_mer.analysis.gradient_agreement import cosines, gradient_dots, pair_means
from dqn_mer.evaluation.agent_options import EvaluateOptions
from dqn_mer.evaluation.saved_agent import SavedAgent, load_agent

SEED = 2_000_000
"""Seed of the play, the same for every run; no run trains, evaluates or plays on it."""
FRAMES, EXAMPLES, EXPLORATION = 2_000, 64, 0.1
"""For each setting: frames played, transitions taken of them, and share of random actions."""
COLUMNS = ("frame", "cosine_q", "cosine_loss", "same_sign")
NAME = "agreement.csv"


def transitions(agent: SavedAgent, setting: Setting) -> list[NDArray[Any]]:
    """Return observations, actions, learned rewards, next observations and whether they end the episode, of play."""
    rng, model = np.random.default_rng(SEED), agent.checkpoint.model
    env = agent.task.agents_env(setting, frame_limit=agent.config.eval_frame_limit)
    observation, _ = env.reset(seed=SEED)
    rows: list[tuple[Any, ...]] = []
    played = 0
    while played < FRAMES:
        with torch.inference_mode():
            action = int(model(torch.from_numpy(observation[np.newaxis])).argmax())
        if rng.random() < EXPLORATION:
            action = int(rng.integers(env.action_space.n))
        following, reward, terminated, truncated, info = env.step(action)
        played += info.get(FRAMES_PLAYED, 1)
        learned = np.clip(reward, -1.0, 1.0) if agent.config.clip_rewards else reward
        rows.append((observation.copy(), action, np.float32(learned), following.copy(), terminated))
        observation = env.reset()[0] if terminated or truncated else following
    env.close()
    chosen = rng.choice(len(rows), EXAMPLES, replace=False)
    return [np.stack([np.asarray(rows[place][column]) for place in chosen]) for column in range(5)]


def measure(agent: SavedAgent) -> dict[str, float]:
    """Return the columns of one saved agent, as means over pairs of settings; NaN where it has met only one."""
    schedule = agent.task.schedule
    last = [setting.name for setting in schedule.settings].index(agent.trained_on_last)
    met = schedule.settings[: last + 1]
    parts = zip(*(transitions(agent, setting) for setting in met), strict=True)
    observations, actions, rewards, following, terminated = (torch.from_numpy(np.concatenate(part)) for part in parts)
    groups, model = np.repeat(np.arange(len(met)), EXAMPLES), agent.checkpoint.model
    with torch.no_grad():
        values, later = chosen_values(model(observations), actions), model(following).amax(dim=1)
        errors = values - (rewards + agent.config.discount * later * ~terminated)
    signs = np.sign(errors.double().numpy())
    agree = np.outer(signs, signs)
    cosine = cosines(gradient_dots(model, chosen_values, (observations, actions)).double().numpy())
    between = [pair_means(each, groups, len(met)).between() for each in (cosine, cosine * agree, agree)]
    return dict(zip(COLUMNS, (agent.frame, *between), strict=True))


def chosen_values(outputs: Tensor, actions: Tensor) -> Tensor:
    """Return Q of each row's action."""
    return outputs.gather(1, actions[:, None])[:, 0]


def measure_run(folder: Path) -> None:
    """Write agreement.csv of a finished run."""
    torch.set_num_threads(1)
    agents = (load_agent(EvaluateOptions(path=path)) for path in sorted((folder / "checkpoints").iterdir()))
    rows = [measure(agent) for agent in agents]
    scratch = folder / f"{NAME}.part"
    with scratch.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: "" if np.isnan(value) else value for name, value in row.items()} for row in rows)
    scratch.replace(folder / NAME)
    print(f"measured: {folder}", flush=True)


def main() -> None:
    """Measure every finished run below a folder that is not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    done = (path.parent for path in sorted(options.out.glob("**/summary.json")))
    runs = [run for run in done if (run / "checkpoints").is_dir() and not (run / NAME).exists()]
    with ProcessPoolExecutor(options.jobs) as processes:
        list(processes.map(measure_run, [run for run in runs if "random" not in run.parts]))


if __name__ == "__main__":
    main()
