"""The transfer-interference meter of many runs: whether the gradients of examples agree, over time and by setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.drawing import (
    SMALL,
    TEXT,
    Exhibit,
    border_note,
    curve_rows,
    draw_curves,
    draw_reference,
    estimate_columns,
    group_panels,
    mark_segments,
)
from dqn_mer.analysis.heat_maps import MOST_OUTLINED, heat_maps, outline_cells
from dqn_mer.analysis.interference import FILE, read_interference
from dqn_mer.analysis.keys import add_key, curve_key
from dqn_mer.analysis.labels import parameter_label
from dqn_mer.analysis.metrics import FloatArray, IntArray
from dqn_mer.analysis.statistics import interquartile_estimate
from dqn_mer.analysis.words import OF_GAMES
from dqn_mer.storage.escapes import markdown_text
from dqn_mer.storage.run_reader import RunReader


class Measured(NamedTuple):
    """The meter's measurements in all runs of a group.

    Attributes:
        group: Group of the runs.
        frames: Frames at which all runs were measured, of shape (n,), at least one.
        cosines: Mean cosine between the gradients of two examples, by their settings, of shape (runs, n, settings,
            settings); NaN where the memory held no pair of them.
    """

    group: Group
    frames: IntArray
    cosines: FloatArray


def measured(comparison: Comparison) -> list[Measured]:
    """Return the measurements of every group whose runs have some at the same frames."""
    names = [setting.name for setting in comparison.schedule.settings]
    measurements = []
    for group in comparison.groups:
        if not all(RunReader(run.path).has(FILE) for run in group.runs):
            continue  # of an earlier version, or brought here without it
        runs = [read_interference(run.path / FILE, names) for run in group.runs]
        common = runs[0][0]
        for frames, _ in runs[1:]:
            common = np.intersect1d(common, frames)
        if common.size:
            measurements.append(Measured(group, common, np.stack([c[np.isin(f, common)] for f, c in runs])))
    return measurements


def interference_curves(comparison: Comparison) -> Exhibit | None:
    """Draw the cosine between two examples' gradients over training, within a setting and between settings."""
    measurements = measured(comparison)
    if not measurements:
        return None
    groups = [group for group, _, _ in measurements]
    own = np.eye(len(comparison.schedule.settings), dtype=bool)
    kinds = {comparison.words.fill("of one {setting}"): own, comparison.words.fill("of two {setting}s"): ~own}
    names = [("two examples", pairs) for pairs in kinds]
    figure, grid = group_panels(comparison, groups, names)
    rows: list[dict[str, Any]] = []
    for panels, (pairs, cells) in zip(grid, kinds.items(), strict=True):
        baseline = None
        for panel, (group, frames, cosines) in zip(panels, measurements, strict=True):
            mark_segments(panel, comparison)
            panel.axhline(0, color="black", linewidth=0.6)
            curves = _mean(cosines[..., cells])
            known = ~np.isnan(curves).any(axis=0)
            if not known.any():
                continue
            estimate, times = interquartile_estimate(curves[:, known]), frames[known] / 1000
            draw_curves(panel, group, times, curves[:, known], estimate)
            rows += curve_rows(group, {"pairs": pairs}, frames[known], estimate, "cosine", digits=6)
            if group.label == comparison.baseline:
                baseline = times, estimate.value
            elif baseline is not None:
                draw_reference(panel, *baseline)
    if not rows:
        return None
    for panels in grid[1:]:
        panels[0].sharey(grid[0][0])
    add_key(figure, curve_key(comparison, groups))
    figure.supylabel("cosine between gradients", fontsize=TEXT)
    caption = (
        f"Mean cosine between the loss gradients of two examples {_where(comparison)}: interquartile mean over seeds, "
        "with its 95% bootstrap band and a thin line for each seed. Above 0 learning one helps the other, below 0 it "
        f"harms it.{border_note(comparison)}"
    ) + _left_out(comparison, [group for group, _, _ in measurements])
    return Exhibit("Transfer and interference over training", caption, figure, rows)


def interference_matrices(comparison: Comparison) -> Exhibit | None:
    """Draw the cosine between the gradients of examples of each two settings, late in training, as heat maps."""
    settings, last = comparison.schedule.settings, int(comparison.frames[-1])
    length = min(last, comparison.schedule.lengths[comparison.schedule.segment_at(last - 1)])
    late = last - length
    maps = [
        (group, interquartile_estimate(_mean(np.moveaxis(cosines[:, frames > late], 1, -1))))
        for group, frames, cosines in measured(comparison)
        if (frames > late).any()
    ]
    maps = [(group, estimate) for group, estimate in maps if np.isfinite(estimate.value).any()]
    if not maps:
        return None
    diagonal = range(len(settings))
    figure, panels = heat_maps(comparison, maps, diagonal, "cosine between gradients", signed=True)
    outlined = len(settings) <= MOST_OUTLINED
    for panel in panels:
        outline_cells(panel, diagonal if outlined else ())
    rows = [
        {"group": group.label, "setting": settings[i].name, "other_setting": settings[j].name}
        | estimate_columns([part[i, j] for part in estimate], len(group.runs), "cosine", 6)
        for group, estimate in maps
        for i, j in zip(*np.triu_indices(len(settings)), strict=True)
    ]
    parameter, words = parameter_label(comparison), comparison.words
    outline = f"both of one {words.setting}"
    figure.supxlabel(f"{parameter} of one example" + f"; outlined: {outline}" * outlined, fontsize=SMALL)
    figure.supylabel(f"{parameter}\nof the other", fontsize=SMALL)
    caption = (
        f"Mean cosine between the loss gradients of two examples {_where(comparison)}, by the {words.setting}s that "
        f"they come from, over the last {length:,} {words.unit}: interquartile mean over seeds. Above 0 they transfer, "
        f"below 0 they interfere. {f'Outlined: {outline}. ' * outlined}A cell is empty if there was no such pair."
    ) + _left_out(comparison, [group for group, _ in maps])
    return Exhibit(words.fill("Transfer and interference between {setting}s"), caption, figure, rows)


def _where(comparison: Comparison) -> str:
    """Return where the examples are from: the meter of a supervised run needs no memory."""
    return "in memory" if comparison.words is OF_GAMES else "met so far"


def _left_out(comparison: Comparison, shown: Sequence[Group]) -> str:
    """Return the remark of a caption about the groups that are not shown."""
    labels = {group.label for group in shown}
    missing = [markdown_text(group.label) for group in comparison.groups if group.label not in labels]
    reason = "since not all of their runs were measured at the same frames, or on the same pairs"
    return f" Left out, {reason}: {', '.join(missing)}." if missing else ""


def _mean(values: FloatArray) -> FloatArray:
    """Return the mean over the last axis of the values that are not NaN; NaN where there are none."""
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1)
    return np.asarray(np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0))
