"""The gradients of a model whose weights are one vector."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dqn_mer import CrossEntropy, FlatWeights, MERParameters, MERUpdate, MiniBatchUpdate, make_learner
from dqn_mer.fast.choose import make_mini_batch
from dqn_mer.fast.mini_batch import ExplicitMiniBatchUpdate
from dqn_mer.mer import AutogradLearner

MLP, CNN = (36,), (1, 6, 6)
OPTIMIZERS = {
    "sgd": partial(torch.optim.SGD, lr=0.1),
    "momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=0.01),
    "adamw": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
}


def make_model(shape: tuple[int, ...]) -> nn.Sequential:
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten()] if shape is CNN else []
    return nn.Sequential(*convolutions, nn.Linear(64 if shape is CNN else 36, 8), nn.ReLU(), nn.Linear(8, 3))


def learned(
    kind: Any, shape: tuple[int, ...], optimizer: str, between: Callable[[nn.Module, Optimizer], object]
) -> Tensor:
    """Return the weights after some updates, with something done to the model after each."""
    model = make_model(shape)
    if kind in (make_learner, AutogradLearner):
        parameters = MERParameters(batch_size=2, num_batches=2, within_batch_rate=0.5)
        mer = MERUpdate.for_model(model, CrossEntropy(), OPTIMIZERS[optimizer], parameters, make_learner=kind)
        weights, update, steps = mer.weights, mer.update, mer.learner.optimizer
    else:
        weights = FlatWeights(model)
        steps = OPTIMIZERS[optimizer]([weights.vector])
        update = kind(weights, CrossEntropy(), steps, 4).update
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        update((torch.rand(5, *shape, generator=generator), torch.tensor([0, 1, 2, 0, 1])))
        between(model, steps)
    return weights.snapshot()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (AutogradLearner, MLP), (AutogradLearner, CNN), (make_learner, MLP), (MiniBatchUpdate, CNN),
        (make_mini_batch, MLP), (ExplicitMiniBatchUpdate, MLP),
    ],
)  # fmt: skip
def test_gradients_that_a_program_drops_or_makes_change_nothing(
    kind: Any, shape: tuple[int, ...], optimizer: str
) -> None:
    def backward(model: nn.Module, _: Optimizer) -> None:
        model.zero_grad()
        model(torch.ones(1, *shape)).sum().backward()

    expected = learned(kind, shape, optimizer, lambda model, steps: None)
    for between in (lambda model, _: model.zero_grad(), lambda _, steps: steps.zero_grad(), backward):
        assert torch.equal(learned(kind, shape, optimizer, between), expected)


@pytest.mark.parametrize(("rate", "end"), [(0.0, 1.0), (1.0, torch.inf)])
def test_both_ends_of_a_reptile_step_are_exact_for_weights_that_diverged(rate: float, end: float) -> None:
    weights = FlatWeights(nn.Linear(1, 1, bias=False))
    weights.load(torch.tensor([torch.inf]))
    weights.interpolate_from(torch.tensor([1.0]), rate)
    assert weights.vector.item() == end


@pytest.mark.parametrize("channels", [1, 2])
def test_a_convolution_to_one_column_gives_the_same_values(channels: int) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, 2, (3, 4), stride=(1, 3))
    twin = copy.deepcopy(plain)
    FlatWeights(twin)
    inputs = torch.rand(5, channels, 8, 6)
    for _ in range(20):  # oneDNN returned memory that it had not written, which may hold anything
        rubbish = [torch.full((size,), torch.nan) for size in range(20, 400, 20)]
        del rubbish
        torch.testing.assert_close(twin(inputs), plain(inputs))


@pytest.mark.parametrize("shape", [(), (1,), (1, 3), (4,)])
def test_weights_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    weights = FlatWeights(nn.Linear(2, 1))
    before = weights.snapshot()
    with pytest.raises(ValueError, match=r"^values: must be of shape \(3,\), are \("):
        weights.load(torch.ones(shape))
    assert torch.equal(weights.vector, before)
