"""The transfer-interference meter on a stream: how far the loss gradients of the tasks met so far agree.

It looks at the same examples under every learner, so that the meters of two runs of one seed can be laid side by side;
it draws from a separate generator and writes to no weight or gradient, so that learning is the same without it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqn_mer.analysis.gradient_agreement import InterferenceRow, agreement, gradient_dots
from dqn_mer.losses import CrossEntropy
from dqn_mer.supervised.streams import Stream, as_inputs

EXAMPLES = 128
"""Examples of one measurement: 8,128 pairs."""


class StreamMeter:
    """Measures gradients on training examples of the tasks met so far, evenly drawn.

    Args:
        stream: Stream that is learned.
        seed: Seed of the choice of examples, which otherwise depends only on the place in the stream.
    """

    def __init__(self, stream: Stream, seed: np.random.SeedSequence) -> None:
        self.stream = stream
        self.seed = seed

    def sample(self, place: int) -> tuple[tuple[Tensor, Tensor], NDArray[np.int64]]:
        """Return about `EXAMPLES` of the examples learned by ``place``, at least two of a task, and each one's task."""
        rng = np.random.default_rng([place, *self.seed.generate_state(2).tolist()])
        length = self.stream.examples_per_task
        met = -(-place // length)
        share = max(2, EXAMPLES // met)
        inputs, labels, tasks = [], [], []
        for task in range(met):
            learned = min(place - task * length, length)
            rows = rng.choice(learned, min(learned, share), replace=False)
            images = self.stream.tasks[task].train.rows(rows)
            inputs.append(as_inputs(images.pixels))
            labels.append(images.labels)
            tasks += [task] * len(rows)
        examples = (torch.from_numpy(np.concatenate(inputs)), torch.from_numpy(np.concatenate(labels)))
        return examples, np.array(tasks, np.int64)

    def measure(self, model: nn.Sequential, place: int) -> tuple[dict[str, float], list[InterferenceRow]]:
        """Measure after ``place`` examples, at least one.

        Returns:
            Values by tag, without those that have no pair yet, and a row for each two tasks with a pair.
        """
        examples, tasks = self.sample(place)
        dots = gradient_dots(model, CrossEntropy(), examples).double().numpy()
        values, rows = agreement(dots, tasks, [task.name for task in self.stream.tasks])
        return {tag: value for tag, value in values.items() if not math.isnan(value)}, rows
