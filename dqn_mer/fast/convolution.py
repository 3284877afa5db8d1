"""Convolutions whose forward pass, backward pass and SGD step are written out for one example at a time, on a CPU.

Like `dense`, for channels-last maps: every layer is one matrix product over the patches of the maps below it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dqn_mer.fast.dense import Array, shared, step_product
from dqn_mer.fast.kernels.patches import (
    SCALED,
    add_bias_relu,
    cut_patches,
    relu_backward,
    scale_pixels,
    scatter_patches,
)


def kernel_rows(layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Return channels-last weights and their gradient, a row for each output channel in the order of a patch."""
    values, gradient = (part.permute(0, 2, 3, 1).view(layer.out_channels, -1) for part in shared(layer.weight))
    return values, gradient


class Convolution:
    """A convolution with a ReLU behind it, on channels-last maps, as one matrix product over its patches.

    Args:
        layer: Convolution without padding, dilation or groups; weights channels-last, as `FlatWeights` lays them out.
        in_shape: Height and width of the maps below.

    Attributes:
        outputs: ``(height, width, channels)``, written by `forward`.
        gradient: Gradient of the outputs, same shape; to be filled before `backward`.
    """

    def __init__(self, layer: nn.Conv2d, in_shape: tuple[int, int]) -> None:
        kernel, self.stride = (layer.kernel_size[0], layer.kernel_size[1]), (layer.stride[0], layer.stride[1])
        height, width = ((n - k) // s + 1 for n, k, s in zip(in_shape, kernel, self.stride, strict=True))
        channels, fan_in = layer.out_channels, layer.in_channels * kernel[0] * kernel[1]
        self.matrix, self.matrix_gradient = kernel_rows(layer)
        self.bias, self.bias_gradient = (part.numpy() for part in shared(layer.bias))
        self.patches, self.patch_gradient = (self.matrix.new_zeros(height * width, fan_in) for _ in range(2))
        self.patch_map, self.patch_gradient_map = (
            part.numpy().reshape(height, width, *kernel, layer.in_channels)
            for part in (self.patches, self.patch_gradient)
        )
        self.flat_outputs, self.flat_gradient = (self.matrix.new_zeros(height * width, channels) for _ in range(2))
        self.outputs, self.gradient = (
            part.numpy().reshape(height, width, channels) for part in (self.flat_outputs, self.flat_gradient)
        )

    def forward(self, maps: Array) -> None:
        """Fill `outputs` from one example's ``maps`` ``(height, width, channels)``."""
        cut_patches(maps, self.patch_map, self.stride)
        torch.mm(self.patches, self.matrix.t(), out=self.flat_outputs)
        add_bias_relu(self.outputs, self.bias)

    def backward(self, rate: float | None, below: Array | None) -> None:
        """Take the step for `gradient`; fill ``below``, the gradient ``(height, width, channels)`` of the input."""
        relu_backward(self.gradient, self.outputs, self.bias_gradient)
        if below is not None:
            torch.mm(self.flat_gradient, self.matrix, out=self.patch_gradient)
            scatter_patches(self.patch_gradient_map, below, self.stride)
        step_product(self.matrix, self.matrix_gradient, self.flat_gradient, self.patches, rate)
        if rate is not None:
            self.bias -= rate * self.bias_gradient


class ConvolutionStack:
    """The convolutions of a network, from pixels to features.

    Args:
        layers: `torch.nn.Conv2d` layers, each followed by a ReLU.
        input_shape: ``(channels, height, width)`` of the pixels.
        table: Float value of each pixel value, ``(256,)``: `ScalePixels.table`.
    """

    def __init__(self, layers: Sequence[nn.Conv2d], input_shape: tuple[int, int, int], table: Array = SCALED) -> None:
        self.table = table
        channels, *shape = input_shape
        self.maps = np.empty((*shape, channels), shared(layers[0].weight)[0].numpy().dtype)
        self.layers: list[Convolution] = []
        for layer in layers:
            self.layers.append(Convolution(layer, (shape[0], shape[1])))
            shape = list(self.layers[-1].outputs.shape[:2])

    def forward(self, pixels: Array) -> Array:
        """Return features ``(1, features)``, in the order of `torch.nn.Flatten`.

        Args:
            pixels: ``(1, channels, height, width)`` uint8.
        """
        scale_pixels(pixels[0], self.maps, self.table)
        maps = self.maps
        for layer in self.layers:
            layer.forward(maps)
            maps = layer.outputs
        return maps.transpose(2, 0, 1).reshape(1, -1)

    def backward(self, gradient: Array, rate: float | None) -> None:
        """Take the step for d loss / d features of the last forward pass, ``(1, features)``."""
        top = self.layers[-1]
        height, width, channels = top.outputs.shape
        top.gradient[...] = gradient.reshape(channels, height, width).transpose(1, 2, 0)
        for layer, lower in zip(self.layers[:0:-1], self.layers[-2::-1], strict=True):
            layer.backward(rate, lower.gradient)
        self.layers[0].backward(rate, None)
