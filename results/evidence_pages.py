"""The evidence as tables, in results/evidence/ and for docs/results.md and README.md."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from evidence import (
    AGREEMENT,
    EVIDENCE,
    GAMES,
    LEARNING_ARMS,
    LEAST_SEEDS,
    MEASURED,
    Estimate,
    Evidence,
    Key,
    Verdict,
    estimate_cell,
    load,
    table,
)
from evidence_figures import ARMS, GAME_NAMES, GAMMAS, MAP, draw_gains, draw_map, draw_mechanism
from leads import LEADS_OF_MAP, LEADS_OF_PARTS, cells_of, lead_rows, leads_of_arms, leads_over
from power import power_table
from protocol import LOWER_RATES, PARTS, STAYING, planned
from staying import going_on_and_staying, paired_difference
from verdicts import verdicts

from dqn_mer.analysis.statistics import interquartile_estimate

GAINS = {"state": "gains.png", "pixels": "gains-pixels.png"}
"""Figure of results/evidence/ with the gains of each observation's arms."""
MAIN_ARMS = ("dqn", "dqn-reservoir", "dqn-mer")
"""Arms whose learning curves are compared."""


def write_csv(path: Path, columns: Iterable[str], rows: Sequence[dict[str, Any]]) -> None:
    """Write rows with these keys."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def number(value: float) -> float | str:
    """Return a value as a cell: rounded, or empty where there is none."""
    return "" if np.isnan(value) else round(float(value), 4)


def run_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Return one row for each run."""
    return [
        {
            **{"part": run.part, "game": run.game, "arm": run.arm, "seed": run.seed},
            **{name: number(run.values[name]) for name in MEASURED},
            **run.facts,
        }
        for run in evidence.runs
    ]


def summary_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Return one row for each arm: the interquartile mean over its seeds with its 95% bootstrap interval."""
    rows = []
    for (part, game, arm), runs in evidence.by_arm.items():
        row: dict[str, Any] = {"part": part, "game": game, "arm": arm, "seeds": len(runs)}
        for name in MEASURED:
            bounds = zip(("", " low", " high"), evidence.estimate(part, game, arm, name), strict=True)
            row |= {name + bound: number(float(value)) for bound, value in bounds}
        rows.append(row)
    return rows


def verdict_rows(evidence: Evidence) -> list[Verdict]:
    """Return the verdicts from state and from pixels, as far as there are runs."""
    return [verdict for part in ("state", "pixels") for verdict in verdicts(evidence, part)]


def markdown(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows, the first of which is the heading, as a table; a sentence where there are none."""
    if len(rows) == 1:
        return "No run of these is finished yet.\n"
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:], ""])


def progress_table(evidence: Evidence) -> str:
    """Return how many runs of each part of the protocol are done, and from which commit."""
    rows: list[list[Any]] = [["part", "runs done", "planned", "commit", "hours of one core"]]
    for part in PARTS:
        runs = [run for run in evidence.runs if run.part == part]
        commits = ", ".join(sorted({str(run.facts["commit"])[:7] for run in runs}))
        hours = sum(run.facts["wall_s"] for run in runs) / 3_600
        rows.append([f"`{part}`", len(runs), len(planned(part, Path())), commits, f"{hours:.1f}" if runs else ""])
    return markdown(rows)


SCORES = tuple(name for name in MEASURED if name not in AGREEMENT)


def arms_table(evidence: Evidence, part: str, arms: Sequence[str] = ARMS, names: Sequence[str] = SCORES) -> str:
    """Return the table of the arms of a part on both games."""
    rows: list[list[Any]] = [["game", "arm", "seeds", *names]]
    for game, arm in product(GAMES, arms):
        if (part, game, arm) in evidence.by_arm:
            rows.append([GAME_NAMES[game], f"`{arm}`", *estimate_cells(evidence, (part, game, arm), names)])
    return markdown(rows)


