"""Kernels for convolutions that compute every distinct patch of a batch once, compiled by Numba.

A game's screens show the same patches again and again. Of those that the Nature network's three layers cut out of 17
examples of random play, 6%, 14% and 32% are distinct in Catcher, 37%, 76% and 94% in Flappy Bird. Equal patches have
equal outputs, and their gradients are summed. So maps are kept as a table of distinct rows of channels and the number
of the row at each place, and patches are equal if their numbers are.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.linalg  # noqa: F401 - loads the BLAS of compiled np.dot before `processor` limits its threads

from dqn_mer.fast.kernels.dense import Array, compiled
from dqn_mer.fast.kernels.distinct import find_distinct
from dqn_mer.fast.kernels.patches import add_bias_relu

MAX_CHANNELS = 4
"""Most channels of pixels, whose bytes are one number."""


@compiled
def number_pixels(pixels: Array, numbers: Array) -> None:
    """Set ``numbers`` ``(n, height, width)`` int32 to the bytes of ``pixels`` ``(n, channels, height, width)``."""
    for example in range(numbers.shape[0]):
        for y in range(numbers.shape[1]):
            line = numbers[example, y]
            line[:] = 0
            for channel in range(pixels.shape[1]):
                source, shift = pixels[example, channel, y], 8 * channel
                for x in range(line.shape[0]):
                    line[x] |= np.int32(source[x]) << shift


@compiled
def cut_pixels(pixels: Array, table: Array, places: Array, patches: Array) -> None:
    """Set ``patches`` ``(distinct, kernel y, kernel x, channels)`` to ``table[pixel]`` for the pixels at ``places``."""
    for patch in range(places.shape[0]):
        example, top, left = places[patch, 0], places[patch, 1], places[patch, 2]
        for a in range(patches.shape[1]):
            for channel in range(patches.shape[3]):
                source, target = pixels[example, channel, top + a, left:], patches[patch, a, :, channel]
                for b in range(target.shape[0]):
                    target[b] = table[source[b]]


@compiled
def cut_rows(rows: Array, numbers: Array, places: Array, patches: Array) -> None:
    """Set ``patches`` ``(distinct, kernel y, kernel x, channels)`` to the ``rows`` whose numbers are at ``places``."""
    for patch in range(places.shape[0]):
        example, top, left = places[patch, 0], places[patch, 1], places[patch, 2]
        for a in range(patches.shape[1]):
            for b in range(patches.shape[2]):
                source, target = rows[numbers[example, top + a, left + b]], patches[patch, a, b]
                for channel in range(target.shape[0]):
                    target[channel] = source[channel]


@compiled
def add_to_rows(patches: Array, numbers: Array, places: Array, rows: Array) -> None:
    """Set ``rows`` to the sums of what `cut_rows` would copy from them into ``patches``."""
    rows[:] = 0
    for patch in range(places.shape[0]):
        example, top, left = places[patch, 0], places[patch, 1], places[patch, 2]
        for a in range(patches.shape[1]):
            for b in range(patches.shape[2]):
                source, target = patches[patch, a, b], rows[numbers[example, top + a, left + b]]
                for channel in range(target.shape[0]):
                    target[channel] += source[channel]


@compiled
def spread(rows: Array, numbers: Array, maps: Array) -> None:
    """Set ``maps`` ``(n, channels, height, width)`` to the ``rows`` of channels that ``numbers`` names."""
    for example in range(numbers.shape[0]):
        for y in range(numbers.shape[1]):
            for x in range(numbers.shape[2]):
                source = rows[numbers[example, y, x]]
                for channel in range(source.shape[0]):
                    maps[example, channel, y, x] = source[channel]


@compiled
def gather(maps: Array, numbers: Array, rows: Array) -> None:
    """Set ``rows`` to the sums of what `spread` would copy from them into ``maps``."""
    rows[:] = 0
    for example in range(numbers.shape[0]):
        for y in range(numbers.shape[1]):
            for x in range(numbers.shape[2]):
                target = rows[numbers[example, y, x]]
                for channel in range(target.shape[0]):
                    target[channel] += maps[example, channel, y, x]


@partial(compiled, nogil=True)
def features(
    pixels: Array,
    table: Array,
    kernels: tuple[tuple[int, int], ...],
    strides: tuple[tuple[int, int], ...],
    factors: tuple[tuple[Array, Array], ...],
    matrices: tuple[Array, ...],
    biases: tuple[Array, ...],
) -> Array:
    """Return the output of convolutions, each with a ReLU behind it; one call that other threads can run beside.

    Args:
        pixels: ``(n, channels, height, width)`` uint8.
        table: Float value of each byte, ``(256,)``.
        kernels: Height and width of each layer's patches.
        strides: Stride of each layer, down and across.
        factors: Random factors of each layer's kernel, as `hash_factors` returns them.
        matrices: Weights of each layer, ``(channels, patch)``, in the order in which `cut_rows` lays out a patch.
        biases: Biases of each layer, ``(channels,)``.

    Returns:
        ``(n, channels, height, width)``.
    """
    numbers = np.empty((pixels.shape[0], pixels.shape[2], pixels.shape[3]), np.int32)
    number_pixels(pixels, numbers)
    rows = np.empty((0, pixels.shape[1]), table.dtype)
    for layer in range(len(kernels)):
        kernel = kernels[layer]
        numbers_above, places = find_distinct(numbers, kernel, strides[layer], factors[layer])
        patches = np.empty((len(places), kernel[0], kernel[1], rows.shape[1]), table.dtype)
        if layer == 0:
            cut_pixels(pixels, table, places, patches)
        else:
            cut_rows(rows, numbers, places, patches)
        rows = np.dot(patches.reshape(len(places), -1), matrices[layer].T)
        add_bias_relu(rows.reshape((1, *rows.shape)), biases[layer])
        numbers = numbers_above
    maps = np.empty((numbers.shape[0], rows.shape[1], numbers.shape[1], numbers.shape[2]), table.dtype)
    spread(rows, numbers, maps)
    return maps
