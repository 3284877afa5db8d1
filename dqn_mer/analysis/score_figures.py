"""The figures of a comparison's scores, each with the numbers that it shows.

A new one is a function from a `Comparison` to an `Exhibit`, or to None where there is nothing to show, and its name in
`EXHIBITS` of `dqn_mer.analysis.report`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.drawing import (
    CEILING,
    COLUMNS,
    LETTERS_PER_INCH,
    PAGE,
    SEED,
    SMALL,
    TEXT,
    Exhibit,
    bar_note,
    border_note,
    curve_rows,
    draw_curves,
    draw_reference,
    estimate_columns,
    group_panels,
    mark_segments,
    panel_grid,
    style,
    tick_step,
)
from dqn_mer.analysis.heat_maps import MOST_OUTLINED, heat_maps, outline_cells
from dqn_mer.analysis.keys import KEY, add_key, curve_key, trained_key
from dqn_mer.analysis.labels import (
    ceiling_label,
    ceilings,
    group_label,
    parameter_label,
    score_label,
    setting_lines,
)
from dqn_mer.analysis.many_settings import curves_of_many
from dqn_mer.analysis.metrics import FloatArray
from dqn_mer.analysis.statistics import Estimate, interquartile_estimate
from dqn_mer.analysis.words import OF_GAMES
from dqn_mer.storage.escapes import figure_text

MOST_ROWS = 10  # settings, each in a row of panels; a page holds no more
MOST_IN_HALF_A_PAGE = 8  # settings
ABOVE_AND_BELOW = "Above the diagonal: {setting}s not met yet; below: {setting}s to be remembered."
SHARE_OF_GAP = 0.6  # of that between two settings, which the intervals of all groups take
CEILING_MEANING = "Dotted: the highest mean score that any play can reach within the frame limit of an evaluation"
MIN_CEILING_SHARE = 0.5  # of the ceiling that scores reach where it is drawn; elsewhere they would be a line at 0
MIN_PANEL_SHARE = 0.25  # a panel's axis reaches at least this share of the best score, so that noise looks small


def compared_curves(comparison: Comparison) -> Exhibit:
    """Draw the paper's Figure 3: evaluation score on each setting over training."""
    if len(comparison.schedule.settings) > MOST_ROWS:
        return curves_of_many(comparison)
    settings, groups, times = comparison.schedule.settings, comparison.groups, comparison.frames / 1000
    names = [setting_lines(comparison, setting) for setting in settings]
    figure, grid = group_panels(comparison, groups, names)
    estimates = [interquartile_estimate(comparison.curves(group)) for group in groups]
    rows: list[dict[str, Any]] = []
    for column, (group, estimate) in enumerate(zip(groups, estimates, strict=True)):
        curves = comparison.curves(group)
        for index, setting in enumerate(settings):
            here, panel = Estimate(*(part[:, index] for part in estimate)), grid[index][column]
            mark_segments(panel, comparison, (index,))
            draw_curves(panel, group, times, curves[..., index], here)
            if groups[0].label == comparison.baseline != group.label:
                draw_reference(panel, times, estimates[0].value[:, index])
            rows += curve_rows(group, {"setting": setting.name}, comparison.frames, here)
    has_ceiling = _fit_scores(grid, ceilings(comparison, settings))
    key = curve_key(comparison, groups) | trained_key(comparison)
    if has_ceiling:
        key[ceiling_label(comparison)] = Line2D([], [], **CEILING)
    add_key(figure, key)
    figure.supylabel(score_label(comparison), fontsize=TEXT)
    caption = comparison.words.fill(
        "Evaluation {score} on each {setting} (rows) over training: interquartile mean over seeds, with its 95% "
        f"bootstrap band and a thin line for each seed.{border_note(comparison)}"
        f"{bar_note(comparison, 'this {setting}')} Each {{setting}} has its own scale."
    )
    if has_ceiling:
        caption += f" {CEILING_MEANING}, on settings where the scores come near it."
    return Exhibit(comparison.words.fill("{Score} on every {setting} over training"), caption, figure, rows)


