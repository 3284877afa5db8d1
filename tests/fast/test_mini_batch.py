"""The written-out passes over mini-batches against autograd, for MLP and CNN."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, autograd, nn

from dqn_mer.fast.choose import make_batch_network, make_forward, make_mini_batch
from dqn_mer.fast.forms import is_small_mlp
from dqn_mer.fast.mini_batch import BatchNetwork, ExplicitMiniBatchUpdate
from dqn_mer.fast.small_mlp import SmallMLPMiniBatch
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import Examples
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import build_network
from dqn_mer.networks.weights import FlatWeights
from tests.helpers.closeness import check_as_near, check_same
from tests.helpers.mer_problems import (
    BIG_CNN,
    CNN,
    LONGEST_SUM,
    MLP,
    CrossEntropy,
    make_problem,
    needs_numba,
    nudged,
    sparse,
)

pytestmark = needs_numba

KINDS = [MLP, CNN, BIG_CNN]


def problem(kind: str, count: int, dtype: torch.dtype, game: bool) -> tuple[FlatWeights, Examples]:
    model, (inputs, *targets) = make_problem(kind, count, dtype)
    return FlatWeights(model), (sparse(inputs) if game else inputs, *targets)


def gradient_of(weights: FlatWeights) -> Tensor:
    assert weights.vector.grad is not None
    return weights.vector.grad


@pytest.mark.parametrize("game", [False, True])
@pytest.mark.parametrize("count", [1, 2, 17])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradient_are_those_of_autograd(kind: str, count: int, game: bool) -> None:
    weights, (inputs, *targets) = problem(kind, count, torch.float64, game)
    expected = weights.model(inputs)
    autograd.backward([HuberTDLoss()(expected, *targets).mean()])
    slow = gradient_of(weights).clone()
    gradient_of(weights).fill_(float("nan"))
    network = BatchNetwork(weights)
    outputs = network.forward(inputs).requires_grad_()
    network.backward(*autograd.grad(HuberTDLoss()(outputs, *targets).mean(), outputs), rate=None)
    for ours, other in ((outputs, expected), (network.values(inputs), expected), (gradient_of(weights), slow)):
        check_same(ours.detach().double(), other.detach().double())


@pytest.mark.parametrize("game", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradient_are_as_near_as_autograds_in_float32(kind: str, game: bool) -> None:
    parts = []
    for dtype in (torch.float64, torch.float32):
        weights, (inputs, *targets) = problem(kind, 17, dtype, game)
        outputs = weights.model(inputs)
        autograd.backward([HuberTDLoss()(outputs, *targets).mean()])
        parts.append((outputs.detach(), gradient_of(weights).clone()))
    network = BatchNetwork(weights)
    outputs = network.forward(inputs).requires_grad_()
    network.backward(*autograd.grad(HuberTDLoss()(outputs, *targets).mean(), outputs), rate=None)
    for ours, exact, other in zip((outputs.detach(), gradient_of(weights)), *parts, strict=True):
        check_as_near(ours, [other], exact, LONGEST_SUM[kind])


def test_values_leave_what_the_backward_pass_needs() -> None:
    gradients = []
    for disturbed in (False, True):
        weights, (inputs, *targets) = problem(CNN, 3, torch.float32, game=True)
        network = BatchNetwork(weights)
        outputs = network.forward(inputs).requires_grad_()
        if disturbed:
            network.values(torch.zeros_like(inputs[:1]))
        network.backward(*autograd.grad(HuberTDLoss()(outputs, *targets).mean(), outputs), rate=None)
        gradients.append(gradient_of(weights).clone())
    assert torch.equal(*gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("kind", KINDS)
def test_many_updates_move_the_weights_as_autograd_does(kind: str, optimizer: str, dtype: torch.dtype) -> None:
    """Batches of other sizes in between show that nothing stale is left."""
    sides = [(ExplicitMiniBatchUpdate, dtype, 0), (MiniBatchUpdate, torch.float64, 0)]
    sides += [(MiniBatchUpdate, dtype, nudge) for nudge in (-1, 0, 1)] if dtype == torch.float32 else []
    moves, states = [], []
    for update_kind, kept_in, nudge in sides:
        weights, examples = problem(kind, 17, kept_in, game=True)
        weights.load(nudged(weights.snapshot(), nudge))
        start = weights.snapshot()
        update = update_kind(weights, HuberTDLoss(), make_optimizer(optimizer, weights, 1e-3), 16)
        for step in range(12):
            update.update(tuple(part[: (17, 1, 5)[step % 3]] for part in examples))
        moves.append(weights.snapshot() - start)
        states.append(update.get_state()["optimizer"])
    ours, exact, *usual = moves
    if dtype == torch.float64:
        check_same(ours, exact)
    else:
        check_as_near(ours, usual, exact, LONGEST_SUM[kind])
    assert states[0].keys() == states[1].keys()


@pytest.mark.parametrize("kind", KINDS)
def test_updates_repeat_to_the_bit(kind: str) -> None:
    after = []
    for _ in range(2):
        weights, examples = problem(kind, 9, torch.float32, game=True)
        update = make_mini_batch(weights, HuberTDLoss(), make_optimizer("sgd", weights, 1e-2), 8)
        for _ in range(3):
            update.update(examples)
        after.append(weights.snapshot())
    assert torch.equal(*after)


def test_any_loss_will_do() -> None:
    moves = []
    for update_kind in (MiniBatchUpdate, ExplicitMiniBatchUpdate):
        weights, (inputs, labels, _) = problem(CNN, 6, torch.float64, game=False)
        start = weights.snapshot()
        update_kind(weights, CrossEntropy(), make_optimizer("sgd", weights, 0.1), 5).update((inputs, labels))
        moves.append(weights.snapshot() - start)
    check_same(*moves)


def test_weight_decay_is_left_to_the_optimizer() -> None:
    moves = []
    for update_kind in (MiniBatchUpdate, ExplicitMiniBatchUpdate):
        weights, examples = problem(MLP, 6, torch.float64, game=False)
        start = weights.snapshot()
        update_kind(weights, HuberTDLoss(), make_optimizer("sgd", weights, 0.1, weight_decay=0.5), 5).update(examples)
        moves.append(weights.snapshot() - start)
    check_same(*moves)


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        (build_network((4,), 2, (8,), 0), True),
        (build_network((4, 36, 36), 2, (8,), 0), True),
        (build_network((5, 36, 36), 2, (8,), 0), False),
        (build_network((4,), 2, (8,), 0, layer_norm=True), False),
        (build_network((4, 36, 36), 2, (8,), 0, layer_norm=True), False),
        (build_network((4,), 2, (8,), 0, random_odds=(0.5, 0.5)), False),
    ],
)
def test_other_models_take_autograd(model: nn.Module, taken: bool) -> None:
    weights = FlatWeights(model)
    assert (make_batch_network(weights) is not None) is taken
    update = make_mini_batch(weights, HuberTDLoss(), make_optimizer("sgd", weights, 0.1), 4)
    written_out = SmallMLPMiniBatch if is_small_mlp(weights) else ExplicitMiniBatchUpdate
    assert type(update) is (written_out if taken else MiniBatchUpdate)
    assert (make_forward(weights) is model) is not taken


def test_pixels_that_are_no_bytes_take_autograd() -> None:
    moves = []
    for update_kind in (MiniBatchUpdate, ExplicitMiniBatchUpdate):
        weights, (inputs, *targets) = problem(CNN, 3, torch.float32, game=False)
        weights.model[0].forward = type(weights.model[0])().forward
        start = weights.snapshot()
        pixels = inputs.to(torch.float32) + 0.5
        assert torch.equal(make_forward(weights)(pixels), weights.model(pixels))
        update_kind(weights, HuberTDLoss(), make_optimizer("sgd", weights, 0.1), 2).update((pixels, *targets))
        moves.append(weights.snapshot() - start)
    assert torch.equal(*moves)


def test_forward_sees_weights_that_were_loaded() -> None:
    weights, (inputs, *_) = problem(CNN, 3, torch.float64, game=False)
    forward = make_forward(weights)
    forward(inputs)
    weights.load(weights.vector * 0.5)
    check_same(forward(inputs), weights.model(inputs).detach())
