"""Run the tuning trials, equal in number for every agent, and collect them into ``trials.csv``.

``python results/tuning.py run --observation state --seeds 101 --out OUT`` runs what the table lacks, trial by trial
over all agents, each on one thread, and resumes what was stopped; with ``--seeds 101,102,103 --best 4`` the last
trials: only the four of each agent and game that were best on seed 101. ``python results/tuning.py collect OUT`` adds
to the table what is finished, and ``python results/tuning.py winners`` tells which trial of each agent is best over all
three seeds.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from trial_tables import last_trials
from trials import FIRST_SEED, FRAMES, LAST_FRAMES, collect, needs_no_run, read_table

Values = dict[str, Any]
Trial = tuple[Path, list[str]]
"""Folder and flags of one trial."""


def replay_trials(observation: str, game: str) -> list[Values]:
    """Return the trials of the agents that replay mini-batches."""
    if observation == "state":
        grid = [
            {"learning_rate": rate, "target_sync_frames": period}
            for rate in (1e-4, 3e-4, 1e-3)
            for period in (100, 1_000)
        ]
        return [*grid, *others(3e-4, 1e-3)]
    return [
        *({"learning_rate": 1e-4, **knobs} for knobs in (*ADDED[game], *PIXEL_KNOBS)),
        {"learning_rate": 3e-4, **OFTEN},
        {"learning_rate": 1e-4, "discount": 0.95, **OFTEN},
    ]


def mer_trials(observation: str, game: str) -> list[Values]:
    """Return the trials of DQN-MER with Adam in the inner loop."""
    if observation == "state":
        first = [(2e-4, 0.3, 100), (2e-4, 0.3, 1_000), (6e-5, 1.0, 100), (6e-5, 0.3, 100), (6e-4, 0.3, 100)]
        grid = [
            {"learning_rate": rate, "across_batch_rate": gamma, "target_sync_frames": period}
            for rate, gamma, period in (*first, (6e-4, 0.1, 100))
        ]
        return [*grid, *({"across_batch_rate": 0.3, **values} for values in others(2e-4, 6e-4))]
    return [
        *({"learning_rate": 1e-4, "across_batch_rate": 0.3, **knobs} for knobs in (*ADDED[game], *PIXEL_KNOBS)),
        {"learning_rate": 2e-4, "across_batch_rate": 0.3, **OFTEN},
        {"learning_rate": 6e-5, "across_batch_rate": 1.0, **OFTEN},
    ]


def mer_sgd_trials(observation: str, game: str) -> list[Values]:
    """Return the trials of DQN-MER with plain SGD, mostly at one product of learning rate and across-batch rate."""
    if observation == "state":
        grid = [
            {"learning_rate": 6e-3 / gamma, "across_batch_rate": gamma, "target_sync_frames": 100}
            for gamma in (0.3, 1.0, 0.1, 0.03)
        ]
        grid += [
            {"learning_rate": 2e-2, "across_batch_rate": 0.3, "target_sync_frames": 1_000},
            {"learning_rate": 6e-3, "across_batch_rate": 0.3, "target_sync_frames": 100},
        ]
        return [*grid, *({"across_batch_rate": 0.3, **values} for values in others(2e-2, 4e-2))]
    return [
        *({"learning_rate": 2e-2, "across_batch_rate": 0.3, **knobs} for knobs in (*ADDED[game], *PIXEL_KNOBS)),
        {"learning_rate": 6e-3, "across_batch_rate": 1.0, **OFTEN},
        {"learning_rate": 6e-2, "across_batch_rate": 0.1, **OFTEN},
    ]


def others(rate: float, higher: float) -> list[Values]:
    """Return the trials from state of a target copied by episodes, and of clipped rewards."""
    return [
        {"learning_rate": rate, "target_sync_episodes": 1},
        {"learning_rate": rate, "target_sync_episodes": 5},
        {"learning_rate": higher, "target_sync_episodes": 1},
        {"learning_rate": rate, "target_sync_frames": 100, "clip_rewards": True},
    ]


OFTEN: Values = {"target_sync_frames": 100, "clip_rewards": True}
"""What every trial from pixels has, but for one whose target is copied by episodes."""

PIXEL_KNOBS: list[Values] = [
    {**OFTEN, "frame_skip": 2},
    OFTEN,
    {"target_sync_episodes": 5, "clip_rewards": True},
    {**OFTEN, "input_scaling": "centred"},
]
"""What may make the small, faint picture learnable for any agent; the other two trials differ."""

ADDED: dict[str, list[Values]] = {
    "catcher": [{"target_sync_episodes": 1, "clip_rewards": True}],
    "flappy_bird": [
        {"target_sync_episodes": 1, "clip_rewards": True},
        {"target_sync_episodes": 1, "clip_rewards": True, "frame_skip": 2},
        {**OFTEN, "frame_skip": 3, "flap_probability": 0.3},
        {**OFTEN, "frame_skip": 2, "flap_probability": 0.5},
    ],
}
"""By game: further trials from pixels, of the target period that is best from state and with odds of a random flap that
suit actions that are held."""

AGENTS: dict[str, tuple[Values, Callable[[str, str], list[Values]]]] = {
    "dqn": ({"agent": "dqn"}, replay_trials),
    "dqn-mer": ({"agent": "dqn-mer", "optimizer": "adam"}, mer_trials),
    "dqn-reservoir": ({"agent": "dqn-reservoir"}, replay_trials),
    "dqn-mer-sgd": ({"agent": "dqn-mer", "optimizer": "sgd"}, mer_sgd_trials),
}
"""By name: what all trials of an agent share, and its trials for an observation and game. All agents have as many."""


def flags(values: dict[str, Any]) -> list[str]:
    """Return command-line flags for field values.

    >>> flags({"learning_rate": 1e-4, "double_q": True, "settings": (100, 95)})
    ['--learning-rate', '0.0001', '--double-q', '--settings', '100,95']
    """
    words = []
    for name, value in values.items():
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            items = value if isinstance(value, tuple) else (value,)
            words.append(",".join(f"{item:.6g}" if isinstance(item, float) else str(item) for item in items))
    return words


def folder_name(name: str, values: dict[str, Any]) -> str:
    """Return the name of a trial's folder: its agent and what it changes."""
    return "-".join(
        [
            name,
            *(
                f"{key.replace('_', '')}{value if isinstance(value, str) else f'{value:g}'}"
                for key, value in values.items()
            ),
        ]
    )


