"""The gradients of past tasks: the same whether each is written out or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dqn_mer.fast.choose import dense_layers
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.supervised.model import build_mlp, make_gradient
from dqn_mer.supervised.past_gradients import FactoredGradients, WrittenOutGradients, make_past_gradients

Examples = tuple[torch.Tensor, torch.Tensor]


def make_examples(rng: np.random.Generator, count: int, inputs: int, classes: int) -> Examples:
    return torch.from_numpy(rng.normal(size=(count, inputs))), torch.from_numpy(rng.integers(classes, size=count))


def gradient_by_autograd(model: nn.Module, examples: Examples) -> torch.Tensor:
    loss = nn.functional.cross_entropy(model(examples[0]), examples[1])
    return torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, list(model.parameters()))])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("way", ["factored", "written out"])
def test_dot_products_and_sums_equal_autograd(seed: int, way: str) -> None:
    rng = np.random.default_rng(seed)
    inputs, *hidden = (int(size) for size in rng.integers(1, 12, size=rng.integers(1, 4)))
    classes, tasks = int(rng.integers(2, 5)), int(rng.integers(1, 6))
    weights = FlatWeights(build_mlp((inputs, *hidden, classes), seed).double())
    past = [make_examples(rng, int(rng.integers(1, 7)), inputs, classes) for _ in range(tasks)]
    if way == "factored":
        gradients = FactoredGradients(weights, dense_layers(weights.model), past)
    else:
        gradients = WrittenOutGradients(make_gradient(weights), weights.vector.numel(), past)
    for _ in range(3):  # the weights move from one example to the next, the past examples stay
        newest = make_examples(rng, 1, inputs, classes)
        rows = torch.stack([gradient_by_autograd(weights.model, examples) for examples in past])
        expected = gradient_by_autograd(weights.model, newest)
        np.testing.assert_allclose(gradients.measure(newest), rows @ expected, atol=1e-12)
        np.testing.assert_allclose(gradients.products(), rows @ rows.T, atol=1e-12)
        shares = rng.random(tasks)
        for given in (np.zeros(tasks), shares):
            gradients.measure(newest)
            step = gradients.combine(given)
            torch.testing.assert_close(step, expected + torch.from_numpy(given) @ rows, atol=1e-12, rtol=0)
        weights.vector.detach().sub_(step, alpha=0.1)


@pytest.mark.parametrize(
    ("model", "per_task", "kind"),
    [
        (build_mlp((3, 4, 2), 0), 10, FactoredGradients),
        (build_mlp((3, 4, 2), 0), 200, WrittenOutGradients),  # as many pairs of examples cost more than gradients
        (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), 10, WrittenOutGradients),
    ],
)
def test_few_examples_of_an_mlp_are_not_written_out(model: nn.Sequential, per_task: int, kind: type) -> None:
    weights = FlatWeights(model)
    past = [(torch.zeros(per_task, 3), torch.zeros(per_task, dtype=torch.int64)) for _ in range(4)]
    assert type(make_past_gradients(weights, make_gradient(weights), past)) is kind


@pytest.mark.parametrize("per_task", [2, 300])
def test_float32_weights_have_dot_products_in_float64(per_task: int) -> None:
    rng = np.random.default_rng(per_task)
    weights = FlatWeights(build_mlp((6, 5, 3), 0))
    exact = FlatWeights(build_mlp((6, 5, 3), 0).double())
    past = [make_examples(rng, per_task, 6, 3) for _ in range(5)]
    past[1] = (past[0][0] + 1e-4, past[0][1])  # nearly the gradient of another task
    single = [(inputs.float(), labels) for inputs, labels in past]
    gradients = make_past_gradients(weights, make_gradient(weights), single)
    newest = make_examples(rng, 1, 6, 3)
    gradients.measure((newest[0].float(), newest[1]))
    rows = torch.stack([gradient_by_autograd(exact.model, (one.double(), labels)) for one, labels in single]).numpy()
    products = gradients.products()
    assert products.dtype == np.float64
    if per_task == 2:  # in float64 from the start
        np.testing.assert_allclose(products, rows @ rows.T, rtol=1e-12, atol=1e-15)
    else:
        assert isinstance(gradients, WrittenOutGradients)
        exact_rows = gradients.rows.double().numpy()
        np.testing.assert_allclose(products, exact_rows @ exact_rows.T, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(products, rows @ rows.T, rtol=1e-4, atol=1e-7)
