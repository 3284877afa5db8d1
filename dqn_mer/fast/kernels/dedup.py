"""Kernels for convolutions that compute every distinct patch of a batch once, compiled by Numba.

A game's screens show the same patches again and again. Of those that the Nature network's three layers cut out of 17
examples of random play, 6%, 14% and 32% are distinct in Catcher, 37%, 76% and 94% in Flappy Bird. What comes of equal
patches is equal, and their gradients add up. So maps are kept as a table of distinct rows of channels and the number of
the row at each place, and patches are equal if their numbers are.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import scipy.linalg  # noqa: F401  its BLAS is that of np.dot in compiled code, and `processor` limits what is loaded

from dqn_mer.fast.kernels.dense import Array, compiled
from dqn_mer.fast.kernels.patches import add_bias_relu

MAX_CHANNELS = 4
"""Most channels of pixels, whose bytes are one number."""


@lru_cache
def hash_factors(kernel: tuple[int, int]) -> tuple[Array, Array]:
    """Return random int32 factors for the lines and for the columns of a patch."""
    down, across = (np.random.default_rng(n).integers(1 << 31, size=n, dtype=np.int32) for n in kernel)
    return down, across


@compiled
def find_distinct(
    numbers: Array, kernel: tuple[int, int], stride: tuple[int, int], factors: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Number the distinct patches of maps, in the order of their first places.

    Args:
        numbers: of each place's row, ``(n, height, width)`` int32.
        kernel: height and width of a patch.
        stride: between patches.
        factors: `hash_factors` of the kernel.

    Returns:
        Number of each patch, ``(n, patches down, patches across)`` int32, and the first place of each distinct patch,
        ``(distinct, 3)``: example, top, left.

    >>> factors = np.array([3], np.int32), np.array([2, 5], np.int32)
    >>> numbers = np.array([[[5, 5, 5, 7, 7]]], np.int32)
    >>> found, places = find_distinct(numbers, (1, 2), (1, 1), factors)
    >>> found.tolist(), places.tolist()
    ([[[0, 0, 1, 2]]], [[0, 0, 0], [0, 0, 2], [0, 0, 3]])
    """
    down = (numbers.shape[1] - kernel[0]) // stride[0] + 1
    across = (numbers.shape[2] - kernel[1]) // stride[1] + 1
    found = np.empty((numbers.shape[0], down, across), np.int32)
    _hash(numbers, factors[0], factors[1], stride[0], stride[1], found)
    places, keys = np.empty((found.size, 3), np.int64), np.empty(found.size, np.int32)
    room = 1
    while room < 2 * found.size:
        room *= 2
    count = _number(numbers, kernel, stride, found, np.full(room, -1, np.int32), keys, places)
    return found, places[:count]


@compiled
def _hash(numbers: Array, down_factors: Array, across_factors: Array, down: int, right: int, keys: Array) -> None:
    """Set ``keys`` to a sum over each patch, of products with a random factor for its line and one for its column."""
    lines = np.empty((numbers.shape[1], keys.shape[2]), np.int32)
    for example in range(keys.shape[0]):
        for y in range(lines.shape[0]):
            line = lines[y]
            line[:] = 0
            for b in range(across_factors.shape[0]):
                source, factor = numbers[example, y, b:], across_factors[b]
                for x in range(line.shape[0]):
                    line[x] += source[x * right] * factor
        for y in range(keys.shape[1]):
            line = keys[example, y]
            line[:] = 0
            for a in range(down_factors.shape[0]):
                source, factor = lines[y * down + a], down_factors[a]
                for x in range(line.shape[0]):
                    line[x] += source[x] * factor


@compiled
def _number(
    numbers: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    found: Array,
    slots: Array,
    keys: Array,
    places: Array,
) -> int:
    """Put the patch's number in place of each key in ``found``; return how many distinct patches there are.

    Args:
        numbers: of the rows.
        kernel: height and width of a patch.
        stride: between patches.
        found: keys of the patches; overwritten.
        slots: a hash table of their numbers, all -1, with room for twice as many; its length a power of two.
        keys: of the distinct patches; overwritten.
        places: of the distinct patches; overwritten.
    """
    mask, count = slots.shape[0] - 1, 0
    for example in range(found.shape[0]):
        for y in range(found.shape[1]):
            for x in range(found.shape[2]):
                key, top, left = found[example, y, x], y * stride[0], x * stride[1]
                slot = (key ^ (key >> 16)) & mask
                while slots[slot] >= 0:
                    known = slots[slot]
                    if keys[known] == key:
                        other, other_top, other_left = places[known, 0], places[known, 1], places[known, 2]
                        if _equal(numbers[example], top, left, numbers[other], other_top, other_left, kernel):
                            break
                    slot = (slot + 1) & mask
                if slots[slot] < 0:
                    slots[slot], keys[count] = count, key
                    places[count, 0], places[count, 1], places[count, 2] = example, top, left
                    count += 1
                found[example, y, x] = slots[slot]
    return count


@compiled
def _equal(
    maps: Array, top: int, left: int, others: Array, other_top: int, other_left: int, kernel: tuple[int, int]
) -> bool:
    """Whether two patches are equal."""
    same = True
    for y in range(kernel[0]):
        line, other = maps[top + y], others[other_top + y]
        for x in range(kernel[1]):
            same &= line[left + x] == other[other_left + x]
    return same


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
    """Return what convolutions with a ReLU behind each make of pixels, all in one call that other threads run beside.

    Args:
        pixels: ``(n, channels, height, width)`` uint8.
        table: what each byte counts for, ``(256,)``.
        kernels: height and width of each layer's patches.
        strides: of each layer.
        factors: `hash_factors` of each layer's kernel.
        matrices: weights of each layer, ``(channels, patch)``, in the order in which `cut_rows` lays out a patch.
        biases: of each layer, ``(channels,)``.

    Returns:
        ``(n, channels, height, width)``.
    """
    numbers = np.empty((pixels.shape[0], pixels.shape[2], pixels.shape[3]), np.int32)
    number_pixels(pixels, numbers)
    rows = np.empty((0, pixels.shape[1]), table.dtype)
    for layer in range(len(kernels)):
        kernel = kernels[layer]
        found, places = find_distinct(numbers, kernel, strides[layer], factors[layer])
        patches = np.empty((len(places), kernel[0], kernel[1], rows.shape[1]), table.dtype)
        if layer == 0:
            cut_pixels(pixels, table, places, patches)
        else:
            cut_rows(rows, numbers, places, patches)
        rows = np.dot(patches.reshape(len(places), -1), matrices[layer].T)
        add_bias_relu(rows.reshape((1, *rows.shape)), biases[layer])
        numbers = found
    maps = np.empty((numbers.shape[0], rows.shape[1], numbers.shape[1], numbers.shape[2]), table.dtype)
    spread(rows, numbers, maps)
    return maps
