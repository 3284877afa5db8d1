"""Which patches of numbered maps are equal, found by hashing and compiled by Numba."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dqn_mer.fast.kernels.dense import Array, compiled


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
        numbers: Number of the row at each place, ``(n, height, width)`` int32.
        kernel: Height and width of a patch.
        stride: Places between patches, down and across.
        factors: Random factors of the kernel, as `hash_factors` returns them.

    Returns:
        Number of each patch, ``(n, patches down, patches across)`` int32, and the first place of each distinct patch,
        ``(distinct, 3)``: example, top, left.

    >>> factors = np.array([3], np.int32), np.array([2, 5], np.int32)
    >>> numbers = np.array([[[5, 5, 5, 7, 7]]], np.int32)
    >>> patches, places = find_distinct(numbers, (1, 2), (1, 1), factors)
    >>> patches.tolist(), places.tolist()
    ([[[0, 0, 1, 2]]], [[0, 0, 0], [0, 0, 2], [0, 0, 3]])
    """
    down = (numbers.shape[1] - kernel[0]) // stride[0] + 1
    across = (numbers.shape[2] - kernel[1]) // stride[1] + 1
    patches = np.empty((numbers.shape[0], down, across), np.int32)
    _hash(numbers, factors[0], factors[1], stride[0], stride[1], patches)
    places, keys = np.empty((patches.size, 3), np.int64), np.empty(patches.size, np.int32)
    room = 1
    while room < 2 * patches.size:
        room *= 2
    count = _number(numbers, kernel, stride, patches, np.full(room, -1, np.int32), keys, places)
    return patches, places[:count]


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
    patches: Array,
    slots: Array,
    keys: Array,
    places: Array,
) -> int:
    """Replace each key in ``patches`` by the number of its patch; return the number of distinct patches.

    Args:
        numbers: Number of the row at each place of the maps.
        kernel: Height and width of a patch.
        stride: Places between patches, down and across.
        patches: Keys of the patches; overwritten.
        slots: Hash table of their numbers, all -1, with room for at least twice the number of patches; its length is a
            power of two.
        keys: Keys of the distinct patches; overwritten.
        places: Places of the distinct patches; overwritten.
    """
    mask, count = slots.shape[0] - 1, 0
    for example in range(patches.shape[0]):
        for y in range(patches.shape[1]):
            for x in range(patches.shape[2]):
                key, top, left = patches[example, y, x], y * stride[0], x * stride[1]
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
                patches[example, y, x] = slots[slot]
    return count


@compiled
def _equal(
    maps: Array, top: int, left: int, others: Array, other_top: int, other_left: int, kernel: tuple[int, int]
) -> bool:
    """Return whether two patches are equal."""
    same = True
    for y in range(kernel[0]):
        line, other = maps[top + y], others[other_top + y]
        for x in range(kernel[1]):
            same &= line[left + x] == other[other_left + x]
    return same
