"""Gradient episodic memory (Lopez-Paz and Ranzato, 2017) and its average form (Chaudhry et al., 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState, State, StateError
from dqn_mer.supervised.learners import as_rows, load_weights
from dqn_mer.supervised.memory import Example
from dqn_mer.supervised.model import make_gradient

SMALLEST_SHARE = 1e-12
"""Eigenvalues below this share of the largest are rounding: gradients of two tasks are then parallel."""


def project(gradient: Tensor, past: Tensor, margin: float = 0.0) -> Tensor:
    """Return GEM's gradient: the nearest whose dot products with all past gradients are not negative.

    The dual problem: ``gradient + past.T @ v`` with the ``v >= margin`` that makes its norm least. A margin above 0
    biases it further towards the past tasks, as in the authors' code. SciPy's NNLS solves it on the square root of the
    Gram matrix, so that its size is the number of tasks and not that of the weights.

    Args:
        gradient: Gradient of the newest example, ``(weights,)``.
        past: Gradient of each past task, ``(tasks, weights)``.
        margin: Lower bound of v, at least 0.

    Returns:
        ``(weights,)``.

    >>> project(torch.tensor([1.0, -1.0]), torch.tensor([[0.0, 1.0]])).tolist()
    [1.0, 0.0]
    """
    rows = past.numpy()
    products = (rows @ rows.T).astype(np.float64)  # NumPy's product, which computes one half of what is symmetric
    values, vectors = np.linalg.eigh(products)
    used = values > SMALLEST_SHARE * max(values[-1], 0.0)
    if not used.any():  # all past gradients are zero
        return gradient
    lengths = np.sqrt(values[used])
    wanted = -(past @ gradient).double().numpy() - products @ np.full(len(products), margin)
    root: NDArray[np.float64] = lengths[:, np.newaxis] * vectors[:, used].T
    shifted, _ = nnls(root, (vectors[:, used].T @ wanted) / lengths)
    return gradient + past.T @ torch.from_numpy(shifted + margin).to(past.dtype)


class TaskMemories:
    """The last examples of each task, equally many for each.

    Args:
        per_task: Examples kept for each task, at least 1.
        like: An example, for the shape and dtype of each column.

    Attributes:
        counts: Examples seen of each task, in the order in which the tasks were first met.
    """

    def __init__(self, per_task: int, like: Example) -> None:
        if per_task < 1:
            raise ValueError(f"memories_per_task={per_task}: must be at least 1")
        self.per_task = per_task
        self.like = [(np.shape(part), np.asarray(part).dtype) for part in like]
        self.counts: dict[int, int] = {}
        self.columns: dict[int, list[NDArray[Any]]] = {}

    def add(self, example: Example, task: int) -> None:
        """Keep an example in the place of the oldest of its task."""
        if task not in self.counts:
            self.counts[task] = 0
            self.columns[task] = [np.zeros((self.per_task, *shape), dtype) for shape, dtype in self.like]
        for column, part in zip(self.columns[task], example, strict=True):
            column[self.counts[task] % self.per_task] = part
        self.counts[task] += 1

    def of(self, task: int) -> tuple[Tensor, ...]:
        """Return the examples kept of a task, each column with one row per example."""
        used = min(self.counts[task], self.per_task)
        return tuple(torch.from_numpy(column[:used]) for column in self.columns[task])

    def __len__(self) -> int:
        return sum(min(count, self.per_task) for count in self.counts.values())

    def get_state(self) -> State:
        """Return everything that is kept."""
        order = {f"{place:04d}": task for place, task in enumerate(self.counts)}
        tasks = {
            str(task): {"count": count, **{str(part): column.numpy() for part, column in enumerate(self.of(task))}}
            for task, count in self.counts.items()
        }
        return {"order": order, "tasks": tasks}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave, with nothing kept yet."""
        with saved, saved.part("order") as order, saved.part("tasks") as tasks:
            for task in [order.whole(place) for place in sorted(order)]:
                if task in self.counts:
                    raise StateError(f"{order.path}: holds task {task} twice")
                self.columns[task] = [np.zeros((self.per_task, *shape), dtype) for shape, dtype in self.like]
                with tasks.part(str(task)) as one:
                    self.counts[task] = one.whole("count", low=1)
                    used = min(self.counts[task], self.per_task)
                    for part, (shape, dtype) in enumerate(self.like):
                        self.columns[task][part][:used] = one.array(str(part), dtype, (used, *shape))


