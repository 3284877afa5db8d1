"""The table of the tuning trials, ``trials.csv``: adds finished trials, and finds the best of each agent."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

FRAMES = {
    ("catcher", "pixels"): 40_000,
    ("flappy_bird", "pixels"): 60_000,
    ("catcher", "state"): 60_000,
    ("flappy_bird", "state"): 60_000,
}
"""Length of the first trials, on the first seed, by game and observation."""

LAST_FRAMES = {**FRAMES, ("catcher", "state"): 150_000, ("flappy_bird", "state"): 150_000}
"""Length of the last trials, of the best settings on all seeds, which choose."""

CAPACITY = 50_000
"""Transitions in the memory of every trial from pixels."""

FIRST_SEED = 101
SEEDS = 3
"""Number of seeds of a trial that can win."""

COLUMNS = (
    *("game", "observation", "agent", "optimizer", "learning_rate", "across_batch_rate", "target_sync_frames"),
    *("target_sync_episodes", "clip_rewards", "frame_skip", "discount", "input_scaling", "flap_probability"),
)

USUAL = {
    "clip_rewards": "False",
    "frame_skip": "1",
    "discount": "0.99",
    "input_scaling": "unit",
    "flap_probability": "0.1",
}
"""Values of the first trials, most of which were made before these could be chosen."""


def read_table(table: Path) -> dict[str, dict[str, str]]:
    """Return the rows of the table so far, by command."""
    if not table.exists():
        return {}
    with table.open(newline="") as file:
        return {row["command"]: {**dict.fromkeys(COLUMNS, ""), **row} for row in csv.DictReader(file)}


def completed(row: dict[str, str]) -> dict[str, str]:
    """Return a row with the usual values where it has none."""
    return {**row, **{name: row[name] or usual for name, usual in USUAL.items()}}


def agent_of(row: dict[str, str]) -> str:
    """Return the name of a trial's agent; MER with plain SGD has a name too.

    >>> agent_of({"agent": "dqn-mer", "optimizer": "sgd"})
    'dqn-mer-sgd'
    """
    return "dqn-mer-sgd" if (row["agent"], row["optimizer"]) == ("dqn-mer", "sgd") else row["agent"]


Winner = tuple[float, dict[str, str]]
"""Mean over the seeds of a trial's mean score, and its row with the first seed."""


def winners(rows: dict[str, dict[str, str]]) -> dict[tuple[str, str, str], list[Winner]]:
    """Return the trials that have all seeds, the best first, by game, observation and name of the agent.

    Raises:
        ValueError: if two rows are of one trial and seed, by whatever commands.
    """
    trials_of: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in sorted(map(completed, rows.values()), key=lambda row: int(row["seed"])):
        if int(row["frames"]) == LAST_FRAMES[row["game"], row["observation"]]:
            trials_of.setdefault(tuple(row[name] for name in COLUMNS), []).append(row)
    found: dict[tuple[str, str, str], list[Winner]] = {}
    for of_seed in trials_of.values():
        if len({row["seed"] for row in of_seed}) < len(of_seed):
            raise ValueError(f"trials: two rows of one seed: {', '.join(row['command'] for row in of_seed)}")
        if len(of_seed) == SEEDS:
            row = of_seed[0]
            mean = float(np.mean([float(each["mean_score"]) for each in of_seed]))
            found.setdefault((row["game"], row["observation"], agent_of(row)), []).append((mean, row))
    return {key: sorted(found[key], key=lambda winner: -winner[0]) for key in sorted(found)}


def figures(folder: Path) -> dict[str, Any]:
    """Return what a finished trial is judged by: mean scores over all settings, as its evaluations give them."""
    with (folder / "evaluations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    frames = np.array([int(row["frame"]) for row in rows])
    scores = np.array([float(row["score_mean"]) for row in rows])
    first = np.array([row["setting_index"] == "0" for row in rows])
    return {
        "mean_score": round(float(scores[frames > 0].mean()), 2),
        "mean_score_last_30k": round(float(scores[frames > frames.max() - 30_000].mean()), 2),
        "best_score_on_first_setting": round(float(scores[first].max()), 2),
    }


def never_full(frames: str, frame_skip: str) -> bool:
    """Return whether a trial surely ends before its memory is full: some steps are cut short, far less than a fifth."""
    return int(frames) <= CAPACITY * max(1.0, 0.8 * int(frame_skip))


def needs_no_run(arguments: list[str]) -> bool:
    """Return whether a trial's row can be made from that of ``dqn``.

    >>> trial = "--observation pixels --agent dqn-reservoir --frames".split()
    >>> needs_no_run([*trial, "40000"]), needs_no_run([*trial, "60000"])
    (True, False)
    """
    values = {name: value for name, value in pairwise(arguments) if name.startswith("--")}
    replays = (values["--observation"], values["--agent"]) == ("pixels", "dqn-reservoir")
    return replays and never_full(values["--frames"], values.get("--frame-skip", "1"))


def of_reservoir(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the rows of ``dqn-reservoir`` that need no run, by command: those of ``dqn`` whose memory is never full.

    Until a memory is full a reservoir holds what a FIFO memory holds, and draws nothing to store it, so that both
    agents learn the same, bit for bit. The first such trials were run, and have equal rows.
    """
    made: dict[str, dict[str, Any]] = {}
    for row in rows.values():
        if (row["observation"], row["agent"]) == ("pixels", "dqn") and never_full(row["frames"], row["frame_skip"]):
            command = row["command"].replace("--agent dqn ", "--agent dqn-reservoir ")
            made[command] = {**row, "agent": "dqn-reservoir", "command": command}
    return made


def collect(out: Path, table: Path) -> None:
    """Add one row for every finished trial below a folder; what the table has besides stays."""
    rows: dict[str, dict[str, Any]] = {**read_table(table)}
    for path in out.glob("**/summary.json"):
        saved = json.loads((path.parent / "config.json").read_text())
        config = saved["config"]
        command = saved["command"].split(" --no-eval-worker")[0]
        row = {name: "" if config.get(name) is None else config[name] for name in (*COLUMNS, "seed", "frames")}
        rows[command] = {
            **row, **figures(path.parent), "git_commit": saved["git_commit"], "command": command,
        }  # fmt: skip
    rows = {**of_reservoir(rows), **rows}
    ordered = sorted(rows.values(), key=lambda row: [str(row[name]) for name in ("seed", *COLUMNS)])
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(ordered[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(ordered)
    print(f"{len(rows)} trials: {table}")
