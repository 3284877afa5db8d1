"""Kernels for convolutions that compute every distinct patch of a batch once; by Numba.

A game's screens show the same patches again and again. Of those that the Nature network's three layers cut out of 17
examples of random play, 6%, 14% and 32% are distinct in Catcher, 37%, 76% and 94% in Flappy Bird. What comes of equal
patches is equal, and their gradients add up. So maps are kept as a table of distinct rows of channels and the number of
the row at each place, and patches are equal if their numbers are.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dqn_mer.kernels import Array, compiled

MAX_CHANNELS = 4
"""Most channels of pixels, whose bytes are one number."""


def find_distinct(numbers: Array, kernel: tuple[int, int], stride: tuple[int, int], found: Array) -> Array:
    """Number the distinct patches of maps, in the order of their first places.

    Args:
        numbers: of each place's row, ``(n, height, width)`` int32.
        kernel: height and width of a patch.
        stride: between patches.
        found: number of each patch, ``(n, patches down, patches across)`` int32; overwritten.

    Returns:
        First place of each distinct patch, ``(distinct, 3)``: example, top, left.

    >>> found = np.zeros((1, 1, 4), np.int32)
    >>> find_distinct(np.array([[[5, 5, 5, 7, 7]]], np.int32), (1, 2), (1, 1), found).tolist()
    [[0, 0, 0], [0, 0, 2], [0, 0, 3]]
    >>> found.tolist()
    [[[0, 0, 1, 2]]]
    """
    down_factors, across_factors = (_factors(size) for size in kernel)
    _hash(numbers, down_factors, across_factors, stride[0], stride[1], found)
    places, keys = np.empty((found.size, 3), np.int64), np.empty(found.size, np.int32)
    slots = np.full(1 << (2 * found.size).bit_length(), -1, np.int32)
    return places[: _number(numbers, kernel, stride, found, slots, keys, places)]


@lru_cache
def _factors(count: int) -> Array:
    return np.random.default_rng(count).integers(1 << 31, size=count, dtype=np.int32)


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
        slots: a hash table of their numbers, all -1, with room for twice as many.
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
