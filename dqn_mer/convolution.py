"""Convolutions whose forward pass, backward pass and SGD step are written out for one example at a time, on a CPU.

Like `explicit`, for channels-last maps: every layer is one matrix product over the patches of the maps below it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn

from dqn_mer.explicit import Array, shared
from dqn_mer.kernels import scatter_patches


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
            scatter_patches(self.patch_gradient_map, below, self.stride)
        if rate is None:
            torch.mm(self.flat_gradient.t(), self.patches, out=self.matrix_gradient)
            torch.sum(self.flat_gradient, 0, out=self.bias_gradient)
        else:
            self.matrix.addmm_(self.flat_gradient.t(), self.patches, alpha=-rate)
            self.bias.add_(self.flat_gradient.sum(0), alpha=-rate)


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
        return self.layers[-1].outputs.transpose(2, 0, 1).reshape(-1)

    def backward(self, gradient: Array, rate: float | None) -> None:
        """Take the step for d loss / d features."""
        top = self.layers[-1]
        height, width, channels = top.outputs.shape
        top.gradient[...] = gradient.reshape(channels, height, width).transpose(1, 2, 0)
        for layer, lower in zip(self.layers[:0:-1], self.layers[-2::-1], strict=True):
            layer.backward(rate, lower.gradient)
        self.layers[0].backward(rate, None)
