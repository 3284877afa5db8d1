"""A comparison as files: one page of Markdown, its figures as PNG and SVG, and all numbers as CSV."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Group as RichGroup

from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.drawing import Exhibit
from dqn_mer.analysis.meter_figures import interference_curves, interference_matrices
from dqn_mer.analysis.metric_table import METRICS, Metric
from dqn_mer.analysis.score_figures import compared_curves, score_by_difficulty, score_matrices
from dqn_mer.analysis.statistics import Estimate, interquartile_estimate, probability_of_improvement
from dqn_mer.analysis.terminal_tables import narrow_tables
from dqn_mer.analysis.words import OF_GAMES
from dqn_mer.storage.escapes import cell, csv_text, markdown_text

EXHIBITS: dict[str, Callable[[Comparison], Exhibit | None]] = {
    "curves": compared_curves,
    "matrices": score_matrices,
    "difficulty": score_by_difficulty,
    "interference": interference_curves,
    "interference_matrices": interference_matrices,
}
"""Figures that `compare` draws of every comparison, in this order, by the name of their files."""
ALWAYS = {"report.md", "metrics.csv", "runs.csv"}
"""Files that the report of every comparison has."""
DPI = 200
MOST_NAMES = 10  # of settings that the page lists
PNG_COLOURS = 256  # a third of the bytes


def report_file_names() -> set[str]:
    """Return the names of all files that the report of a comparison may have."""
    return ALWAYS | {f"{name}.{kind}" for name in EXHIBITS for kind in ("csv", "png", "svg")}


def metric_estimates(comparison: Comparison) -> dict[str, dict[str, Estimate]]:
    """Return the estimate of each metric, by group and by name."""
    return {
        group.label: {metric.name: interquartile_estimate(group.metric(metric.name)) for metric in _defined(comparison)}
        for group in comparison.groups
    }


def improvements(comparison: Comparison) -> dict[str, dict[str, Estimate]]:
    """Return the probability of improvement over the baseline, by every other group and by metric."""
    baseline = {group.label: group for group in comparison.groups}.get(comparison.baseline)
    if baseline is None:
        return {}
    return {
        group.label: {
            m.name: probability_of_improvement([(m.better * group.metric(m.name), m.better * baseline.metric(m.name))])
            for m in _defined(comparison)
        }
        for group in comparison.groups
        if group is not baseline
    }


def report_files(comparison: Comparison) -> dict[str, bytes]:
    """Return the content of every file of the report, by name."""
    exhibits = {name: exhibit for name, make in EXHIBITS.items() if (exhibit := make(comparison)) is not None}
    files = {
        "report.md": _page(comparison, exhibits).encode(),
        "metrics.csv": _csv(_metric_rows(comparison)),
        "runs.csv": _csv(_run_rows(comparison)),
    }
    for name, exhibit in exhibits.items():
        files[f"{name}.csv"] = _csv(exhibit.rows)
        files |= {f"{name}.{kind}": _picture(exhibit.figure, kind) for kind in ("png", "svg")}
    return files


def comparison_table(comparison: Comparison) -> RichGroup:
    """Return the metrics of every group, and how probably it is better than the baseline, for the terminal."""
    title = f"{comparison.game}: interquartile mean over seeds [95% interval]"
    tables = [_terminal_table(title, _metric_table(comparison))]
    if improvements(comparison):
        title = f"Probability that a run is better than one of {comparison.baseline} [95% interval]"
        tables.append(_terminal_table(title, _improvement_table(comparison)))
    return RichGroup(*tables)


def _terminal_table(title: str, rows: Sequence[Sequence[str]]) -> RichGroup:
    """Return a table with the groups as columns and the metrics as rows, which is narrower than the page's."""
    return narrow_tables(cell(title), [[cell(text) for text in line] for line in zip(*rows, strict=True)])


def _defined(comparison: Comparison) -> list[Metric]:
    """Return the metrics that are numbers here: with all settings met at once there is no forward transfer."""
    return [m for m in METRICS if any(np.isfinite(group.metric(m.name)).any() for group in comparison.groups)]


def _page(comparison: Comparison, exhibits: Mapping[str, Exhibit]) -> str:
    """Return the page of Markdown."""
    title = markdown_text(comparison.game.replace("_", " ").title())
    lines = [f"# {title}", "", f"{_described(comparison)}", ""]
    if comparison.remarks:
        lines += ["**Beware:**", "", *(f"- {markdown_text(remark)}" for remark in comparison.remarks), ""]
    lines += ["## Metrics", "", _markdown(_metric_table(comparison)), "", _meaning(comparison), ""]
    if len(improved := _improvement_table(comparison)) > 1:
        over = markdown_text(comparison.baseline)
        lines += [f"### Probability of improvement over {over}", "", _markdown(improved), ""]
    lines += ["Numbers: [metrics.csv](metrics.csv); each run: [runs.csv](runs.csv).", ""]
    for name, exhibit in exhibits.items():
        files = f"[SVG]({name}.svg), [numbers]({name}.csv)"
        lines += [f"## {exhibit.title}", "", f"![{exhibit.title}]({name}.png)", ""]
        lines += [f"{exhibit.caption} {files}", ""]
    return "\n".join(lines)


