"""The network that plays at random."""

from __future__ import annotations

import pytest
import torch

from dqn_mer.networks.q_network import network_from_spec, network_spec


def test_odds_may_be_whole_numbers_as_json_gives_them() -> None:
    model = network_from_spec(network_spec((4,), 3, (), random_odds=[0, 1, 0]))
    with torch.no_grad():
        assert model(torch.zeros(5, 4)).argmax(1).tolist() == [1] * 5


@pytest.mark.parametrize("calls", [torch.inf, -torch.inf, torch.nan, -1.0, 1e30])
def test_a_count_of_calls_that_cannot_be_is_played_all_the_same(calls: float) -> None:
    model = network_from_spec(network_spec((4,), 2, (), random_odds=[0.5, 0.5]))
    model[0].calls.data.fill_(calls)
    with torch.no_grad():
        assert model(torch.zeros(3, 4)).isfinite().all() and 0 <= model[0].calls.item() < 2**24