class GEMLearner:
    """SGD on the newest example, with a gradient that raises the loss of no past task, to first order.

    Args:
        weights: Weights of the model that learns.
        learning_rate: α, the SGD step size.
        margin: Memory strength γ of the authors, at least 0.
        memories: The last examples of each task.
    """

    def __init__(self, weights: FlatWeights, learning_rate: float, margin: float, memories: TaskMemories) -> None:
        self.weights = weights
        self.learning_rate = learning_rate
        self.margin = margin
        self.memories = memories
        self.gradient = make_gradient(weights)
        self._past = torch.zeros(0, weights.vector.numel(), dtype=weights.vector.dtype)

    def observe(self, example: Example, task: int) -> None:
        """Keep the example, and take the step."""
        self.memories.add(example, task)
        past = [other for other in self.memories.counts if other != task]
        vector = self.weights.vector.detach()
        step = self._allowed(example, past) if past else self.gradient(as_rows(example))
        vector.sub_(step, alpha=self.learning_rate)

    def _allowed(self, example: Example, past: list[int]) -> Tensor:
        """Return the gradient to follow, with the past tasks of the memory in mind."""
        if len(self._past) < len(past):
            self._past = torch.zeros(2 * len(past), self._past.shape[1], dtype=self._past.dtype)
        gradients = self._past[: len(past)]
        for row, task in zip(gradients, past, strict=True):
            row.copy_(self.gradient(self.memories.of(task)))
        newest = self.gradient(as_rows(example))
        if bool((gradients @ newest >= 0).all()):
            return newest
        return project(newest, gradients, self.margin)

    def stored(self) -> int:
        """Return the number of examples that are kept, of all tasks."""
        return len(self.memories)

    def get_state(self) -> State:
        """Return the weights and the memories."""
        return {"weights": self.weights.vector.detach(), "memories": self.memories.get_state()}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            load_weights(self.weights, saved)
            self.memories.set_state(saved.part("memories"))


class AGEMLearner(GEMLearner):
    """GEM with a single constraint: the mean loss on a random batch of the past tasks' examples.

    Args:
        weights: Weights of the model that learns.
        learning_rate: α, the SGD step size.
        batch_size: Size of that batch, drawn with replacement, at least 1.
        memories: The last examples of each task.
        rng: Random generator of the draws.
    """

    def __init__(
        self,
        weights: FlatWeights,
        learning_rate: float,
        batch_size: int,
        memories: TaskMemories,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(weights, learning_rate, 0.0, memories)
        self.batch_size = batch_size
        self.rng = rng

    def _allowed(self, example: Example, past: list[int]) -> Tensor:
        """Return the gradient to follow."""
        kept = [self.memories.of(task) for task in past]
        ends = np.cumsum([len(columns[0]) for columns in kept])
        picks = self.rng.integers(ends[-1], size=self.batch_size)
        tasks = np.searchsorted(ends, picks, side="right")
        rows = picks - np.concatenate([[0], ends[:-1]])[tasks]
        places = list(zip(tasks.tolist(), rows.tolist(), strict=True))
        batch = tuple(torch.stack([kept[task][part][row] for task, row in places]) for part in range(len(example)))
        reference = self.gradient(batch).clone()
        newest = self.gradient(as_rows(example))
        product = newest @ reference
        return newest if product >= 0 else newest - product / (reference @ reference) * reference

    def get_state(self) -> State:
        """Return the weights, the memories and the generator."""
        return {**super().get_state(), "rng": self.rng.bit_generator.state}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            saved.generator("rng", self.rng)
            super().set_state(saved)
