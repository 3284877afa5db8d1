"""The inner loops of one example that no library call covers, compiled by Numba where it is installed.

A large dense layer is bound by the memory that its weights come from. Its inputs are the outputs of a ReLU, and
half or more of them are zero: neither the forward nor the backward pass needs their weights. BLAS reads them all
the same. Without Numba the same functions go through BLAS; results agree within rounding.
"""

from __future__ import annotations

import importlib.util
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]

COMPILED = importlib.util.find_spec("numba") is not None
"""Whether Numba is there."""


def product(matrix: Array, inputs: Array) -> Array:
    """Return ``inputs @ matrix``, shape ``(outputs,)``, for ``matrix`` ``(inputs, outputs)``."""
    if not COMPILED:
        return (torch.from_numpy(inputs) @ torch.from_numpy(matrix)).numpy()
    outputs = np.zeros(matrix.shape[1], matrix.dtype)
    _add_rows(matrix, inputs, outputs)
    return outputs


def product_of_active(matrix: Array, gradient: Array, inputs: Array) -> Array:
    """Return ``matrix @ gradient`` where ``inputs`` is not zero, and zero elsewhere; shape ``(inputs,)``."""
    if not COMPILED:
        below: Array = (torch.from_numpy(matrix) @ torch.from_numpy(gradient)).numpy()
        below *= inputs != 0
        return below
    found = np.zeros(matrix.shape[0], matrix.dtype)
    _dot_rows(matrix, gradient, inputs, found)
    return found


def scatter_patches(patches: Array, below: Array, stride: tuple[int, int]) -> None:
    """Add every patch of ``patches`` ``(y, x, kernel y, kernel x, channels)`` to the place of ``below`` it covers.

    Args:
        patches: gradients of the patches.
        below: ``(height, width, channels)``; overwritten.
        stride: between patches.
    """
    if COMPILED:
        _scatter(patches, below, stride[0], stride[1])
        return
    below.fill(0)
    height, width, kernel_y, kernel_x, _ = patches.shape
    for y in range(kernel_y):
        for x in range(kernel_x):
            target = below[y : y + stride[0] * height : stride[0], x : x + stride[1] * width : stride[1]]
            target += patches[:, :, y, x]


def adam_step(weights: Array, first: Array, second: Array, gradient: Array, constants: AdamConstants) -> None:
    """Take one Adam step in place; all arrays ``(n,)``. Compiled only."""
    _adam_vector(weights, first, second, gradient, *constants)


def adam_step_of_product(
    weights: Array, first: Array, second: Array, inputs: Array, gradient: Array, constants: AdamConstants
) -> None:
    """Take one Adam step in place for the gradient ``inputs gradientᵀ``, without forming it. Compiled only.

    Args:
        weights: ``(inputs, outputs)``.
        first: Adam's first moments, same shape.
        second: Adam's second moments, same shape.
        inputs: ``(inputs,)``.
        gradient: ``(outputs,)``.
        constants: of this step.
    """
    _adam_product(weights, first, second, inputs, gradient, *constants)


class AdamConstants(NamedTuple):
    """Numbers of one Adam step, all in the dtype of the weights: a mixture would be computed in float64."""

    step_size: Any
    beta1: Any
    rest1: Any
    beta2: Any
    rest2: Any
    epsilon: Any
    second_scale: Any

    @classmethod
    def at(
        cls, step: int, learning_rate: float, betas: tuple[float, float], epsilon: float, dtype: Any
    ) -> AdamConstants:
        """Return the numbers of the ``step``-th step (from 1), with its bias corrections."""
        corrections = 1 - betas[0] ** step, (1 - betas[1] ** step) ** 0.5
        beta1, beta2 = betas
        values = learning_rate / corrections[0], beta1, 1 - beta1, beta2, 1 - beta2, epsilon, 1 / corrections[1]
        return cls(*(np.dtype(dtype).type(value) for value in values))


def _adam_vector(
    weights: Array,
    first: Array,
    second: Array,
    gradient: Array,
    size: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    eps: Any,
    scale: Any,
) -> None:
    for i in range(weights.shape[0]):
        mean = beta1 * first[i] + rest1 * gradient[i]
        square = beta2 * second[i] + rest2 * gradient[i] * gradient[i]
        first[i], second[i] = mean, square
        weights[i] -= size * mean / (np.sqrt(square) * scale + eps)


def _adam_product(
    weights: Array,
    first: Array,
    second: Array,
    inputs: Array,
    gradient: Array,
    size: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    eps: Any,
    scale: Any,
) -> None:
    for row in range(weights.shape[0]):
        value, row_weights, row_first, row_second = inputs[row], weights[row], first[row], second[row]
        for column in range(weights.shape[1]):
            slope = value * gradient[column]
            mean = beta1 * row_first[column] + rest1 * slope
            square = beta2 * row_second[column] + rest2 * slope * slope
            row_first[column], row_second[column] = mean, square
            row_weights[column] -= size * mean / (np.sqrt(square) * scale + eps)


def _add_rows(matrix: Array, inputs: Array, outputs: Array) -> None:
    for row in range(matrix.shape[0]):
        value = inputs[row]
        if value != 0:
            for column in range(matrix.shape[1]):
                outputs[column] += value * matrix[row, column]


def _dot_rows(matrix: Array, gradient: Array, inputs: Array, below: Array) -> None:
    for row in range(matrix.shape[0]):
        if inputs[row] != 0:
            total = gradient[0] * 0
            for column in range(matrix.shape[1]):
                total += matrix[row, column] * gradient[column]
            below[row] = total


def _scatter(patches: Array, below: Array, down: int, right: int) -> None:
    below[:] = 0
    height, width, kernel_y, kernel_x, channels = patches.shape
    for y in range(height):
        for x in range(width):
            for offset_y in range(kernel_y):
                for offset_x in range(kernel_x):
                    for channel in range(channels):
                        below[y * down + offset_y, x * right + offset_x, channel] += patches[
                            y, x, offset_y, offset_x, channel
                        ]


if COMPILED:
    from numba import njit

    # Sums may be reordered and contracted; NaN and infinity stay what they are, and division by zero gives them.
    _compiled = njit(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
    _add_rows, _dot_rows, _scatter = _compiled(_add_rows), _compiled(_dot_rows), _compiled(_scatter)
    _adam_vector, _adam_product = _compiled(_adam_vector), _compiled(_adam_product)
