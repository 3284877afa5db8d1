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
from dqn_mer.supervised.past_gradients import PastGradients, make_past_gradients

RIDGE = 1e-12
"""Share of the largest eigenvalue that is added to all: without it nearly parallel gradients would have huge shares."""

SHORT = 1e-30
"""Square of a length below which float32 keeps too few digits of it to divide by."""


def shares_of_past(products: NDArray[Any], against: NDArray[Any], margin: float = 0.0) -> NDArray[np.float64]:
    """Return how much of each past task's gradient GEM adds to the newest one.

    The dual problem: ``gradient + past.T @ v`` with the ``v >= margin`` that makes its norm least. A margin above 0
    biases it further towards the past tasks, as in the authors' code. SciPy's NNLS solves it on the square root of the
    Gram matrix, so that its size is the number of tasks and not that of the weights. The past gradients are brought
    to length 1 before: that of a task whose examples are fitted may be a billion times shorter than another's.

    Args:
        products: Dot products of the past gradients, the Gram matrix, ``(tasks, tasks)`` float64.
        against: Dot products of the newest gradient and the past ones, ``(tasks,)`` float64.
        margin: Lower bound of v, at least 0.

    Returns:
        v, ``(tasks,)``; margin for a gradient of zero.

    >>> shares_of_past(np.array([[4.0]]), np.array([-2.0])).round(6).tolist()  # of (1, -1) and (0, 2): (1, 0)
    [0.5]
    """
    shares = np.full(len(products), margin)
    lengths = np.sqrt(products.diagonal())
    some = lengths > 0
    if not some.any():
        return shares
    lengths = lengths[some]
    wanted = -(against + products @ shares)[some] / lengths
    values, vectors = np.linalg.eigh(products[np.ix_(some, some)] / np.outer(lengths, lengths))
    roots = np.sqrt(values.clip(min=0) + RIDGE * values[-1])
    added, _ = nnls(roots[:, np.newaxis] * vectors.T, (vectors.T @ wanted) / roots)
    shares[some] += added / lengths
    return shares


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
        self._past: PastGradients | None = None
        self._past_counts: list[tuple[int, int]] = []

    def observe(self, example: Example, task: int) -> None:
        """Keep the example, and take the step."""
        self.memories.add(example, task)
        past = [other for other in self.memories.counts if other != task]
        vector = self.weights.vector.detach()
        step = self._allowed(example, past) if past else self.gradient(as_rows(example))
        vector.sub_(step, alpha=self.learning_rate)

    def _allowed(self, example: Example, past: list[int]) -> Tensor:
        """Return the gradient to follow, with the past tasks of the memory in mind."""
        gradients = self._gradients_of(past)
        against = gradients.measure(as_rows(example))
        if (against >= 0).all() or not np.isfinite(against).all():  # the latter has diverged: the next test says so
            return gradients.combine(np.zeros(len(past)))
        return gradients.combine(shares_of_past(gradients.products(), against, self.margin))

    def _gradients_of(self, past: list[int]) -> PastGradients:
        """Return the gradients of past tasks, made anew when another task begins."""
        counts = [(task, self.memories.counts[task]) for task in past]
        if self._past is None or counts != self._past_counts:
            self._past = make_past_gradients(self.weights, self.gradient, [self.memories.of(task) for task in past])
            self._past_counts = counts
        return self._past

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
        self._past = None


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
        if reference @ reference < SHORT:  # of fitted examples: its direction counts, and its square may be 0
            reference /= reference.abs().max().clamp(min=torch.finfo(reference.dtype).tiny)
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
