"""Passes and steps of a small ReLU MLP whose weights are one vector, compiled by Numba.

The weights lie as `FlatWeights` lays them out: of each layer the matrix ``(outputs, inputs)``, then the bias. The loss
of an example is cross-entropy with its label, or if ``huber`` the Huber loss between the output of its label and its
target. Nothing is checked here: the labels must be outputs, and all columns of a length.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqn_mer.fast.kernels.adam import step
from dqn_mer.fast.kernels.dense import Array, compiled, dense_forward, dense_step_kernel

without_lock = partial(compiled, nogil=True)  # a second thread may make draws meanwhile

MADE_WITH = "2d6a770662096fe3"
"""Digest of ``adam.py`` and ``dense.py``, whose kernels are compiled into those here. Numba keeps a compiled kernel
until its file changes, and looks at no other file: an edit of those must change this line, and a test sees to it."""

Sizes = NDArray[np.int64]
"""Inputs of the network, then the outputs of each layer; ``(layers + 1,)``."""


@compiled
def starts_of(sizes: Sizes) -> tuple[Sizes, Sizes]:
    """Return where each layer's weights start in the vector, and where its outputs start among those of all layers."""
    layers = sizes.shape[0] - 1
    starts, places = np.zeros(layers + 1, np.int64), np.zeros(layers + 1, np.int64)
    for layer in range(layers):
        starts[layer + 1] = starts[layer] + sizes[layer + 1] * (sizes[layer] + 1)
        places[layer + 1] = places[layer] + sizes[layer + 1]
    return starts, places


@compiled
def _layer(vector: Array, sizes: Sizes, starts: Sizes, layer: int) -> tuple[Array, Array]:
    """Return views of a layer's matrix (outputs, inputs) and bias."""
    middle = starts[layer] + sizes[layer + 1] * sizes[layer]
    matrix = vector[starts[layer] : middle].reshape(sizes[layer + 1], sizes[layer])
    return matrix, vector[middle : starts[layer + 1]]


@compiled
def _forward(vector: Array, sizes: Sizes, starts: Sizes, places: Sizes, inputs: Array, outputs: Array) -> None:
    """Set ``outputs`` to those of all layers, one after the other, of one example."""
    below, layers = inputs, sizes.shape[0] - 1
    for layer in range(layers):
        matrix, bias = _layer(vector, sizes, starts, layer)
        above = outputs[places[layer] : places[layer + 1]]
        dense_forward(matrix, bias, below, above, layer < layers - 1)
        below = above


@without_lock
def forward(vector: Array, sizes: Sizes, inputs: Array, values: Array) -> None:
    """Set ``values`` ``(n, outputs)`` to the network's outputs of ``inputs`` ``(n, inputs)``."""
    starts, places = starts_of(sizes)
    outputs = np.empty(places[-1], vector.dtype)
    for row in range(inputs.shape[0]):
        _forward(vector, sizes, starts, places, inputs[row], outputs)
        values[row] = outputs[places[-2] :]


@compiled
def _output_gradient(outputs: Array, label: int, targets: Array, row: int, huber: bool) -> Array:
    """Return the gradient of one example's loss at the outputs."""
    one = outputs.dtype.type(1)
    gradient: Array = np.zeros_like(outputs)
    if huber:
        error = outputs[label] - targets[row]
        if error > one:
            error = one
        elif error < -one:
            error = -one
        gradient[label] = error  # NaN stays NaN
        return gradient
    gradient[:] = np.exp(outputs - outputs.max())
    gradient /= gradient.sum()
    gradient[label] -= one
    return gradient


@compiled
def _add_gradient(matrix: Array, inputs: Array, gradient: Array, into: Array, below: Array) -> None:
    """Add a layer's gradient to ``into``, and ``gradient @ matrix`` to ``below`` unless that is empty."""
    pass_on = below.shape[0] > 0
    for row in range(matrix.shape[0]):
        slope = gradient[row]
        if slope != 0:
            for column in range(matrix.shape[1]):
                into[row, column] += slope * inputs[column]
            if pass_on:
                for column in range(matrix.shape[1]):
                    below[column] += slope * matrix[row, column]


@compiled
def _backward(
    vector: Array, into: Array, layout: tuple[Sizes, Sizes, Sizes], inputs: Array, outputs: Array, gradient: Array
) -> None:
    """Add one example's gradient of all weights to ``into``, from its gradient at the outputs."""
    sizes, starts, places = layout
    for layer in range(sizes.shape[0] - 2, -1, -1):
        matrix, _ = _layer(vector, sizes, starts, layer)
        matrix_gradient, bias_gradient = _layer(into, sizes, starts, layer)
        bias_gradient += gradient
        if layer == 0:
            _add_gradient(matrix, inputs, gradient, matrix_gradient, gradient[:0])
            return
        values = outputs[places[layer - 1] : places[layer]]
        below = np.zeros(sizes[layer], vector.dtype)
        _add_gradient(matrix, values, gradient, matrix_gradient, below)
        for unit in range(below.shape[0]):
            if values[unit] <= 0:
                below[unit] = vector.dtype.type(0)
        gradient = below


