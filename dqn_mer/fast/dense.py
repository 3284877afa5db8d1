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
from torch import Tensor, nn

from dqn_mer.fast.kernels.dense import dense_forward, dense_gradient, dense_step, product, product_of_active

Array = NDArray[Any]


def shared(parameter: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return a parameter's values and gradient as plain tensors that share its memory."""
    assert parameter is not None and parameter.grad is not None  # FlatWeights gives every parameter a gradient
    return parameter.detach(), parameter.grad


def step_product(matrix: Tensor, matrix_gradient: Tensor, gradient: Tensor, inputs: Tensor, rate: float | None) -> None:
    """Take the SGD step of ``matrix`` in ``outputs = inputs @ matrix.t()``; with no rate, write its gradient.

    Args:
        matrix: ``(outputs, inputs)``.
        matrix_gradient: Gradient of the matrix, same shape.
        gradient: Gradient d loss / d outputs, ``(n, outputs)``.
        inputs: ``(n, inputs)``.
        rate: Learning rate, or None.
    """
    if rate is None:
        torch.mm(gradient.t(), inputs, out=matrix_gradient)
    else:
        matrix.addmm_(gradient.t(), inputs, alpha=-rate)


class Dense(Protocol):
    """A fully connected layer, with or without a ReLU behind it.

    An array that a layer is given or returns may be a buffer that the next example overwrites: it holds from the
    forward pass of an example to the end of its backward pass. A layer copies what it needs for longer.
    """

    def begin(self, examples: int) -> None:
        """Prepare for a batch of `examples` examples."""

    def forward(self, inputs: Array) -> Array:
        """Return the outputs ``(outputs,)`` of one example's ``inputs`` ``(inputs,)``."""

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Take the step for d loss / d outputs; return d loss / d inputs if it is to be passed on.

        Where an input is zero its gradient may be left out: the input came from a ReLU, which stops the gradient.
        """

    def finish(self, reptile_rate: float) -> None:
        """End the batch; a layer that put off its steps takes them now, times ``reptile_rate``."""


class DirectDense:
    """A dense layer that takes every step at once."""

    def __init__(self, layer: nn.Linear, relu: bool) -> None:
        self.matrix, self.matrix_gradient = (part.numpy() for part in shared(layer.weight))
        self.bias, self.bias_gradient = (part.numpy() for part in shared(layer.bias))
        self.relu = relu
        self.inputs = self.bias
        self.outputs = np.zeros_like(self.bias)

    def begin(self, examples: int) -> None:
        """Do nothing: there is nothing to prepare."""

    def forward(self, inputs: Array) -> Array:
        """Return the outputs of one example."""
        self.inputs = inputs
        dense_forward(self.matrix, self.bias, inputs, self.outputs, self.relu)
        return self.outputs

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Take the step, and return the gradient of the inputs under the weights before it."""
        if self.relu:
            gradient = gradient * (self.outputs > 0)
        if rate is None:
            self.bias_gradient[:] = gradient
            return dense_gradient(self.matrix, self.inputs, gradient, self.matrix_gradient)
        self.bias -= rate * gradient
        return dense_step(self.matrix, self.inputs, gradient, rate)

    def finish(self, reptile_rate: float) -> None:
        """Do nothing: no step was put off."""


class LargeDense:
    """A large dense layer for any optimizer, which takes the step; the layer writes the gradient.

    Its weights lie input by input in memory (see `FlatWeights`), so that inputs of zero can be passed over.

    Args:
        layer: Layer to read, and to write the gradient of.
        relu: Whether a ReLU follows.
    """

    def __init__(self, layer: nn.Linear, relu: bool) -> None:
        self.matrix, self.matrix_gradient = (part.t().numpy() for part in shared(layer.weight))
        self.bias, self.bias_gradient = (part.numpy() for part in shared(layer.bias))
        self.relu = relu
        self.inputs = self.outputs = self.bias

    def begin(self, examples: int) -> None:
        """Do nothing: there is nothing to prepare."""

    def forward(self, inputs: Array) -> Array:
        """Return the outputs of one example."""
        self.inputs = inputs
        self.outputs = product(self.matrix, inputs)
        self.outputs += self.bias
        if self.relu:
            np.maximum(self.outputs, 0, out=self.outputs)
        return self.outputs

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Write the gradient for the optimizer, and return that of the inputs that are not zero."""
        assert rate is None  # plain SGD has `LazyDense`
        if self.relu:
            gradient = gradient * (self.outputs > 0)
        np.multiply.outer(self.inputs, gradient, out=self.matrix_gradient)
        self.bias_gradient[:] = gradient
        return product_of_active(self.matrix, gradient, self.inputs) if pass_on else gradient

    def finish(self, reptile_rate: float) -> None:
        """Do nothing: no step was put off."""


class LazyDense:
    """A large dense layer for plain SGD: the steps of a batch are kept as a low-rank term until its end.

    After steps with gradients g_i and inputs x_i the matrix is W - Σ rate_i x_i g_iᵀ, so that
    ``x W_j = x W - Σ rate_i (x · x_i) g_i``, and likewise for the transpose: W is read twice an example, where the
    inputs are not zero, and written once a batch, with the Reptile rate folded in. The bias takes its steps at once.
    """

    def __init__(self, layer: nn.Linear, relu: bool) -> None:
        self.matrix, self.bias = shared(layer.weight)[0].t().numpy(), shared(layer.bias)[0].numpy()
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
        self.outputs = product(self.matrix, inputs)
        self.outputs += self.bias
        if self.count:
            self.outputs -= (self.inputs[past] @ inputs) @ self.steps[past]
        if self.relu:
            np.maximum(self.outputs, 0, out=self.outputs)
        return self.outputs

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Put the step off, and return the gradient, under the weights before it, of the inputs that are not zero."""
        assert rate is not None  # only plain SGD can be put off
        if self.relu:
            gradient = gradient * (self.outputs > 0)
        below = gradient
        if pass_on:
            past = slice(self.count)
            below = product_of_active(self.matrix, gradient, self.inputs[self.count])
            if self.count:
                below -= (self.steps[past] @ gradient) @ self.inputs[past]
        self.steps[self.count] = rate * gradient
        self.bias -= self.steps[self.count]
        self.count += 1
        return below

    def finish(self, reptile_rate: float) -> None:
        """Take all steps of the batch with one matrix product."""
        steps, inputs = (torch.from_numpy(rows[: self.count]) for rows in (self.steps, self.inputs))
        torch.from_numpy(self.matrix).addmm_(inputs.t(), steps, alpha=-reptile_rate)
