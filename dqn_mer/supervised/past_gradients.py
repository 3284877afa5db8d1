"""The loss gradients of past tasks for gradient episodic memory: their dot products, and sums of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqn_mer.fast.choose import dense_layers
from dqn_mer.losses import CrossEntropy
from dqn_mer.mer import Examples
from dqn_mer.networks.weights import FlatWeights

Array = NDArray[Any]
Gradient = Callable[[Examples], Tensor]

COLUMNS = 4_096
"""Weights that are converted to float64 at a time, so that they stay in the processor's cache."""

PAIRS_PER_TASK = 25_000
"""Pairs of past examples for each past task, up to which `FactoredGradients` is the faster way (measured)."""


class PastGradients(Protocol):
    """The mean loss gradients of past tasks and of the newest example, under the weights as they are.

    Dot products are summed up in float64: they decide a least-squares problem whose matrix may be close to singular.
    """

    def measure(self, newest: Examples) -> Array:
        """Return the dot product of the gradient of ``newest``, one row, and that of each past task, ``(tasks,)``."""

    def products(self) -> Array:
        """Return the dot products of the past tasks' gradients, ``(tasks, tasks)``."""

    def combine(self, shares: Array) -> Tensor:
        """Return the newest gradient plus ``shares``, ``(tasks,)``, of the past ones; the next call overwrites it."""


def make_past_gradients(weights: FlatWeights, gradient: Gradient, past: Sequence[Examples]) -> PastGradients:
    """Return the faster way to the gradients of past tasks.

    Args:
        weights: Weights of the model that learns.
        gradient: What `dqn_mer.supervised.model.make_gradient` returned for them.
        past: Examples ``(inputs, labels)`` of each past task, at least one of each; they must not change.
    """
    layers = dense_layers(weights.model)
    if layers and sum(len(labels) for _, labels in past) ** 2 <= PAIRS_PER_TASK * len(past):
        return FactoredGradients(weights, layers, past)
    return WrittenOutGradients(gradient, weights.vector.numel(), past)


class WrittenOutGradients:
    """The past gradients of any model, each written out.

    Args:
        gradient: What `dqn_mer.supervised.model.make_gradient` returned for the model.
        size: Number of its weights.
        past: Examples of each past task, at least one of each.
    """

    def __init__(self, gradient: Gradient, size: int, past: Sequence[Examples]) -> None:
        self.past = past
        self.gradient = gradient
        self.rows = torch.empty(len(past), size, dtype=past[0][0].dtype, device="cpu")
        self.newest = self.rows[0]

    def measure(self, newest: Examples) -> Array:
        """Return the dot products of the newest gradient and the past ones."""
        for row, examples in zip(self.rows, self.past, strict=True):
            row.copy_(self.gradient(examples))
        self.newest = self.gradient(newest)
        against: Array = (self.rows @ self.newest).double().numpy()
        return against

    def products(self) -> Array:
        """Return the dot products of the past gradients."""
        products = torch.zeros(len(self.rows), len(self.rows), dtype=torch.float64, device="cpu")
        for first in range(0, self.rows.shape[1], COLUMNS):
            columns = self.rows[:, first : first + COLUMNS].double()
            products.addmm_(columns, columns.t())
        return products.numpy()

    def combine(self, shares: Array) -> Tensor:
        """Return the newest gradient plus shares of the past ones."""
        if not shares.any():
            return self.newest
        return self.newest.addmv_(self.rows.t(), torch.from_numpy(shares).to(self.rows.dtype))


class FactoredGradients:
    """The past gradients of an MLP, none of them written out: for few examples of many tasks.

    As in `dqn_mer.analysis.gradient_agreement.gradient_dots`, a dense layer's gradient from one example is an outer
    product, so that the dot product of two examples' gradients follows from those of their inputs and of their output
    gradients. The sum of gradients is one product of matrices at the end. All of it is float64.

    Args:
        weights: Weights of the model.
        layers: All its layers but the ReLU between each two of them.
        past: Examples of each past task, at least one of each.
    """

    def __init__(self, weights: FlatWeights, layers: Sequence[nn.Linear], past: Sequence[Examples]) -> None:
        counts = [len(labels) for _, labels in past]
        self.layers = layers
        assert weights.vector.grad is not None
        self.gradient = weights.vector.grad
        self.starts = np.concatenate([[0], np.cumsum(counts)])  # of the rows of each task; the newest example's is last
        self.counts = np.array([*counts, 1])
        newest = (torch.zeros_like(past[0][0][:1]), torch.zeros_like(past[0][1][:1]))
        self.inputs = torch.cat([*(inputs for inputs, _ in past), newest[0]]).double()
        self.labels = torch.cat([*(labels for _, labels in past), newest[1]])
        self.weight = torch.from_numpy(np.repeat(1 / self.counts, self.counts)).unsqueeze(1)
        self.input_dots = self.inputs @ self.inputs.t()
        self.factors: list[tuple[Tensor, Tensor]] = []
        self.dots = np.zeros((0, 0))

    @torch.no_grad()
    def measure(self, newest: Examples) -> Array:
        """Return the dot products of the newest gradient and the past ones."""
        self.inputs[-1], self.labels[-1] = newest[0][0], newest[1][0]
        self.input_dots[-1] = self.input_dots[:, -1] = self.inputs @ self.inputs[-1]
        self.factors = self._factors()
        dots = torch.zeros_like(self.input_dots)
        for place, (inputs, gradients) in enumerate(self.factors):
            alike = inputs @ inputs.t() if place else self.input_dots
            dots.addcmul_(alike + 1, gradients @ gradients.t())  # the 1 is the bias's
        by_task = np.add.reduceat(dots.numpy(), self.starts, axis=0)
        self.dots = np.add.reduceat(by_task, self.starts, axis=1)
        return self.dots[:-1, -1]

    def products(self) -> Array:
        """Return the dot products of the past gradients."""
        return self.dots[:-1, :-1]

    @torch.no_grad()
    def combine(self, shares: Array) -> Tensor:
        """Return the newest gradient plus shares of the past ones."""
        used = slice(0 if shares.any() else -1, None)
        rows = torch.from_numpy(np.repeat([*shares, 1.0], self.counts)[used]).unsqueeze(1)
        for layer, (inputs, gradients) in zip(self.layers, self.factors, strict=True):
            shared = rows * gradients[used]
            for parameter, total in ((layer.weight, shared.t() @ inputs[used]), (layer.bias, shared.sum(dim=0))):
                assert parameter.grad is not None  # FlatWeights gives every parameter a gradient, a view of one vector
                parameter.grad.copy_(total)
        return self.gradient

    def _factors(self) -> list[tuple[Tensor, Tensor]]:
        """Return each layer's inputs and output gradients, in rows; those of a task add up to its mean gradient."""
        inputs, matrices = [self.inputs], [layer.weight.double() for layer in self.layers]
        biases = [layer.bias.double() for layer in self.layers]
        for matrix, bias in zip(matrices[:-1], biases[:-1], strict=True):
            inputs.append(torch.addmm(bias, inputs[-1], matrix.t()).clamp_(min=0))
        outputs = torch.addmm(biases[-1], inputs[-1], matrices[-1].t())
        gradients = [CrossEntropy().mean_gradient(outputs, self.labels).mul_(len(self.labels)).mul_(self.weight)]
        for matrix, active in zip(matrices[:0:-1], inputs[:0:-1], strict=True):
            gradients.append((gradients[-1] @ matrix).mul_(active > 0))
        return list(zip(inputs, reversed(gradients), strict=True))
