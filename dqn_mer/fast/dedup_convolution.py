"""Convolutions on a batch that compute every distinct patch once: forward pass, backward pass and SGD step, on a CPU.

Each layer is one matrix product over the distinct patches of the maps below it; the maps are never laid out whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from dqn_mer.fast.convolution import kernel_rows
from dqn_mer.fast.dense import Array, shared, step_product
from dqn_mer.fast.kernels.dedup import (
    add_to_rows,
    cut_pixels,
    cut_rows,
    features,
    gather,
    number_pixels,
    spread,
)
from dqn_mer.fast.kernels.distinct import find_distinct, hash_factors
from dqn_mer.fast.kernels.patches import SCALED, add_bias_relu, relu_backward


class Buffer:
    """An array that is kept from batch to batch, and grows as needed.

    Args:
        shape: Shape of a row.
        dtype: NumPy dtype of the array.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
        self.rows: Array = np.empty((0, *shape), dtype)

    def first(self, count: int) -> Array:
        """Return the first ``count`` rows, with undefined content."""
        if len(self.rows) < count:
            self.rows = np.empty((count + count // 4, *self.rows.shape[1:]), self.rows.dtype)
        return self.rows[:count]


class DistinctConvolution:
    """A convolution with a ReLU behind it, on maps of numbered rows.

    Args:
        layer: Convolution without padding, dilation or groups; weights channels-last, as `FlatWeights` lays them out.

    Attributes:
        outputs: Outputs for the distinct patches, ``(distinct, channels)``, written by `forward`.
        gradient: Gradient of the outputs, same shape; to be filled before `backward`.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        self.kernel, self.stride = (layer.kernel_size[0], layer.kernel_size[1]), (layer.stride[0], layer.stride[1])
        self.matrix, self.matrix_gradient = kernel_rows(layer)
        self.bias, self.bias_gradient = (part.numpy() for part in shared(layer.bias))
        self.factors = hash_factors(self.kernel)
        patch, dtype = (*self.kernel, layer.in_channels), self.bias.dtype
        self._patches, self._patch_gradient = Buffer(patch, dtype), Buffer(patch, dtype)
        self._outputs, self._gradient = (Buffer((layer.out_channels,), dtype) for _ in range(2))
        self.patches, self.outputs, self.gradient = (
            part.first(0) for part in (self._patches, self._outputs, self._gradient)
        )
        self.numbers = self.places = np.empty((0, 3), np.int32)

    def forward(self, numbers: Array, cut: Callable[[Array, Array], None]) -> Array:
        """Fill `outputs`.

        Args:
            numbers: Number of the row below at each place of the maps, ``(n, height, width)``.
            cut: Function ``cut(places, patches)`` that copies the patches at these places.

        Returns:
            The number of the row of `outputs` at each place of the maps above, ``(n, height, width)``.
        """
        patch_numbers, self.places = find_distinct(numbers, self.kernel, self.stride, self.factors)
        self.numbers = numbers
        self.patches, self.outputs, self.gradient = (
            part.first(len(self.places)) for part in (self._patches, self._outputs, self._gradient)
        )
        cut(self.places, self.patches)
        torch.mm(_as_rows(self.patches), self.matrix.t(), out=torch.from_numpy(self.outputs))
        add_bias_relu(self.outputs[np.newaxis], self.bias)
        return patch_numbers

    def backward(self, rate: float | None, below: Array | None) -> None:
        """Take the step for `gradient`; fill ``below``, the gradient of the rows below."""
        relu_backward(self.gradient[np.newaxis], self.outputs[np.newaxis], self.bias_gradient)
        gradient = torch.from_numpy(self.gradient)
        if below is not None:
            patch_gradient = self._patch_gradient.first(len(self.places))
            torch.mm(gradient, self.matrix, out=_as_rows(patch_gradient))
            add_to_rows(patch_gradient, self.numbers, self.places, below)
        step_product(self.matrix, self.matrix_gradient, gradient, _as_rows(self.patches), rate)
        if rate is not None:
            self.bias -= rate * self.bias_gradient


class DistinctStack:
    """The convolutions of a network, from pixels to features.

    Args:
        layers: `torch.nn.Conv2d` layers, each followed by a ReLU; the first with at most `MAX_CHANNELS` channels.
        table: Float value of each pixel value, ``(256,)``: `ScalePixels.table`.
    """

    def __init__(self, layers: Sequence[nn.Conv2d], table: Array = SCALED) -> None:
        self.layers = [DistinctConvolution(layer) for layer in layers]
        self.table = table.astype(self.layers[0].bias.dtype)
        self.numbers = self.patch_numbers = np.empty((0, 0, 0), np.int32)
        columns = zip(*((d.kernel, d.stride, d.factors, d.matrix.numpy(), d.bias) for d in self.layers), strict=True)
        self.kernels, self.strides, self.factors, self.matrices, self.biases = columns

    def distinct_share(self, pixels: Array) -> float:
        """Return the share of distinct patches among those that the first layer cuts from ``pixels``, in (0, 1]."""
        numbers = np.empty((len(pixels), *pixels.shape[2:]), np.int32)
        number_pixels(pixels, numbers)
        patch_numbers, places = find_distinct(numbers, self.kernels[0], self.strides[0], self.factors[0])
        return len(places) / patch_numbers.size

    def features(self, pixels: Array) -> Array:
        """Return what `forward` returns, but keep nothing for `backward`."""
        maps = features(pixels, self.table, self.kernels, self.strides, self.factors, self.matrices, self.biases)
        return maps.reshape(len(maps), -1)

    def forward(self, pixels: Array) -> Array:
        """Return features ``(n, features)``, in the order of `torch.nn.Flatten`.

        Args:
            pixels: ``(n, channels, height, width)`` uint8.
        """
        shape = len(pixels), *pixels.shape[2:]
        if self.numbers.shape != shape:
            self.numbers = np.empty(shape, np.int32)
        number_pixels(pixels, self.numbers)
        self.patch_numbers = self.layers[0].forward(self.numbers, partial(cut_pixels, pixels, self.table))
        for lower, layer in zip(self.layers, self.layers[1:], strict=False):
            self.patch_numbers = layer.forward(self.patch_numbers, partial(cut_rows, lower.outputs, self.patch_numbers))
        top = self.layers[-1].outputs
        maps = np.empty((len(pixels), top.shape[1], *self.patch_numbers.shape[1:]), top.dtype)
        spread(top, self.patch_numbers, maps)
        return maps.reshape(len(maps), -1)

    def backward(self, gradient: Array, rate: float | None) -> None:
        """Take the step for d loss / d features of the last forward pass."""
        top = self.layers[-1].gradient
        gather(gradient.reshape(len(gradient), top.shape[1], *self.patch_numbers.shape[1:]), self.patch_numbers, top)
        for layer, lower in zip(self.layers[:0:-1], self.layers[-2::-1], strict=True):
            layer.backward(rate, lower.gradient)
        self.layers[0].backward(rate, None)


def _as_rows(patches: Array) -> torch.Tensor:
    return torch.from_numpy(patches.reshape(len(patches), -1))
