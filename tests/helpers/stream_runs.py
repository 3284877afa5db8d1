"""Small runs of supervised streams, and their folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from dqn_mer.supervised.options import LEARNERS, SupervisedOptions
from tests.helpers.logs import table

QUIET = Console(quiet=True)
RATES = {
    "learning_rate": 0.05, "batch_size": 5, "across_batch_rate": 0.5, "within_batch_rate": 0.8, "num_batches": 2,
    "current_example_boost": 1.5,
}  # fmt: skip


def make_options(images: Path, out: Path, **others: Any) -> SupervisedOptions:
    """Return the options of tiny runs, with those of `RATES` that the learners read."""
    learners = others.setdefault("learner", ("er",))
    rates = {name: rate for name, rate in RATES.items() if any(name in LEARNERS[learner] for learner in learners)}
    return SupervisedOptions(**{
        "stream": ("permutations",), "memory": (40,), "data": images, "tasks": 3, "examples": 40,
        "hidden_sizes": (12,), "eval_every": 25, "meter_every": 30, "save_every": 50, "out": out, **rates, **others,
    })  # fmt: skip


def run_of(out: Path, learner: str, seed: int = 0) -> Path:
    memory = "memory-40" if "memory" in LEARNERS[learner] else "no-memory"
    return out / "permutations" / learner / memory / f"seed-{seed}"


def what_is_left(run_dir: Path) -> dict[str, Any]:
    """Return what must be the same of two runs that did the same."""
    summary = json.loads((run_dir / "summary.json").read_text())
    tables = {name: (run_dir / name).read_bytes() for name in ("evaluations.csv", "matrix.csv", "interference.csv")}
    rows = [{k: v for k, v in row.items() if not k.startswith("speed/")} for row in table(run_dir / "metrics.csv")]
    return {**tables, "metrics": rows, **{k: v for k, v in summary.items() if k not in ("wall_s", "frames_per_s")}}
