"""The identities of MER that the paper states, its batches and its parameters, for MLP and CNN and every inner loop."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from dqn_mer.fast.choose import make_learner
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import AutogradLearner, MERUpdate, arrange_batches
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.weights import FlatWeights
from tests.helpers.closeness import check_same
from tests.helpers.mer_problems import (
    ALGORITHMS,
    CNN,
    EACH_LEARNER,
    MLP,
    flat,
    make_problem,
    make_update,
    named,
)


@pytest.mark.parametrize("learner", EACH_LEARNER)
@pytest.mark.parametrize("kind", [MLP, CNN])
def test_rates_of_one_are_plain_sequential_sgd(kind: str, learner: str) -> None:
    parameters = MERParameters(4, 2, within_batch_rate=1.0, across_batch_rate=1.0)
    model, examples = make_problem(kind, 9, torch.float64)
    twin = copy.deepcopy(model)
    start = flat(named(twin), twin)
    make_update(FlatWeights(model), learner, parameters).update(examples)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    for batch in arrange_batches(parameters, 8, np.random.default_rng(3)):
        for row in batch:
            inputs, *targets = (part[row : row + 1] for part in examples)
            optimizer.zero_grad()
            HuberTDLoss()(twin(inputs), *targets).sum().backward()
            optimizer.step()
    check_same(flat(named(model), model) - start, flat(named(twin), twin) - start)


@pytest.mark.parametrize("learner", EACH_LEARNER)
@pytest.mark.parametrize("num_batches", [1, 3])
@pytest.mark.parametrize("kind", [MLP, CNN])
def test_across_batch_rate_of_zero_leaves_every_bit(kind: str, num_batches: int, learner: str) -> None:
    model, examples = make_problem(kind, 4 * num_batches + 1, torch.float32)
    weights = FlatWeights(model)
    before = weights.snapshot()
    make_update(weights, learner, MERParameters(4, num_batches, across_batch_rate=0.0)).update(examples)
    assert torch.equal(weights.snapshot(), before)


@pytest.mark.parametrize("learner", EACH_LEARNER)
def test_one_example_is_sgd_with_the_product_of_the_rates(learner: str) -> None:
    model, examples = make_problem(MLP, 1, torch.float64)
    twin = copy.deepcopy(model)
    start = flat(named(twin), twin)
    make_update(FlatWeights(model), learner, MERParameters(0, across_batch_rate=0.3)).update(examples)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05 * 0.3)
    HuberTDLoss()(twin(examples[0]), *examples[1:]).sum().backward()
    optimizer.step()
    check_same(flat(named(model), model) - start, flat(named(twin), twin) - start)


def test_before_and_after_are_different_tensors() -> None:
    """The commonest bug of earlier attempts: the copy shared memory with the weights, and γ did nothing."""
    moves = []
    for rate in (1.0, 0.5):
        model, examples = make_problem(MLP, 9, torch.float64)
        weights = FlatWeights(model)
        before = weights.snapshot()
        make_update(weights, "autograd", MERParameters(8, across_batch_rate=rate)).update(examples)
        moves.append(weights.snapshot() - before)
    check_same(moves[1], 0.5 * moves[0])


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_optimizer_state_is_kept_across_updates(name: str) -> None:
    model, examples = make_problem(MLP, 9, torch.float32)
    weights = FlatWeights(model)
    optimizer = make_optimizer(name, weights, 1e-3)
    update = MERUpdate(
        weights, make_learner(weights, HuberTDLoss(), optimizer), MERParameters(8), np.random.default_rng(0)
    )
    for _ in range(3):
        update.update(examples)
    assert float(optimizer.state[weights.vector]["step"]) == 27


@pytest.mark.parametrize("parameters", ALGORITHMS.values(), ids=ALGORITHMS)
def test_newest_example_is_in_every_batch_and_every_draw_is_used_once(parameters: MERParameters) -> None:
    batches = arrange_batches(parameters, parameters.num_draws, np.random.default_rng(0))
    assert len(batches) == (1 if parameters.one_big_batch else parameters.num_batches)
    assert all(0 in batch for batch in batches)
    rows = np.concatenate(batches)
    assert np.count_nonzero(rows == 0) == parameters.num_batches
    assert sorted(rows[rows > 0]) == list(range(1, parameters.num_draws + 1))


def test_order_within_a_batch_is_random() -> None:
    rng = np.random.default_rng(0)
    places = [int(np.flatnonzero(arrange_batches(MERParameters(3), 3, rng)[0] == 0)[0]) for _ in range(4000)]
    assert np.bincount(places, minlength=4) == pytest.approx([1000] * 4, abs=120)  # over 4 standard deviations


def test_empty_memory_learns_the_newest_alone() -> None:
    assert [b.tolist() for b in arrange_batches(MERParameters(16, 2), 0, np.random.default_rng(0))] == [[0], [0]]


def test_mini_batch_is_one_step_on_the_mean() -> None:
    model, examples = make_problem(MLP, 9, torch.float64)
    twin = copy.deepcopy(model)
    start = flat(named(twin), twin)
    weights = FlatWeights(model)
    MiniBatchUpdate(weights, HuberTDLoss(), make_optimizer("sgd", weights, 0.05), 8).update(examples)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    HuberTDLoss()(twin(examples[0]), *examples[1:]).mean().backward()
    optimizer.step()
    check_same(flat(named(model), model) - start, flat(named(twin), twin) - start)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", -1),
        ("num_batches", 0),
        ("within_batch_rate", 1.1),
        ("across_batch_rate", float("nan")),
        ("current_example_boost", 0.0),
    ],
)
def test_bad_parameters_name_the_field(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{field}={value}: must be "):
        MERParameters(**{field: value})


@pytest.mark.parametrize("part", [0, 1])
def test_parts_of_unequal_length_are_refused(part: int) -> None:
    weights = FlatWeights(torch.nn.Linear(3, 1))
    optimizer = make_optimizer("sgd", weights, 0.1)
    mer = MERUpdate(weights, AutogradLearner(weights, torch.sub, optimizer), MERParameters(4), np.random.default_rng(0))
    examples = [torch.ones(5, 3), torch.ones(5)]
    examples[part] = examples[part][:1]  # of which rows 1 to 4 are empty: no loss, and nothing would be learned
    with pytest.raises(ValueError, match=r"^examples: must have as many rows in each part, have \[[15], [15]\]$"):
        mer.update(tuple(examples))
