"""The evidence as tables and figures, in results/evidence/ and for docs/results.md and README.md."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from evidence import EVIDENCE, GAMES, MEASURED, Evidence, Verdict, load, shown
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from protocol import PARTS, planned
from verdicts import verdicts

from dqn_mer.analysis.drawing import COLOURS, MARKERS, PAGE, SMALL, TEXT
from dqn_mer.analysis.statistics import interquartile_estimate

ARMS = (
    *("dqn", "dqn-reservoir", "dqn-mer", "dqn-mer-sgd", "no-reptile", "dqn-reservoir-17"),
    *("random", "interleaved"),
)
"""Arms of `state`, in the order in which tables and figures have them."""
MAIN_ARMS = ("dqn", "dqn-reservoir", "dqn-mer")
"""Arms whose learning curves are compared."""
GAME_NAMES = {"catcher": "Catcher", "flappy_bird": "Flappy Bird"}
OPPONENTS = ("dqn", "dqn-reservoir", "no-reptile")
MAP = {
    "capacity 50,000, 5 switches": ("state", ""),
    "capacity 5,000": ("memory", "capacity-5000/"),
    "capacity 500": ("memory", "capacity-500/"),
    "59 switches": ("switches", "often/"),
    "change that is not nested": ("change", "not-nested/"),
    "hard to easy": ("change", "hard-to-easy/"),
    "target every 100 frames": ("target", "frames-100/"),
    "target every episode": ("target", "episodes-1/"),
}
"""Cells of the map: part, and what an arm's name begins with."""
GAMMAS = (1.0, 0.3, 0.1, 0.03)


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


def arms_table(evidence: Evidence, part: str, arms: Sequence[str] = ARMS, names: Sequence[str] = MEASURED) -> str:
    """Return the table of the arms of a part on both games."""
    rows: list[list[Any]] = [["game", "arm", "seeds", *names]]
    for game in GAMES:
        for arm in arms:
            runs = evidence.by_arm.get((part, game, arm))
            if runs:
                estimates = [evidence.estimate(part, game, arm, name) for name in names]
                digits = [3 if name == "cosine" else 1 for name in names]
                cells = [
                    "" if np.isnan(estimate.value) else shown(estimate, places)
                    for estimate, places in zip(estimates, digits, strict=True)
                ]
                rows.append([GAME_NAMES[game], f"`{arm}`", len(runs), *cells])
    return markdown(rows)


def verdict_table(evidence: Evidence) -> str:
    """Return the table of the verdicts."""
    return markdown(
        [["sentence", "from", "numbers", "verdict"]]
        + [[v.sentence, v.part, v.numbers, f"**{v.verdict}**"] for v in verdict_rows(evidence)]
    )


def map_table(evidence: Evidence) -> str:
    """Return the table of the map: RA of each arm on each game, in each cell."""
    arms = ("dqn", "dqn-reservoir", "dqn-mer", "no-reptile")
    rows: list[list[Any]] = [["cell", "game", "seeds", *(f"`{arm}`" for arm in arms)]]
    for name, (part, cell) in MAP.items():
        for game in GAMES:
            if all((part, game, cell + arm) in evidence.by_arm for arm in arms):
                values = [shown(evidence.estimate(part, game, cell + arm, "RA")) for arm in arms]
                rows.append([name, GAME_NAMES[game], len(evidence.by_arm[part, game, cell + arms[0]]), *values])
    return markdown(rows)


SUMMARISED = {
    "LA": "learning_accuracy",
    "RA": "retained_accuracy",
    "BTI": "backward_transfer_interference",
    "AUC": "area_under_curve",
}
"""Metrics of summary.json, which come from a run's own evaluations of five episodes."""


def foreign_table(folder: Path = EVIDENCE) -> str:
    """Return the table of other libraries' agents beside ours, by the runs' own evaluations."""
    rows: list[list[Any]] = [["game", "agent", "seeds", *SUMMARISED]]
    for game in GAMES:
        for place in sorted(folder.glob(f"foreign/{game}/*")) + [folder / "state" / game / arm for arm in MAIN_ARMS]:
            runs = [json.loads(path.read_text())["metrics"] for path in sorted(place.glob("seed-*/summary.json"))]
            if runs:
                estimates = [interquartile_estimate([run[name] for run in runs]) for name in SUMMARISED.values()]
                rows.append([GAME_NAMES[game], f"`{place.name}`", len(runs), *map(shown, estimates)])
    return markdown(rows)


def draw_gains(evidence: Evidence, path: Path) -> None:
    """Draw the gain on easier settings: each run, and the interquartile mean of each arm with its interval."""
    figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
    panels = figure.subplots(1, len(GAMES))
    shown_arms = [arm for arm in ARMS[:6] if ("state", GAMES[0], arm) in evidence.by_arm]
    for panel, game in zip(panels, GAMES, strict=True):
        for place, arm in enumerate(shown_arms):
            values = evidence.values("state", game, arm, "G")
            if len(values):
                draw_column(panel, place, values, evidence, game, arm)
        panel.axhline(0.0, color="0.25", linewidth=0.8)
        panel.set_xticks(range(len(shown_arms)), shown_arms, rotation=30, ha="right", fontsize=SMALL)
        panel.set_title(GAME_NAMES[game], fontsize=TEXT, loc="left")
        panel.set_ylabel("gain on easier settings (points)", fontsize=SMALL)
        tidy(panel)
    figure.savefig(path, dpi=150)


