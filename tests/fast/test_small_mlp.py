"""The compiled updates and passes of small MLPs against autograd."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, autograd

from dqn_mer.fast.choose import make_forward, make_learner, make_mini_batch, make_small_mlp
from dqn_mer.fast.kernels import mlp as mlp_kernels
from dqn_mer.fast.mini_batch import ExplicitMiniBatchUpdate
from dqn_mer.fast.sequential import ExplicitLearner
from dqn_mer.fast.small_mlp import MOST_EXAMPLES, MOST_PRODUCTS, SmallMLPLearner, SmallMLPMiniBatch
from dqn_mer.losses import CrossEntropy, HuberTDLoss
from dqn_mer.mer import AutogradLearner, Examples
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.supervised.model import build_mlp
from tests.helpers import grid
from tests.helpers.closeness import check_as_near, check_same
from tests.helpers.mer_problems import CrossEntropy as OtherCrossEntropy
from tests.helpers.mer_problems import needs_numba, nudged
from tests.helpers.profiles import tries

pytestmark = needs_numba

SIZES = [(6, 3), (6, 8, 3), (20, 16, 12, 10)]
LOSSES = [CrossEntropy(), HuberTDLoss()]
EACH_SIZE = pytest.mark.parametrize("sizes", SIZES)
EACH_LOSS = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
COMPILED_STEPS = pytest.mark.parametrize("optimizer", ["sgd", "adam"])
MLPS = st.lists(st.integers(1, 12), min_size=2, max_size=5).map(tuple)


def problem(sizes: tuple[int, ...], dtype: torch.dtype, loss: Any, count: int = 12) -> tuple[FlatWeights, Examples]:
    """Return a network and examples, some inputs being zero; they are the same numbers in every dtype."""
    generator = torch.Generator().manual_seed(3)
    inputs = torch.rand(count, sizes[0], generator=generator).round(decimals=1).to(dtype)
    labels = torch.randint(sizes[-1], (count,), generator=generator)
    targets = 2 * torch.randn(count, generator=generator)
    more = (targets.to(dtype),) if isinstance(loss, HuberTDLoss) else ()
    return FlatWeights(build_mlp(sizes, seed=1).to(dtype)), (inputs, labels, *more)


def mer_movement(make: Any, loss: Any, optimizer: str, weights: FlatWeights, examples: Examples) -> Tensor:
    """Return how three Reptile steps over batches in which rows come more than once move the weights."""
    rng, before = np.random.default_rng(0), weights.snapshot()
    learner = make(weights, loss, grid.optimizer_of_vector(optimizer, weights))
    assert isinstance(learner, AutogradLearner if make is AutogradLearner else SmallMLPLearner)
    for batch, rate in zip([rng.integers(12, size=9) for _ in range(3)], (0.3, 1.0, 0.8), strict=True):
        learner.learn(examples, batch, 3.0, rate)
    return weights.snapshot() - before


def mini_batch_movement(kind: Any, loss: Any, optimizer: str, weights: FlatWeights, examples: Examples) -> Tensor:
    """Return how mini-batches of several sizes move the weights."""
    before = weights.snapshot()
    update = kind(weights, loss, grid.optimizer_of_vector(optimizer, weights), 11)
    for step in range(6):
        update.update(tuple(part[: (12, 1, 5)[step % 3]] for part in examples))
    return weights.snapshot() - before


@COMPILED_STEPS
@EACH_LOSS
@EACH_SIZE
def test_mer_moves_the_weights_as_autograd_does(sizes: tuple[int, ...], loss: Any, optimizer: str) -> None:
    sides = (make_learner, AutogradLearner)
    check_same(*(mer_movement(make, loss, optimizer, *problem(sizes, torch.float64, loss)) for make in sides))


@pytest.mark.parametrize("optimizer", grid.OPTIMIZERS)
@EACH_LOSS
@tries(8)
@given(sizes=MLPS)
def test_mini_batches_move_the_weights_as_autograd_does(sizes: tuple[int, ...], loss: Any, optimizer: str) -> None:
    sides = (make_mini_batch, MiniBatchUpdate)
    moved = [mini_batch_movement(kind, loss, optimizer, *problem(sizes, torch.float64, loss)) for kind in sides]
    if sizes[-1] == 1 and isinstance(loss, CrossEntropy):  # one class: nothing to learn
        assert torch.equal(*moved) or optimizer in ("sgd-decay", "adamw")
    else:
        check_same(*moved)


@pytest.mark.parametrize(
    ("movement", "ours", "other"),
    [(mer_movement, make_learner, AutogradLearner), (mini_batch_movement, make_mini_batch, MiniBatchUpdate)],
)
@COMPILED_STEPS
@EACH_LOSS
@EACH_SIZE
def test_in_float32_it_is_as_near_as_autograd(
    sizes: tuple[int, ...], loss: Any, optimizer: str, movement: Callable[..., Tensor], ours: Any, other: Any
) -> None:
    usual = []
    for nudge in (-1, 0, 1):
        weights, examples = problem(sizes, torch.float32, loss)
        weights.load(nudged(weights.snapshot(), nudge))
        usual.append(movement(other, loss, optimizer, weights, examples))
    kept = float(weights.vector.detach().norm())
    result = movement(ours, loss, optimizer, *problem(sizes, torch.float32, loss))
    exact = movement(other, loss, optimizer, *problem(sizes, torch.float64, loss))
    check_as_near(result, usual, exact, max(sizes), kept)


@EACH_LOSS
@tries(12)
@given(sizes=MLPS, count=st.integers(1, MOST_EXAMPLES))
def test_the_mean_gradient_is_that_of_autograd(sizes: tuple[int, ...], loss: Any, count: int) -> None:
    weights, examples = problem(sizes, torch.float64, loss, count)
    assert weights.vector.grad is not None
    autograd.backward([loss(weights.model(examples[0]), *examples[1:]).mean()])
    expected = weights.vector.grad.clone()
    weights.vector.grad.fill_(float("nan"))
    mlp = make_small_mlp(weights)
    assert mlp is not None and mlp.takes(examples[0])
    mlp.set_mean_gradient(examples, loss)
    assert torch.allclose(weights.vector.grad, expected, rtol=1e-12, atol=1e-14)


@tries(12)
@given(sizes=MLPS, count=st.sampled_from([0, 1, 2, 17, MOST_EXAMPLES, MOST_EXAMPLES + 1]))
def test_outputs_are_those_of_the_model_as_it_is(sizes: tuple[int, ...], count: int) -> None:
    weights, (inputs, *_) = problem(sizes, torch.float64, HuberTDLoss(), count)
    columns = torch.stack([inputs, -inputs], dim=2)  # of which one is not contiguous
    forward = make_forward(weights)
    for change in (lambda: None, lambda: weights.load(weights.vector * 0.5)):
        change()
        for given_inputs in (inputs, columns[:, :, 1], inputs.clone().requires_grad_()):
            expected = weights.model(given_inputs).detach()
            assert torch.allclose(forward(given_inputs), expected, rtol=1e-12, atol=1e-14)


def test_an_example_has_the_same_outputs_in_every_small_batch() -> None:
    weights, (inputs, *_) = problem((20, 16, 12, 10), torch.float32, HuberTDLoss(), MOST_EXAMPLES)
    forward = make_forward(weights)
    alone = torch.cat([forward(row.unsqueeze(0)) for row in inputs])
    assert torch.equal(forward(inputs), alone)


def test_a_wide_forward_pass_is_left_to_blas() -> None:
    weights, (inputs, *_) = problem((200, 200, 3), torch.float32, HuberTDLoss(), 13)
    assert 12 * weights.vector.numel() <= MOST_PRODUCTS < 13 * weights.vector.numel()
    mlp = make_small_mlp(weights)
    assert mlp is not None
    assert torch.equal(mlp.values(inputs), mlp.network.values(inputs))
    assert not torch.equal(mlp.values(inputs[:12]), mlp.network.values(inputs[:12]))


@COMPILED_STEPS
def test_rate_0_restores_the_weights_exactly(optimizer: str) -> None:
    weights, examples = problem((6, 8, 3), torch.float32, CrossEntropy())
    before = weights.snapshot()
    learner = make_learner(weights, CrossEntropy(), grid.optimizer_of_vector(optimizer, weights))
    learner.learn(examples, np.arange(12), 2.0, 0.0)
    assert torch.equal(weights.snapshot(), before)


@COMPILED_STEPS
def test_a_changed_rate_and_a_loaded_state_are_taken_up(optimizer: str) -> None:
    moved = []
    for make in (make_learner, AutogradLearner):
        weights, examples = problem((6, 8, 3), torch.float64, HuberTDLoss())
        start, stepper = weights.snapshot(), grid.optimizer_of_vector(optimizer, weights)
        learner = make(weights, HuberTDLoss(), stepper)
        learner.learn(examples, np.arange(12), 1.0, 0.5)
        stepper.param_groups[0]["lr"] *= 3
        learner.learn(examples, np.arange(12), 1.0, 0.5)
        again = grid.optimizer_of_vector(optimizer, weights)
        again.load_state_dict(stepper.state_dict())
        make(weights, HuberTDLoss(), again).learn(examples, np.arange(12), 1.0, 0.5)
        again.step()  # with the last gradient; its moments are those of all steps
        moved.append(weights.snapshot() - start)
        if optimizer == "adam":
            assert float(again.state[weights.vector]["step"]) == 37
    if optimizer == "adam":
        check_same(*moved)


class OtherHuber(HuberTDLoss):
    """May differ from what it inherits from."""


def test_other_losses_steps_and_sizes_take_another_form() -> None:
    weights, _ = problem((6, 8, 3), torch.float32, CrossEntropy())
    plain, momentum = (grid.optimizer_of_vector(name, weights) for name in ("sgd", "momentum"))
    assert isinstance(make_learner(weights, OtherCrossEntropy(), plain), ExplicitLearner)
    assert isinstance(make_learner(weights, OtherHuber(), plain), ExplicitLearner)
    assert isinstance(make_mini_batch(weights, OtherHuber(), plain, 4), ExplicitMiniBatchUpdate)
    assert isinstance(make_learner(weights, CrossEntropy(), momentum), ExplicitLearner)
    assert isinstance(make_mini_batch(weights, OtherCrossEntropy(), plain, 4), ExplicitMiniBatchUpdate)
    assert isinstance(make_mini_batch(weights, CrossEntropy(), momentum, 4), SmallMLPMiniBatch)
    assert isinstance(make_mini_batch(weights, CrossEntropy(), plain, MOST_EXAMPLES), ExplicitMiniBatchUpdate)
    wide = FlatWeights(build_mlp((1024, 256, 3), seed=0))
    assert isinstance(make_learner(wide, CrossEntropy(), grid.optimizer_of_vector("sgd", wide)), ExplicitLearner)
    assert make_small_mlp(wide) is None


def test_models_whose_weights_lie_otherwise_take_another_form() -> None:
    shared = build_mlp((8, 8, 8), seed=0)
    shared[2].weight = shared[0].weight
    behind = build_mlp((8, 8, 8), seed=0)
    weight = behind[0].weight
    del behind[0].weight
    behind[0].weight = weight  # now behind the bias
    for model in (shared, behind):
        weights, inputs = FlatWeights(model), torch.rand(5, 8)
        assert make_small_mlp(weights) is None
        torch.testing.assert_close(make_forward(weights)(inputs), model(inputs).detach())
    assert make_forward(half := FlatWeights(build_mlp((4, 3), seed=0).bfloat16())) is half.model


def test_a_kernel_changes_with_the_kernels_that_it_is_made_of() -> None:
    folder = Path(mlp_kernels.__file__).parent
    digest = hashlib.sha256(b"".join((folder / name).read_bytes() for name in ("adam.py", "dense.py"))).hexdigest()
    assert mlp_kernels.MADE_WITH == digest[:16]
