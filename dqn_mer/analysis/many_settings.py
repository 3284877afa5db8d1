"""The curves of a comparison on many settings: small panels that all groups share, in several columns."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.lines import Line2D

from dqn_mer.analysis.comparison import Comparison
from dqn_mer.analysis.drawing import (
    BAND,
    MEAN,
    PAGE,
    SMALL,
    TEXT,
    Exhibit,
    bar_note,
    curve_rows,
    finish_panel,
    mark_segments,
    panel_grid,
    style,
)
from dqn_mer.analysis.keys import add_key, estimate_key, trained_key
from dqn_mer.analysis.labels import group_label, score_label, settings_heading, time_label
from dqn_mer.analysis.statistics import Estimate, interquartile_estimate

MOST_PANELS = 20
IN_A_ROW = 5
HEIGHT = 1.05  # inches


def curves_of_many(comparison: Comparison) -> Exhibit:
    """Draw evaluation score over training in at most `MOST_PANELS` panels, each of settings that follow each other."""
    settings, groups, words = comparison.schedule.settings, comparison.groups, comparison.words
    each = math.ceil(len(settings) / MOST_PANELS)
    parts = [range(first, min(first + each, len(settings))) for first in range(0, len(settings), each)]
    figure, panels = panel_grid(len(parts), PAGE / IN_A_ROW, HEIGHT, IN_A_ROW, share=True)
    times, rows = comparison.frames / 1000, []
    for panel, part in zip(panels, parts, strict=True):
        mark_segments(panel, comparison, part, borders=False)
        panel.set_title(settings_heading(comparison, settings[part.start : part.stop]), fontsize=SMALL, loc="left")
        finish_panel(panel, 3)
    for group in groups:
        curves, look = comparison.curves(group), _line(group)
        estimate = interquartile_estimate(curves)
        for panel, part in zip(panels, parts, strict=True):
            value, low, high = interquartile_estimate(curves[..., part].mean(axis=-1))
            if len(group.runs) > 1:
                panel.fill_between(times, low, high, color=look["color"], **BAND)
            panel.plot(times, value, label=group_label(group), **look)
        for index, setting in enumerate(settings):
            here = Estimate(*(numbers[:, index] for numbers in estimate))
            rows += curve_rows(group, {"setting": setting.name}, comparison.frames, here)
    panels[0].set_ylim(bottom=min(0.0, *(float(row["score"]) for row in rows)))
    for panel in panels[-IN_A_ROW:]:  # no panel is below them
        panel.set_xlabel(time_label(comparison, 2), fontsize=SMALL)
    figure.supylabel(score_label(comparison), fontsize=TEXT)
    add_key(figure, {group_label(group): Line2D([], [], **_line(group)) for group in groups}, above=True)
    add_key(figure, estimate_key(groups) | trained_key(comparison, each))
    which = "each {setting}" if each == 1 else f"{each} {{setting}}s in turn, their mean"
    bar = "this {setting}" if each == 1 else "one of these {setting}s"
    caption = words.fill(
        f"Evaluation {{score}} on {which} (panels) over training: interquartile mean over seeds, with its 95% "
        f"bootstrap band.{bar_note(comparison, bar)} All panels have one scale."
    )
    return Exhibit(words.fill("{Score} on every {setting} over training"), caption, figure, rows)


def _line(group: Any) -> dict[str, Any]:
    """Return how the curve of a group is drawn among those of others."""
    return {**MEAN, **{name: style(group)[name] for name in ("color", "linestyle")}, "linewidth": 1.1}
