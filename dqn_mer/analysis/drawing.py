"""Drawing of a comparison's figures: panels, styles, curves, keys, and rows of numbers.

Figures are drawn at the size at which a page prints them: `PAGE` inches wide, or half of it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.labels import group_label
from dqn_mer.analysis.metrics import FloatArray
from dqn_mer.analysis.statistics import Estimate
from dqn_mer.storage.escapes import figure_text

# Okabe and Ito's palette; black is last, since references are dark grey. In grey, dashes and markers tell groups apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = "osD^vPX*"
COLUMNS = 3
PAGE = 7.0  # inches, the width of two columns of text
NARROWEST_PANEL = 1.05  # inches
TEXT, SMALL = 8, 7  # points
LETTERS_PER_INCH = 19  # of small text
LARGEST_INCHES = 80.0  # of a side: what Pillow takes without a warning; 1,000 segments would have 420

TIME_LABEL = "training frames (thousands)"
KEY = "0.25"  # colour of the key's lines
MEAN: dict[str, Any] = {"linewidth": 1.5, "zorder": 3}
SEED: dict[str, Any] = {"linewidth": 0.5, "alpha": 0.6}
BAND: dict[str, Any] = {"linewidth": 0, "alpha": 0.22}
REFERENCE: dict[str, Any] = {"color": "0.25", "linewidth": 0.8, "linestyle": (0, (2, 1)), "zorder": 2.5}
BORDER: dict[str, Any] = {"color": "0.45", "linestyle": "--", "linewidth": 0.6, "zorder": 1}
TRAINED: dict[str, Any] = {"color": "0.35", "linewidth": 0}
TRAINED_FROM = 0.94  # of a panel's height: a bar along its top, where it tints no band
CEILING: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.0, "zorder": 1.5}

Grid: TypeAlias = list[list[Axes]]


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
        "markersize": 3.5,
        "linewidth": 1.2,
    }


def panel_grid(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels, at most three a row, each of this size in inches unless all is too large."""
    columns = min(count, COLUMNS)
    lines = math.ceil(count / columns)
    figure = _figure(width * columns, height * lines + 0.8)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels[:count]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(min(width, LARGEST_INCHES), min(height, LARGEST_INCHES)), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def group_panels(groups: Sequence[Group], rows: Sequence[Sequence[str]]) -> tuple[Figure, Grid]:
    """Return a figure over training with a column of panels for each group, and its panels by row and by group.

    The panels of a row share their scale. Those of one group alone stand side by side under its name.

    Args:
        groups: Groups, at least one.
        rows: Name of each row, in one or two lines.
    """
    if len(groups) == 1:
        figure, panels = panel_grid(len(rows), width=PAGE / COLUMNS, height=1.45)
        figure.suptitle(group_label(groups[0]), fontsize=TEXT)
        for panel, name in zip(panels, rows, strict=True):
            panel.set_title(" ".join(name), fontsize=TEXT, loc="left")
        grid = [[panel] for panel in panels]
        lowest = panels[-COLUMNS:]  # no panel is below them
    else:
        width = max(PAGE, NARROWEST_PANEL * len(groups) + 0.6)
        figure = _figure(width, 0.88 * len(rows) + 1.1)
        grid = figure.subplots(len(rows), len(groups), squeeze=False, sharex=True, sharey="row").tolist()
        for group, panel in zip(groups, grid[0], strict=True):
            panel.set_title(group_title(group, (width - 0.7) / len(groups) - 0.1), fontsize=TEXT, loc="left")
        for panels, name in zip(grid, rows, strict=True):
            panels[0].set_ylabel("\n".join(name), fontsize=SMALL)
        lowest = grid[-1]
    for panel in lowest:
        panel.set_xlabel(TIME_LABEL if len(groups) <= COLUMNS else TIME_LABEL.replace(" (", "\n("), fontsize=SMALL)
    for panel in (panel for panels in grid for panel in panels):
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=SMALL, width=0.6, length=2.5)
        panel.xaxis.set_major_locator(MaxNLocator(6 if len(groups) <= COLUMNS else 3))
    return figure, grid


def group_title(group: Group, width: float) -> str:
    """Return a group's name in lines that fit above a panel of this width in inches."""
    return textwrap.fill(group_label(group), int(width * LETTERS_PER_INCH * SMALL / TEXT))


def draw_curves(panel: Axes, group: Group, times: FloatArray, curves: FloatArray, estimate: Estimate) -> None:
    """Draw a group's interquartile mean with its band over a thin line for each run, ``curves`` (runs, times)."""
    colour = style(group)["color"]
    if len(curves) > 1:
        panel.plot(times, curves.T, color=colour, **SEED)
        panel.fill_between(times, estimate.low, estimate.high, color=colour, **BAND)
    panel.plot(times, estimate.value, color=colour, label=group_label(group), **MEAN)


def draw_reference(panel: Axes, times: FloatArray, values: FloatArray) -> None:
    """Draw the baseline's interquartile mean into the panel of another group."""
    panel.plot(times, values, **REFERENCE)


def curve_key(comparison: Comparison, groups: Sequence[Group]) -> dict[str, Any]:
    """Return the entries of a key for the curves of these groups: what each looks like, by what it says."""
    mean = Line2D([], [], color=KEY, **MEAN)
    if max(len(group.runs) for group in groups) == 1:
        entries: dict[str, Any] = {"one seed": mean}
    else:
        entries = {
            "interquartile mean over seeds, 95% bootstrap interval": (Patch(color=KEY, **BAND), mean),
            "one seed": Line2D([], [], color=KEY, **SEED),
        }
    if len(groups) > 1 and comparison.baseline in {group.label for group in groups}:
        entries[f"{comparison.baseline}, for comparison"] = Line2D([], [], **REFERENCE)
    if len(comparison.order) > 1:
        entries["the setting changes"] = Line2D([], [], **BORDER)
    return entries


def add_key(figure: Figure, entries: Mapping[str, Any], above: bool = False) -> None:
    """Put a key below the panels of a figure, or above them: what each entry looks like, by what it says."""
    fit = max(1, int(figure.get_figwidth() * LETTERS_PER_INCH / (max(map(len, entries)) + 7)))
    lines = math.ceil(len(entries) / fit)
    figure.legend(
        list(entries.values()),
        [figure_text(text) for text in entries],
        loc="outside upper center" if above else "outside lower center",
        ncols=math.ceil(len(entries) / lines),  # lines as even as can be
        fontsize=SMALL,
        frameon=False,
        handlelength=2.4,
        columnspacing=1.2,
    )


def mark_segments(panel: Axes, comparison: Comparison, setting: int) -> None:
    """Draw the borders of the segments; shade those that train on ``setting``, an index, or none."""
    end, length, order = float(comparison.frames[-1]), comparison.schedule.frames_per_setting, comparison.order
    panel.set_xlim(0, end / 1000)
    for segment, trained in enumerate(order):
        start = segment * length
        if start >= end:
            break
        if segment:
            panel.axvline(start / 1000, **BORDER)
        if trained == setting:
            stop = end if segment == len(order) - 1 else min(start + length, end)
            panel.axvspan(start / 1000, stop / 1000, ymin=TRAINED_FROM, **TRAINED)


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
