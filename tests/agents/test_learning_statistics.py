"""Statistics of an update worked by hand, and which update they are of."""

from __future__ import annotations

import copy

import pytest
import torch

from dqn_mer.agents.learning_statistics import measured_update
from dqn_mer.losses import HuberTDLoss
from dqn_mer.networks.q_network import build_network
from dqn_mer.networks.weights import FlatWeights
from tests.agents.test_controls import Nudging, make_agent, transition


def test_statistics_by_hand() -> None:
    """Q is (1, 0) and (0, 2), the errors are -0.5 and 4: losses 0.125 and 3.5, and gradients -0.5 and 1, halved."""
    weights = FlatWeights(build_network((2,), 2, (), seed=0))
    with torch.no_grad():
        weights.model[-1].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        weights.model[-1].bias.zero_()
    weights.vector.grad.fill_(7.0)  # of an update before
    examples = (torch.eye(2), torch.tensor([0, 1]), torch.tensor([1.5, -2.0]))
    statistics = measured_update(weights, HuberTDLoss(), examples, Nudging(weights).update)
    assert statistics._asdict() == pytest.approx(
        {
            "loss": 3.625 / 2,
            "td_error": 4.5 / 2,
            "q_mean": 0.75,
            "q_max": 2.0,
            "gradient_norm": (2 * (0.25**2 + 0.5**2)) ** 0.5,  # of a weight and a bias each
            "update_norm": 6**0.5,  # all six are moved by 1
        }
    )


def test_of_several_updates_the_first_is_measured() -> None:
    agent = make_agent(updates_per_frame=2)
    agent.observe(transition(1))
    before = copy.deepcopy(agent.online.model)
    statistics = agent.observe(transition(2), measure=True)
    first, second = agent.replay.seen[-2:]
    assert statistics is not None
    with torch.no_grad():
        assert statistics.q_mean == pytest.approx(float(before(first[0]).mean()))
        assert statistics.q_mean != pytest.approx(float(agent.online.model(second[0]).mean()), rel=0.1)