def _fit_scores(grid: Sequence[Sequence[Axes]], limits: Sequence[float | None]) -> bool:
    """Let the axes of a row reach from 0, or the worst score, to a little above the best, or the ceiling if it is near.

    Returns:
        Whether a ceiling is drawn.
    """
    ranges = [panels[0].get_ylim() for panels in grid]
    best = max(high for _, high in ranges)
    drawn = False
    for panels, (low, high), limit in zip(grid, ranges, limits, strict=True):
        top = max(high, MIN_PANEL_SHARE * best)
        if limit is not None and high >= MIN_CEILING_SHARE * limit:
            drawn, top = True, max(high, limit)
            for panel in panels:
                panel.axhline(limit, **CEILING)
        panels[0].set_ylim(min(0.0, low + 0.04 * (high - low)), top + 0.09 * (top - low))
    return drawn


def score_matrices(comparison: Comparison) -> Exhibit:
    """Draw R[i, j] of each group as a heat map."""
    settings, order = comparison.schedule.settings, comparison.order
    maps = [(group, interquartile_estimate(np.stack([r.matrix for r in group.runs]))) for group in comparison.groups]
    figure, panels = heat_maps(comparison, maps, order, score_label(comparison), signed=False)
    outlined, each_once = len(settings) <= MOST_OUTLINED, order == tuple(range(len(order)))
    if comparison.interleaved:
        outlined = each_once = False
    for group, panel in zip(comparison.groups, panels, strict=True):
        if outlined and not any(run.schedule.interleave_frames for run in group.runs):
            outline_cells(panel, order)
    rows = [
        {"group": group.label, "segment": i, "trained_on": settings[trained].name, "setting": settings[j].name}
        | estimate_columns([part[i, j] for part in estimate], len(group.runs))
        for group, estimate in maps
        for i, trained in enumerate(order)
        for j in range(len(settings))
    ]
    parameter, words = parameter_label(comparison), comparison.words
    outline = "Outlined: the {setting} just trained on. " if outlined else ""
    figure.supxlabel(f"evaluated on {parameter}" + "; outlined: just trained on" * outlined, fontsize=SMALL)
    figure.supylabel(f"after training on\n{parameter}", fontsize=SMALL)
    caption = words.fill(
        "R[i, j]: {score} on {setting} j (columns) after training on {setting} i (rows, in the order of training), "
        f"interquartile mean over seeds. {outline}" + ABOVE_AND_BELOW * each_once
    ).rstrip()
    return Exhibit(words.fill("{Score} on every {setting} after training on each"), caption, figure, rows)


def score_by_difficulty(comparison: Comparison) -> Exhibit:
    """Draw the score after training against difficulty, on settings never trained on as well."""
    values = {setting.name: setting.parameters[comparison.parameter] for setting in comparison.every_setting}
    trained, groups = comparison.trained, comparison.groups
    numeric = len(set(values.values())) == len(values)  # else settings differ in more than the one parameter
    names = sorted(values, key=values.__getitem__) if numeric else list(values)
    at = {name: float(values[name]) if numeric else float(place) for place, name in enumerate(names)}
    labels = [f"{at[name]:.12g}" if numeric else figure_text(name) for name in names]
    width = PAGE / 2 if len(groups) <= COLUMNS and len(names) <= MOST_IN_HALF_A_PAGE else PAGE
    figure, (panel,) = panel_grid(1, width, height=2.2)
    first, last = (at[comparison.schedule.settings[comparison.order[place]].name] for place in (0, -1))
    if numeric and last < first:
        panel.invert_xaxis()
    gap = min(np.diff(sorted(at.values())), default=1.0) * SHARE_OF_GAP * (-1 if panel.xaxis_inverted() else 1)
    rows = []
    for place, group in enumerate(groups):
        scores = comparison.last_scores(group)
        estimates = {name: interquartile_estimate(scores[name]) for name in names if name in scores}
        x = np.array([at[name] for name in estimates]) + gap * ((place + 0.5) / len(groups) - 0.5)
        met = np.array([name in trained for name in estimates])
        _draw_difficulty(panel, group, x, [scores[name] for name in estimates], list(estimates.values()), met)
        rows += [
            {"group": group.label, "setting": name, comparison.parameter: values[name]}
            | {"trained_on": "yes" if name in trained else "no", **estimate_columns(estimate, len(scores[name]))}
            for name, estimate in estimates.items()
        ]
    key = _difficulty_key(comparison) | _draw_ceilings(panel, comparison, at, gap * 0.6)
    _name_ticks(panel, [at[name] for name in names], labels, width - 0.7)
    _label_difficulty(panel, comparison)
    add_key(figure, {group_label(group): Line2D([], [], **style(group)) for group in groups}, above=True)
    if key:
        add_key(figure, key)
    by = "difficulty" if comparison.words is OF_GAMES else "{setting}"
    caption = comparison.words.fill(
        f"{{Score}} at the end of training by {by}, interquartile mean over seeds with its 95% bootstrap interval. "
        "Filled: {setting}s that were trained on; hollow: never met in training. Dashes: the seeds."
    )
    if ceiling_label(comparison) in key:
        caption += f" {CEILING_MEANING}, where the scores come near it."
    return Exhibit(comparison.words.fill(f"{{Score}} by {by}"), caption, figure, rows)


