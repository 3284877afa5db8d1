"""Inner loops of one example that no library call covers, compiled by Numba where it is installed.

A large dense layer is bound by the memory that its weights come from. Its inputs are the outputs of a ReLU, and
half or more of them are zero: neither the forward nor the backward pass needs their weights. BLAS reads them all
the same. Without Numba the same functions go through BLAS and NumPy; results agree within rounding.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])

COMPILED = importlib.util.find_spec("numba") is not None
"""Whether Numba is there."""


def compiled(function: Function, nogil: bool = False) -> Function:
    """Have Numba compile ``function`` at its first call; without Numba it must not be called.

    Args:
        function: to compile.
        nogil: whether other threads may run Python during it.
    """
    if not COMPILED:
        return function
    from numba import njit

    # Sums may be reordered and contracted; NaN and infinity stay what they are, and division by zero gives them.
    compile_: Any = partial(njit, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy", nogil=nogil)
    try:
        made: Function = compile_(function, cache=True)
    except RuntimeError:  # nowhere to keep the machine code: each process makes it anew
        made = compile_(function)
    return made


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


def dense_forward(matrix: Array, bias: Array, inputs: Array, outputs: Array, relu: bool) -> None:
    """Set ``outputs`` to ``matrix @ inputs + bias`` for ``matrix`` (outputs, inputs), through a ReLU if so told."""
    if COMPILED:
        _dense_forward(matrix, bias, inputs, outputs, relu)
        return
    np.dot(matrix, inputs, out=outputs)
    outputs += bias
    if relu:
        np.maximum(outputs, 0, out=outputs)


def dense_step(matrix: Array, inputs: Array, gradient: Array, rate: float) -> Array:
    """Return ``gradient @ matrix``, and then take the SGD step of ``matrix`` (outputs, inputs) in place."""
    if not COMPILED:
        below: Array = gradient @ matrix
        matrix -= np.multiply.outer(rate * gradient, inputs)
        return below
    found = np.zeros(inputs.shape, inputs.dtype)
    _dense_step(matrix, inputs, gradient, matrix.dtype.type(rate), found)
    return found


def dense_gradient(matrix: Array, inputs: Array, gradient: Array, into: Array) -> Array:
    """Return ``gradient @ matrix``, and write the gradient of ``matrix`` (outputs, inputs) to ``into``."""
    if not COMPILED:
        np.multiply.outer(gradient, inputs, out=into)
        below: Array = gradient @ matrix
        return below
    found = np.zeros(inputs.shape, inputs.dtype)
    _dense_gradient(matrix, inputs, gradient, into, found)
    return found


@compiled
def _add_rows(matrix: Array, inputs: Array, outputs: Array) -> None:
    active = np.flatnonzero(inputs)
    paired = active.shape[0] // 4 * 4
    for place in range(0, paired, 4):  # four rows at a time, for one reading and writing of the outputs
        a, b, c, d = active[place], active[place + 1], active[place + 2], active[place + 3]
        row_a, row_b, row_c, row_d = matrix[a], matrix[b], matrix[c], matrix[d]
        value_a, value_b, value_c, value_d = inputs[a], inputs[b], inputs[c], inputs[d]
        for column in range(matrix.shape[1]):
            outputs[column] += (
                value_a * row_a[column] + value_b * row_b[column] + value_c * row_c[column] + value_d * row_d[column]
            )
    for row in active[paired:]:
        for column in range(matrix.shape[1]):
            outputs[column] += inputs[row] * matrix[row, column]


@compiled
def _dot_rows(matrix: Array, gradient: Array, inputs: Array, below: Array) -> None:
    active = np.flatnonzero(inputs)[::-1]  # the pass before this one left the last rows in the cache
    paired = active.shape[0] // 4 * 4
    zero = gradient.dtype.type(0)
    for place in range(0, paired, 4):
        a, b, c, d = active[place], active[place + 1], active[place + 2], active[place + 3]
        row_a, row_b, row_c, row_d = matrix[a], matrix[b], matrix[c], matrix[d]
        total_a, total_b, total_c, total_d = zero, zero, zero, zero
        for column in range(matrix.shape[1]):
            slope = gradient[column]
            total_a += row_a[column] * slope
            total_b += row_b[column] * slope
            total_c += row_c[column] * slope
            total_d += row_d[column] * slope
        below[a], below[b], below[c], below[d] = total_a, total_b, total_c, total_d
    for row in active[paired:]:
        total = zero
        for column in range(matrix.shape[1]):
            total += matrix[row, column] * gradient[column]
        below[row] = total


@compiled
def _dense_forward(matrix: Array, bias: Array, inputs: Array, outputs: Array, relu: bool) -> None:
    zero = bias.dtype.type(0)
    for row in range(matrix.shape[0]):
        total = zero
        for column in range(matrix.shape[1]):
            total += matrix[row, column] * inputs[column]
        total += bias[row]
        outputs[row] = max(total, zero) if relu else total


@compiled
def _dense_step(matrix: Array, inputs: Array, gradient: Array, rate: Any, below: Array) -> None:
    for row in range(matrix.shape[0]):
        slope = gradient[row]
        if slope != 0:
            step = rate * slope
            for column in range(matrix.shape[1]):
                weight = matrix[row, column]
                below[column] += slope * weight
                matrix[row, column] = weight - step * inputs[column]


@compiled
def _dense_gradient(matrix: Array, inputs: Array, gradient: Array, into: Array, below: Array) -> None:
    for row in range(matrix.shape[0]):
        slope = gradient[row]
        for column in range(matrix.shape[1]):
            into[row, column] = slope * inputs[column]
        if slope != 0:
            for column in range(matrix.shape[1]):
                below[column] += slope * matrix[row, column]
