"""The keys of a comparison's figures: what each line, band and bar looks like, by what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.drawing import (
    BAND,
    BORDER,
    LETTERS_PER_INCH,
    MEAN,
    REFERENCE,
    SEED,
    SMALL,
    TRAINED,
    has_borders,
)
from dqn_mer.storage.escapes import figure_text

KEY = "0.25"  # colour of the key's lines


def curve_key(comparison: Comparison, groups: Sequence[Group]) -> dict[str, Any]:
    """Return the entries of a key for the curves of these groups: what each looks like, by what it says."""
    entries = estimate_key(groups)
    if max(len(group.runs) for group in groups) > 1:
        entries["one seed"] = Line2D([], [], color=KEY, **SEED)
    if len(groups) > 1 and comparison.baseline in {group.label for group in groups}:
        entries[f"{comparison.baseline}, for comparison"] = Line2D([], [], **REFERENCE)
    if has_borders(comparison):
        entries[comparison.words.fill("the {setting} changes")] = Line2D([], [], **BORDER)
    return entries


def estimate_key(groups: Sequence[Group]) -> dict[str, Any]:
    """Return the entry of a key for the line of a group and its band."""
    mean = Line2D([], [], color=KEY, **MEAN)
    if max(len(group.runs) for group in groups) == 1:
        return {"one seed": mean}
    return {"interquartile mean over seeds, 95% bootstrap interval": (Patch(color=KEY, **BAND), mean)}


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


def trained_key(comparison: Comparison, settings: int = 1) -> dict[str, Any]:
    """Return the entry of a key for the bars of panels with this number of settings each; none if there are no bars."""
    if comparison.interleaved:
        return {}
    which = "this {setting}" if settings == 1 else "one of these {setting}s"
    return {comparison.words.fill(f"trained on {which}"): Patch(**TRAINED)}
