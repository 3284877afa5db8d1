"""The identity that defines each agent beside the paper's three, and what changes the network or stops the learning."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from dqn_mer.agents.efficient_mer import EfficientMERUpdate
from dqn_mer.agents.hare_tortoise import HareTortoiseUpdate
from dqn_mer.config.groups import EfficientMERParameters, HareTortoiseParameters
from dqn_mer.evaluation.checkpoint import load_checkpoint, save_checkpoint
from dqn_mer.evaluation.evaluator import GreedyPolicy
from dqn_mer.fast.choose import make_learner
from dqn_mer.fast.forms import has_explicit_form
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import AutogradLearner, Examples
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import build_network, network_from_spec, network_spec
from dqn_mer.networks.random_q_network import RandomQNetwork
from dqn_mer.networks.weights import FlatWeights
from tests.helpers.closeness import EXACT, check_same
from tests.helpers.mer_problems import with_dtype
from tests.training.test_trainer import rows_of, tiny_run

F64 = torch.float64
RANDOM = torch.Generator().manual_seed(1)
EXAMPLES = (torch.randn(5, 4, generator=RANDOM, dtype=F64), torch.arange(5) % 2, torch.ones(5, dtype=F64))


def fresh() -> FlatWeights:
    return FlatWeights(build_network((4,), 2, (8,), seed=0).to(F64))


def mini_batch(weights: FlatWeights, rate: float = 0.1) -> MiniBatchUpdate:
    return MiniBatchUpdate(weights, HuberTDLoss(), make_optimizer("sgd", weights, rate), 4)


def plain(updates: int, rate: float = 0.1) -> torch.Tensor:
    weights = fresh()
    inner = mini_batch(weights, rate)
    for _ in range(updates):
        inner.update(EXAMPLES)
    return weights.snapshot()


@pytest.mark.parametrize("period", [1, 3])
def test_efficient_mer_with_rate_1_is_its_inner_update_to_the_bit(period: int) -> None:
    weights = fresh()
    update = EfficientMERUpdate(
        weights, mini_batch(weights), EfficientMERParameters(reptile_every_updates=period, reptile_rate=1.0)
    )
    for _ in range(7):
        update.update(EXAMPLES)
    assert torch.equal(weights.snapshot(), plain(7))


def test_efficient_mer_goes_back_after_k_updates_and_not_before() -> None:
    weights = fresh()
    start = weights.snapshot()
    update = EfficientMERUpdate(
        weights, mini_batch(weights), EfficientMERParameters(reptile_every_updates=3, reptile_rate=0.1)
    )
    for _ in range(2):
        update.update(EXAMPLES)
    assert torch.equal(weights.snapshot(), plain(2))
    update.update(EXAMPLES)
    check_same(weights.snapshot() - start, 0.1 * (plain(3) - start))


def test_efficient_mer_with_rate_0_returns_to_the_start_every_k_updates() -> None:
    weights = fresh()
    start = weights.snapshot()
    update = EfficientMERUpdate(
        weights, mini_batch(weights), EfficientMERParameters(reptile_every_updates=2, reptile_rate=0.0)
    )
    for number in range(1, 7):
        update.update(EXAMPLES)
        assert torch.equal(weights.snapshot(), start) is (number % 2 == 0)


def test_efficient_mer_with_k_1_is_sgd_with_the_product_of_the_rates() -> None:
    weights = fresh()
    update = EfficientMERUpdate(
        weights, mini_batch(weights, 0.1), EfficientMERParameters(reptile_every_updates=1, reptile_rate=0.3)
    )
    for _ in range(5):
        update.update(EXAMPLES)
    start = fresh().snapshot()
    check_same(weights.snapshot() - start, plain(5, 0.1 * 0.3) - start)


class PlusOne:
    """A replay step that adds one to every weight."""

    num_draws = 0

    def __init__(self, weights: FlatWeights) -> None:
        self.weights = weights

    def update(self, examples: Examples) -> None:
        self.weights.load(self.weights.vector + 1)


def test_hare_and_tortoise_by_hand() -> None:
    weights = fresh()
    weights.load(torch.zeros_like(weights.vector))
    update = HareTortoiseUpdate(
        weights, PlusOne(weights), HareTortoiseParameters(tortoise_rate=0.5, hare_reset_updates=2)
    )
    seen = []
    for _ in range(4):
        update.update(EXAMPLES)
        seen.append((weights.vector[0].item(), update.tortoise[0].item()))
    assert seen == [(1.0, 0.5), (1.25, 1.25), (2.25, 1.75), (2.5, 2.5)]  # the second and fourth are resets


def test_a_tortoise_as_fast_as_the_hare_changes_nothing() -> None:
    weights = fresh()
    update = HareTortoiseUpdate(
        weights, mini_batch(weights), HareTortoiseParameters(tortoise_rate=1.0, hare_reset_updates=2)
    )
    for _ in range(5):
        update.update(EXAMPLES)
    assert torch.equal(weights.snapshot(), plain(5))


def test_in_a_whole_run_both_are_reservoir_replay_at_rate_1(tmp_path: Path) -> None:
    arms = {
        "dqn-reservoir": {},
        "efficient-mer": {"reptile_every_updates": 10, "reptile_rate": 1.0},
        "hare-tortoise": {"tortoise_rate": 1.0, "hare_reset_updates": 10},
    }
    same = {"learning_rate": 1e-3}
    runs = {agent: tiny_run(tmp_path / agent, agent=agent, **same, **options) for agent, options in arms.items()}
    assert len({run.summary["weights_sha256"] for run in runs.values()}) == 1


def test_the_frozen_twin_is_the_agent_until_then_and_never_changes_after(tmp_path: Path) -> None:
    twin = tiny_run(tmp_path / "twin", freeze_after_frames=200)
    assert twin.agent.updates == 150
    folders = [tmp_path / "twin" / "checkpoints" / f"frame-{frame:09d}" for frame in (200, 400)]
    at_200, at_400 = (load_checkpoint(folder).model.state_dict() for folder in folders)
    agent = tiny_run(tmp_path / "agent", frames=200)
    for name, weight in agent.agent.online.model.state_dict().items():
        assert torch.equal(at_200[name], weight)
        assert torch.equal(at_400[name], weight)
    losses = [row["train/loss"] for row in rows_of(tmp_path / "twin" / "metrics.csv")]
    assert [bool(loss) for loss in losses] == [False, True, True, True, False, False, False, False]


@pytest.mark.parametrize("game", ["catcher", "flappy_bird"])
def test_random_play_takes_no_update(game: str, tmp_path: Path) -> None:
    result = tiny_run(tmp_path / "run", agent="random", game=game)
    agent = result.agent
    assert agent.updates == 0 and agent.memory.seen == 400
    assert agent.online.vector[0] == 0.0  # no call was made of it in training
    rows = rows_of(tmp_path / "run" / "evaluations.csv")
    by_frame = {frame: [row["return_mean"] for row in rows if row["frame"] == frame] for frame in ("0", "200", "400")}
    assert by_frame["0"] == by_frame["200"] == by_frame["400"]
    assert {float(row["train/epsilon"]) for row in rows_of(tmp_path / "run" / "metrics.csv")} == {1.0}
    loaded = load_checkpoint(tmp_path / "run").model
    actions = GreedyPolicy(loaded, torch.device("cpu"))(np.zeros((20_000, 3), np.float32))
    odds = [1 / 3] * 3 if game == "catcher" else [0.1, 0.9]
    assert np.bincount(actions) / 20_000 == pytest.approx(odds, abs=0.015)  # over 4 standard deviations


def test_random_values_are_equal_for_equal_weights_and_new_at_every_call() -> None:
    first, again = RandomQNetwork([0.5, 0.5, 0.0], seed=3), RandomQNetwork([0.5, 0.5, 0.0], seed=3)
    with torch.inference_mode():
        draws = [first(torch.zeros(4, 2)) for _ in range(3)]
        assert torch.equal(draws[0], again(torch.zeros(4, 2)))
        assert not torch.equal(draws[0], draws[1])
        again.calls.fill_(2.0)
        assert torch.equal(draws[2], again(torch.zeros(4, 2)))
    assert all(values.argmax(dim=1).max() < 2 for values in draws)


@pytest.mark.parametrize("odds", [[0.5], [0.5, 0.6], [1.5, -0.5], [float("nan"), 0.5]])
def test_odds_that_are_none(odds: list[float]) -> None:
    with pytest.raises(ValueError, match="odds="):
        build_network((4,), 2, (8,), seed=0, random_odds=odds)


@pytest.mark.parametrize("shape", [(4,), (2, 40, 40)])
def test_layer_norm(shape: tuple[int, ...], tmp_path: Path) -> None:
    plain_model, model = (build_network(shape, 2, (8, 8), seed=1, layer_norm=norm) for norm in (False, True))
    learned = [weight for weight in model.parameters() if weight.dim() > 1]
    for weight, same in zip(learned, (w for w in plain_model.parameters() if w.dim() > 1), strict=True):
        assert torch.equal(weight, same)
    inputs = torch.randint(0, 256, (3, *shape), dtype=torch.uint8).float()
    exact = with_dtype(copy.deepcopy(model), F64)
    exact_inputs = inputs if len(shape) == 3 else inputs.double()
    for position, layer in enumerate(exact):
        if isinstance(layer, torch.nn.ReLU):
            before, goes_in = (exact[:end](exact_inputs).detach().flatten(1) for end in (position - 1, position))
            assert goes_in.mean(1).abs().max() < EXACT
            variance = before.var(1, correction=0)
            check_same(goes_in.var(1, correction=0), variance / (variance + exact[position - 1].eps))
    assert not has_explicit_form(model)
    weights = FlatWeights(model)
    assert isinstance(make_learner(weights, HuberTDLoss(), make_optimizer("adam", weights, 0.1)), AutogradLearner)
    spec = network_spec(shape, 2, (8, 8), layer_norm=True)
    loaded = load_checkpoint(save_checkpoint(tmp_path / "frame-1", model, {"network": spec})).model
    assert all(torch.equal(*pair) for pair in zip(loaded.parameters(), model.parameters(), strict=True))


def test_a_network_of_the_first_version_is_built() -> None:
    spec = network_spec((4,), 2, (8,))
    old = {name: spec[name] for name in ("observation_shape", "num_actions", "hidden_sizes")}
    assert str(network_from_spec(old)) == str(build_network((4,), 2, (8,), seed=0))


@pytest.mark.parametrize("agent", ["dqn", "dqn-mer"])
def test_layer_norm_and_weight_decay_train(agent: str, tmp_path: Path) -> None:
    result = tiny_run(tmp_path / "run", agent=agent, layer_norm=True, weight_decay=0.1)
    assert result.agent.updates == 350
    assert isinstance(load_checkpoint(tmp_path / "run").model[1], torch.nn.LayerNorm)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_weight_decay_takes_its_share_of_each_weight(optimizer: str) -> None:
    moved = []
    for decay in (0.0, 0.5):
        weights = fresh()
        start = weights.snapshot()
        step = MiniBatchUpdate(weights, HuberTDLoss(), make_optimizer(optimizer, weights, 0.1, decay), 4)
        step.update(EXAMPLES)
        moved.append(weights.snapshot())
    check_same(moved[1] - moved[0], -0.1 * 0.5 * start)
