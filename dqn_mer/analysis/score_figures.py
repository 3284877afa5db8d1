"""The figures of a comparison, each with the numbers that it shows.

A new one is a function from a `Comparison` to an `Exhibit`, or to None where there is nothing to show, in `EXHIBITS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from continual_ple.settings import Setting
from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.learning_curves import mark_segments
from dqn_mer.analysis.metrics import FloatArray
from dqn_mer.analysis.statistics import Estimate, interquartile_estimate
from dqn_mer.storage.escapes import figure_text

# Okabe and Ito's palette, in an order that alternates dark and light, so that it also works in grey.
COLOURS = ("#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#56B4E9", "#D55E00")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = "osD^vPX*"
MARKERS_PER_CURVE = 8
TRAINED_BAR: dict[str, Any] = {"color": "0.35", "alpha": 1.0, "ymin": 0.965}  # above the bands, which it would tint
MOST_NUMBERED_CELLS = 150
COLUMNS = 3
LETTERS_PER_INCH = 10  # of a legend, with what is between its columns
LARGEST_INCHES = 80.0  # of a side: what Pillow takes without a warning; 1,000 segments would have 420
SHIFT = 0.008


@dataclass(frozen=True)
class Exhibit:
    """A figure with its numbers.

    Attributes:
        name: of its files.
        title: heading in the report.
        caption: what is to be seen, in plain words.
        figure: as drawn.
        rows: the numbers, one dictionary with the same keys each.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    rows: list[dict[str, Any]]


def style(group: Group) -> dict[str, Any]:
    """Return how a group's lines are drawn: colour, dashes and marker each tell it from the others."""
    place = group.style
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": DASHES[place % len(DASHES)],
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 4,
        "linewidth": 1.6,
    }


def setting_title(setting: Setting) -> str:
    """Return a setting's name as a heading.

    >>> setting_title(Setting("0-pipe_gap=100", {"pipe_gap": 100}))
    'pipe gap 100'
    """
    if len(setting.parameters) > 1:
        return setting.name
    ((name, value),) = setting.parameters.items()
    return f"{name.replace('_', ' ')} {value:g}"


def learning_curves(comparison: Comparison) -> Exhibit:
    """Draw the paper's Figure 3: evaluation score on each setting over training."""
    settings = comparison.schedule.settings
    times = comparison.frames / 1000
    figure, panels = panel_grid(len(settings), width=3.7, height=2.5)
    rows = []
    for group in comparison.groups:
        estimate = interquartile_estimate(comparison.curves(group))
        for index, (setting, panel) in enumerate(zip(settings, panels, strict=True)):
            here = Estimate(*(part[:, index] for part in estimate))
            draw_band(panel, group, times, here)
            rows += [
                {
                    "group": group.label,
                    "setting": setting.name,
                    "frame": int(frame),
                    **estimate_columns(part, len(group.runs)),
                }
                for frame, *part in zip(comparison.frames, *here, strict=True)
            ]
    for index, (setting, panel) in enumerate(zip(settings, panels, strict=True)):
        length = comparison.schedule.frames_per_setting
        mark_segments(panel, float(comparison.frames[-1]), index, comparison.order, length, **TRAINED_BAR)
        panel.set_title(figure_text(setting_title(setting)), fontsize=10, loc="left")
        panel.set_xlim(0, times[-1])
        low, high = panel.get_ylim()
        panel.set_ylim(min(0.0, low + 0.04 * (high - low)), high + 0.06 * (high - low))
    legend(figure, panels[0])
    figure.supxlabel("training frames (thousands)", fontsize=10)
    figure.supylabel("evaluation score (points an episode)", fontsize=10)
    caption = (
        "Evaluation score on each setting over training: interquartile mean over seeds, with its 95% bootstrap band. "
        "Dashed: the setting changes. Bar along the top: the agent trains on this setting. "
        "Each panel has its own scale."
    )
    return Exhibit("curves", "Score on every setting over training", caption, figure, rows)


def score_matrices(comparison: Comparison) -> Exhibit:
    """Draw R[i, j] of each group as a heat map."""
    settings, order = comparison.schedule.settings, comparison.order
    figure, panels = panel_grid(len(comparison.groups), 0.62 * len(settings) + 1.3, 0.42 * len(order) + 1.2)
    estimates = [interquartile_estimate(np.stack([r.matrix for r in group.runs])) for group in comparison.groups]
    lowest, highest = (pick([estimate.value for estimate in estimates]) for pick in (np.min, np.max))
    ticks = [short_name(comparison, setting) for setting in settings]
    rows = []
    for group, estimate, panel in zip(comparison.groups, estimates, panels, strict=True):
        image = panel.imshow(
            estimate.value, cmap="viridis", vmin=lowest, vmax=max(highest, lowest + 1e-9), aspect="auto"
        )
        number_cells(panel, estimate.value, lowest, highest)
        panel.set_xticks(range(len(settings)), ticks, fontsize=8)
        panel.set_yticks(range(len(order)), [ticks[trained] for trained in order], fontsize=8)
        panel.set_title(figure_text(group.label), fontsize=10, loc="left")
        rows += [
            {"group": group.label, "segment": i, "trained_on": settings[trained].name, "setting": settings[j].name}
            | estimate_columns([part[i, j] for part in estimate], len(group.runs))
            for i, trained in enumerate(order)
            for j in range(len(settings))
        ]
    figure.colorbar(image, ax=panels, label="score", shrink=0.9)
    parameter = figure_text(comparison.parameter.replace("_", " "))
    figure.supxlabel(f"evaluated on {parameter}", fontsize=10)
    figure.supylabel(f"after training on {parameter}", fontsize=10)
    caption = (
        "R[i, j]: score on setting j (columns) after training on setting i (rows, in the order of training), "
        "interquartile mean over seeds. Above the diagonal: settings not met yet; below: settings to be remembered."
    )
    return Exhibit("matrices", "Score on every setting after training on each", caption, figure, rows)