def trials(games: list[str], observation: str, seeds: list[int], out: Path) -> list[Trial]:
    """Return each trial's folder and flags: seed by seed, the first of every agent and game before any second."""
    made = []
    for seed in seeds:
        rows = zip_longest(
            *(
                [(game, name, shared, own) for own in make(observation, game)]
                for name, (shared, make) in AGENTS.items()
                for game in games
            )
        )
        for game, name, shared, own in filter(None, chain.from_iterable(rows)):
            common = {"game": game, "observation": observation, "seed": seed}
            length = {"frames": FRAMES[game, observation]}
            folder = out / game / observation / folder_name(name, own) / f"seed-{seed}"
            made.append((folder, flags({**common, **shared, **own, **length})))
    return made


def command_of(arguments: list[str]) -> str:
    """Return the command of a trial, as the table has it."""
    return f"python -m dqn_mer train {shlex.join(arguments)}"


def agent_of(trial: Trial) -> str:
    """Return the name of a trial's agent in `AGENTS`."""
    return max((name for name in AGENTS if trial[0].parent.name.startswith(f"{name}-")), key=len)


def best(planned: list[Trial], count: int, rows: dict[str, dict[str, str]]) -> list[Trial]:
    """Return the planned trials of the best settings of each agent and game, by their mean score on the first seed.

    Raises:
        KeyError: if the table lacks a trial of the first seed.
    """
    scores: dict[tuple[Path, str], dict[Path, float]] = {}
    for folder, arguments in planned:
        place = arguments.index("--seed") + 1
        row = rows[command_of([*arguments[:place], str(FIRST_SEED), *arguments[place + 1 :]])]
        key = folder.parents[1], agent_of((folder, arguments))
        scores.setdefault(key, {})[folder.parent] = float(row["mean_score"])
    chosen = {parent for of_agent in scores.values() for parent in sorted(of_agent, key=lambda p: -of_agent[p])[:count]}
    return [trial for trial in planned if trial[0].parent in chosen]


def place_of(trial: Trial) -> tuple[str, str]:
    """Return the game and the observation of a trial."""
    words = trial[1]
    return words[words.index("--game") + 1], words[words.index("--observation") + 1]


def lengthened(trial: Trial, frames: int) -> Trial:
    """Return the same trial with this number of frames; if it had another, its folder is named after it."""
    folder, arguments = trial
    parent = folder.parent
    place = arguments.index("--frames") + 1
    if arguments[place] == str(frames):
        return trial
    return parent.with_name(f"{parent.name}-frames{frames}") / folder.name, [
        *arguments[:place],
        str(frames),
        *arguments[place + 1 :],
    ]


def run_trial(trial: Trial) -> None:
    """Run one trial, or resume it; a finished one is left alone."""
    folder, arguments = trial
    if (folder / "summary.json").exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    started = (folder / "config.json").exists()
    more = ["--resume", str(folder)] if started else [*arguments, "--no-eval-worker", "--run-dir", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder.parent / f"{folder.name}.log").open("a") as log:
        code = subprocess.call(
            [sys.executable, "-m", "dqn_mer", "train", *more], stdout=log, stderr=log, env=environment
        )
    print(f"{'done' if code == 0 else f'exit code {code}'}: {folder}", flush=True)


def main() -> None:
    """Run or collect, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run what is missing")
    run.add_argument("--games", default="flappy_bird,catcher")
    run.add_argument("--agents", default=",".join(AGENTS), help="of these alone, as names with commas")
    run.add_argument("--observation", choices=["state", "pixels"], required=True)
    run.add_argument("--seeds", default="101")
    run.add_argument("--jobs", type=int, default=2)
    run.add_argument("--out", type=Path, required=True)
    run.add_argument("--best", type=int, help="last trials: of this number for each agent and game, best on seed 101")
    run.add_argument("--plan", action="store_true", help="print the commands instead")
    gather = commands.add_parser("collect", help="write the table")
    gather.add_argument("out", type=Path)
    show = commands.add_parser("winners", help="print the trials that have all seeds, the best first")
    for command in (run, gather, show):
        command.add_argument("--table", type=Path, default=Path(__file__).parent / "trials.csv")
    options = parser.parse_args()
    if options.command == "collect":
        collect(options.out, options.table)
        return
    if options.command == "winners":
        print(last_trials(read_table(options.table)), end="")
        return
    seeds = [int(seed) for seed in options.seeds.split(",")]
    planned = trials(options.games.split(","), options.observation, seeds, options.out)
    planned = [trial for trial in planned if agent_of(trial) in options.agents.split(",")]
    rows = read_table(options.table)
    if options.best is not None:
        planned = best(planned, options.best, rows)
        planned = [lengthened(trial, LAST_FRAMES[place_of(trial)]) for trial in planned]
    planned = [trial for trial in planned if command_of(trial[1]) not in rows and not needs_no_run(trial[1])]
    if options.plan:
        print(*(command_of(arguments) for _, arguments in planned), sep="\n")
        return
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run_trial, planned))


if __name__ == "__main__":
    main()