def draw_column(panel: Axes, place: int, values: Any, evidence: Evidence, game: str, arm: str) -> None:
    """Draw the runs of an arm as points, and its estimate beside them."""
    colour = COLOURS[place % len(COLOURS)]
    panel.plot(np.full(len(values), place - 0.12), values, "o", color=colour, markersize=2.5, alpha=0.6)
    value, low, high = (float(part) for part in evidence.estimate("state", game, arm, "G"))
    panel.errorbar(place + 0.12, value, [[value - low], [high - value]], color=colour, fmt="s", markersize=4, capsize=2)


def draw_map(evidence: Evidence, path: Path) -> None:
    """Draw the probability that `dqn-mer` retains more than each other arm, for each cell of the map."""
    figure = Figure(figsize=(PAGE, 3.0), layout="constrained")
    panels = figure.subplots(1, len(OPPONENTS), sharey=True)
    names = list(MAP)
    for number_of, (panel, opponent) in enumerate(zip(panels, OPPONENTS, strict=True)):
        for place, (part, cell) in enumerate(MAP.values()):
            found = evidence.improvement((part, f"{cell}dqn-mer"), (part, cell + opponent), "RA")
            if found is not None:
                value, low, high = (float(bound) for bound in found)
                bounds = [[value - low], [high - value]]
                panel.errorbar(value, place, xerr=bounds, fmt="o", color=COLOURS[number_of], markersize=4, capsize=2)
        panel.axvline(0.5, color="0.25", linewidth=0.8)
        panel.set_xlim(-0.03, 1.03)
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.set_yticks(range(len(names)), names, fontsize=SMALL)
        panel.set_title(f"dqn-mer > {opponent}", fontsize=TEXT, loc="left")
        panel.set_xlabel("probability of more\nretained accuracy", fontsize=SMALL)
        tidy(panel)
    figure.savefig(path, dpi=150)


def draw_mechanism(evidence: Evidence, path: Path) -> None:
    """Draw BTI against the cosine between settings for every run of `state`, and both against γ for SGD."""
    figure = Figure(figsize=(PAGE, 4.6), layout="constrained")
    scatter, against_gamma = figure.subplots(2, len(GAMES))
    for panel, game in zip(scatter, GAMES, strict=True):
        for place, arm in enumerate(ARMS[:6]):
            points = [evidence.values("state", game, arm, name) for name in ("cosine", "BTI")]
            panel.plot(*points, MARKERS[place], color=COLOURS[place], markersize=3.5, linestyle="", label=arm)
        rho, p = evidence.cosine_against_bti(game)
        panel.set_title(f"{GAME_NAMES[game]}: rank correlation {rho:.2f}, p {p:.2g}", fontsize=TEXT, loc="left")
        panel.set_xlabel("mean cosine between gradients on different settings", fontsize=SMALL)
        panel.set_ylabel("BTI (points)", fontsize=SMALL)
        tidy(panel)
    for panel, game in zip(against_gamma, GAMES, strict=True):
        for place, (name, axes) in enumerate((("cosine", panel), ("BTI", panel.twinx()))):
            known = [gamma for gamma in GAMMAS if ("sgd", game, f"gamma-{gamma:g}") in evidence.by_arm]
            means = [float(evidence.estimate("sgd", game, f"gamma-{gamma:g}", name).value) for gamma in known]
            axes.plot(known, means, marker=MARKERS[place], color=COLOURS[place], markersize=3.5)
            axes.set_ylabel(name, color=COLOURS[place], fontsize=SMALL)
            tidy(axes, right=bool(place))
        panel.set_xscale("log")
        panel.set_xlabel("across-batch rate, at one product with the learning rate (SGD)", fontsize=SMALL)
    figure.legend(
        *scatter[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=SMALL, frameon=False
    )
    figure.savefig(path, dpi=150)


def tidy(panel: Axes, right: bool = False) -> None:
    """Draw a panel's ticks small, without the spines that bear none."""
    panel.spines[["top"] if right else ["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=SMALL, width=0.6, length=2.5)


def write_evidence() -> Evidence:
    """Write the CSV files and the figures of results/evidence/ from the runs there, and return these."""
    evidence = Evidence(load())
    for name, rows in (("runs", run_rows(evidence)), ("summary", summary_rows(evidence))):
        write_csv(EVIDENCE / f"{name}.csv", rows[0], rows)
    write_csv(EVIDENCE / "verdicts.csv", Verdict._fields, [verdict._asdict() for verdict in verdict_rows(evidence)])
    draw_gains(evidence, EVIDENCE / "gains.png")
    draw_map(evidence, EVIDENCE / "map.png")
    draw_mechanism(evidence, EVIDENCE / "mechanism.png")
    return evidence


def sections(evidence: Evidence) -> dict[tuple[str, str], str]:
    """Return the tables of the evidence, by page and section."""
    report = {
        "progress": progress_table(evidence),
        "verdicts": verdict_table(evidence),
        "arms": arms_table(evidence, "state"),
        "pixels": arms_table(evidence, "pixels"),
        "map": map_table(evidence),
        "foreign": foreign_table(),
        "sgd": arms_table(evidence, "sgd", [f"gamma-{gamma:g}" for gamma in GAMMAS]),
    }
    main = arms_table(evidence, "state", ARMS[:6], ("LA", "RA", "BTI", "G", "AUC"))
    return {("README.md", "evidence"): main, **{("docs/results.md", name): text for name, text in report.items()}}
