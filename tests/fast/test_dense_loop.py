"""The compiled inner loop for MLPs against autograd."""

from typing import Any

import numpy as np
import pytest
import torch

from dqn_mer.cross_entropy import CrossEntropy
from dqn_mer.fast.choose import make_learner
from dqn_mer.fast.dense_loop import DenseLoopLearner
from dqn_mer.fast.sequential import ExplicitLearner
from dqn_mer.mer import AutogradLearner
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.supervised.model import build_mlp
from tests.helpers.closeness import check_as_near, check_same
from tests.helpers.mer_problems import CrossEntropy as OtherCrossEntropy
from tests.helpers.mer_problems import needs_numba

pytestmark = needs_numba


def problem(sizes: tuple[int, ...], dtype: torch.dtype) -> tuple[FlatWeights, tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.rand(12, sizes[0], generator=generator, dtype=dtype).round(decimals=1)
    labels = torch.randint(sizes[-1], (12,), generator=generator)
    return FlatWeights(build_mlp(sizes, seed=1).to(dtype)), (inputs, labels)


def movement(make: Any, weights: FlatWeights, examples: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return how three Reptile steps over batches in which rows come more than once move the weights."""
    rng = np.random.default_rng(0)
    before = weights.snapshot()
    learner = make(weights, CrossEntropy(), torch.optim.SGD([weights.vector], lr=0.1))
    assert isinstance(learner, AutogradLearner if make is AutogradLearner else DenseLoopLearner)
    for batch, rate in zip([rng.integers(12, size=9) for _ in range(3)], (0.3, 1.0, 0.8), strict=True):
        learner.learn(examples, batch, 3.0, rate)
    return weights.snapshot() - before


SIZES = [(6, 3), (6, 8, 3), (20, 16, 12, 10)]


@pytest.mark.parametrize("sizes", SIZES)
def test_it_moves_the_weights_as_autograd_does(sizes: tuple[int, ...]) -> None:
    check_same(*(movement(make, *problem(sizes, torch.float64)) for make in (make_learner, AutogradLearner)))


@pytest.mark.parametrize("sizes", SIZES)
def test_in_float32_it_is_as_near_as_autograd(sizes: tuple[int, ...]) -> None:
    ours, usual = (movement(make, *problem(sizes, torch.float32)) for make in (make_learner, AutogradLearner))
    weights, (inputs, labels) = problem(sizes, torch.float32)
    kept = float(weights.vector.detach().norm())
    exact = movement(AutogradLearner, FlatWeights(build_mlp(sizes, seed=1).double()), (inputs.double(), labels))
    check_as_near(ours, [usual], exact, max(sizes), kept)


def test_rate_0_restores_the_weights_exactly() -> None:
    weights, examples = problem((6, 8, 3), torch.float32)
    before = weights.snapshot()
    learner = make_learner(weights, CrossEntropy(), torch.optim.SGD([weights.vector], lr=0.1))
    learner.learn(examples, np.arange(12), 2.0, 0.0)
    assert torch.equal(weights.snapshot(), before)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_refused(label: int) -> None:
    weights, (inputs, labels) = problem((6, 8, 3), torch.float32)
    labels[4] = label
    learner = make_learner(weights, CrossEntropy(), torch.optim.SGD([weights.vector], lr=0.1))
    with pytest.raises(IndexError, match=f"label={label}: must be from 0 to 2"):
        learner.learn((inputs, labels), np.arange(12), 1.0, 1.0)


def test_other_losses_and_steps_take_another_loop() -> None:
    weights, _ = problem((6, 8, 3), torch.float32)
    plain = torch.optim.SGD([weights.vector], lr=0.1)
    assert isinstance(make_learner(weights, OtherCrossEntropy(), plain), ExplicitLearner)
    momentum = torch.optim.SGD([weights.vector], lr=0.1, momentum=0.9)
    assert isinstance(make_learner(weights, CrossEntropy(), momentum), ExplicitLearner)
    wide = FlatWeights(build_mlp((1024, 256, 3), seed=0))
    assert isinstance(make_learner(wide, CrossEntropy(), torch.optim.SGD([wide.vector], lr=0.1)), ExplicitLearner)
