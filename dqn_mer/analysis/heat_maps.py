"""Heat maps of a comparison: one for each group, all in the same colours, with their numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator

from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.drawing import COLUMNS, SMALL, TEXT, group_title, panel_grid, tick_step
from dqn_mer.analysis.labels import short_name
from dqn_mer.analysis.metrics import FloatArray
from dqn_mer.analysis.statistics import Estimate
from dqn_mer.storage.escapes import figure_text

LEAST_HEIGHT = 2.0  # inches, for the name of the colours
MOST_NUMBERED_CELLS = 150
MOST_OUTLINED = 30  # settings, beyond which the outlines of cells would hide them
FEW_DIGITS = 0.1  # the largest cosine for which two digits are enough to tell cells apart
CELL, TITLE_LINE, LETTER, NARROWEST = 0.32, 0.15, 0.06, 1.2  # inches
WIDEST, HIGHEST = 2.1, 8.0  # inches of a map: three stand beside each other on a page
LUMINANCE = (0.299, 0.587, 0.114)


def heat_maps(
    comparison: Comparison, maps: Sequence[tuple[Group, Estimate]], rows: Sequence[int], label: str, signed: bool
) -> tuple[Figure, list[Axes]]:
    """Draw a heat map for each group, all in the same colours, and return the figure with their panels.

    Args:
        comparison: Comparison whose settings are the columns.
        maps: Groups with the values of their cells, each of shape (rows, settings); a cell that is NaN stays empty.
        rows: Index of each row's setting.
        label: What the values are; that they are means over seeds is added.
        signed: Whether 0 is the middle of the colours, rather than their start.
    """
    ticks = [figure_text(short_name(comparison.parameter, setting)) for setting in comparison.schedule.settings]
    cell = CELL if len(ticks) * len(rows) <= MOST_NUMBERED_CELLS else min(CELL / 2, WIDEST / len(ticks))
    width, tall = max(cell * len(ticks) + 0.1, NARROWEST), min(cell * len(rows), HIGHEST)
    titles = [group_title(group, width) for group, _ in maps]
    title = TITLE_LINE * (1 + max(text.count("\n") for text in titles)) + 0.1
    figure, panels = panel_grid(len(maps), width, tall + title)
    long = max(map(len, ticks))
    upright = long * LETTER > cell * tick_step(len(ticks), width)
    height = figure.get_figheight() - 0.5 + LETTER * (long if upright else 1)
    figure.set_size_inches(figure.get_figwidth() + 1.25 + LETTER * long, max(height, LEAST_HEIGHT))
    colours = _colours([estimate.value for _, estimate in maps], signed)
    digits = 1 if not signed else 2 if colours["vmax"] >= FEW_DIGITS else 3
    for place, ((_, estimate), panel) in enumerate(zip(maps, panels, strict=True)):
        image = panel.imshow(estimate.value, aspect="auto", **colours)
        panel.set_facecolor("0.94")
        number_cells(panel, image, estimate.value, digits)
        across, down = tick_step(len(ticks), width), tick_step(len(rows), tall)
        below = ticks[::across] if place + COLUMNS >= len(maps) else []  # no panel is below it, which has the same
        panel.set_xticks(range(0, len(below) * across, across), below, fontsize=SMALL, rotation=90 if upright else 0)
        names = [ticks[setting] for setting in rows[::down]] if place % COLUMNS == 0 else []
        panel.set_yticks(range(0, len(names) * down, down), names, fontsize=SMALL)
        panel.tick_params(width=0.6, length=2)
        panel.set_title(titles[place], fontsize=TEXT, loc="left")
    bar = figure.colorbar(ScalarMappable(image.norm, image.cmap), ax=panels, aspect=25)
    if signed:
        _mark_bar(bar, np.concatenate([estimate.value.ravel() for _, estimate in maps]), digits)
    seeds = max(len(group.runs) for group, _ in maps)
    bar.set_label(label if seeds == 1 else f"{label}\n(interquartile mean over seeds)", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure, panels


def _colours(values: Sequence[FloatArray], signed: bool) -> dict[str, Any]:
    """Return the colour map and its ends for cells of which at least one is a number."""
    numbers = np.concatenate([cells[~np.isnan(cells)] for cells in values])
    if signed:
        most = float(np.abs(numbers).max()) or 1.0
        return {"cmap": "PuOr_r", "vmin": -most, "vmax": most}
    lowest = min(0.0, float(numbers.min()))
    return {"cmap": "viridis", "vmin": lowest, "vmax": max(float(numbers.max()), lowest + 1e-9)}


def _mark_bar(bar: Colorbar, numbers: FloatArray, digits: int) -> None:
    """Let a bar show 0 and the colours that cells have, marked by numbers with as many digits as theirs."""
    low, high = min(0.0, float(np.nanmin(numbers))), max(0.0, float(np.nanmax(numbers)))
    places = np.asarray(MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(low, high)).round(digits)
    marks = (np.unique(places) + 0.0).tolist()
    bar.set_ticks(marks, labels=[_number(mark, digits) for mark in marks])
    if low < high:
        bar.ax.set_ylim(low, high)


def number_cells(panel: Axes, image: AxesImage, values: FloatArray, digits: int) -> None:
    """Write each number into its cell in black or white, unless they are too many; a cell that is NaN stays empty."""
    if values.size > MOST_NUMBERED_CELLS:
        return
    light = image.to_rgba(values)[..., :3] @ LUMINANCE > 0.5
    for (i, j), value in np.ndenumerate(values):
        colour = "black" if light[i, j] else "white"
        panel.text(j, i, _number(value, digits), ha="center", va="center", fontsize=SMALL - 1, color=colour)


def _number(value: float, digits: int) -> str:
    """Return a number with these digits behind the point, without a sign if it is 0 then; empty for NaN."""
    rounded = round(float(value), digits) + 0.0  # no -0.0
    return "" if math.isnan(value) else f"{rounded:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def outline_cells(panel: Axes, columns: Sequence[int]) -> None:
    """Outline a cell of each row, in this column, so that it is seen on dark cells and on light ones."""
    for row, column in enumerate(columns):
        cell = Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor="white", linewidth=0.9)
        cell.set_path_effects([Stroke(linewidth=2.2, foreground="black"), Normal()])
        panel.add_patch(cell)