def _draw_ceilings(panel: Axes, comparison: Comparison, at: Mapping[str, float], reach: float) -> dict[str, Line2D]:
    """Draw the ceilings that the scores come near, ``reach`` to each side of the settings, and return their key."""
    highest = panel.get_ylim()[1]
    limits = zip(comparison.every_setting, ceilings(comparison, comparison.every_setting), strict=True)
    near = {at[s.name]: limit for s, limit in limits if limit is not None and highest >= MIN_CEILING_SHARE * limit}
    for x, limit in near.items():
        panel.hlines(limit, x - reach, x + reach, **CEILING)
    return {ceiling_label(comparison): Line2D([], [], **CEILING)} if near else {}


def _name_ticks(panel: Axes, places: Sequence[float], names: Sequence[str], room: float) -> None:
    """Name the places on the axis in a room in inches: upright where it is narrow, and not all where they are many."""
    upright, every = sum(map(len, names)) + 2 * len(names) > room * LETTERS_PER_INCH, tick_step(len(names), room)
    panel.set_xticks(places[::every], names[::every], rotation=90 if upright else 0)


def _label_difficulty(panel: Axes, comparison: Comparison) -> None:
    panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))
    panel.set_xlabel(parameter_label(comparison), fontsize=TEXT)
    panel.set_ylabel(f"{score_label(comparison)}\nafter training", fontsize=TEXT)
    panel.tick_params(labelsize=SMALL)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_difficulty(
    panel: Axes,
    group: Group,
    x: FloatArray,
    scores: Sequence[FloatArray],
    estimates: Sequence[Estimate],
    trained: NDArray[np.bool_],
) -> None:
    """Draw a group's scores, their estimates, and whether each setting was trained on, by place ``x`` on the axis."""
    look = style(group)
    middle, low, high = (np.array(part) for part in zip(*estimates, strict=True))
    panel.plot(x, middle, label=group_label(group), markevery=trained.tolist(), zorder=3, **look)
    panel.plot(x[~trained], middle[~trained], zorder=3.5, **{**look, "linestyle": "", "markerfacecolor": "white"})
    panel.vlines(x, low, high, color=look["color"], linewidth=1.0)
    for place, runs in zip(x, scores, strict=True):
        if len(runs) > 1:
            panel.plot(np.full(len(runs), place), runs, "_", color=look["color"], markersize=4, **SEED)


def _difficulty_key(comparison: Comparison) -> dict[str, Line2D]:
    """Return the entries of the key for the marks of the groups' runs."""
    entries = {}
    if any(len(group.runs) > 1 for group in comparison.groups):
        look: dict[str, Any] = {"color": KEY, "linestyle": ""}
        entries["interquartile mean"] = Line2D([], [], **look, marker="o", markersize=3.5)
        entries["95% bootstrap interval"] = Line2D([], [], **look, marker="|", markersize=7)
        entries["one seed"] = Line2D([], [], **look, marker="_", markersize=4)
    if any(setting.name not in comparison.trained for setting in comparison.every_setting):
        hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "markersize": 3.5}
        entries["never trained on"] = Line2D([], [], color=KEY, linestyle="", **hollow)
    return entries
