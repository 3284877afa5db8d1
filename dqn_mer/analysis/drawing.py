"""Drawing of a comparison's figures: panels, styles, bands, heat maps, legends, and rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from continual_ple.settings import Setting
from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.metrics import FloatArray, IntArray
from dqn_mer.analysis.statistics import Estimate
from dqn_mer.storage.escapes import figure_text

# Okabe and Ito's palette, in an order that alternates dark and light, so that it also works in grey.
COLOURS = ("#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#56B4E9", "#D55E00")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
TRAINED_COLOUR = "#E69F00"
MARKERS = "osD^vPX*"
MARKERS_PER_CURVE = 8
MOST_NUMBERED_CELLS = 150
COLUMNS = 3
LETTERS_PER_INCH = 10  # of a legend, with what is between its columns
LARGEST_INCHES = 80.0  # of a side: what Pillow takes without a warning; 1,000 segments would have 420


@dataclass(frozen=True)
class Exhibit:
    """A figure with its numbers.

    Attributes:
        title: Heading in the report.
        caption: Explanation of the figure, in plain words.
        figure: Figure as drawn.
        rows: Numbers of the figure, one dictionary with the same keys each.
    """

    title: str
    caption: str
    figure: Figure
    rows: list[dict[str, Any]]


def style(group: Group) -> dict[str, Any]:
    """Return how a group's lines are drawn: colour, dashes and marker each distinguish it from the others."""
    place = group.style
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": DASHES[place % len(DASHES)],
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 4,
        "linewidth": 1.6,
    }


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


def heat_maps(
    comparison: Comparison, maps: Sequence[tuple[Group, Estimate]], rows: Sequence[int], label: str, square: bool
) -> Figure:
    """Draw a heat map for each group, all in the same colours.

    Args:
        comparison: Comparison whose settings are the columns.
        maps: Groups with the values of their cells, each of shape (rows, settings); a cell that is NaN stays empty.
        rows: Index of each row's setting.
        label: Meaning of the colours.
        square: Whether the cells are square, rather than flat and filling their panel.
    """
    ticks = [short_name(comparison, setting) for setting in comparison.schedule.settings]
    figure, panels = panel_grid(len(maps), 0.62 * len(ticks) + 1.3, (0.5 if square else 0.42) * len(rows) + 1.2)
    lowest, highest = (float(pick([pick(estimate.value) for _, estimate in maps])) for pick in (np.nanmin, np.nanmax))
    for (group, estimate), panel in zip(maps, panels, strict=True):
        colours: dict[str, Any] = {"cmap": "viridis", "vmin": lowest, "vmax": max(highest, lowest + 1e-9)}
        image = panel.imshow(estimate.value, aspect="equal" if square else "auto", **colours)
        number_cells(panel, estimate.value, lowest, highest)
        panel.set_xticks(range(len(ticks)), ticks, fontsize=8)
        panel.set_yticks(range(len(rows)), [ticks[setting] for setting in rows], fontsize=8)
        panel.set_title(figure_text(group.label), fontsize=10, loc="left")
    figure.colorbar(image, ax=panels, label=label, shrink=0.9)
    return figure


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


def mark_segments(
    panel: Axes, end: float, setting: int, order: Sequence[int] | IntArray, length: int, **look: Any
) -> None:
    """Draw the borders of the segments, `length` frames each, up to frame `end`; shade those that train on `setting`.

    `look` changes the shade: Matplotlib's arguments of a span.
    """
    shade = {"color": TRAINED_COLOUR, "alpha": 0.28, "lw": 0, "zorder": 0, **look}
    for segment, trained in enumerate(order):
        start = segment * length
        if start >= end:
            break
        if segment:
            panel.axvline(start / 1000, color="0.45", ls="--", lw=0.8, zorder=1)
        if trained == setting:
            stop = end if segment == len(order) - 1 else min(start + length, end)
            panel.axvspan(start / 1000, stop / 1000, **shade)


def legend_label(group: Group) -> str:
    """Return the text of a group in a legend."""
    return figure_text(f"{group.label} (n={len(group.runs)})")


def legend(figure: Figure, panel: Axes) -> None:
    """Put the legend of a panel above the figure."""
    handles, labels = panel.get_legend_handles_labels()
    fit = int(figure.get_figwidth() * LETTERS_PER_INCH / max(map(len, labels), default=1))
    look: dict[str, Any] = {"fontsize": 9, "frameon": False, "handlelength": 3.5}
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, max(1, fit)), **look)


def short_name(comparison: Comparison, setting: Setting) -> str:
    """Return a short name, in few letters, that distinguishes a setting from the others in a figure."""
    if set(setting.parameters) == {comparison.parameter}:
        return f"{setting.parameters[comparison.parameter]:g}"
    return figure_text(setting.name)


def estimate_columns(estimate: Iterable[Any], runs: int, of: str = "score", digits: int = 4) -> dict[str, Any]:
    """Return an estimate over ``runs`` runs as columns of an exhibit's rows."""
    value, low, high = (round(float(part), digits) for part in estimate)
    return {"runs": runs, of: value, "low": low, "high": high}


def curve_rows(
    group: Group, keys: Mapping[str, Any], frames: Iterable[Any], estimate: Estimate, of: str = "score", digits: int = 4
) -> list[dict[str, Any]]:
    """Return a curve as rows of an exhibit: the group, what the ``keys`` say, the frame and the estimate at it."""
    return [
        {"group": group.label, **keys, "frame": int(frame)} | estimate_columns(part, len(group.runs), of, digits)
        for frame, *part in zip(frames, *estimate, strict=True)
    ]
