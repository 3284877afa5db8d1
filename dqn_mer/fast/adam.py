"""The steps of `torch.optim.Adam`, on its own state, example by example (`kernels.adam`).

The gradient of a dense layer from one example is an outer product, zero in every row whose input is zero. That row
still moves, by its momentum, but nothing reads it before its input is active again: its steps are put off until then,
or until the batch ends, and taken at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer

from dqn_mer.fast.dense import shared
from dqn_mer.fast.kernels.adam import advance, corrections, interpolate, step
from dqn_mer.fast.kernels.dense import Array, product_of_active
from dqn_mer.networks.weights import FlatWeights

MAX_EPSILON_DRIFT = 0.02
"""Most that ε may change over a batch, set against √v of before it, for steps to be taken at once.

`kernels.adam` says why."""


class ExplicitAdam:
    """Takes Adam's steps, except those of the `AdamDense` layers, which each layer takes itself.

    Args:
        optimizer: Optimizer for which `has_adam_form` holds, over ``weights.vector``.
        weights: Weights that the optimizer steps.

    Attributes:
        count: Steps taken in this batch.
        sizes: Learning rate over the first moment's bias correction, of each step of the batch.
        scales: Inverse root of the second moment's bias correction, of each step of the batch.
        constants: Values of β1, 1 - β1, β2, 1 - β2 and ε, in the dtype of the weights.
    """

    def __init__(self, optimizer: Optimizer, weights: FlatWeights) -> None:
        self.optimizer = optimizer
        self.weights = weights
        self.values, self.gradient = (part.numpy() for part in shared(weights.vector))
        self.elsewhere: list[slice] = []
        self._spans: list[slice] | None = None  # known when all layers are made
        self.count = 0
        self.sizes = self.scales = self.first = self.second = np.zeros(0, self.values.dtype)
        self.constants: tuple[Any, ...] = ()
        self.drifts = True

    def begin(self, examples: int) -> None:
        """Prepare for a batch of `examples` examples."""
        vector, group = self.weights.vector, self.optimizer.param_groups[0]
        state = self.optimizer.state[vector]
        if not state:  # as torch.optim.Adam makes it at its first step
            state["step"] = torch.zeros((), dtype=torch.float32, device="cpu")  # bfloat16 counts to 256
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(vector), torch.zeros_like(vector)
        self.first, self.second = state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()
        beta1, beta2 = (float(beta) for beta in group["betas"])  # either may be a tensor
        sizes, scales = corrections(float(state["step"]), examples, float(group["lr"]), beta1, beta2)
        # The ε that is set against √v from before the batch: ε over what became of √v by each step.
        drift = scales[0] / scales[-1] * beta2 ** (-examples / 2) - 1 if beta2 and examples else np.inf
        kind = self.values.dtype
        vanishes = beta1**examples < np.finfo(kind).tiny ** 0.5  # what is left of m, by which such a step divides
        self.drifts = bool(drift > MAX_EPSILON_DRIFT or vanishes)
        self.sizes, self.scales = sizes.astype(kind), scales.astype(kind)
        # All in the dtype of the weights: a mixture would be computed in float64.
        self.constants = tuple(kind.type(value) for value in (beta1, 1 - beta1, beta2, 1 - beta2, group["eps"]))
        self.count = 0

    def begin_all(self, boosts: NDArray[np.float64]) -> tuple[Any, ...]:
        """Prepare a batch whose steps a kernel takes, and count them as taken.

        Args:
            boosts: Multiple of the learning rate of each step.

        Returns:
            What a kernel that takes them needs: first and second moments, size and scale of each step, and constants.
        """
        self.begin(len(boosts))
        self.optimizer.state[self.weights.vector]["step"] += len(boosts)
        self.sizes *= boosts.astype(self.sizes.dtype)
        return self.first, self.second, self.sizes, self.scales, self.constants

    def step(self, boost: float) -> None:
        """Take a step from the gradient, with the learning rate multiplied by ``boost``."""
        self.optimizer.state[self.weights.vector]["step"] += 1
        self.sizes[self.count] *= boost
        size, scale = self.sizes[self.count], self.scales[self.count]
        if self._spans is None:
            self._spans = self.weights.spans_without(self.elsewhere)
        for span in self._spans:
            step(
                self.values[span], self.first[span], self.second[span], self.gradient[span], size, scale, self.constants
            )
        self.count += 1


class AdamDense:
    """A large dense layer under Adam: its gradients stay factors, and rows of inputs that are zero put off their steps.

    Its weights lie input by input in memory (see `FlatWeights`). The step of one example and the forward pass of the
    next are one pass over the rows that either needs.

    Args:
        layer: Layer that learns.
        span: Span of the layer's weights in the vector.
        relu: Whether a ReLU follows.
        adam: Steps of the other weights; it counts the steps of the batch.
    """

    def __init__(self, layer: nn.Linear, span: slice, relu: bool, adam: ExplicitAdam) -> None:
        self.matrix = shared(layer.weight)[0].t().numpy()
        self.bias, self.bias_gradient = (part.numpy() for part in shared(layer.bias))
        self.span = span
        self.relu = relu
        self.adam = adam
        self.before = np.empty_like(self.matrix)
        self.done = np.zeros(len(self.matrix), np.int64)  # steps of the batch that each row has taken
        # From the last example, for its step, which is taken in the next one's pass. Copies, since the arrays that the
        # layer is given are overwritten by then.
        self.inputs = np.zeros(layer.in_features, self.bias.dtype)
        self.gradient = np.zeros_like(self.bias)
        self.outputs = np.zeros_like(self.bias)
        adam.elsewhere.append(span)

    def begin(self, examples: int) -> None:
        """Prepare for a batch of `examples` examples."""
        self.done[:] = 0

    def forward(self, inputs: Array) -> Array:
        """Return the outputs of one example, under the weights after the steps so far."""
        self.outputs = self.bias.copy()
        self._advance(inputs)
        self.inputs[:] = inputs
        if self.relu:
            np.maximum(self.outputs, 0, out=self.outputs)
        return self.outputs

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Keep the gradient for the step, and return that of the inputs that are not zero."""
        assert rate is None  # plain SGD has `LazyDense`
        self.gradient[:] = gradient * (self.outputs > 0) if self.relu else gradient
        self.bias_gradient[:] = self.gradient
        return product_of_active(self.matrix, self.gradient, self.inputs) if pass_on else gradient

    def finish(self, reptile_rate: float) -> None:
        """Take all steps that were put off, and then the Reptile step."""
        self._advance(np.zeros_like(self.inputs), finish=True)
        if reptile_rate != 1.0 and self.adam.count:  # else `before` is of another batch
            interpolate(self.before, self.matrix, self.matrix.dtype.type(reptile_rate))

    def _advance(self, inputs: Array, finish: bool = False) -> None:
        adam = self.adam
        first, second = (part[self.span].reshape(self.matrix.shape) for part in (adam.first, adam.second))
        steps = adam.count, adam.sizes, adam.scales, adam.constants, adam.drifts
        rows, last_example = (self.matrix, first, second, self.before), (self.inputs, self.gradient)
        advance(rows, self.done, last_example, steps, inputs, self.outputs, finish)
