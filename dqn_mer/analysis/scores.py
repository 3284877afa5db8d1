"""The scores of one run: its evaluations, the matrix of them, and the table that a run ends with."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from rich.console import Group
from rich.text import Text

from dqn_mer.analysis.metrics import FloatArray, IntArray, checked_curves
from dqn_mer.analysis.terminal_tables import narrow_tables
from dqn_mer.storage.escapes import cell, csv_text, shown
from dqn_mer.storage.files import DamagedError, replace_file
from dqn_mer.storage.run_reader import TABLE_BYTES, RunReader

LARGEST_SCORE = 1e12  # in a file: the metrics of larger ones could be infinite
MOST_FRAMES = 1_000_000_000


def read_evaluations(path: Path, settings: int) -> tuple[IntArray, FloatArray]:
    """Read frames, int64 of shape (n,), and mean scores, float64 of shape (n, settings), from evaluations.csv.

    Raises:
        ValueError: if there is no evaluation, or one that does not hold each setting once.
    """
    frames, scores = _evaluations(path, settings, TABLE_BYTES)
    if not len(frames):
        raise DamagedError(f"{path} holds no evaluation")
    return frames, scores


def check_evaluations(path: Path, settings: int, first_bytes: int) -> None:
    """Raise DamagedError unless the first bytes of an evaluations.csv are what `read_evaluations` takes, or a start."""
    _evaluations(path, settings, first_bytes)


def _evaluations(path: Path, settings: int, first_bytes: int) -> tuple[IntArray, FloatArray]:
    """Read what `read_evaluations` returns, with no frames if the table has none."""
    times, places, values = array("q"), array("q"), array("d")
    columns = ("frame", "setting_index", "score_mean")
    for frame, place, score in RunReader(path.parent).rows(path.name, columns, first_bytes):
        try:
            times.append(_whole(frame, MOST_FRAMES))
            places.append(_whole(place, settings))
            values.append(float(score))
        except ValueError as error:
            raise DamagedError(f"{path}: cannot be read: {error}") from None
    order = np.lexsort((places, times))
    frames, listed = np.unique(np.asarray(times, np.int64)), np.asarray(places, np.int64)[order]
    if len(listed) != settings * len(frames) or (listed.reshape(-1, settings) != np.arange(settings)).any():
        raise DamagedError(f"{path} does not hold each of {settings} settings once for every frame")
    scores = np.asarray(values, np.float64)[order].reshape(-1, settings)
    if not (np.abs(scores) <= LARGEST_SCORE).all():  # NaN too
        raise DamagedError(f"{path}: score_mean: must be a number from {-LARGEST_SCORE:g} to {LARGEST_SCORE:g}")
    return frames, scores


def _whole(text: str, high: int) -> int:
    """Return the whole number from 0 to ``high`` that a cell of a table holds."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) <= high):
        raise ValueError(f"{shown(text)}: must be a whole number from 0 to {high:,}")
    return int(text)


def score_matrix(frames: ArrayLike, scores: ArrayLike, segment_ends: Sequence[int] | IntArray) -> FloatArray:
    """Pick R from the evaluations: row i is the last evaluation inside segment i, its last frame included.

    Args:
        frames: Frames of the evaluations, strictly increasing, of shape (n,).
        scores: Scores, of shape (n, settings).
        segment_ends: Frame at which each segment ends, strictly increasing, of shape (segments,).

    Returns:
        R, float64 of shape (segments, settings).

    Raises:
        ValueError: if the shapes do not fit, or a segment holds no evaluation.

    >>> score_matrix([5, 10, 20], [[1.0], [2.0], [3.0]], [10, 20]).tolist()
    [[2.0], [3.0]]
    """
    times, curves = checked_curves(frames, scores)
    ends = np.asarray(segment_ends, dtype=np.float64)
    starts = np.concatenate([[0.0], ends[:-1]]) if ends.ndim == 1 and ends.size else np.zeros(0)
    if not starts.size or (ends <= starts).any():
        raise ValueError(f"segment_ends must be positive and strictly increase, got {segment_ends}")
    last = np.searchsorted(times, ends, side="right") - 1
    for segment, (index, start, end) in enumerate(zip(last, starts, ends, strict=True)):
        if index < 0 or times[index] <= start:
            raise ValueError(f"segment {segment} (frames {start:.0f} to {end:.0f}) holds no evaluation")
    return np.asarray(curves[last])


def write_matrix(path: Path, matrix: ArrayLike, setting_names: Sequence[str], segment_names: Sequence[str]) -> None:
    """Write R as CSV, atomically: one row for each segment, one column for each setting.

    Raises:
        ValueError: if the names do not fit the matrix.
    """
    scores = _named_matrix(matrix, setting_names, segment_names)
    rows = ([name, *row] for name, row in zip(segment_names, scores.tolist(), strict=True))
    replace_file(path, csv_text([["trained_on", *setting_names], *rows]))


def summary_table(
    title: str,
    matrix: ArrayLike,
    setting_names: Sequence[str],
    segment_names: Sequence[str],
    order: Sequence[int] | IntArray,
    metrics: Mapping[str, float | list[float]],
) -> Group:
    """Lay out R for the terminal, with the score on the setting just trained in bold, and the metrics below.

    Args:
        title: Title.
        matrix: R, of shape (segments, settings).
        setting_names: Names of the columns.
        segment_names: Names of the rows.
        order: Setting trained on in each segment, of shape (segments,); -1 for all of them.
        metrics: Metric name -> value, such as `continual_summary` gives; lists are shown as their values.

    Raises:
        ValueError: if the names or `order` do not fit the matrix.
    """
    scores = _named_matrix(matrix, setting_names, segment_names)
    if len(order) != len(scores):
        raise ValueError(f"order names {len(order)} segments, the matrix has {len(scores)}")
    lines = []
    for name, value in metrics.items():
        numbers = value if isinstance(value, list) else [value]
        lines.append(f"{name.replace('_', ' ')}: {' '.join(f'{number:.1f}' for number in numbers)}")
    rows = [[cell("trained on"), *map(cell, setting_names)]]
    for segment, row, trained in zip(segment_names, scores, order, strict=True):
        cells = [Text(f"{score:.1f}", style="bold" if j == trained else "") for j, score in enumerate(row)]
        rows.append([cell(segment), *cells])
    return narrow_tables(cell(title), rows, below=Text("\n".join(lines)))


def _named_matrix(matrix: ArrayLike, setting_names: Sequence[str], segment_names: Sequence[str]) -> FloatArray:
    """Return the matrix as float64, or raise ValueError when the names do not fit it."""
    scores = np.asarray(matrix, dtype=np.float64)
    if scores.shape != (len(segment_names), len(setting_names)):
        raise ValueError(
            f"matrix of shape {scores.shape} does not fit {len(segment_names)} segments, {len(setting_names)} settings"
        )
    return scores