def _meaning(comparison: Comparison) -> str:
    """Return what the metrics are, in a paragraph."""
    sentences = [comparison.words.fill(metric.meaning) for metric in METRICS]
    sentences.append(
        "All are interquartile means over seeds with 95% stratified bootstrap intervals; the probability of "
        "improvement is that of a run scoring better than one of the baseline, ties counting half."
    )
    return textwrap.fill(" ".join(sentences), width=120)


def _described(comparison: Comparison) -> str:
    """Return what was learned, and the number of runs, in two sentences."""
    config, schedule, words = comparison.groups[0].runs[0].config, comparison.schedule, comparison.words
    names = [markdown_text(setting.name) for setting in schedule.settings]
    values = ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)}: {names[0]} to {names[-1]}"
    counts = ", ".join(f"{markdown_text(group.label)} ({len(group.runs)})" for group in comparison.groups)
    what = (
        f"{config['observation'].title()} observations"
        if words is OF_GAMES
        else f"Labelled images: {markdown_text(config.get('data', 'unknown'))}"
    )
    return (
        f"{what}, {comparison.frames[-1]:,} {words.unit}, {schedule.length_words} between changes of the "
        f"{words.setting} ({values}). Runs: {counts}."
    )


def _metric_table(comparison: Comparison) -> list[list[str]]:
    """Return the heading, and a row for each group."""
    estimates = metric_estimates(comparison)
    rows = [
        [
            group.label,
            str(len(group.runs)),
            *(estimate_cell(estimate, 1) for estimate in estimates[group.label].values()),
        ]
        for group in comparison.groups
    ]
    return [["group", "seeds", *(metric.heading for metric in _defined(comparison))], *rows]


def _improvement_table(comparison: Comparison) -> list[list[str]]:
    """Return the heading, and a row for each group but the baseline."""
    rows = [
        [label, *(estimate_cell(estimate, 2) for estimate in estimates.values())]
        for label, estimates in improvements(comparison).items()
    ]
    return [["group", *(metric.heading for metric in _defined(comparison))], *rows]


def _metric_rows(comparison: Comparison) -> list[dict[str, Any]]:
    estimates, better = metric_estimates(comparison), improvements(comparison)
    rows = []
    for group in comparison.groups:
        for name, estimate in estimates[group.label].items():
            row = {"group": group.label, "metric": name, "runs": len(group.runs)} | _columns("", estimate)
            row["baseline"] = comparison.baseline if group.label in better else ""
            nothing = Estimate(*np.full(3, math.nan))
            rows.append(row | _columns("improvement_", better.get(group.label, {}).get(name, nothing)))
    return rows


def _run_rows(comparison: Comparison) -> list[dict[str, Any]]:
    def row(group: Group, index: int) -> dict[str, Any]:
        run = group.runs[index]
        metrics = {metric.name: run.metrics.get(metric.name, "") for metric in _defined(comparison)}
        return {"group": group.label, "seed": run.config["seed"], "run": str(run.path), "commit": run.commit} | metrics

    return [row(group, index) for group in comparison.groups for index in range(len(group.runs))]


def estimate_cell(estimate: Estimate, digits: int) -> str:
    """Return an estimate as a cell: the value, and its interval if there is one; "none" for what has no meaning.

    >>> estimate_cell(Estimate(1.25, 1.0, 2.0), 1), estimate_cell(Estimate(1.25, math.nan, math.nan), 2)
    ('1.2 [1.0, 2.0]', '1.25')
    """
    value, low, high = map(float, estimate)
    if math.isnan(value):
        return "none"
    interval = "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{value:.{digits}f}{interval}"


def _columns(prefix: str, estimate: Estimate) -> dict[str, float | str]:
    numbers = zip(("value", "low", "high"), map(float, estimate), strict=True)
    return {prefix + name: "" if math.isnan(number) else round(number, 6) for name, number in numbers}


def _markdown(table: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join([markdown_text(name), *numbers]) + " |" for name, *numbers in table]
    return "\n".join([lines[0], "|---" * len(table[0]) + "|", *lines[1:]])


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    heading = list(rows[0])
    return csv_text([heading, *([row[name] for name in heading] for row in rows)])


def _picture(figure: Figure, kind: str) -> bytes:
    """Return the figure as a file, which is byte-identical when it is made again."""
    content = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "dqn-mer", "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "constrained_layout not applied")  # where names leave no room for panels
        figure.savefig(content, format=kind, dpi=DPI, metadata=metadata)
    if kind == "svg":
        return content.getvalue()
    small = io.BytesIO()
    Image.open(content).convert("RGB").quantize(PNG_COLOURS).save(small, format="png", optimize=True)
    return small.getvalue()
