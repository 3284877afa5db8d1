"""Run folders made of known numbers, and their comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from continual_ple import schedule_from_values
from dqn_mer.analysis.comparison import Comparison, compare_runs
from dqn_mer.analysis.runs import find_runs, load_run
from dqn_mer.config.defaults import default_config

BORDER = 50
VALUES = (100.0, 90.0)


def write_run(
    folder: Path,
    scores: list[list[float]],
    frames: tuple[int, ...] = (0, 50, 100),
    random_scores: tuple[float, float] = (1.0, 0.5),
    **choices: Any,
) -> Path:
    """Write a finished run of Flappy Bird with two settings, with these scores at each frame; return its folder."""
    config = default_config(**{"game": "flappy_bird", "observation": "state", **choices})
    schedule = schedule_from_values(config.game, config.settings or VALUES, frames_per_setting=BORDER)
    names = [setting.name for setting in schedule.settings]
    folder.mkdir(parents=True)
    description = {"config": config.to_json(), "schedule": schedule.to_json(), "git_commit": "abc"}
    (folder / "config.json").write_text(json.dumps(description))
    (folder / "summary.json").write_text(json.dumps({"random_scores": dict(zip(names, random_scores, strict=True))}))
    with (folder / "evaluations.csv").open("w", newline="") as file:
        rows = [(frame, j, row[j]) for frame, row in zip(frames, scores, strict=True) for j in range(len(names))]
        csv.writer(file).writerows([("frame", "setting_index", "score_mean"), *rows])
    return folder


def write_stream_run(folder: Path, tasks: int, agent: str = "er", capacity: int | None = 40, seed: int = 0) -> Path:
    """Write a finished supervised run: accuracy on task j is ``seed`` before it is met, then ``10 + j + seed``."""
    names = [f"{task:02}-rotation={task}" for task in range(tasks)]
    config = {"game": "rotations", "agent": agent, "observation": "image", "seed": seed, "capacity": capacity}
    settings = [{"name": name, "parameters": {"rotation": float(task)}} for task, name in enumerate(names)]
    schedule = {"frames_per_setting": BORDER, "settings": settings, "order": list(range(tasks))}
    folder.mkdir(parents=True)
    description = {"config": {**config, "data": "a few digits"}, "schedule": schedule, "git_commit": "abc"}
    (folder / "config.json").write_text(json.dumps(description))
    (folder / "summary.json").write_text(json.dumps({"random_scores": dict.fromkeys(names, 0.5)}))
    with (folder / "evaluations.csv").open("w", newline="") as file:
        rows = [
            (BORDER * met, task, seed + (10 + task if task < met else 0))
            for met in range(tasks + 1)
            for task in range(tasks)
        ]
        csv.writer(file).writerows([("frame", "setting_index", "score_mean"), *rows])
    return folder


def compared(folder: Path, **options: Any) -> Comparison:
    """Compare the finished runs in a folder, which are all of one game, with options of `compare_runs`."""
    (comparison,) = compare_runs([load_run(path) for path in find_runs([folder])[0]], **options)
    return comparison
