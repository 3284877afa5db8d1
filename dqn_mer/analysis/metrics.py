"""Continual-learning metrics: pure functions of score arrays.

`matrix` is R of the paper everywhere: float64 of shape (segments, settings), R[i, j] = score on setting j after
training segment i. `order`, ints of shape (segments,), names the setting that each segment trained on; it is 0, 1, 2, …
for the paper's schedule, and may come back to an old setting.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """The evaluation of one setting at one frame.

    Scores are in the game's own points (pellets caught, pipes passed), the return is undiscounted, both per episode;
    `length_mean` is in frames. `setting` is a name such as `0-pipe_gap=100`, `setting_index` its place from 0.
    """

    setting_index: int
    setting: str
    episodes: int
    score_mean: float
    score_std: float
    score_best: float
    return_mean: float
    length_mean: float


def learning_accuracy(matrix: ArrayLike, order: Sequence[int] | IntArray) -> float:
    """Return the mean score on each segment's own setting right after that segment: mean_i R[i, order[i]].

    Raises:
        ValueError: if the shape is wrong, a score is not finite, or `order` names an unknown setting.

    >>> learning_accuracy([[4.0, 0.0], [1.0, 6.0]], [0, 1])
    5.0
    """
    scores = _checked_matrix(matrix)
    trained = _checked_order(order, scores)
    return float(scores[np.arange(len(trained)), trained].mean())


def retained_accuracy(matrix: ArrayLike) -> float:
    """Return the mean score over all settings after the last segment: mean_j R[-1, j].

    Raises:
        ValueError: if `matrix` is not (segments, settings) or a score is not finite.

    >>> retained_accuracy([[4.0, 0.0], [1.0, 6.0]])
    3.5
    """
    return float(_checked_matrix(matrix)[-1].mean())


def backward_transfer_interference(matrix: ArrayLike, order: Sequence[int] | IntArray) -> float:
    """Return retained minus learning accuracy; negative where later training harmed what was learned.

    Raises:
        ValueError: as `learning_accuracy`.

    >>> backward_transfer_interference([[4.0, 0.0], [1.0, 6.0]], [0, 1])
    -1.5
    """
    return retained_accuracy(matrix) - learning_accuracy(matrix, order)


def forgetting(matrix: ArrayLike) -> FloatArray:
    """Return the best score at any segment's end minus the last, never negative: max_i R[i, j] - R[-1, j], (settings,).

    Raises:
        ValueError: if `matrix` is not (segments, settings) or a score is not finite.

    >>> forgetting([[4.0, 0.0], [1.0, 6.0]]).tolist()
    [3.0, 0.0]
    """
    scores = _checked_matrix(matrix)
    return np.asarray(scores.max(axis=0) - scores[-1])


def forgetting_mean(matrix: ArrayLike) -> float:
    """Return the mean over settings of `forgetting`.

    Raises:
        ValueError: as `forgetting`.

    >>> forgetting_mean([[4.0, 0.0], [1.0, 6.0]])
    1.5
    """
    return float(forgetting(matrix).mean())


def zero_shot_forward_transfer(matrix: ArrayLike, random_scores: ArrayLike, order: Sequence[int] | IntArray) -> float:
    """Return the mean gain over random play on settings not yet trained on: mean of R[i, j] - random_scores[j].

    The mean is over all pairs of a segment i and a setting j that no segment up to i has trained on; for the paper's
    schedule these are the pairs i < j.

    Args:
        matrix: R, of shape (segments, settings).
        random_scores: Score of the random policy on each setting, of shape (settings,).
        order: Setting trained on in each segment, of shape (segments,).

    Returns:
        The mean, NaN when there is no pair.

    Raises:
        ValueError: if a shape is wrong, a score is not finite, or `order` names an unknown setting.

    >>> zero_shot_forward_transfer([[4.0, 3.0], [1.0, 6.0]], [1.0, 1.0], [0, 1])
    2.0
    """
    scores = _checked_matrix(matrix)
    trained = _checked_order(order, scores)
    baseline = np.asarray(random_scores, dtype=np.float64)
    if baseline.shape != (scores.shape[1],) or not np.isfinite(baseline).all():
        raise ValueError(f"random_scores must hold one finite score for each of {scores.shape[1]} settings")
    unseen = np.ones(scores.shape, dtype=bool)
    for segment, setting in enumerate(trained):
        unseen[segment:, setting] = False
    gains = (scores - baseline)[unseen]
    return float(gains.mean()) if gains.size else float("nan")


def area_under_curve(frames: ArrayLike, scores: ArrayLike) -> float:
    """Return the mean over time and settings of the evaluation curves: trapezoid area divided by the frames spanned.

    Args:
        frames: Frames of the evaluations, strictly increasing, of shape (n,).
        scores: Scores, of shape (n, settings).

    Returns:
        The mean in points; for a single evaluation the mean of its scores.

    Raises:
        ValueError: if a shape is wrong, frames do not increase, or a value is not finite.

    >>> area_under_curve([0, 10, 30], [[0.0], [4.0], [4.0]])  # (10 * 2 + 20 * 4) / 30
    3.3333333333333335
    """
    times, curves = checked_curves(frames, scores)
    overall = curves.mean(axis=1)
    if len(times) == 1:
        return float(overall[0])
    area = np.sum(np.diff(times) * (overall[1:] + overall[:-1]) / 2)
    return float(area / (times[-1] - times[0]))


def checked_curves(frames: ArrayLike, scores: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return frames (n,) and scores (n, settings) as float64, or raise ValueError as `area_under_curve` says."""
    times = np.asarray(frames, dtype=np.float64)
    curves = np.asarray(scores, dtype=np.float64)
    if times.ndim != 1 or curves.ndim != 2 or len(times) != len(curves) or curves.size == 0:
        raise ValueError(f"frames (n,) and scores (n, settings) do not fit: {times.shape} and {curves.shape}")
    if not (np.isfinite(times).all() and np.isfinite(curves).all()):
        raise ValueError("frames and scores must be finite")
    if (np.diff(times) <= 0).any():
        raise ValueError("frames must strictly increase")
    return times, curves


def _checked_matrix(matrix: ArrayLike) -> FloatArray:
    """Return R as float64, or raise ValueError for a wrong shape or a score that is not finite."""
    scores = np.asarray(matrix, dtype=np.float64)
    if scores.ndim != 2 or scores.size == 0:
        raise ValueError(f"matrix must have the shape (segments, settings), got {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("matrix holds a score that is not finite")
    return scores


def _checked_order(order: Sequence[int] | IntArray, scores: FloatArray) -> IntArray:
    """Return `order` as ints, or raise ValueError when it does not name one setting of `scores` per segment."""
    trained = np.asarray(order)
    if trained.shape != (len(scores),) or not np.issubdtype(trained.dtype, np.integer):
        raise ValueError(f"order must hold one whole number for each of {len(scores)} segments, got {order}")
    if trained.min() < 0 or trained.max() >= scores.shape[1]:
        raise ValueError(f"order must name settings 0 to {scores.shape[1] - 1}, got {order}")
    return trained.astype(np.int64)
