"""What the written-out passes do not cover is left to autograd, and odd input learns as it does there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dqn_mer import CrossEntropy, FlatWeights, MERParameters, MERUpdate, MiniBatchUpdate, make_learner
from dqn_mer.fast.choose import make_forward, make_mini_batch
from dqn_mer.mer import AutogradLearner
from dqn_mer.networks.q_network import ScalePixels
from dqn_mer.supervised.model import make_gradient
from tests.helpers.mer_problems import needs_numba

pytestmark = needs_numba

OPTIMIZERS = {"sgd": partial(torch.optim.SGD, lr=0.1), "adam": partial(torch.optim.Adam, lr=0.01)}
SHAPES = {"small": (4,), "wide": (600,), "images": (2, 8, 8)}


def make_model(kind: str) -> nn.Sequential:
    torch.manual_seed(0)
    if kind == "small":
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    if kind == "wide":
        return nn.Sequential(nn.Linear(600, 600), nn.ReLU(), nn.Linear(600, 3))
    return nn.Sequential(ScalePixels(), nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


def examples_of(kind: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (4, *SHAPES[kind]), generator=generator)
    return inputs.byte() if kind == "images" else inputs / 255, torch.tensor([0, 1, 2, 1])


def grow_head(model: nn.Sequential) -> None:
    head = model[-1]
    head.weight = nn.Parameter(torch.cat([head.weight.detach()[:2], torch.ones(1, head.in_features)]))
    head.bias = nn.Parameter(torch.cat([head.bias.detach()[:2], torch.zeros(1)]))
    head.out_features = 2


def grow_units(model: nn.Sequential) -> None:
    lower, head = model[-3], model[-1]
    lower.weight = nn.Parameter(torch.cat([lower.weight.detach(), torch.ones(2, lower.in_features)]))
    lower.bias = nn.Parameter(torch.cat([lower.bias.detach(), torch.ones(2)]))
    head.weight = nn.Parameter(torch.cat([head.weight.detach(), torch.ones(3, 2)], dim=1))


def grow_channels(model: nn.Sequential) -> None:
    convolution, head = model[1], model[-1]
    convolution.weight = nn.Parameter(torch.cat([convolution.weight.detach()] * 2))
    convolution.bias = nn.Parameter(torch.cat([convolution.bias.detach()] * 2))
    head.weight = nn.Parameter(torch.cat([head.weight.detach()] * 2, dim=1))


def learned(make: Any, kind: str, optimizer: str, change: Callable[[nn.Sequential], None]) -> Tensor:
    model = make_model(kind)
    change(model)
    if make in (make_learner, AutogradLearner):
        update = MERUpdate.for_model(model, CrossEntropy(), OPTIMIZERS[optimizer], MERParameters(3), make_learner=make)
    else:
        weights = FlatWeights(model)
        update = make(weights, CrossEntropy(), OPTIMIZERS[optimizer]([weights.vector]), 3)
    for _ in range(2):
        update.update(examples_of(kind))
    return update.weights.snapshot()


EACH_PAIR = pytest.mark.parametrize("pair", [(make_learner, AutogradLearner), (make_mini_batch, MiniBatchUpdate)])
EACH_OPTIMIZER = pytest.mark.parametrize("optimizer", OPTIMIZERS)


@EACH_PAIR
@EACH_OPTIMIZER
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("small", grow_head),
        ("small", grow_units),
        ("wide", grow_head),
        ("images", grow_head),
        ("images", grow_channels),
    ],
)
def test_layers_of_other_sizes_than_they_were_made_with(pair: Any, optimizer: str, kind: str, change: Any) -> None:
    assert torch.equal(*(learned(make, kind, optimizer, change) for make in pair))
    model = make_model(kind)
    change(model)
    with torch.no_grad():
        assert torch.equal(make_forward(FlatWeights(model))(examples_of(kind)[0]), model(examples_of(kind)[0]))


@EACH_PAIR
@EACH_OPTIMIZER
@pytest.mark.parametrize("kind", SHAPES)
def test_mixed_precision_around_an_update(pair: Any, optimizer: str, kind: str) -> None:
    def as_it_is(_: nn.Sequential) -> None: ...

    with torch.autocast("cpu", torch.bfloat16):
        mixed = [learned(make, kind, optimizer, as_it_is) for make in pair]
    assert torch.equal(*mixed)
    assert not torch.allclose(mixed[0], learned(pair[0], kind, optimizer, as_it_is), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", SHAPES)
def test_mixed_precision_around_a_gradient(kind: str) -> None:
    model, (inputs, labels) = make_model(kind), examples_of(kind)
    weights, expected = FlatWeights(model), FlatWeights(make_model(kind))
    with torch.autocast("cpu", torch.bfloat16):
        CrossEntropy()(expected.model(inputs), labels).mean().backward()
        assert torch.equal(make_gradient(weights)((inputs, labels)), expected.vector.grad)
        with torch.no_grad():
            assert make_forward(weights)(inputs).dtype is torch.bfloat16


@EACH_OPTIMIZER
@pytest.mark.parametrize("kind", SHAPES)
def test_a_batch_of_no_examples_changes_nothing(kind: str, optimizer: str) -> None:
    weights = FlatWeights(make_model(kind))
    before, steps = weights.snapshot(), OPTIMIZERS[optimizer]([weights.vector])
    learner = make_learner(weights, CrossEntropy(), steps)
    learner.learn(examples_of(kind), np.zeros(0, np.int64), 1.0, 0.5)
    assert torch.equal(weights.vector, before)
