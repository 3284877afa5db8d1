"""Kernels of a convolution that work on patches and maps, compiled by Numba."""

from __future__ import annotations

import numpy as np

from dqn_mer.fast.kernels.dense import Array, compiled

SCALED = np.arange(256, dtype=np.float32) / np.float32(255)
"""Float value that `ScalePixels` gives each pixel value, unless it centres them."""


def scale_pixels(pixels: Array, maps: Array, table: Array = SCALED) -> None:
    """Set ``maps`` ``(height, width, channels)`` to ``pixels`` as `ScalePixels` scales them.

    Args:
        pixels: Pixels ``(channels, height, width)``, bytes from 0 to 255, or of another dtype and scaled already.
        maps: Maps to fill; overwritten.
        table: Float value of each byte, ``(256,)``; its first value is added to pixels that are scaled already.
    """
    if pixels.dtype != np.uint8:
        np.copyto(maps, pixels.transpose(1, 2, 0) + table[0])
        return
    _look_up(pixels, table.astype(maps.dtype, copy=False), maps)


def cut_patches(maps: Array, patches: Array, stride: tuple[int, int]) -> None:
    """Copy every patch of ``maps`` ``(height, width, channels)`` into ``patches``.

    Args:
        maps: Contiguous maps.
        patches: ``(y, x, kernel y, kernel x, channels)``, contiguous; overwritten.
        stride: Places between patches, down and across.
    """
    height, width, kernel_y, kernel_x, channels = patches.shape
    rows = patches.reshape(height, width, kernel_y, kernel_x * channels)  # contiguous in the maps as well
    _copy_rows(maps.reshape(len(maps), -1), rows, stride[0], stride[1] * channels)


def scatter_patches(patches: Array, below: Array, stride: tuple[int, int]) -> None:
    """Add every patch of ``patches`` ``(y, x, kernel y, kernel x, channels)`` to the place of ``below`` it covers.

    Args:
        patches: Gradients of the patches.
        below: ``(height, width, channels)``; overwritten.
        stride: Places between patches, down and across.
    """
    height, width, kernel_y, kernel_x, channels = patches.shape
    rows = patches.reshape(height, width, kernel_y, kernel_x * channels)
    _add_patch_rows(rows, below.reshape(len(below), -1), stride[0], stride[1] * channels)


@compiled
def _look_up(pixels: Array, table: Array, maps: Array) -> None:
    height, width, channels = maps.shape
    for y in range(height):
        for channel in range(channels):
            for x in range(width):
                maps[y, x, channel] = table[pixels[channel, y, x]]


@compiled
def _copy_rows(maps: Array, patches: Array, down: int, right: int) -> None:
    height, width, kernel, run = patches.shape
    for y in range(height):
        for x in range(width):
            for offset in range(kernel):
                source, target = maps[y * down + offset, x * right :], patches[y, x, offset]
                for place in range(run):
                    target[place] = source[place]


@compiled
def _add_patch_rows(patches: Array, below: Array, down: int, right: int) -> None:
    below[:] = 0
    height, width, kernel, run = patches.shape
    for y in range(height):
        for x in range(width):
            for offset in range(kernel):
                source, target = patches[y, x, offset], below[y * down + offset, x * right :]
                for place in range(run):
                    target[place] += source[place]


@compiled
def add_bias_relu(outputs: Array, bias: Array) -> None:
    """Set ``outputs`` ``(height, width, channels)`` to ``max(outputs + bias, 0)``."""
    zero = bias.dtype.type(0)
    height, width, channels = outputs.shape
    for y in range(height):
        for x in range(width):
            for channel in range(channels):
                outputs[y, x, channel] = max(outputs[y, x, channel] + bias[channel], zero)


@compiled
def relu_backward(gradient: Array, outputs: Array, bias_gradient: Array) -> None:
    """Set ``gradient`` ``(height, width, channels)`` to zero where ``outputs`` is, ``bias_gradient`` to its sums."""
    zero = bias_gradient.dtype.type(0)
    bias_gradient[:] = zero
    height, width, channels = outputs.shape
    for y in range(height):
        for x in range(width):
            for channel in range(channels):
                slope = gradient[y, x, channel] if outputs[y, x, channel] > zero else zero
                gradient[y, x, channel] = slope
                bias_gradient[channel] += slope