def score_by_difficulty(comparison: Comparison) -> Exhibit:
    """Draw the score after training against difficulty, on settings never trained on as well."""
    values = {setting.name: setting.parameters[comparison.parameter] for setting in comparison.every_setting}
    trained = comparison.trained
    numeric = len(set(values.values())) == len(values)  # else settings differ in more than the one parameter
    names = sorted(values, key=values.__getitem__) if numeric else list(values)
    figure, (panel,) = panel_grid(1, width=5.4, height=3.2)
    rows = []
    for group in comparison.groups:
        scores = comparison.last_scores(group)
        estimates = {name: interquartile_estimate(scores[name]) for name in scores}
        shown = [name for name in names if name in estimates]
        x = np.array([values[name] if numeric else names.index(name) for name in shown], dtype=np.float64)
        x += group.style * SHIFT * np.ptp(x)  # so that intervals do not hide each other
        middle, low, high = (np.array(part) for part in zip(*(estimates[name] for name in shown), strict=True))
        look = style(group)
        panel.plot(x, middle, label=legend_label(group), **look, markevery=[n in trained for n in shown])
        panel.vlines(x, low, high, color=look["color"], linewidth=1)
        new = np.array([name not in trained for name in shown])
        panel.plot(x[new], middle[new], **{**look, "linestyle": "", "markerfacecolor": "white"})
        rows += [
            {"group": group.label, "setting": name, comparison.parameter: values[name]}
            | {"trained_on": "yes" if name in trained else "no", **estimate_columns(estimates[name], len(scores[name]))}
            for name in shown
        ]
    ticks = [values[name] for name in names] if numeric else range(len(names))
    panel.set_xticks(ticks, [f"{values[name]:g}" if numeric else figure_text(name) for name in names], fontsize=9)
    first, last = (values[comparison.schedule.settings[comparison.order[place]].name] for place in (0, -1))
    if numeric and last < first:
        panel.invert_xaxis()
    panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))
    panel.set_xlabel(figure_text(comparison.parameter.replace("_", " ")))
    panel.set_ylabel("score after training")
    panel.spines[["top", "right"]].set_visible(False)
    legend(figure, panel)
    caption = (
        "Score at the end of training by difficulty, interquartile mean over seeds with its 95% bootstrap interval. "
        "Filled: settings that were trained on; hollow: never met in training."
    )
    return Exhibit("difficulty", "Score by difficulty", caption, figure, rows)


EXHIBITS: tuple[Callable[[Comparison], Exhibit | None], ...] = (learning_curves, score_matrices, score_by_difficulty)
"""What `compare` shows of every comparison, in this order."""


def panel_grid(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels, at most three a row, each of this size in inches unless all is too large."""
    columns = min(count, COLUMNS)
    lines = math.ceil(count / columns)
    size = (min(width * columns + 0.6, LARGEST_INCHES), min(height * lines + 0.8, LARGEST_INCHES))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels[:count]


def number_cells(panel: Axes, values: FloatArray, lowest: float, highest: float) -> None:
    """Write each number into its cell of a viridis heat map from `lowest` to `highest`, unless they are too many.

    A cell that is NaN stays empty.
    """
    if values.size > MOST_NUMBERED_CELLS:
        return
    for (i, j), value in np.ndenumerate(values):
        light = value > (lowest + highest) / 2
        text = "" if math.isnan(value) else f"{value:.3g}"
        panel.text(j, i, text, ha="center", va="center", fontsize=8, color="black" if light else "white")


def draw_band(panel: Axes, group: Group, times: FloatArray, estimate: Estimate) -> None:
    """Draw a curve with its band, whose edges keep it apart from others in grey."""
    look = style(group)
    every = max(1, round(len(times) / MARKERS_PER_CURVE))
    shift = group.style * every // 3 % every  # so that markers of two curves do not hide each other
    panel.plot(times, estimate.value, label=legend_label(group), markevery=(shift, every), **look)
    panel.fill_between(times, estimate.low, estimate.high, color=look["color"], alpha=0.18, linewidth=0)
    for edge in (estimate.low, estimate.high):
        panel.plot(times, edge, color=look["color"], linestyle=look["linestyle"], linewidth=0.5)
    panel.spines[["top", "right"]].set_visible(False)


def legend_label(group: Group) -> str:
    """Return what a legend says of a group."""
    return figure_text(f"{group.label} (n={len(group.runs)})")


def legend(figure: Figure, panel: Axes) -> None:
    """Put the legend of a panel above the figure."""
    handles, labels = panel.get_legend_handles_labels()
    fit = int(figure.get_figwidth() * LETTERS_PER_INCH / max(map(len, labels), default=1))
    look: dict[str, Any] = {"fontsize": 9, "frameon": False, "handlelength": 3.5}
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, max(1, fit)), **look)


def short_name(comparison: Comparison, setting: Setting) -> str:
    """Return what tells a setting from the others in few letters, for a figure."""
    if set(setting.parameters) == {comparison.parameter}:
        return f"{setting.parameters[comparison.parameter]:g}"
    return figure_text(setting.name)


def estimate_columns(estimate: Iterable[Any], runs: int, of: str = "score", digits: int = 4) -> dict[str, Any]:
    """Return an estimate of something, over so many runs, as columns of an exhibit's rows."""
    value, low, high = (round(float(part), digits) for part in estimate)
    return {"runs": runs, of: value, "low": low, "high": high}
