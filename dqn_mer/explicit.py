"""Layers whose forward pass, backward pass and SGD step are written out for one example at a time, on a CPU.

Each layer is tied to views of a model's weights and of their gradients. ``backward`` takes the example's step:
with a rate it moves the weights at once (plain SGD), with None it writes the gradient for an optimizer.
Activations are NumPy arrays; large products go through PyTorch's BLAS on tensors that share their memory.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs
from torch import Tensor, nn

Array = NDArray[Any]

LARGE_WEIGHTS = 2**18
"""Dense layers with at least this many weights (1 MB) are bound by memory: plain SGD puts their steps off."""


def shared(parameter: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return a parameter's values and gradient as plain tensors that share its memory."""
    assert parameter is not None and parameter.grad is not None  # FlatWeights gives every parameter a gradient
    return parameter.detach(), parameter.grad


class Dense(Protocol):
    """A fully connected layer, with or without a ReLU behind it."""

    def begin(self, examples: int) -> None:
        """Prepare for a batch of so many examples."""

    def forward(self, inputs: Array) -> Array:
        """Return the outputs ``(outputs,)`` of one example's ``inputs`` ``(inputs,)``."""

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Take the step for d loss / d outputs; return d loss / d inputs if it is to be passed on."""

    def finish(self, reptile_rate: float) -> None:
        """End the batch; a layer that put off its steps takes them now, times ``reptile_rate``."""


class DirectDense:
    """A dense layer that takes every step at once: for SGD, an outer product added in place by BLAS (``ger``)."""

    def __init__(self, layer: nn.Linear, relu: bool) -> None:
        self.matrix, self.matrix_gradient = (part.numpy() for part in shared(layer.weight))
        self.bias, self.bias_gradient = (part.numpy() for part in shared(layer.bias))
        self.relu = relu
        self.add_outer_product = get_blas_funcs("ger", (self.matrix,))
        self.inputs = self.outputs = self.bias

    def begin(self, examples: int) -> None:
        """Nothing to prepare."""

    def forward(self, inputs: Array) -> Array:
        """Return the outputs of one example."""
        self.inputs = inputs
        self.outputs = self.matrix @ inputs
        self.outputs += self.bias
        if self.relu:
            np.maximum(self.outputs, 0, out=self.outputs)
        return self.outputs

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Take the step, and return the gradient of the inputs under the weights before it."""
        if self.relu:
            gradient = gradient * (self.outputs > 0)
        below = gradient @ self.matrix if pass_on else gradient
        if rate is None:
            np.multiply.outer(gradient, self.inputs, out=self.matrix_gradient)
            self.bias_gradient[:] = gradient
        else:
            self.add_outer_product(-rate, self.inputs, gradient, a=self.matrix.T, overwrite_a=True)
            self.bias -= rate * gradient
        return below

    def finish(self, reptile_rate: float) -> None:
        """Nothing was put off."""


class LargeDense:
    """A large dense layer for any optimizer: its products go through PyTorch, which may use several threads."""

    def __init__(self, layer: nn.Linear, relu: bool) -> None:
        (self.matrix, self.matrix_gradient), (self.bias, self.bias_gradient) = shared(layer.weight), shared(layer.bias)
        self.relu = relu
        self.inputs = self.outputs = self.bias

    def begin(self, examples: int) -> None:
        """Nothing to prepare."""

    def forward(self, inputs: Array) -> Array:
        """Return the outputs of one example."""
        self.inputs = torch.from_numpy(inputs)
        self.outputs = torch.addmv(self.bias, self.matrix, self.inputs)
        if self.relu:
            self.outputs.clamp_(min=0)
        outputs: Array = self.outputs.numpy()
        return outputs

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Write the gradient for the optimizer, and return that of the inputs."""
        assert rate is None  # plain SGD has `LazyDense`
        outer = torch.from_numpy(gradient)
        if self.relu:
            outer = outer * (self.outputs > 0)
        torch.outer(outer, self.inputs, out=self.matrix_gradient)
        self.bias_gradient.copy_(outer)
        below: Array = (outer @ self.matrix).numpy() if pass_on else gradient
        return below

    def finish(self, reptile_rate: float) -> None:
        """Nothing was put off."""


class LazyDense:
    """A large dense layer for plain SGD: the steps of a batch are kept as a low-rank term until its end.

    After steps with gradients g_i and inputs x_i the matrix is W - Σ rate_i g_i x_iᵀ, so that
    ``W_j x = W x - Σ rate_i g_i (x_i · x)``, and likewise for the transpose: W is read twice an example and
    written once a batch, with the Reptile rate folded in. The bias takes its steps at once.
    """

    def __init__(self, layer: nn.Linear, relu: bool) -> None:
        self.matrix, self.bias = shared(layer.weight)[0], shared(layer.bias)[0].numpy()
        self.relu = relu
        self.count = 0
        self.inputs = np.zeros((0, layer.in_features), self.bias.dtype)
        self.steps = np.zeros((0, layer.out_features), self.bias.dtype)
        self.outputs = self.bias

    def begin(self, examples: int) -> None:
        """Make room for the steps of a batch."""
        self.count = 0
        if len(self.inputs) < examples:
            self.inputs = np.zeros((examples, self.inputs.shape[1]), self.bias.dtype)
            self.steps = np.zeros((examples, self.steps.shape[1]), self.bias.dtype)

    def forward(self, inputs: Array) -> Array:
        """Return the outputs of one example under the weights after the steps so far."""
        past = slice(self.count)
        self.inputs[self.count] = inputs
        self.outputs = (self.matrix @ torch.from_numpy(inputs)).numpy()
        self.outputs += self.bias
        if self.count:
            self.outputs -= (self.inputs[past] @ inputs) @ self.steps[past]
        if self.relu:
            np.maximum(self.outputs, 0, out=self.outputs)
        return self.outputs

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Put the step off, and return the gradient of the inputs under the weights before it."""
        assert rate is not None  # only plain SGD can be put off
        if self.relu:
            gradient = gradient * (self.outputs > 0)
        below = gradient
        if pass_on:
            past = slice(self.count)
            below = (torch.from_numpy(gradient) @ self.matrix).numpy()
            if self.count:
                below -= (self.steps[past] @ gradient) @ self.inputs[past]
        self.steps[self.count] = rate * gradient
        self.bias -= self.steps[self.count]
        self.count += 1
        return below

    def finish(self, reptile_rate: float) -> None:
        """Take all steps of the batch with one matrix product."""
        steps, inputs = (torch.from_numpy(rows[: self.count]) for rows in (self.steps, self.inputs))
        self.matrix.addmm_(steps.t(), inputs, alpha=-reptile_rate)
