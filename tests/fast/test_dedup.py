"""Kernels for distinct patches against the obvious expressions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dqn_mer.fast.kernels import dedup, distinct
from tests.helpers.closeness import check_sums
from tests.helpers.mer_problems import needs_numba

pytestmark = needs_numba

Factors = tuple[NDArray[np.int32], NDArray[np.int32]]
KERNELS = [((8, 8), (4, 4)), ((3, 2), (1, 3)), ((1, 1), (1, 1))]


def random_maps(seed: int, values: int) -> NDArray[np.int32]:
    return np.random.default_rng(seed).integers(values, size=(3, 12, 16), dtype=np.int32)


def numbered(
    maps: NDArray[np.int32], kernel: tuple[int, int], stride: tuple[int, int], factors: Factors | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Return places and numbers of the distinct patches, and all patches, ``(n, down, across, kernel y, kernel x)``."""
    patches = sliding_window_view(maps, kernel, axis=(1, 2))[:, :: stride[0], :: stride[1]]
    patch_numbers, places = distinct.find_distinct(maps, kernel, stride, factors or distinct.hash_factors(kernel))
    assert patch_numbers.shape == patches.shape[:3]
    return places, patch_numbers, patches


@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
@pytest.mark.parametrize("values", [1, 2, 2**31 - 1])
@pytest.mark.parametrize("all_keys_collide", [False, True])
def test_equal_patches_have_one_number(
    kernel: tuple[int, int], stride: tuple[int, int], values: int, all_keys_collide: bool
) -> None:
    zeros = np.zeros(kernel[0], np.int32), np.zeros(kernel[1], np.int32)
    maps = random_maps(0, values)
    maps[2] = maps[0]
    places, patch_numbers, patches = numbered(maps, kernel, stride, zeros if all_keys_collide else None)
    assert len(places) == len(np.unique(patches.reshape(patch_numbers.size, -1), axis=0)) == patch_numbers.max() + 1
    for place in np.ndindex(patch_numbers.shape):
        example, top, left = places[patch_numbers[place]]
        np.testing.assert_array_equal(maps[example, top : top + kernel[0], left : left + kernel[1]], patches[place])
    _, first = np.unique(patch_numbers, return_index=True)
    assert (np.diff(first) > 0).all()  # numbered in the order of their first places


def test_pixels_are_numbered_by_all_their_channels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 6), np.uint8)
    numbers = np.empty((2, 5, 6), np.int32)
    dedup.number_pixels(pixels, numbers)
    np.testing.assert_array_equal(numbers.view(np.uint8).reshape(2, 5, 6, 4), pixels.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
def test_patches_are_cut_and_added_back(kernel: tuple[int, int], stride: tuple[int, int], dtype: type) -> None:
    rng = np.random.default_rng(1)
    numbers, rows = random_maps(1, 7), rng.standard_normal((7, 5)).astype(dtype)
    places, patch_numbers, patches = numbered(numbers, kernel, stride)
    cut = np.full((len(places), *kernel, 5), np.nan, dtype)
    dedup.cut_rows(rows, numbers, places, cut)
    np.testing.assert_array_equal(cut[patch_numbers], rows[patches])
    added, (slow, terms) = np.full_like(rows, np.nan), np.zeros((2, *rows.shape))
    dedup.add_to_rows(cut, numbers, places, added)
    for patch, (example, top, left) in enumerate(places):
        rows_of_patch = numbers[example, top : top + kernel[0], left : left + kernel[1]]
        np.add.at(slow, rows_of_patch, cut[patch])
        np.add.at(terms, rows_of_patch, np.abs(cut[patch]))
    check_sums(added, slow, terms, cut[..., 0].size)


def test_pixels_are_cut_through_a_table() -> None:
    pixels, table = np.random.default_rng(2).integers(0, 256, (2, 3, 8, 8), np.uint8), np.sqrt(np.arange(256.0))
    places, cut = np.array([[0, 0, 0], [1, 3, 2]]), np.full((2, 4, 5, 3), np.nan)
    dedup.cut_pixels(pixels, table, places, cut)
    for patch, (example, top, left) in enumerate(places):
        expected = table[pixels[example, :, top : top + 4, left : left + 5]].transpose(1, 2, 0)
        np.testing.assert_array_equal(cut[patch], expected)


def test_rows_are_spread_and_gathered() -> None:
    numbers, rows = random_maps(3, 7), np.random.default_rng(3).standard_normal((7, 5))
    maps = np.full((3, 5, 12, 16), np.nan)
    dedup.spread(rows, numbers, maps)
    np.testing.assert_array_equal(maps, rows[numbers].transpose(0, 3, 1, 2))
    gathered, (slow, terms) = np.full_like(rows, np.nan), np.zeros((2, *rows.shape))
    dedup.gather(maps, numbers, gathered)
    np.add.at(slow, numbers, maps.transpose(0, 2, 3, 1))
    np.add.at(terms, numbers, np.abs(maps).transpose(0, 2, 3, 1))
    check_sums(gathered, slow, terms, numbers.size)