def estimate_cells(evidence: Evidence, key: Key, names: Sequence[str]) -> list[Any]:
    """Return how many seeds an arm has, and what is estimated of it; empty where no seed has a value."""
    digits = [3 if name in ("cosine", *AGREEMENT) else 1 for name in names]
    estimates = [evidence.estimate(*key, name) for name in names]
    cells = [
        "" if np.isnan(estimate.value) else estimate_cell(estimate, places)
        for estimate, places in zip(estimates, digits, strict=True)
    ]
    return [len(evidence.by_arm[key]), *cells]


def map_table(evidence: Evidence) -> str:
    """Return the table of the map: RA of each arm on each game, in each cell."""
    arms = ("dqn", "dqn-reservoir", "dqn-mer", "no-reptile")
    rows: list[list[Any]] = [["cell", "game", "seeds", *(f"`{arm}`" for arm in arms)]]
    for name, (part, cell) in MAP.items():
        for game in GAMES:
            if all((part, game, cell + arm) in evidence.by_arm for arm in arms):
                values = [estimate_cell(evidence.estimate(part, game, cell + arm, "RA")) for arm in arms]
                rows.append([name, GAME_NAMES[game], len(evidence.by_arm[part, game, cell + arms[0]]), *values])
    return markdown(rows)


def staying_table() -> str:
    """Return the table of runs that go on to harder settings, and of those that stay."""
    rows: list[list[Any]] = [["game", "arm", "seeds", "continues to harder settings", "stays", "difference"]]
    for game in GAMES:
        for arm in STAYING:
            pairs = going_on_and_staying(game, arm)
            if len(pairs):
                means = [f"{value:.1f}" for value in pairs.mean(axis=0)]
                rows.append([GAME_NAMES[game], f"`{arm}`", len(pairs), *means, estimate_cell(paired_difference(pairs))])
    return markdown(rows)


SUMMARISED = {
    "LA": "learning_accuracy",
    "RA": "retained_accuracy",
    "BTI": "backward_transfer_interference",
}
"""Metrics of summary.json, which come from a run's own evaluations of five episodes."""


def own_metrics(run: Path) -> list[float]:
    """Return LA, RA, BTI and AUC of a run by its own evaluations; AUC is their mean, as PROTOCOL.md has it."""
    metrics = json.loads((run / "summary.json").read_text())["metrics"]
    scores = [float(row["score_mean"]) for row in table(run / "evaluations.csv")]
    return [*(metrics[name] for name in SUMMARISED.values()), float(np.mean(scores))]


def foreign_table(folder: Path = EVIDENCE) -> str:
    """Return the table of other libraries' agents beside ours, by the runs' own evaluations."""
    rows: list[list[Any]] = [["game", "agent", "seeds", *SUMMARISED, "AUC"]]
    for game in GAMES:
        for place in sorted(folder.glob(f"foreign/{game}/*")) + [folder / "state" / game / arm for arm in MAIN_ARMS]:
            runs = [own_metrics(path.parent) for path in sorted(place.glob("seed-*/summary.json"))]
            if runs:
                estimates = [interquartile_estimate(values) for values in zip(*runs, strict=True)]
                rows.append([GAME_NAMES[game], f"`{place.name}`", len(runs), *map(estimate_cell, estimates)])
    return markdown(rows)


def upstream_table(path: Path = EVIDENCE / "upstream.csv") -> str:
    """Return the table of our agents' scores on upstream PLE beside those on ours, and how many intervals contain 0."""
    rows: list[list[Any]] = [
        ["game", "observation", "agent", "seed", "setting", "episodes", "ours", "PLE", "difference"]
    ]
    around_0 = 0
    for row in table(path):
        gap = Estimate(float(row["difference"]), float(row["low"]), float(row["high"]))
        around_0 += gap.low <= 0 <= gap.high
        scores = [f"{float(row[name]):.1f}" for name in ("ours", "PLE")]
        place = [GAME_NAMES[row["game"]], row["observation"], f"`{row['agent']}`", row["seed"], row["setting"]]
        rows.append([*place, row["episodes"], *scores, estimate_cell(gap)])
    return f"{markdown(rows)}\n\n{around_0} of the {len(rows) - 1} intervals contain 0.\n"


