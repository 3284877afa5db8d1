"""Each kernel against the obvious expression, compiled and not."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dqn_mer.fast.kernels import dense, patches
from dqn_mer.networks.q_network import ScalePixels

Random = NDArray[np.floating]


@pytest.fixture(params=[np.float32, np.float64])
def dtype(request: pytest.FixtureRequest) -> type:
    kind: type = request.param
    return kind


@pytest.fixture(autouse=True, params=[False, True])
def with_and_without_numba(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param:
        pytest.importorskip("numba")
    monkeypatch.setattr(dense, "COMPILED", request.param)
    yield


def normal(dtype: type, *shape: int) -> Random:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def close(found: Random, expected: Random) -> None:
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [1, 4, 40, 43])
def test_products_of_a_large_layer(dtype: type, count: int) -> None:
    matrix, gradient = normal(dtype, count, 7), normal(dtype, 7)
    inputs = np.maximum(normal(dtype, count), 0)
    close(dense.product(matrix, inputs), inputs @ matrix)
    expected = np.where(inputs > 0, matrix @ gradient, 0)
    close(dense.product_of_active(matrix, gradient, inputs), expected.astype(dtype))


@pytest.mark.parametrize("relu", [False, True])
def test_dense_forward(dtype: type, relu: bool) -> None:
    matrix, bias, inputs, outputs = normal(dtype, 6, 5), normal(dtype, 6), normal(dtype, 5), normal(dtype, 6)
    dense.dense_forward(matrix, bias, inputs, outputs, relu)
    expected = matrix @ inputs + bias
    close(outputs, np.maximum(expected, 0) if relu else expected)


def test_dense_step_and_gradient(dtype: type) -> None:
    matrix, inputs, gradient = normal(dtype, 6, 5), normal(dtype, 5), np.maximum(normal(dtype, 6), 0)
    into = np.full_like(matrix, np.nan)
    close(dense.dense_gradient(matrix, inputs, gradient, into), gradient @ matrix)
    close(into, np.outer(gradient, inputs))
    stepped = matrix.copy()
    close(dense.dense_step(stepped, inputs, gradient, 0.1), gradient @ matrix)
    close(stepped, (matrix - 0.1 * np.outer(gradient, inputs)).astype(dtype))


def test_patches_are_cut_and_scattered(dtype: type) -> None:
    maps, cut = normal(dtype, 9, 5, 3), np.full((3, 2, 4, 2, 3), np.nan, dtype)
    patches.cut_patches(maps, cut, (2, 3))
    scattered, slow = np.full_like(maps, np.nan), np.zeros_like(maps)
    patches.scatter_patches(cut, scattered, (2, 3))
    for y, x, a, b in np.ndindex(cut.shape[:4]):
        np.testing.assert_array_equal(cut[y, x, a, b], maps[2 * y + a, 3 * x + b])
        slow[2 * y + a, 3 * x + b] += cut[y, x, a, b]
    close(scattered, slow)


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
    close(outputs, np.maximum(maps + bias, 0))
    gradient, sums = normal(dtype, 4, 3, 5), np.full(5, np.nan, dtype)
    masked = gradient * (outputs > 0)
    patches.relu_backward(gradient, outputs, sums)
    close(gradient, masked)
    close(sums, masked.sum((0, 1)))
