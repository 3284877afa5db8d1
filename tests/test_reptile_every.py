"""Efficient MER as a hook: its identities, and any model, optimizer and loop."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from dqn_mer.agents.efficient_mer import EfficientMERUpdate
from dqn_mer.config.groups import EfficientMERParameters
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.reptile_every import ReptileEvery
from tests.helpers.closeness import check_same


def train(model: nn.Module, hook: ReptileEvery | None, steps: int, seed: int = 0) -> list[torch.Tensor]:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(torch.randn(4, 3, generator=generator)).square().mean()
        loss.backward()
        optimizer.step()
        if hook is not None:
            hook.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


def make_model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return nn.Sequential(nn.Linear(3, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2))


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_rate_1_has_no_effect() -> None:
    alone = train(make_model(), None, 20)
    model = make_model()
    assert same(train(model, ReptileEvery(model, every=3, rate=1.0), 20), alone)


def test_rate_0_restores_the_weights() -> None:
    model = make_model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    after = train(model, ReptileEvery(model, every=5, rate=0.0), 20)
    assert same(after, before)
    assert not same(train(model, ReptileEvery(model, every=5, rate=0.0), 4), before)  # between the steps it learns


def test_a_step_is_an_interpolation_from_the_last_one() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    hook = ReptileEvery(model, every=2, rate=0.25)
    due = []
    for _ in range(4):
        model.weight.data += 4.0
        due.append(hook.step())
    assert due == [False, True, False, True]
    assert model.weight.item() == 1.0 + 0.25 * 8 + 0.25 * 8


def test_it_is_the_agents_efficient_mer() -> None:
    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).square().sum(dim=1)

    results = []
    for as_hook in (False, True):
        model = make_model().double()
        weights = FlatWeights(model)
        inner = MiniBatchUpdate(weights, loss, torch.optim.SGD([weights.vector], lr=0.1), batch_size=3)
        hook = ReptileEvery(model, every=4, rate=0.3) if as_hook else None
        update = (
            inner
            if as_hook
            else EfficientMERUpdate(weights, inner, EfficientMERParameters(reptile_every_updates=4, reptile_rate=0.3))
        )
        generator = torch.Generator().manual_seed(2)
        for _ in range(13):
            update.update(tuple(torch.randn(4, n, generator=generator, dtype=torch.float64) for n in (3, 2)))
            if hook is not None:
                hook.step()
        results.append(weights.snapshot())
    check_same(results[0], results[1])


def test_shared_and_frozen_weights_and_several_dtypes_are_taken() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2), "c": nn.Linear(2, 2).to(torch.bfloat16)})
    model["b"].weight = model["a"].weight
    model["c"].weight.requires_grad_(False)
    model.register_parameter("count", nn.Parameter(torch.tensor(3), requires_grad=False))
    before = copy.deepcopy(model.state_dict())
    hook = ReptileEvery(model, every=1, rate=0.5)
    with torch.no_grad():
        model["a"].weight += 2.0
    hook.step()
    torch.testing.assert_close(model["b"].weight.detach(), before["a.weight"] + 1.0)
    assert torch.equal(model["c"].weight, before["c.weight"])
    assert model.get_parameter("count").item() == 3


def test_a_resumed_hook_goes_on_as_the_first() -> None:
    model = make_model()
    hook = ReptileEvery(model, every=3, rate=0.4)
    train(model, hook, 4)
    other = make_model()
    other.load_state_dict(model.state_dict())
    resumed = ReptileEvery(other, every=3, rate=0.4)
    resumed.load_state_dict(hook.state_dict())
    assert same(train(model, hook, 8, seed=1), train(other, resumed, 8, seed=1))


def test_a_model_that_was_moved_is_refused() -> None:
    model = nn.Linear(2, 1)
    reptile = ReptileEvery(model, every=2)
    model.double()
    assert reptile.step() is False
    with pytest.raises(ValueError, match=r"model: was torch\.float32 on cpu, is torch\.float64 on cpu; make the hook"):
        reptile.step()


def load_in_place_of_the_old(model: nn.Sequential) -> None:
    model.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()}, assign=True)


def replace_head(model: nn.Sequential) -> None:
    model[-1] = nn.Linear(6, 4)


def add_layer(model: nn.Sequential) -> None:
    model.append(nn.Linear(2, 2))


@pytest.mark.parametrize("change", [load_in_place_of_the_old, replace_head, add_layer])
def test_a_model_whose_parameters_are_others_is_refused(change: Callable[[nn.Module], None]) -> None:
    model = make_model()
    reptile = ReptileEvery(model, every=2)
    change(model)
    assert reptile.step() is False
    with pytest.raises(ValueError, match=r"^model: has other parameters than before; make the hook after they are"):
        reptile.step()


def test_arguments_may_be_numbers_of_numpy() -> None:
    model = nn.Linear(1, 1)
    before = model.weight.item()
    reptile = ReptileEvery(model, every=np.int64(1), rate=np.float32(0.5))
    model.weight.data.add_(2.0)
    assert reptile.step() and model.weight.item() == pytest.approx(before + 1.0)


def test_a_state_of_another_model_is_refused() -> None:
    hook = ReptileEvery(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="before: must be tensors of shapes"):
        hook.load_state_dict(ReptileEvery(nn.Linear(3, 2)).state_dict())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "every=0: must be a whole number of at least 1"),
        ({"every": 2.5}, "every=2.5: must be a whole number of at least 1"),
        ({"rate": 1.5}, "rate=1.5: must be a number from 0 to 1"),
        ({"rate": float("nan")}, "rate=nan: must be a number from 0 to 1"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReptileEvery(nn.Linear(1, 1), **arguments)
    with pytest.raises(ValueError, match="model: must have parameters of a floating dtype"):
        ReptileEvery(nn.ReLU())


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.9, 1.0])
def test_infinite_weights_stay_as_they_are(rate: float) -> None:
    model = nn.Linear(2, 1)
    model.mask = nn.Parameter(torch.tensor([0.0, -torch.inf]), requires_grad=False)
    reptile = ReptileEvery(model, every=1, rate=rate)
    reptile.step()
    assert model.mask.tolist() == [0.0, -torch.inf]


def test_both_ends_are_exact_for_weights_that_diverged() -> None:
    for rate, end in ((0.0, 1.0), (1.0, torch.inf)):
        model = nn.Linear(1, 1, bias=False)
        model.weight.data.fill_(1.0)
        reptile = ReptileEvery(model, every=1, rate=rate)
        model.weight.data.fill_(torch.inf)
        reptile.step()
        assert model.weight.item() == end
