"""Each kernel against the obvious expression."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dqn_mer.fast.kernels import dense, patches
from dqn_mer.networks.q_network import ScalePixels
from tests.helpers.closeness import check_sums
from tests.helpers.mer_problems import needs_numba

pytestmark = needs_numba

Random = NDArray[np.floating]


@pytest.fixture(params=[np.float32, np.float64])
def dtype(request: pytest.FixtureRequest) -> type:
    kind: type = request.param
    return kind


def normal(dtype: type, *shape: int) -> Random:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def in_float64(*arrays: Random) -> Iterator[Random]:
    return (array.astype(np.float64) for array in arrays)


def check_product(result: Random, left: Random, right: Random) -> None:
    """Check ``left @ right``."""
    one, two = in_float64(left, right)
    check_sums(result, one @ two, np.abs(one) @ np.abs(two), left.shape[-1])


@pytest.mark.parametrize("count", [1, 4, 40, 43])
def test_products_of_a_large_layer(dtype: type, count: int) -> None:
    matrix, gradient = normal(dtype, count, 7), normal(dtype, 7)
    inputs = np.maximum(normal(dtype, count), 0)
    result = dense.product(matrix, inputs)
    assert result.dtype == dtype
    check_product(result, inputs, matrix)
    below = dense.product_of_active(matrix, gradient, inputs)
    assert below.dtype == dtype and not below[inputs == 0].any()
    check_product(below[inputs > 0], matrix[inputs > 0], gradient)


@pytest.mark.parametrize("relu", [False, True])
def test_dense_forward(dtype: type, relu: bool) -> None:
    matrix, bias, inputs, outputs = normal(dtype, 6, 5), normal(dtype, 6), normal(dtype, 5), normal(dtype, 6)
    dense.dense_forward(matrix, bias, inputs, outputs, relu)
    exact = matrix.astype(np.float64) @ inputs + bias
    terms = np.abs(matrix).astype(np.float64) @ np.abs(inputs) + np.abs(bias)
    check_sums(outputs, np.maximum(exact, 0) if relu else exact, terms, 6)
    assert (exact < 0).any()


def test_dense_step_and_gradient(dtype: type) -> None:
    matrix, inputs, gradient = normal(dtype, 6, 5), normal(dtype, 5), np.maximum(normal(dtype, 6), 0)
    into = np.full_like(matrix, np.nan)
    check_product(dense.dense_gradient(matrix, inputs, gradient, into), gradient, matrix)
    step = np.outer(*in_float64(gradient, inputs))
    check_sums(into, step, np.abs(step), 1)
    stepped = matrix.copy()
    check_product(dense.dense_step(stepped, inputs, gradient, 0.1), gradient, matrix)
    check_sums(stepped, matrix - 0.1 * step, np.abs(matrix) + 0.1 * np.abs(step), 3)  # the rate is rounded as well


def test_patches_are_cut_and_scattered(dtype: type) -> None:
    maps, cut = normal(dtype, 9, 5, 3), np.full((3, 2, 4, 2, 3), np.nan, dtype)
    patches.cut_patches(maps, cut, (2, 3))
    scattered, (slow, terms) = np.full_like(maps, np.nan), np.zeros((2, *maps.shape))
    patches.scatter_patches(cut, scattered, (2, 3))
    for y, x, a, b in np.ndindex(cut.shape[:4]):
        np.testing.assert_array_equal(cut[y, x, a, b], maps[2 * y + a, 3 * x + b])
        slow[2 * y + a, 3 * x + b] += cut[y, x, a, b]
        terms[2 * y + a, 3 * x + b] += np.abs(cut[y, x, a, b])
    check_sums(scattered, slow, terms, 4)


def test_pixels_are_scaled_as_the_network_does(dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 16), np.uint8)
    pixels.flat[:256] = np.arange(256)
    maps = np.full((9, 16, 2), np.nan, dtype)
    patches.scale_pixels(pixels, maps)
    expected = ScalePixels()(torch.from_numpy(pixels)).numpy().transpose(1, 2, 0)
    np.testing.assert_array_equal(maps, expected.astype(dtype))


def test_relu_of_maps_and_back(dtype: type) -> None:
    maps, bias = normal(dtype, 4, 3, 5), normal(dtype, 5)
    outputs = maps.copy()
    patches.add_bias_relu(outputs, bias)
    np.testing.assert_array_equal(outputs, np.maximum(maps + bias, 0))
    gradient, sums = normal(dtype, 4, 3, 5), np.full(5, np.nan, dtype)
    masked = gradient * (outputs > 0)
    patches.relu_backward(gradient, outputs, sums)
    np.testing.assert_array_equal(gradient, masked)
    check_sums(sums, *(part.astype(np.float64).sum((0, 1)) for part in (masked, np.abs(masked))), 12)
