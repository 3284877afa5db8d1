"""The metrics that a finished run and a comparison show: the only list of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike

from dqn_mer.analysis.metrics import (
    IntArray,
    area_under_curve,
    backward_transfer_interference,
    forgetting,
    forgetting_mean,
    learning_accuracy,
    retained_accuracy,
    zero_shot_forward_transfer,
)


class Metric(NamedTuple):
    """A metric of a run.

    Attributes:
        name: Name in summary.json.
        heading: Heading of the metric's column in a comparison.
        meaning: Meaning of the metric, a sentence for the page of a comparison; ``{score}`` and ``{setting}`` stand for
            the words of a game or of a supervised stream (`dqn_mer.analysis.words`).
        function: Function that computes the metric.
        needs: Arguments of `continual_summary` that the function is called with; without one of them there is no value.
        better: 1 if more is better, -1 if less is.
    """

    name: str
    heading: str
    meaning: str
    function: Callable[..., float]
    needs: tuple[str, ...]
    better: int = 1


METRICS: tuple[Metric, ...] = (
    Metric("learning_accuracy", "learning accuracy",
           "Learning accuracy: {score} on a {setting} right after training on it.",
           learning_accuracy, ("matrix", "order")),
    Metric("retained_accuracy", "retained accuracy",
           "Retained accuracy: {score} on all {setting}s after training.",
           retained_accuracy, ("matrix",)),
    Metric("backward_transfer_interference", "backward transfer and interference",
           "Backward transfer and interference: retained less learning accuracy.",
           backward_transfer_interference, ("matrix", "order")),
    Metric("forgetting_mean", "forgetting (less is better)",
           "Forgetting: best {score} after any {setting} less the last, mean over {setting}s.",
           forgetting_mean, ("matrix",), better=-1),
    Metric("zero_shot_forward_transfer", "zero-shot forward transfer",
           "Zero-shot forward transfer: {score} above {untrained} on {setting}s not met yet.",
           zero_shot_forward_transfer, ("matrix", "random_scores", "order")),
    Metric("area_under_curve", "area under curve",
           "Area under curve: {score} over all {setting}s and the whole of training.",
           area_under_curve, ("frames", "scores")),
)  # fmt: skip
"""The metrics of a finished run and of a comparison, in the order in which they are shown."""


def continual_summary(
    matrix: ArrayLike,
    order: Sequence[int] | IntArray | None,
    random_scores: ArrayLike | None = None,
    frames: ArrayLike | None = None,
    scores: ArrayLike | None = None,
) -> dict[str, float | list[float]]:
    """Return `METRICS` of one run.

    Args:
        matrix: R, of shape (segments, settings).
        order: Setting trained on in each segment, of shape (segments,); None if every segment trained on all, which
            leaves only the metrics that need none: retained accuracy, forgetting and area under the curve.
        random_scores: Score of the random policy, of shape (settings,); without it there is no forward transfer.
        frames: Frames of all evaluations, of shape (n,).
        scores: Scores of all evaluations, of shape (n, settings); without them there is no area under the curve.

    Returns:
        Metric name -> value; `forgetting` is a list with one value per setting, and `forgetting_mean` its mean.

    Raises:
        ValueError: as the functions of `METRICS`, or if only one of `frames` and `scores` is given.
    """
    if (frames is None) != (scores is None):
        raise ValueError("frames and scores belong together: give both or neither")
    given = {"matrix": matrix, "order": order, "random_scores": random_scores, "frames": frames, "scores": scores}
    summary: dict[str, float | list[float]] = {}
    for metric in METRICS:
        values = [given[name] for name in metric.needs]
        if all(value is not None for value in values):
            summary[metric.name] = metric.function(*values)
        if metric.function is forgetting_mean:
            summary["forgetting"] = [float(value) for value in forgetting(matrix)]
    return summary
