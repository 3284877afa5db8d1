"""Drawing of a comparison's figures: panels, styles, curves, and rows of numbers.

Figures are drawn at the size at which a page prints them: `PAGE` inches wide, or half of it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.labels import group_label, time_label
from dqn_mer.analysis.metrics import FloatArray
from dqn_mer.analysis.statistics import Estimate

# Okabe and Ito's palette; black is last, since references are dark grey. In grey, dashes and markers tell groups apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = "osD^vPX*"
COLUMNS = 3
PAGE = 7.0  # inches, the width of two columns of text
NARROWEST_PANEL = 1.05  # inches
TEXT, SMALL = 8, 7  # points
LETTERS_PER_INCH = 19  # of small text
UPRIGHT_LETTER = 0.12  # inches that an upright word of small text takes on an axis
LARGEST_INCHES = 80.0  # of a side: what Pillow takes without a warning; 1,000 segments would have 420

MOST_BORDERS = 50
"""Dashed lines in a panel; more would hide the curves."""
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


def panel_grid(
    count: int, width: float, height: float, most_in_row: int = COLUMNS, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels, each of this size in inches unless all is too large.

    Args:
        count: Number of panels, at least one.
        width: Width of a panel.
        height: Height of a panel.
        most_in_row: Most panels in a row.
        share: Whether all panels have the same axes, named on the left and below alone.
    """
    columns = min(count, most_in_row)
    lines = math.ceil(count / columns)
    figure = _figure(width * columns, height * lines + 0.8)
    panels = list(figure.subplots(lines, columns, squeeze=False, sharex=share, sharey=share).flat)
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels[:count]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(min(width, LARGEST_INCHES), min(height, LARGEST_INCHES)), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def group_panels(comparison: Comparison, groups: Sequence[Group], rows: Sequence[Sequence[str]]) -> tuple[Figure, Grid]:
    """Return a figure over training with a column of panels for each group, and its panels by row and by group.

    The panels of a row share their scale. Those of one group alone stand side by side under its name.

    Args:
        comparison: Comparison of the groups.
        groups: Groups that are shown, at least one.
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
        panel.set_xlabel(time_label(comparison, 1 if len(groups) <= COLUMNS else 2), fontsize=SMALL)
    for panel in (panel for panels in grid for panel in panels):
        finish_panel(panel, 6 if len(groups) <= COLUMNS else 3)
    return figure, grid


def finish_panel(panel: Axes, most_times: int) -> None:
    """Style a panel of curves over training, with at most ``most_times`` labelled ticks."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=SMALL, width=0.6, length=2.5)
    panel.xaxis.set_major_locator(MaxNLocator(most_times))


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


def border_note(comparison: Comparison) -> str:
    """Return the sentence of a caption on the dashed lines, if there are any."""
    return comparison.words.fill(" Dashed: the {setting} changes.") if has_borders(comparison) else ""


def bar_note(comparison: Comparison, which: str) -> str:
    """Return the sentence of a caption on the bars along the top, which mark training on ``which``.

    Empty where all settings are trained on all the time, and there are none.
    """
    words = comparison.words
    return "" if comparison.interleaved else words.fill(f" Bar along the top: the {{learner}} trains on {which}.")


def has_borders(comparison: Comparison) -> bool:
    """Return whether panels over training show where the setting changes: not if it does too often, or all the time."""
    return not comparison.interleaved and 1 < len(comparison.order) <= MOST_BORDERS + 1


def mark_segments(panel: Axes, comparison: Comparison, settings: Collection[int] = (), borders: bool = True) -> None:
    """Draw the borders of the segments, if they are asked for and not too many; shade those that train on ``settings``.

    Args:
        panel: Panel over training.
        comparison: Comparison that it is of.
        settings: Indices of settings.
        borders: Whether borders are wanted.
    """
    ends = comparison.schedule.ends(int(comparison.frames[-1]))
    panel.set_xlim(0, ends[-1] / 1000)
    for trained, start, stop in zip(comparison.order, (0, *ends), ends, strict=False):
        if start and borders and has_borders(comparison):
            panel.axvline(start / 1000, **BORDER)
        if trained in settings and not comparison.interleaved:
            panel.axvspan(start / 1000, stop / 1000, ymin=TRAINED_FROM, **TRAINED)


def tick_step(count: int, room: float) -> int:
    """Return of how many ticks one is named, so that ``count`` names written upright fit in a room in inches.

    >>> tick_step(20, 6.3), tick_step(100, 6.3), tick_step(100, 2.1)
    (1, 2, 10)
    """
    steps = (1, 2, 5, 10, 20, 50, 100, count)
    return next(step for step in steps if count / step * UPRIGHT_LETTER <= room or step >= count)


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
