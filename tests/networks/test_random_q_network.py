"""The network that plays at random."""

from __future__ import annotations

import torch

from dqn_mer.networks.q_network import network_from_spec, network_spec


def test_odds_may_be_whole_numbers_as_json_gives_them() -> None:
    model = network_from_spec(network_spec((4,), 3, (), random_odds=[0, 1, 0]))
    with torch.no_grad():
        assert model(torch.zeros(5, 4)).argmax(1).tolist() == [1] * 5
