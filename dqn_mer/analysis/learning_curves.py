"""The learning curves of one run: its score on every setting over training."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dqn_mer.analysis.metrics import FloatArray, IntArray, checked_curves
from dqn_mer.analysis.scores import read_evaluations
from dqn_mer.storage.escapes import figure_text
from dqn_mer.storage.files import replace_file

CURVE_COLOUR = "#0072B2"
TRAINED_COLOUR = "#E69F00"
DPI = 130
MIN_PANEL_SHARE = 0.25  # a panel's axis reaches at least this share of the best score, so that noise looks small


def learning_curves(
    frames: ArrayLike,
    scores: ArrayLike,
    setting_names: Sequence[str],
    order: Sequence[int] | IntArray,
    frames_per_setting: int,
    title: str,
    caption: str = "",
) -> Figure:
    """Draw the evaluation score over training, one panel for each setting.

    Dashed lines mark changes of the setting; shading marks training on the panel's setting. The last segment lasts to
    the run's end.

    Args:
        frames: Frames of the evaluations, strictly increasing, of shape (n,).
        scores: Evaluation scores in points, of shape (n, settings).
        setting_names: Names of the settings, used as headings.
        order: Setting trained on in each segment, of shape (segments,); -1 for all of them.
        frames_per_setting: Length of a segment in frames.
        title: Heading of the figure.
        caption: Line below it, such as agent, game and seed.

    Raises:
        ValueError: if the shapes do not fit, or frames do not increase.
    """
    times, curves = checked_curves(frames, scores)
    if curves.shape[1] != len(setting_names):
        raise ValueError(f"scores have {curves.shape[1]} settings, but there are {len(setting_names)} names")
    if frames_per_setting < 1:
        raise ValueError(f"frames_per_setting must be at least 1, got {frames_per_setting}")
    columns = 1 if len(setting_names) == 1 else 2
    rows = math.ceil(len(setting_names) / columns)
    figure = Figure(figsize=(5.6 * columns, 1.9 * rows + 1.1), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, sharex=True, squeeze=False).flat)
    for setting, panel in enumerate(panels[: len(setting_names)]):
        _draw_panel(panel, times, curves[:, setting], setting, order, frames_per_setting)
        panel.set_ylim(*_score_range(curves, setting))
        panel.set_title(figure_text(setting_names[setting]), fontsize=10, loc="left")
        if setting >= len(setting_names) - columns:  # the lowest panel of its column
            panel.tick_params(labelbottom=True)
            panel.set_xlabel("training frames (thousands)")
    for panel in panels[len(setting_names) :]:
        panel.set_visible(False)
    figure.suptitle(figure_text(title), fontsize=13)
    figure.supylabel("evaluation score (points an episode)", fontsize=10)
    legend = "shaded: the agent is training on this setting; dashed: the setting changes; each panel has its own scale"
    figure.supxlabel(f"{figure_text(caption)}\n{legend}" if caption else legend, fontsize=9, color="0.3")
    return figure


def save_learning_curves(
    run_dir: Path,
    setting_names: Sequence[str],
    order: Sequence[int] | IntArray,
    frames_per_setting: int,
    title: str,
    caption: str = "",
) -> Path:
    """Draw `learning_curves` of a run folder's evaluations.csv, write learning_curves.png there, return its path.

    Raises:
        ValueError: if there is no evaluations.csv, or it does not hold one score for each frame and setting.
    """
    frames, scores = read_evaluations(run_dir / "evaluations.csv", len(setting_names))
    picture = io.BytesIO()
    figure = learning_curves(frames, scores, setting_names, order, frames_per_setting, title, caption)
    figure.savefig(picture, format="png", dpi=DPI)
    path = run_dir / "learning_curves.png"
    replace_file(path, picture.getvalue())
    return path


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


def _draw_panel(
    panel: Axes, times: FloatArray, curve: FloatArray, setting: int, order: Sequence[int] | IntArray, length: int
) -> None:
    """Draw a setting's curve over its segments."""
    end = float(times[-1])
    mark_segments(panel, end, setting, order, length)
    panel.plot(times / 1000, curve, color=CURVE_COLOUR, lw=1.6, marker="o", ms=3, clip_on=False)
    panel.set_xlim(0, end / 1000)
    panel.spines[["top", "right"]].set_visible(False)


def _score_range(curves: FloatArray, setting: int) -> tuple[float, float]:
    """Return the limits of a panel's axis: from 0, or the worst score below it, to a little above the best."""
    top = max(float(curves[:, setting].max()), MIN_PANEL_SHARE * float(curves.max()))
    bottom = min(0.0, float(curves[:, setting].min()))
    return bottom, (top + 0.08 * (top - bottom) if top > bottom else bottom + 1.0)
