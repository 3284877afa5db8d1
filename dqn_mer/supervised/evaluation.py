"""Tests of a model on the tasks of a stream."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.supervised.streams import Stream, as_inputs


@torch.no_grad()
def evaluate_all(forward: Callable[[Tensor], Tensor], stream: Stream) -> list[EvaluationRow]:
    """Return a row for each task, in the columns of an RL run.

    The score of an image is 100 if it is classified correctly, else 0: the mean score is the accuracy in percent. Its
    return is the negative cross-entropy in nats, and its length 1. A mean loss that is infinite is given as 1e6.

    Args:
        forward: Function from ``(n, pixels)`` to logits ``(n, classes)``.
        stream: Stream whose tasks to test on.
    """
    rows = []
    for index, task in enumerate(stream.tasks):
        labels = torch.from_numpy(task.test.labels)
        outputs = forward(torch.from_numpy(as_inputs(task.test.pixels)))
        correct = 100.0 * (outputs.argmax(dim=1) == labels).double().numpy()
        loss = float(functional.cross_entropy(outputs.double(), labels))
        rows.append(
            EvaluationRow(
                setting_index=index,
                setting=task.name,
                episodes=len(labels),
                score_mean=float(correct.mean()),
                score_std=float(correct.std()),
                score_best=float(correct.max()),
                return_mean=-loss if np.isfinite(loss) else -1e6,
                length_mean=1.0,
            )
        )
    return rows
