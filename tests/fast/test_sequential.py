"""Which inner loop a model gets, and its weights as one vector."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dqn_mer.fast.choose import make_learner
from dqn_mer.fast.forms import has_explicit_form, is_plain_sgd
from dqn_mer.fast.kernels.dense import COMPILED
from dqn_mer.fast.sequential import ExplicitLearner
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import AutogradLearner
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import build_network
from dqn_mer.networks.weights import FlatWeights


def tied() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied_weights() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    return model


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("model", "explicit"),
    [
        (build_network((4,), 2, (1024, 256), 0), True),
        (build_network((1, 40, 40), 2, (8, 8), 0), True),
        (nn.Sequential(nn.Linear(512, 512)), True),
        (nn.Sequential(nn.Linear(3, 2, bias=False)), False),
        (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), False),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)), False),
        (nn.Linear(3, 2), False),
        (tied(), False),
        (tied_weights(), False),
        (frozen(), False),
    ],
)
def test_which_models_have_an_explicit_form(model: nn.Module, explicit: bool) -> None:
    assert has_explicit_form(model) is explicit
    weights = FlatWeights(model)
    learner = make_learner(weights, HuberTDLoss(), make_optimizer("sgd", weights, 0.1))
    assert isinstance(learner, ExplicitLearner if explicit and COMPILED else AutogradLearner)


def test_padded_convolutions_have_no_explicit_form() -> None:
    model = build_network((1, 40, 40), 2, (8,), 0)
    model[1] = nn.Conv2d(1, 32, 8, 4, padding=1)
    assert not has_explicit_form(model)


def test_momentum_and_decay_are_not_plain_sgd() -> None:
    weights = FlatWeights(build_network((4,), 2, (8,), 0))
    assert is_plain_sgd(torch.optim.SGD([weights.vector], lr=0.1), weights)
    assert not is_plain_sgd(torch.optim.SGD([weights.vector], lr=0.1, momentum=0.9), weights)
    assert not is_plain_sgd(torch.optim.SGD([weights.vector], lr=0.1, weight_decay=0.1), weights)
    assert not is_plain_sgd(torch.optim.Adam([weights.vector]), weights)


def test_flat_weights_and_model_are_one() -> None:
    model = build_network((2, 36, 36), 3, (8,), 0)
    expected = build_network((2, 36, 36), 3, (8,), 0).state_dict()
    weights = FlatWeights(model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name])
    weights.load(torch.arange(len(weights.vector), dtype=torch.float32))
    assert float(model[-1].bias[-1].detach()) == len(weights.vector) - 1
    pixels = torch.randint(0, 256, (5, 2, 36, 36), dtype=torch.uint8)
    model(pixels).sum().backward()
    assert torch.equal(model[-1].bias.grad, torch.full((3,), 5.0))
    assert float(weights.vector.grad[-1]) == 5.0