@without_lock
def add_mean_gradient(
    vector: Array, into: Array, sizes: Sizes, examples: tuple[Array, Array, Array], huber: bool
) -> None:
    """Add the gradient of the mean loss over all examples to ``into``.

    Args:
        vector: Weights.
        into: Gradient of all weights.
        sizes: Sizes of the layers.
        examples: Inputs ``(n, inputs)``, labels ``(n,)`` and targets ``(n,)``, or ``(0,)`` for cross-entropy.
        huber: Whether the loss is the Huber loss.
    """
    inputs, labels, targets = examples
    starts, places = starts_of(sizes)
    layout = sizes, starts, places
    outputs, share = np.zeros(places[-1], vector.dtype), vector.dtype.type(1 / inputs.shape[0])
    for row in range(inputs.shape[0]):
        _forward(vector, sizes, starts, places, inputs[row], outputs)
        gradient = _output_gradient(outputs[places[-2] :], labels[row], targets, row, huber)
        gradient *= share
        _backward(vector, into, layout, inputs[row], outputs, gradient)


@compiled
def _step_only(matrix: Array, inputs: Array, gradient: Array, rate: Any) -> None:
    """Take the SGD step of the first layer, below which no gradient is wanted."""
    for row in range(matrix.shape[0]):
        if gradient[row] != 0:
            step_size = rate * gradient[row]
            for column in range(matrix.shape[1]):
                matrix[row, column] -= step_size * inputs[column]


@compiled
def _step_and_pass_on(matrix: Array, values: Array, gradient: Array, rate: Any) -> Array:
    """Take the SGD step of a layer; return the gradient below the ReLU that ``values`` came from."""
    below = np.zeros(matrix.shape[1], matrix.dtype)
    dense_step_kernel(matrix, values, gradient, rate, below)
    for unit in range(below.shape[0]):
        if values[unit] <= 0:
            below[unit] = matrix.dtype.type(0)
    return below


@compiled
def _reptile(before: Array, vector: Array, rate: Any) -> None:
    if rate != 1:
        for place in range(vector.shape[0]):
            vector[place] = before[place] + rate * (vector[place] - before[place])


@without_lock
def learn_by_sgd(
    vector: Array,
    sizes: Sizes,
    examples: tuple[Array, Array, Array],
    huber: bool,
    batch: Array,
    rates: Array,
    reptile_rate: Any,
) -> None:
    """Learn ``batch``, one SGD step after another, then take the Reptile step.

    Args:
        vector: Weights; moved in place.
        sizes: Sizes of the layers.
        examples: As in `add_mean_gradient`.
        huber: Whether the loss is the Huber loss.
        batch: Rows in the order of learning.
        rates: Learning rate of each step.
        reptile_rate: Rate of the Reptile step.
    """
    inputs, labels, targets = examples
    starts, places = starts_of(sizes)
    before, outputs = vector.copy(), np.zeros(places[-1], vector.dtype)
    for turn in range(batch.shape[0]):
        row, rate = batch[turn], rates[turn]
        _forward(vector, sizes, starts, places, inputs[row], outputs)
        gradient = _output_gradient(outputs[places[-2] :], labels[row], targets, row, huber)
        for layer in range(sizes.shape[0] - 2, -1, -1):
            matrix, bias = _layer(vector, sizes, starts, layer)
            bias -= rate * gradient
            if layer > 0:
                values = outputs[places[layer - 1] : places[layer]]
                gradient = _step_and_pass_on(matrix, values, gradient, rate)
            else:
                _step_only(matrix, inputs[row], gradient, rate)
    _reptile(before, vector, reptile_rate)


@without_lock
def learn_by_adam(
    vector: Array,
    into: Array,
    sizes: Sizes,
    examples: tuple[Array, Array, Array],
    huber: bool,
    batch: Array,
    adam: tuple[Any, ...],
    reptile_rate: Any,
) -> None:
    """Learn ``batch``, one step of Adam after another, then take the Reptile step.

    Args:
        vector: Weights; moved in place.
        into: Gradient of all weights; overwritten.
        sizes: Sizes of the layers.
        examples: As in `add_mean_gradient`.
        huber: Whether the loss is the Huber loss.
        batch: Rows in the order of learning.
        adam: First and second moments, moved in place; size and scale of each step, and Adam's constants.
        reptile_rate: Rate of the Reptile step.
    """
    first, second, step_sizes, scales, constants = adam
    inputs, labels, targets = examples
    starts, places = starts_of(sizes)
    layout = sizes, starts, places
    before, outputs = vector.copy(), np.zeros(places[-1], vector.dtype)
    for turn in range(batch.shape[0]):
        row = batch[turn]
        _forward(vector, sizes, starts, places, inputs[row], outputs)
        gradient = _output_gradient(outputs[places[-2] :], labels[row], targets, row, huber)
        into[:] = vector.dtype.type(0)
        _backward(vector, into, layout, inputs[row], outputs, gradient)
        step(vector, first, second, into, step_sizes[turn], scales[turn], constants)
    _reptile(before, vector, reptile_rate)
