"""Adam's steps on weights, one example after another, compiled by Numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from dqn_mer.fast.kernels.dense import Array, compiled


@compiled
def corrections(done: float, count: int, rate: float, beta1: float, beta2: float) -> tuple[Array, Array]:
    """Return what corrects the bias of the next steps' moments, both ``(count,)`` float64.

    Args:
        done: Steps taken so far.
        count: Steps to come.
        rate: Learning rate.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.

    Returns:
        Learning rate over the first moment's correction; inverse root of the second moment's.
    """
    sizes, scales = np.empty(count), np.empty(count)
    for turn in range(count):
        steps = done + 1 + turn
        sizes[turn], scales[turn] = rate / (1 - beta1**steps), 1 / np.sqrt(1 - beta2**steps)
    return sizes, scales


@compiled
def step(weights: Array, first: Array, second: Array, gradient: Array, size: Any, scale: Any, constants: Any) -> None:
    """Take one step in place; all arrays ``(n,)``."""
    beta1, rest1, beta2, rest2, epsilon = constants
    for i in range(weights.shape[0]):
        mean = beta1 * first[i] + rest1 * gradient[i]
        square = beta2 * second[i] + rest2 * gradient[i] * gradient[i]
        first[i], second[i] = mean, square
        weights[i] -= size * mean / (np.sqrt(square) * scale + epsilon)


@compiled
def _coasting(steps: tuple[Any, ...]) -> Array:
    """Return, for each number of steps done, the single step that equals all from there to now without a gradient.

    Then m and v only decay, and the steps sum to Σ c_j m / (√v + ε_j) with c_j = size_j β1ⁿ / (β2^(n/2) scale_j) and
    ε_j = ε / (β2^(n/2) scale_j) after n of them. The ε_j hardly differ: with their mean, weighted by c_j, the error is
    of second order, and matters only where √v is as small as ε. Where they differ more (in the first
    hundreds of steps of all) `advance` takes the steps singly.

    Returns:
        Size, scale, β1ⁿ, β2ⁿ and ε of that step, in rows; ``(steps now, 5)``.
    """
    count, sizes, scales, (beta1, _, beta2, _, epsilon), _ = steps
    table = np.empty((count, 5), sizes.dtype)
    beta1, beta2, epsilon = np.float64(beta1), np.float64(beta2), np.float64(epsilon)
    total, weighted, decay1, decay2 = 0.0, 0.0, 1.0, 1.0
    for done in range(count - 1, -1, -1):
        size, scale = np.float64(sizes[done]), np.float64(scales[done])
        total = beta1 / np.sqrt(beta2) * (size / scale + total)
        weighted = beta1 / beta2 * (size * epsilon / scale**2 + weighted)
        decay1 *= beta1
        decay2 *= beta2
        # As a step it divides the decayed m by the root of the decayed v.
        table[done, 0], table[done, 1] = total / decay1, 1 / np.sqrt(decay2)
        table[done, 2], table[done, 3], table[done, 4] = decay1, decay2, weighted / total
    return table


@compiled
def advance(
    rows: tuple[Array, Array, Array, Array],
    done: Array,
    last_example: tuple[Array, Array],
    steps: tuple[Any, ...],
    inputs: Array,
    outputs: Array,
    finish: bool,
) -> None:
    """Bring rows up to date, of ``inputs`` and the last example or all; add ``inputs @ matrix`` to ``outputs``.

    One function, and plain loops over slices: calls for each row took as long as half of the steps.

    Args:
        rows: Weights, Adam's first and second moments, and an array that a row's weights are copied to before its first
            step of the batch; all ``(inputs, outputs)``.
        done: Steps of the batch that each row has taken, ``(inputs,)``.
        last_example: Inputs at the last step, ``(inputs,)``, whose rows still have that step and no other to take, and
            the gradient
            d loss / d outputs at that step, ``(outputs,)``.
        steps: Number of steps so far, their sizes and scales, Adam's constants, and whether ε drifts.
        inputs: Inputs of the next example.
        outputs: Array that the product is added to.
        finish: Whether to bring all rows up to date.
    """
    (matrix, first, second, before), (last_inputs, gradient) = rows, last_example
    count, sizes, scales, (beta1, rest1, beta2, rest2, epsilon), drifts = steps
    coasting, columns, zero = _coasting(steps), matrix.shape[1], matrix.dtype.type(0)
    for row in range(matrix.shape[0]):
        weights, means, squares, last, value = matrix[row], first[row], second[row], last_inputs[row], inputs[row]
        if done[row] < count and (finish or value != 0 or last != 0):
            if done[row] == 0:
                start = before[row]
                for i in range(columns):
                    start[i] = weights[i]
            at_once = last == 0 and not drifts
            for step in range(count - 1 if at_once else done[row], count):
                size, scale, keep1, add1, keep2, add2, small = (
                    sizes[step], scales[step], beta1, rest1, beta2, rest2, epsilon,
                )  # fmt: skip
                if at_once:
                    size, scale, keep1, keep2, small = coasting[done[row]]
                    add1, add2 = zero, zero
                share = value if step == count - 1 else zero
                for i in range(columns):
                    slope = last * gradient[i]
                    mean = keep1 * means[i] + add1 * slope
                    square = keep2 * squares[i] + add2 * slope * slope
                    means[i], squares[i] = mean, square
                    weight = weights[i] - size * mean / (np.sqrt(square) * scale + small)
                    weights[i] = weight
                    outputs[i] += share * weight
            done[row] = count
        elif value != 0:
            for i in range(columns):
                outputs[i] += value * weights[i]


@compiled
def interpolate(before: Array, matrix: Array, rate: Any) -> None:
    """Set ``matrix`` to ``before + rate (matrix - before)``, both ``(inputs, outputs)``."""
    for row in range(matrix.shape[0]):
        start, weights = before[row], matrix[row]
        for i in range(weights.shape[0]):
            weights[i] = start[i] + rate * (weights[i] - start[i])