def write_evidence() -> Evidence:
    """Write the CSV files and the figures of results/evidence/ from the runs there, and return these."""
    evidence = Evidence(load())
    for name, rows in (("runs", run_rows(evidence)), ("summary", summary_rows(evidence))):
        write_csv(EVIDENCE / f"{name}.csv", rows[0], rows)
    write_csv(EVIDENCE / "verdicts.csv", Verdict._fields, [verdict._asdict() for verdict in verdict_rows(evidence)])
    for part in filter(evidence.has, GAINS):
        draw_gains(evidence, EVIDENCE / GAINS[part], part)
    draw_map(evidence, EVIDENCE / "map.png")
    draw_mechanism(evidence, EVIDENCE / "mechanism.png")
    return evidence


def main_table(evidence: Evidence) -> str:
    """Return the table of README: the arms from state or, once `dqn` and `dqn-mer` have enough seeds, of both.

    So README stays as long as it is.
    """
    names = ("LA", "RA", "G", "E", "AUC")
    seeds = [len(evidence.by_arm.get(("pixels", game, arm), [])) for game, arm in product(GAMES, ("dqn", "dqn-mer"))]
    if min(seeds) < LEAST_SEEDS:
        return arms_table(evidence, "state", LEARNING_ARMS, names)
    rows: list[list[Any]] = [["game", "from", "arm", "seeds", *names]]
    for game, part, arm in product(GAMES, ("state", "pixels"), LEARNING_ARMS[:3]):
        if (part, game, arm) in evidence.by_arm:
            rows.append([GAME_NAMES[game], part, f"`{arm}`", *estimate_cells(evidence, (part, game, arm), names)])
    return markdown(rows)


def sections(evidence: Evidence) -> dict[tuple[str, str], str]:
    """Return the tables of the evidence, by page and section."""
    rates = [f"rate-{rate:g}" for rate in LOWER_RATES]
    slower = {("compute", rate): f"`dqn-reservoir-17`, `{rate}`" for rate in rates}
    retuned = {("retuned", arm): f"`{arm}` of `retuned`" for arm in MAIN_ARMS[:2]}
    report = {
        "progress": progress_table(evidence),
        "arms": arms_table(evidence, "state"),
        "leads": markdown(leads_of_arms(evidence, "state")),
        "leads-target": markdown(lead_rows(evidence, "target", cells_of("target"), LEADS_OF_MAP, ("RA", "AUC"))),
        **{
            f"leads-{part}": markdown(lead_rows(evidence, part, cells_of(part), LEADS_OF_PARTS, ("RA", "AUC")))
            for part in ("switches", "change")
        },
        "power": power_table(evidence),
        "stay": staying_table(),
        "agreement": arms_table(evidence, "state", LEARNING_ARMS, ("cosine", *AGREEMENT)),
        "map": map_table(evidence),
        "foreign": foreign_table(),
        "upstream": upstream_table(),
        "compute": arms_table(evidence, "compute", rates, SCORES[:-1]),
        "leads-compute": markdown(leads_over(evidence, slower, ("RA", "AUC", "E"))),
        "retuned": arms_table(evidence, "retuned", MAIN_ARMS[:2], SCORES[:-1]),
        "leads-retuned": markdown(leads_over(evidence, retuned, ("RA", "AUC", "G", "E"))),
        "sgd": arms_table(evidence, "sgd", [f"gamma-{gamma:g}" for gamma in GAMMAS]),
    }
    return {
        ("README.md", "evidence"): main_table(evidence),
        **{("docs/results.md", name): text for name, text in report.items()},
    }
