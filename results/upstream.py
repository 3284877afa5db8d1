"""Play saved agents on upstream PLE and on our games, and compare: ``python results/upstream.py RUN...``.

Each run's last agent plays the same number of greedy episodes on every setting of both, and ``upstream.csv`` in
results/evidence/ gets a row for each setting; the rows of other runs stay. Needs the package ``ple``
(docs/environments.md).
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from evidence import table
from scipy import stats

TABLE = Path(__file__).parent / "evidence" / "upstream.csv"
BACKENDS = ("native", "ple")
OF_RUN = ("game", "observation", "agent", "seed")
"""Columns that say which run a row is of."""


def scores(run: Path, backend: str, episodes: int) -> dict[str, list[float]]:
    """Return the score of each episode of a run's last agent, by setting."""
    from rich.console import Console

    from dqn_mer.evaluation.agent_options import EvaluateOptions
    from dqn_mer.evaluation.saved_agent import evaluate_checkpoint

    options = EvaluateOptions(path=run, backend=backend, episodes=episodes, seed=BACKENDS.index(backend))
    result = evaluate_checkpoint(options, Console(quiet=True))
    return {setting["setting"]: setting["scores"] for setting in result["settings"]}


def difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean difference of two samples, and the ends of its 95% interval (Welch).

    >>> difference([1.0, 3.0], [1.0, 2.0])[0]
    0.5
    """
    found = stats.ttest_ind(ours, theirs, equal_var=False)
    if np.isnan(found.statistic) or np.std(ours) == np.std(theirs) == 0:  # every episode ended alike
        exact = float(np.mean(ours) - np.mean(theirs))
        return exact, exact, exact
    interval = found.confidence_interval()
    return float(np.mean(ours) - np.mean(theirs)), float(interval.low), float(interval.high)


def rows_of(run: Path, episodes: int) -> list[dict[str, Any]]:
    """Return a row for each setting of a run."""
    from dqn_mer.analysis.runs import load_run

    config = load_run(run).config
    ours, theirs = (scores(run, backend, episodes) for backend in BACKENDS)
    rows = []
    for setting, own in ours.items():
        gap, low, high = difference(own, theirs[setting])
        rows.append({
            **{name: config[name] for name in OF_RUN},
            "setting": setting, "episodes": episodes, "ours": round(float(np.mean(own)), 3),
            "PLE": round(float(np.mean(theirs[setting])), 3), "difference": round(gap, 3), "low": round(low, 3),
            "high": round(high, 3),
        })  # fmt: skip
    print(f"played: {run}", flush=True)
    return rows


def add_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Add the rows of some runs to a table, in place of those that it has of them."""

    def run_of(row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in OF_RUN)

    played = set(map(run_of, rows))
    kept = [row for row in table(path) if run_of(row) not in played] if path.exists() else []
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])


def main() -> None:
    """Play what the command line names, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(options.jobs) as processes:
        played = processes.map(partial(rows_of, episodes=options.episodes), options.runs)
        rows = [row for rows in played for row in rows]
    add_rows(TABLE, rows)
    print(f"{len(rows)} rows: {TABLE}")


if __name__ == "__main__":
    main()
