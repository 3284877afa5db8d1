"""The figures of a comparison's scores, each with the numbers that it shows.

A new one is a function from a `Comparison` to an `Exhibit`, or to None where there is nothing to show, and its name in
`EXHIBITS` of `dqn_mer.analysis.report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from continual_ple.settings import Setting
from dqn_mer.analysis.comparison import Comparison
from dqn_mer.analysis.drawing import (
    Exhibit,
    curve_rows,
    draw_band,
    estimate_columns,
    heat_maps,
    legend,
    legend_label,
    mark_segments,
    panel_grid,
    style,
)
from dqn_mer.analysis.statistics import Estimate, interquartile_estimate
from dqn_mer.storage.escapes import figure_text

TRAINED_BAR: dict[str, Any] = {"color": "0.35", "alpha": 1.0, "ymin": 0.965}  # above the bands, which it would tint
SHIFT = 0.008
MIN_PANEL_SHARE = 0.25  # a panel's axis reaches at least this share of the best score, so that noise looks small


def setting_title(setting: Setting) -> str:
    """Return a setting's name as a heading.

    >>> setting_title(Setting("0-pipe_gap=100", {"pipe_gap": 100}))
    'pipe gap 100'
    """
    if len(setting.parameters) > 1:
        return setting.name
    ((name, value),) = setting.parameters.items()
    return f"{name.replace('_', ' ')} {value:g}"


def compared_curves(comparison: Comparison) -> Exhibit:
    """Draw the paper's Figure 3: evaluation score on each setting over training."""
    settings = comparison.schedule.settings
    times = comparison.frames / 1000
    figure, panels = panel_grid(len(settings), width=3.7, height=2.5)
    rows: list[dict[str, Any]] = []
    for group in comparison.groups:
        estimate = interquartile_estimate(comparison.curves(group))
        for index, (setting, panel) in enumerate(zip(settings, panels, strict=True)):
            here = Estimate(*(part[:, index] for part in estimate))
            draw_band(panel, group, times, here)
            rows += curve_rows(group, {"setting": setting.name}, comparison.frames, here)
    for index, (setting, panel) in enumerate(zip(settings, panels, strict=True)):
        length = comparison.schedule.frames_per_setting
        mark_segments(panel, float(comparison.frames[-1]), index, comparison.order, length, **TRAINED_BAR)
        panel.set_title(figure_text(setting_title(setting)), fontsize=10, loc="left")
        panel.set_xlim(0, times[-1])
    _fit_scores(panels)
    legend(figure, panels[0])
    figure.supxlabel("training frames (thousands)", fontsize=10)
    figure.supylabel("evaluation score (points an episode)", fontsize=10)
    caption = (
        "Evaluation score on each setting over training: interquartile mean over seeds, with its 95% bootstrap band. "
        "Dashed: the setting changes. Bar along the top: the agent trains on this setting. "
        "Each panel has its own scale."
    )
    return Exhibit("Score on every setting over training", caption, figure, rows)


def _fit_scores(panels: Sequence[Axes]) -> None:
    """Let each panel's axis reach from 0, or the worst score below it, to a little above the best."""
    limits = [panel.get_ylim() for panel in panels]
    best = max(high for _, high in limits)
    for panel, (low, high) in zip(panels, limits, strict=True):
        top = max(high, MIN_PANEL_SHARE * best)
        panel.set_ylim(min(0.0, low + 0.04 * (high - low)), top + 0.06 * (top - low))


def score_matrices(comparison: Comparison) -> Exhibit:
    """Draw R[i, j] of each group as a heat map."""
    settings, order = comparison.schedule.settings, comparison.order
    maps = [(group, interquartile_estimate(np.stack([r.matrix for r in group.runs]))) for group in comparison.groups]
    figure = heat_maps(comparison, maps, order, "score", square=False)
    rows = [
        {"group": group.label, "segment": i, "trained_on": settings[trained].name, "setting": settings[j].name}
        | estimate_columns([part[i, j] for part in estimate], len(group.runs))
        for group, estimate in maps
        for i, trained in enumerate(order)
        for j in range(len(settings))
    ]
    parameter = figure_text(comparison.parameter.replace("_", " "))
    figure.supxlabel(f"evaluated on {parameter}", fontsize=10)
    figure.supylabel(f"after training on {parameter}", fontsize=10)
    caption = (
        "R[i, j]: score on setting j (columns) after training on setting i (rows, in the order of training), "
        "interquartile mean over seeds. Above the diagonal: settings not met yet; below: settings to be remembered."
    )
    return Exhibit("Score on every setting after training on each", caption, figure, rows)


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
    return Exhibit("Score by difficulty", caption, figure, rows)
