"""Whole updates and passes as compiled functions, for small ReLU MLPs with a loss of `dqn_mer.losses` on a CPU.

`sequential` and `mini_batch` call each layer from Python, which for a small MLP takes most of the time. Here a batch of
examples, and the Reptile step after it, run without Python. Needs Numba.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from dqn_mer.fast.adam import ExplicitAdam
from dqn_mer.fast.dense import Array, shared
from dqn_mer.fast.forms import has_adam_form, is_plain_sgd, layers_of
from dqn_mer.fast.kernels.adam import step
from dqn_mer.fast.kernels.mlp import add_mean_gradient, forward, learn_by_adam, learn_by_sgd
from dqn_mer.fast.mini_batch import BatchNetwork
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import NEWEST, Examples, Loss
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.weights import FlatWeights

MOST_EXAMPLES = 40
"""More than this in a batch, and BLAS is quicker, a call for each layer."""


class SmallMLP:
    """The weights of a small MLP as arrays, and its passes.

    Args:
        weights: Weights of a model for which `forms.is_small_mlp` holds.
        loss: `CrossEntropy`, or `HuberTDLoss`, which compares with targets as well.
    """

    def __init__(self, weights: FlatWeights, loss: Loss) -> None:
        self.has_targets = isinstance(loss, HuberTDLoss)
        linear = layers_of(weights.model).linear
        self.sizes = np.array([linear[0].in_features, *(layer.out_features for layer in linear)], np.int64)
        self.vector, self.gradient = (part.numpy() for part in shared(weights.vector))
        self.network = BatchNetwork(weights)

    def takes(self, inputs: Tensor) -> bool:
        """Return whether ``inputs`` are few enough, and of the shape and dtype of the network's."""
        few = 0 < len(inputs) <= MOST_EXAMPLES and inputs.shape[1:] == (self.sizes[0],)
        return few and inputs.dtype == self.network.dense[0].bias.dtype

    def values(self, inputs: Tensor) -> Tensor:
        """Return the outputs ``(n, outputs)`` of ``inputs`` ``(n, inputs)``."""
        if not self.takes(inputs):
            return self.network.values(inputs)
        outputs = np.empty((len(inputs), self.sizes[-1]), self.vector.dtype)
        forward(self.vector, self.sizes, np.ascontiguousarray(inputs.numpy()), outputs)
        return torch.from_numpy(outputs)

    def set_mean_gradient(self, examples: Examples) -> None:
        """Write the gradient of the mean loss over examples whose inputs are of a kind that `takes` allows.

        Raises:
            IndexError: if a label is no output.
        """
        columns = self.columns(examples)
        self.gradient[:] = 0
        self.check_labels(columns[1], add_mean_gradient(self.vector, self.gradient, self.sizes, columns))

    def columns(self, examples: Examples) -> tuple[Array, Array, Array]:
        """Return inputs, labels and targets for the kernels, which take no targets for cross-entropy.

        Raises:
            ValueError: if the examples have other columns than the loss compares.
        """
        inputs, *compared = (part.numpy() for part in examples)
        labels, targets = compared if self.has_targets else (*compared, np.zeros(0))
        return np.ascontiguousarray(inputs, self.vector.dtype), labels, np.ascontiguousarray(targets, self.vector.dtype)

    def check_labels(self, labels: Array, bad: int) -> None:
        """Raise IndexError if a kernel found a label that is no output, in the row ``bad``, or -1."""
        if bad >= 0:
            raise IndexError(f"label={labels[bad]}: must be from 0 to {self.sizes[-1] - 1}")


class SmallMLPLearner:
    """The inner loop of MER, for a small MLP.

    Args:
        weights: Weights of the model that learns.
        loss: As in `SmallMLP`.
        optimizer: Plain SGD, or an optimizer for which `has_adam_form` holds, over ``weights.vector``.
    """

    def __init__(self, weights: FlatWeights, loss: Loss, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.mlp = SmallMLP(weights, loss)
        self.adam = ExplicitAdam(optimizer, weights) if has_adam_form(optimizer) else None

    def learn(self, examples: Examples, batch: NDArray[np.int64], newest_boost: float, reptile_rate: float) -> None:
        """Take one step on each example of ``batch`` in turn, then one Reptile step.

        Raises:
            IndexError: if a label is no output; the weights are then unusable.
        """
        mlp, columns, kind = self.mlp, self.mlp.columns(examples), self.mlp.vector.dtype
        boosts, reptile = np.where(batch == NEWEST, newest_boost, 1.0), kind.type(reptile_rate)
        if self.adam is None:
            rates = (self.optimizer.param_groups[0]["lr"] * boosts).astype(kind)
            bad = learn_by_sgd(mlp.vector, mlp.sizes, columns, batch, rates, reptile)
        else:
            moments = self.adam.begin_all(boosts)
            bad = learn_by_adam(mlp.vector, mlp.gradient, mlp.sizes, columns, batch, moments, reptile)
        mlp.check_labels(columns[1], bad)


class SmallMLPMiniBatch(MiniBatchUpdate):
    """Ordinary experience replay, for a small MLP and any optimizer; the arguments are `MiniBatchUpdate`'s."""

    def __init__(self, weights: FlatWeights, loss: Loss, optimizer: Optimizer, batch_size: int) -> None:
        super().__init__(weights, loss, optimizer, batch_size)
        self.mlp = SmallMLP(weights, loss)
        self.adam = ExplicitAdam(optimizer, weights) if has_adam_form(optimizer) else None
        self.plain_sgd = is_plain_sgd(optimizer)

    def update(self, examples: Examples) -> None:
        """Take one optimizer step on the mean loss of ``examples``."""
        mlp = self.mlp
        if not mlp.takes(examples[0]):
            super().update(examples)
            return
        mlp.set_mean_gradient(examples)
        if self.plain_sgd:
            mlp.vector -= self.optimizer.param_groups[0]["lr"] * mlp.gradient
        elif self.adam is not None:
            first, second, sizes, scales, constants = self.adam.begin_all(np.ones(1))
            step(mlp.vector, first, second, mlp.gradient, sizes[0], scales[0], constants)
        else:
            self.optimizer.step()
