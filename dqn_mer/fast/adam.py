"""The steps of `torch.optim.Adam`, on its own state, example by example, compiled by Numba.

The gradient of a dense layer from one example is an outer product, zero in every row whose input is zero. Such a row
still moves, by its momentum, but nothing reads it before its input is active again: its steps are put off until
then, or until the batch ends, and taken at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from dqn_mer.fast.dense import shared
from dqn_mer.fast.kernels.dense import Array, compiled, product_of_active
from dqn_mer.networks.weights import FlatWeights

MAX_EPSILON_DRIFT = 0.02
"""Most that ε may change over a batch, set against √v of before it, for steps to be taken at once (see `_coasting`)."""


def has_adam_form(optimizer: Optimizer) -> bool:
    """Whether a step of ``optimizer`` is that of Kingma and Ba, 2015, and nothing else."""
    if type(optimizer) is not torch.optim.Adam or len(optimizer.param_groups) != 1:
        return False
    return not any(optimizer.param_groups[0][name] for name in ("weight_decay", "amsgrad", "maximize"))


class ExplicitAdam:
    """Takes Adam's steps, except for the weights of the `AdamDense` layers, which take their own.

    Args:
        optimizer: for which `has_adam_form` holds, over ``weights.vector``.
        weights: that it steps.

    Attributes:
        count: steps taken in this batch.
        sizes: learning rate over the first moment's bias correction, of each step of the batch.
        scales: inverse root of the second moment's bias correction, of each step of the batch.
        constants: β1, 1 - β1, β2, 1 - β2 and ε, in the dtype of the weights.
    """

    def __init__(self, optimizer: Optimizer, weights: FlatWeights) -> None:
        self.optimizer = optimizer
        self.weights = weights
        self.values, self.gradient = (part.numpy() for part in shared(weights.vector))
        self.elsewhere: list[slice] = []
        self.spans: list[slice] = []
        self.count = 0
        self.sizes = self.scales = self.first = self.second = np.zeros(0, self.values.dtype)
        self.constants: tuple[Any, ...] = ()
        self.drifts = True

    def begin(self, examples: int) -> None:
        """Prepare for a batch of `examples` examples."""
        vector, group = self.weights.vector, self.optimizer.param_groups[0]
        state = self.optimizer.state[vector]
        if not state:  # as torch.optim.Adam makes it at its first step
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(vector), torch.zeros_like(vector)
        self.first, self.second = state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()
        steps = float(state["step"]) + 1 + np.arange(examples)
        beta1, beta2 = group["betas"]
        scales = 1 / np.sqrt(1 - beta2**steps)
        # What is set against √v of before the batch: ε over what became of √v by each step.
        drift = scales[0] / scales[-1] * beta2 ** (-examples / 2) - 1
        self.drifts = bool(drift > MAX_EPSILON_DRIFT)
        self.sizes, self.scales = (
            np.asarray(values, self.values.dtype) for values in (group["lr"] / (1 - beta1**steps), scales)
        )
        # All in the dtype of the weights: a mixture would be computed in float64.
        self.constants = tuple(
            self.values.dtype.type(value) for value in (beta1, 1 - beta1, beta2, 1 - beta2, group["eps"])
        )
        self.count = 0
        self.spans = self.weights.spans_without(self.elsewhere)

    def step(self, boost: float) -> None:
        """Take a step from the gradient, with the learning rate multiplied by ``boost``."""
        self.optimizer.state[self.weights.vector]["step"] += 1
        self.sizes[self.count] *= boost
        size, scale = self.sizes[self.count], self.scales[self.count]
        for span in self.spans:
            _step(
                self.values[span], self.first[span], self.second[span], self.gradient[span], size, scale, self.constants
            )
        self.count += 1


class AdamDense:
    """A large dense layer under Adam: its gradients stay factors, and rows of inputs that are zero put off their steps.

    Its weights lie input by input in memory (see `FlatWeights`). The step of one example and the forward pass of the
    next are one pass over the rows that either needs.

    Args:
        layer: that learns.
        span: of its weights in the vector.
        relu: whether a ReLU follows.
        adam: counts the steps.
    """

    def __init__(self, layer: nn.Linear, span: slice, relu: bool, adam: ExplicitAdam) -> None:
        self.matrix = shared(layer.weight)[0].t().numpy()
        self.bias, self.bias_gradient = (part.numpy() for part in shared(layer.bias))
        self.span = span
        self.relu = relu
        self.adam = adam
        self.before = np.empty_like(self.matrix)
        self.done = np.zeros(len(self.matrix), np.int64)  # steps of the batch that each row has taken
        # Of the last example, for its step, which is taken in the next one's pass: copies, since the arrays that the
        # layer is handed are overwritten by then.
        self.inputs = np.zeros(layer.in_features, self.bias.dtype)
        self.gradient = np.zeros_like(self.bias)
        self.outputs = np.zeros_like(self.bias)
        adam.elsewhere.append(span)

    def begin(self, examples: int) -> None:
        """Prepare for a batch of `examples` examples."""
        self.done[:] = 0

    def forward(self, inputs: Array) -> Array:
        """Return the outputs of one example, under the weights after the steps so far."""
        self.outputs = self.bias.copy()
        self._advance(inputs)
        self.inputs[:] = inputs
        if self.relu:
            np.maximum(self.outputs, 0, out=self.outputs)
        return self.outputs

    def backward(self, gradient: Array, rate: float | None, pass_on: bool) -> Array:
        """Keep the gradient for the step, and return that of the inputs that are not zero."""
        assert rate is None  # plain SGD has `LazyDense`
        self.gradient[:] = gradient * (self.outputs > 0) if self.relu else gradient
        self.bias_gradient[:] = self.gradient
        return product_of_active(self.matrix, self.gradient, self.inputs) if pass_on else gradient

    def finish(self, reptile_rate: float) -> None:
        """Take all steps that were put off, and then the Reptile step."""
        self._advance(np.zeros_like(self.inputs), finish=True)
        if reptile_rate != 1.0:
            _interpolate(self.before, self.matrix, self.matrix.dtype.type(reptile_rate))

    def _advance(self, inputs: Array, finish: bool = False) -> None:
        adam = self.adam
        first, second = (part[self.span].reshape(self.matrix.shape) for part in (adam.first, adam.second))
        steps = adam.count, adam.sizes, adam.scales, adam.constants, adam.drifts
        arrays = self.matrix, first, second, self.before, self.done
        _advance(*arrays, self.inputs, self.gradient, steps, inputs, self.outputs, finish)


@compiled
def _step(weights: Array, first: Array, second: Array, gradient: Array, size: Any, scale: Any, constants: Any) -> None:
    """Take one step in place; all arrays ``(n,)``."""
    beta1, rest1, beta2, rest2, epsilon = constants
    for i in range(weights.shape[0]):
        mean = beta1 * first[i] + rest1 * gradient[i]
        square = beta2 * second[i] + rest2 * gradient[i] * gradient[i]
        first[i], second[i] = mean, square
        weights[i] -= size * mean / (np.sqrt(square) * scale + epsilon)


@compiled
def _coasting(steps: tuple[Any, ...]) -> Array:
    """Return, for each number of steps done, the one step that all from there to now amount to without a gradient.

    Then m and v only decay, and the steps sum to Σ c_j m / (√v + ε_j) with c_j = size_j β1ⁿ / (β2^(n/2) scale_j) and
    ε_j = ε / (β2^(n/2) scale_j) after n of them. The ε_j hardly differ: with their mean, weighted by c_j, the error is
    of second order, and matters only where √v is as small as ε. Where they differ more (in the first
    hundreds of steps of all) `_advance` takes the steps singly.

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
def _advance(
    matrix: Array,
    first: Array,
    second: Array,
    before: Array,
    done: Array,
    last_inputs: Array,
    gradient: Array,
    steps: tuple[Any, ...],
    inputs: Array,
    outputs: Array,
    finish: bool,
) -> None:
    """Bring rows up to date, those of ``inputs`` and of ``last_inputs`` or all; add ``inputs @ matrix`` to ``outputs``.

    One function, and plain loops over slices: calls for each row took as long as half of the steps.

    Args:
        matrix: the weights, ``(inputs, outputs)``.
        first: Adam's first moments, same shape.
        second: Adam's second moments, same shape.
        before: same shape; a row's weights are copied to it before its first step of the batch.
        done: steps of the batch that each row has taken, ``(inputs,)``.
        last_inputs: inputs at the last step, whose rows have that one to take and no other.
        gradient: d loss / d outputs at the last step.
        steps: how many so far, their sizes and scales, Adam's constants, whether ε drifts.
        inputs: of the next example.
        outputs: to be added to.
        finish: bring all rows up to date.
    """
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
def _interpolate(before: Array, matrix: Array, rate: Any) -> None:
    """Set ``matrix`` to ``before + rate (matrix - before)``, both ``(inputs, outputs)``."""
    for row in range(matrix.shape[0]):
        start, weights = before[row], matrix[row]
        for i in range(weights.shape[0]):
            weights[i] = start[i] + rate * (weights[i] - start[i])
