"""Inner loops of one example that no library call covers, compiled by Numba.

A large dense layer is bound by the memory that its weights come from. Its inputs are the outputs of a ReLU, and half or
more of them are zero: neither the forward nor the backward pass needs their weights. BLAS reads them all the same.
Where Numba cannot be imported, nothing is written out and autograd does everything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


def import_compiler() -> tuple[Any, str]:
    """Return Numba's ``njit`` and ``""``; where Numba cannot be imported, None and the reason in one line.

    An installed package may fail too: on a NumPy that it does not know (ImportError, or SystemError and AttributeError
    in older versions), or where the library of llvmlite cannot be loaded (OSError).
    """
    try:
        from numba import njit
    except Exception as error:
        return None, " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return njit, ""


_NJIT, WHY_NOT_COMPILED = import_compiler()

COMPILED = _NJIT is not None
"""Whether Numba can be imported, and so whether anything is written out."""


def compiled(function: Function, nogil: bool = False) -> Function:
    """Have Numba compile ``function`` at its first call; without Numba it stays as it is, and nothing calls it.

    Args:
        function: Function to compile.
        nogil: Whether other threads may run Python during it.
    """
    if not COMPILED:
        return function
    # Sums may be reordered and contracted; NaN and infinity stay what they are, and division by zero gives them.
    compile_: Any = partial(_NJIT, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy", nogil=nogil)
    try:
        made: Function = compile_(function, cache=True)
    except RuntimeError:  # nowhere to keep the machine code: each process makes it anew
        made = compile_(function)
    return made


def product(matrix: Array, inputs: Array) -> Array:
    """Return ``inputs @ matrix``, shape ``(outputs,)``, for ``matrix`` ``(inputs, outputs)``."""
    outputs = np.zeros(matrix.shape[1], matrix.dtype)
    _add_rows(matrix, inputs, outputs)
    return outputs


def product_of_active(matrix: Array, gradient: Array, inputs: Array) -> Array:
    """Return ``matrix @ gradient`` where ``inputs`` is not zero, and zero elsewhere; shape ``(inputs,)``."""
    below = np.zeros(matrix.shape[0], matrix.dtype)
    _dot_rows(matrix, gradient, inputs, below)
    return below


def dense_step(matrix: Array, inputs: Array, gradient: Array, rate: float) -> Array:
    """Return ``gradient @ matrix``, and then take the SGD step of ``matrix`` (outputs, inputs) in place."""
    below = np.zeros(inputs.shape, inputs.dtype)
    dense_step_kernel(matrix, inputs, gradient, matrix.dtype.type(rate), below)
    return below


def dense_gradient(matrix: Array, inputs: Array, gradient: Array, into: Array) -> Array:
    """Return ``gradient @ matrix``, and write the gradient of ``matrix`` (outputs, inputs) to ``into``."""
    below = np.zeros(inputs.shape, inputs.dtype)
    _dense_gradient(matrix, inputs, gradient, into, below)
    return below


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
def dense_forward(matrix: Array, bias: Array, inputs: Array, outputs: Array, relu: bool) -> None:
    """Set ``outputs`` to ``matrix @ inputs + bias`` for ``matrix`` (outputs, inputs), through a ReLU if ``relu``."""
    zero = bias.dtype.type(0)
    for row in range(matrix.shape[0]):
        total = zero
        for column in range(matrix.shape[1]):
            total += matrix[row, column] * inputs[column]
        total += bias[row]
        outputs[row] = max(total, zero) if relu else total


@compiled
def dense_step_kernel(matrix: Array, inputs: Array, gradient: Array, rate: Any, below: Array) -> None:
    """Do what `dense_step` says, adding to ``below``; for other compiled functions to call."""
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
