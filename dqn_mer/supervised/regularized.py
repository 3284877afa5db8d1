"""Elastic weight consolidation (Kirkpatrick et al., 2017), as in the code published with GEM and with MER."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState, State
from dqn_mer.supervised.learners import OnlineLearner
from dqn_mer.supervised.memory import Example
from dqn_mer.supervised.model import make_gradient


class EWCLearner(OnlineLearner):
    """SGD on the example's loss plus ``strength * Σ F (θ - θ_task)²`` over all earlier tasks.

    When the task changes, F of the task that ended is the square of the gradient of the mean loss on its first
    examples, and θ_task are the weights then. With strength 0 this is bit-identical to `OnlineLearner`.

    Args:
        weights: Weights of the model that learns.
        learning_rate: α, the SGD step size.
        strength: Weight of the penalty, at least 0.
        memories_per_task: First examples of a task that F is measured on, at least 1.
        like: An example, for the shape and dtype of each column.
    """

    def __init__(
        self, weights: FlatWeights, learning_rate: float, strength: float, memories_per_task: int, like: Example
    ) -> None:
        super().__init__(weights, learning_rate)
        self.like = [(np.shape(part), np.asarray(part).dtype) for part in like]
        self.strength = strength
        self.memories_per_task = memories_per_task
        self.gradient = make_gradient(weights)
        self.task: int | None = None
        self.kept: list[Example] = []
        # Of Σ F (θ - θ_task)² only Σ F and Σ F θ_task are needed for its gradient, whatever the number of tasks.
        self.fisher = torch.zeros_like(weights.vector.detach())
        self.anchor = torch.zeros_like(self.fisher)

    def observe(self, example: Example, task: int) -> None:
        """Take the step."""
        if task != self.task:
            if self.kept:
                self._end_task()
            self.task = task
        if len(self.kept) < self.memories_per_task:
            self.kept.append(example)
        penalty = self._penalty()
        super().observe(example, task)
        if penalty is not None:
            self.weights.vector.detach().sub_(penalty, alpha=self.learning_rate)

    def _end_task(self) -> None:
        examples = tuple(torch.from_numpy(np.stack([one[part] for one in self.kept])) for part in range(len(self.like)))
        fisher = self.gradient(examples).square()
        self.fisher += fisher
        self.anchor += fisher * self.weights.vector.detach()
        self.kept = []

    def _penalty(self) -> Tensor | None:
        """Return the gradient of the penalty at the weights as they are, or None if there is none."""
        if not self.strength:
            return None
        return 2 * self.strength * (self.fisher * self.weights.vector.detach() - self.anchor)

    def stored(self) -> int:
        """Return the number of examples of the current task that are kept."""
        return len(self.kept)

    def get_state(self) -> State:
        """Return the weights, the penalty, and the examples kept."""
        parts = range(len(self.like)) if self.kept else ()
        kept = {str(part): np.stack([one[part] for one in self.kept]) for part in parts}
        task = -1 if self.task is None else self.task
        return {
            **super().get_state(), "fisher": self.fisher, "anchor": self.anchor, "task": task,
            "count": len(self.kept), "kept": kept,
        }  # fmt: skip

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            for name, vector in (("fisher", self.fisher), ("anchor", self.anchor)):
                vector.copy_(torch.from_numpy(saved.array(name, vector.numpy().dtype, tuple(vector.shape))))
            task = saved.whole("task", low=-1)
            self.task = None if task < 0 else task
            count = saved.whole("count", high=self.memories_per_task)
            with saved.part("kept") as kept:
                columns = [
                    kept.array(str(part), dtype, (count, *shape))
                    for part, (shape, dtype) in enumerate(self.like if count else [])
                ]
            self.kept = list(zip(*columns, strict=True))
            super().set_state(saved)
