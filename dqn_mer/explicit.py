"""Layers whose forward pass, backward pass and SGD step are written out for one example at a time, on a CPU.

Each layer is tied to views of a model's weights and of their gradients. ``backward`` takes the example's step:
with a rate it moves the weights at once (plain SGD), with None it writes the gradient for an optimizer.
Activations are NumPy arrays; large products go through PyTorch's BLAS on tensors that share their memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
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


class Convolution:
    """A convolution with a ReLU behind it, on channels-last maps, as one matrix product over its patches.

    Args:
        layer: without padding, dilation or groups; weights channels-last, as `FlatWeights` lays them out.
        in_shape: height and width of the maps below.

    Attributes:
        patches: ``(positions, fan_in)``, what `forward` reads; for layers above the first, filled through `patch_map`.
        outputs: ``(height, width, channels)``, written by `forward`.
        gradient: of the outputs, same shape; to be filled before `backward`.
    """

    def __init__(self, layer: nn.Conv2d, in_shape: tuple[int, int]) -> None:
        self.kernel, self.stride = (layer.kernel_size[0], layer.kernel_size[1]), (layer.stride[0], layer.stride[1])
        height, width = ((n - k) // s + 1 for n, k, s in zip(in_shape, self.kernel, self.stride, strict=True))
        channels, fan_in = layer.out_channels, layer.in_channels * self.kernel[0] * self.kernel[1]
        # Channels-last weights are one row for each output channel, in the order of a patch.
        self.matrix, self.matrix_gradient = (
            part.permute(0, 2, 3, 1).view(channels, fan_in) for part in shared(layer.weight)
        )
        self.bias, self.bias_gradient = shared(layer.bias)
        self.patch_shape = (height, width, *self.kernel, layer.in_channels)
        self.patches, self.patch_gradient = (self.matrix.new_zeros(height * width, fan_in) for _ in range(2))
        self.patch_map, self.patch_gradient_map = (
            part.numpy().reshape(self.patch_shape) for part in (self.patches, self.patch_gradient)
        )
        self.flat_outputs, self.flat_gradient = (self.matrix.new_zeros(height * width, channels) for _ in range(2))
        self.outputs, self.gradient = (
            part.numpy().reshape(height, width, channels) for part in (self.flat_outputs, self.flat_gradient)
        )

    def windows(self, maps: Array) -> Array:
        """Return the patches of ``maps`` ``(..., height, width, channels)`` as a view ``(..., *patch_shape)``."""
        found = sliding_window_view(maps, self.kernel, axis=(-3, -2))  # (..., y, x, channels, kernel y, kernel x)
        return np.moveaxis(found[..., :: self.stride[0], :: self.stride[1], :, :, :], -3, -1)

    def forward(self) -> None:
        """Fill `outputs` from one example's `patches`."""
        torch.addmm(self.bias, self.patches, self.matrix.t(), out=self.flat_outputs)
        self.flat_outputs.clamp_(min=0)

    def backward(self, rate: float | None, below: Array | None) -> None:
        """Take the step for `gradient`; fill ``below``, the gradient ``(height, width, channels)`` of the input."""
        np.multiply(self.gradient, self.outputs > 0, out=self.gradient)
        if below is not None:
            torch.mm(self.flat_gradient, self.matrix, out=self.patch_gradient)
            self._scatter(below)
        if rate is None:
            torch.mm(self.flat_gradient.t(), self.patches, out=self.matrix_gradient)
            torch.sum(self.flat_gradient, 0, out=self.bias_gradient)
        else:
            self.matrix.addmm_(self.flat_gradient.t(), self.patches, alpha=-rate)
            self.bias.add_(self.flat_gradient.sum(0), alpha=-rate)

    def _scatter(self, below: Array) -> None:
        """Add every patch's gradient where the patch was taken from."""
        below.fill(0)
        (height, width), (down, right) = self.patch_shape[:2], self.stride
        for y in range(self.kernel[0]):
            for x in range(self.kernel[1]):
                target = below[y : y + down * height : down, x : x + right * width : right]
                target += self.patch_gradient_map[:, :, y, x]


class ConvolutionStack:
    """The convolutions of a network, from pixels to features.

    Args:
        layers: `torch.nn.Conv2d` layers, each followed by a ReLU.
        input_shape: ``(channels, height, width)`` of the pixels.
    """

    def __init__(self, layers: Sequence[nn.Conv2d], input_shape: tuple[int, int, int]) -> None:
        self.layers: list[Convolution] = []
        shape = input_shape[1:]
        for layer in layers:
            self.layers.append(Convolution(layer, (shape[0], shape[1])))
            shape = self.layers[-1].outputs.shape[:2]
        # What the layers above the first read: views of the maps below them.
        self.windows = [
            upper.windows(lower.outputs) for lower, upper in zip(self.layers, self.layers[1:], strict=False)
        ]
        self.first_patches = self.layers[0].patches[None]

    def load(self, pixels: Tensor) -> None:
        """Cut out the first layer's patches for all examples; they do not depend on the weights.

        Args:
            pixels: ``(examples, channels, height, width)``, scaled to [0, 1].
        """
        first = self.layers[0]
        maps = np.ascontiguousarray(np.moveaxis(pixels.numpy(), 1, -1))
        patches = np.ascontiguousarray(first.windows(maps))
        self.first_patches = torch.from_numpy(patches.reshape(len(maps), -1, first.matrix.shape[1]))

    def forward(self, row: int) -> Array:
        """Return the features of one loaded example, in the order of `torch.nn.Flatten`."""
        self.layers[0].patches = self.first_patches[row]
        self.layers[0].forward()
        for layer, windows in zip(self.layers[1:], self.windows, strict=True):
            np.copyto(layer.patch_map, windows)
            layer.forward()
        return np.moveaxis(self.layers[-1].outputs, -1, 0).reshape(-1)

    def backward(self, gradient: Array, rate: float | None) -> None:
        """Take the step for d loss / d features."""
        top = self.layers[-1]
        height, width, channels = top.outputs.shape
        top.gradient[...] = np.moveaxis(gradient.reshape(channels, height, width), 0, -1)
        for layer, lower in zip(self.layers[:0:-1], self.layers[-2::-1], strict=True):
            layer.backward(rate, lower.gradient)
        self.layers[0].backward(rate, None)
