"""Learners of a stream of labelled examples: online, experience replay, and MER in its three published forms.

All take plain SGD steps and see each example of the stream once. `observe` gets the task's index for those that need it
(`dqn_mer.supervised.regularized`, `dqn_mer.supervised.gem`); the learners of this file never look at it.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqn_mer.fast.choose import make_learner, make_mini_batch
from dqn_mer.losses import CrossEntropy
from dqn_mer.mer import NEWEST, Arrange, MERUpdate, arrange_batches
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState, State
from dqn_mer.supervised.memory import Example, ExampleMemory

ONE = np.zeros(1, np.int64)
"""The batch that holds the newest example alone."""


class StreamLearner(Protocol):
    """Learns a stream, one example at a time.

    Attributes:
        weights: Weights of the model that learns.
    """

    weights: FlatWeights

    def observe(self, example: Example, task: int) -> None:
        """Learn the next example.

        Args:
            example: The model's input and the label, without a row axis.
            task: Index of its task, from 0, for learners that need it.
        """

    def stored(self) -> int:
        """Return the number of examples that are kept in memory."""

    def get_state(self) -> State:
        """Return everything that changes with the stream, the weights included."""

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave; raises StateError if it does not fit."""


class OnlineLearner:
    """One SGD step on each example, and no memory.

    Args:
        weights: Weights of the model that learns.
        learning_rate: α, the SGD step size.
    """

    def __init__(self, weights: FlatWeights, learning_rate: float) -> None:
        self.weights = weights
        self.learning_rate = learning_rate
        self.inner = make_learner(weights, CrossEntropy(), make_sgd(weights, learning_rate))

    def observe(self, example: Example, task: int) -> None:
        """Take the step."""
        self.inner.learn(as_rows(example), ONE, 1.0, 1.0)

    def stored(self) -> int:
        """Return 0: no example is kept."""
        return 0

    def get_state(self) -> State:
        """Return the weights."""
        return {"weights": self.weights.vector.detach()}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            load_weights(self.weights, saved)


class ReplayLearner:
    """Learns the newest example together with draws from a reservoir, by any update; then adds it to the reservoir.

    While the reservoir holds fewer examples than a batch takes, a batch takes as many draws as it holds.

    Args:
        weights: Weights of the model that learns.
        update: `MiniBatchUpdate` for experience replay, `MERUpdate` for MER, on the same weights.
        memory: The reservoir.
        rng: Random generator of the draws.
        repeats: Number of updates on each example, each with new draws from memory.
    """

    def __init__(
        self,
        weights: FlatWeights,
        update: MiniBatchUpdate | MERUpdate,
        memory: ExampleMemory,
        rng: np.random.Generator,
        repeats: int = 1,
    ) -> None:
        self.weights = weights
        self.update = update
        self.memory = memory
        self.rng = rng
        self.repeats = repeats
        self.num_batches = update.parameters.num_batches if isinstance(update, MERUpdate) else 1
        self.batch_size = update.num_draws // self.num_batches

    def observe(self, example: Example, task: int) -> None:
        """Take the updates, and add the example to the memory."""
        draws = min(self.batch_size, len(self.memory)) * self.num_batches
        for _ in range(self.repeats):
            self.update.update(self.memory.sample(draws, self.rng, example))
        self.memory.add(example)

    def stored(self) -> int:
        """Return the number of examples that the reservoir holds."""
        return len(self.memory)

    def get_state(self) -> State:
        """Return the weights, the memory and the generators."""
        return {
            "weights": self.weights.vector.detach(),
            "update": self.update.get_state(),
            "memory": self.memory.get_state(),
            "rng": self.rng.bit_generator.state,
        }

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            load_weights(self.weights, saved)
            self.update.set_state(saved.part("update"))
            self.memory.set_state(saved.part("memory"))
            saved.generator("rng", self.rng)


def make_replay(
    weights: FlatWeights,
    learning_rate: float,
    batch_size: int,
    memory: ExampleMemory,
    rng: np.random.Generator,
    num_batches: int = 1,
) -> ReplayLearner:
    """Return experience replay (the paper's Algorithm 4): one SGD step on the mean loss of the newest and the draws.

    Args:
        weights: Weights of the model that learns.
        learning_rate: SGD step size.
        batch_size: Examples drawn for a step.
        memory: The reservoir.
        rng: Random generator of the draws.
        num_batches: Number of steps on each example, each with new draws from memory; 1 in the paper.
    """
    update = make_mini_batch(weights, CrossEntropy(), make_sgd(weights, learning_rate), batch_size)
    return ReplayLearner(weights, update, memory, rng, repeats=num_batches)


def make_mer(
    weights: FlatWeights,
    learning_rate: float,
    parameters: MERParameters,
    memory: ExampleMemory,
    rng: np.random.Generator,
    ordering: np.random.Generator,
    arrange: Arrange = arrange_batches,
) -> ReplayLearner:
    """Return MER in the form that ``parameters`` say.

    Args:
        weights: Weights of the model that learns.
        learning_rate: α, the SGD step size of the inner loop.
        parameters: Algorithm, sizes and rates.
        memory: The reservoir.
        rng: Random generator of the draws.
        ordering: Random generator of the order within a batch.
        arrange: How the examples come into batches.
    """
    inner = make_learner(weights, CrossEntropy(), make_sgd(weights, learning_rate))
    return ReplayLearner(weights, MERUpdate(weights, inner, parameters, ordering, arrange), memory, rng)


def newest_last(parameters: MERParameters, num_draws: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Arrange Algorithm 6's big batch as the authors' script does: the draws as they come, and the newest at the end.

    The arguments and the result are those of `dqn_mer.mer.arrange_batches`.

    >>> newest_last(MERParameters(3, one_big_batch=True), 3, np.random.default_rng(0))[0].tolist()
    [1, 2, 3, 0]
    """
    return [np.append(np.arange(1, num_draws + 1), np.full(parameters.num_batches, NEWEST))]


def make_sgd(weights: FlatWeights, learning_rate: float) -> torch.optim.SGD:
    """Return plain SGD over all weights as one vector."""
    return torch.optim.SGD([weights.vector], lr=learning_rate)


def as_rows(example: Example) -> tuple[Tensor, ...]:
    """Return an example as a batch of one."""
    return tuple(torch.from_numpy(np.asarray(part)[np.newaxis]) for part in example)


def load_weights(weights: FlatWeights, saved: SavedState) -> None:
    """Overwrite the weights with those of a state."""
    vector: Any = weights.vector.detach().numpy()
    weights.load(torch.from_numpy(saved.array("weights", vector.dtype, vector.shape)))
