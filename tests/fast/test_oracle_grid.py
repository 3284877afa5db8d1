"""The written-out passes against plain autograd, over a grid of networks, optimizers and forms of MER."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dqn_mer.fast import adam
from dqn_mer.fast.choose import make_explicit_learner
from dqn_mer.fast.mini_batch import ExplicitMiniBatchUpdate
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import Examples, MERUpdate, arrange_batches
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks import weights as weights_module
from dqn_mer.networks.weights import FlatWeights
from tests.helpers import grid
from tests.helpers.closeness import check_as_near, check_same
from tests.helpers.grid import Learn, Network
from tests.helpers.mer_problems import needs_numba
from tests.helpers.oracle import mer_by_autograd
from tests.helpers.profiles import tries

pytestmark = needs_numba
F32, F64 = torch.float32, torch.float64


@contextmanager
def small_counts_as_large() -> Iterator[None]:
    """Count layers of a few weights as large ones, and take Adam's steps that were put off singly, which is exact."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights_module, "LARGE_WEIGHTS", grid.SMALL_IS_LARGE)
        patch.setattr(adam, "MAX_EPSILON_DRIFT", -1.0)
        yield


def stream(network: Network, draws: int, dtype: torch.dtype, sparse: Sequence[bool]) -> list[Examples]:
    """Return the examples of one update for each of ``sparse``, those of the first being the newest alone."""
    counts = [1, *[draws + 1] * (len(sparse) - 1)]
    return [network.examples(n, dtype, flag, seed) for seed, (n, flag) in enumerate(zip(counts, sparse, strict=True))]


def mer(optimizer: str, parameters: MERParameters, updates: Sequence[Examples]) -> Learn:
    """Return what learns by the written-out inner loop."""

    def learn(model: nn.Sequential) -> None:
        weights = FlatWeights(model)
        learner = make_explicit_learner(weights, HuberTDLoss(), grid.optimizer_of_vector(optimizer, weights))
        update = MERUpdate(weights, learner, parameters, np.random.default_rng(3))
        for examples in updates:
            update.update(examples)

    return learn


def plain_mer(optimizer: str, parameters: MERParameters, updates: Sequence[Examples]) -> Learn:
    """Return what learns the same by the oracle."""

    def learn(model: nn.Sequential) -> None:
        stock, rng = grid.stock_optimizer(optimizer, model), np.random.default_rng(3)
        for examples in updates:
            batches = arrange_batches(parameters, len(examples[0]) - 1, rng)
            mer_by_autograd(
                model,
                HuberTDLoss(),
                examples,
                [batch.tolist() for batch in batches],
                stock,
                1.0 if parameters.one_big_batch else parameters.within_batch_rate,
                parameters.across_batch_rate,
                parameters.current_example_boost,
            )

    return learn


def mini_batch(optimizer: str, updates: Sequence[Examples]) -> Learn:
    """Return what learns by the written-out passes over mini-batches."""

    def learn(model: nn.Sequential) -> None:
        weights = FlatWeights(model)
        stepper = grid.optimizer_of_vector(optimizer, weights)
        update = ExplicitMiniBatchUpdate(weights, HuberTDLoss(), stepper, len(updates[-1][0]) - 1)
        for examples in updates:
            update.update(examples)

    return learn


def plain_mini_batch(optimizer: str, updates: Sequence[Examples]) -> Learn:
    """Return what learns the same by autograd."""

    def learn(model: nn.Sequential) -> None:
        stock = grid.stock_optimizer(optimizer, model)
        for inputs, *targets in updates:
            stock.zero_grad()
            HuberTDLoss()(model(inputs), *targets).mean().backward()
            stock.step()

    return learn


MakeLearn = Callable[[torch.dtype], Learn]


def check_exact(network: Network, ours: MakeLearn, oracle: MakeLearn) -> None:
    """Check in float64 that both move the weights alike."""
    check_same(*(grid.movement(network, F64, learn(F64)) for learn in (ours, oracle)))


def check_rounding(network: Network, draws: int, ours: MakeLearn, oracle: MakeLearn) -> None:
    """Check in float32 that we are no farther from float64 than autograd's own float32."""
    exact = grid.movement(network, F64, oracle(F64))
    others = [grid.movement(network, F32, oracle(F32), nudge) for nudge in (-1, 0, 1)]
    kept = float(grid.flat(network.build(F32)).norm())
    check_as_near(grid.movement(network, F32, ours(F32)), others, exact, network.longest_sum(draws + 1), kept)


EACH_OPTIMIZER = pytest.mark.parametrize("optimizer", grid.OPTIMIZERS)
SPARSE = st.lists(st.booleans(), min_size=3, max_size=3)


@EACH_OPTIMIZER
@tries(16)
@given(network=grid.networks(), parameters=grid.mer_parameters(), sparse=SPARSE)
def test_mer_is_that_of_autograd_in_float64(
    network: Network, optimizer: str, parameters: MERParameters, sparse: list[bool]
) -> None:
    def of(kind: Callable[..., Learn]) -> MakeLearn:
        return lambda dtype: kind(optimizer, parameters, stream(network, parameters.num_draws, dtype, sparse))

    with small_counts_as_large():
        check_exact(network, of(mer), of(plain_mer))


@EACH_OPTIMIZER
@tries(6)
@given(network=grid.networks(), parameters=grid.mer_parameters(), sparse=SPARSE)
def test_mer_in_float32_is_as_near_as_autograd(
    network: Network, optimizer: str, parameters: MERParameters, sparse: list[bool]
) -> None:
    def of(kind: Callable[..., Learn]) -> MakeLearn:
        return lambda dtype: kind(optimizer, parameters, stream(network, parameters.num_draws, dtype, sparse))

    with small_counts_as_large():
        check_rounding(network, 0, of(mer), of(plain_mer))


@EACH_OPTIMIZER
@tries(12)
@given(network=grid.networks(), draws=st.integers(0, 9), sparse=SPARSE)
def test_mini_batches_are_those_of_autograd_in_float64(
    network: Network, optimizer: str, draws: int, sparse: list[bool]
) -> None:
    def of(kind: Callable[..., Learn]) -> MakeLearn:
        return lambda dtype: kind(optimizer, stream(network, draws, dtype, sparse))

    with small_counts_as_large():
        check_exact(network, of(mini_batch), of(plain_mini_batch))


@EACH_OPTIMIZER
@tries(6)
@given(network=grid.networks(), draws=st.integers(0, 9), sparse=SPARSE)
def test_mini_batches_in_float32_are_as_near_as_autograd(
    network: Network, optimizer: str, draws: int, sparse: list[bool]
) -> None:
    def of(kind: Callable[..., Learn]) -> MakeLearn:
        return lambda dtype: kind(optimizer, stream(network, draws, dtype, sparse))

    with small_counts_as_large():
        check_rounding(network, draws, of(mini_batch), of(plain_mini_batch))


LARGE = [
    Network((8,), (), (512, 512, 3), 0),  # small, large, small
    Network((8,), (), (1024, 256, 3), 0),
    Network((512,), (), (512, 512, 3), 0),  # large, large, small
    Network((512,), (), (512, 8, 4), 0),
    Network((1, 36, 36), ((32, 8, 4), (64, 4, 2), (64, 3, 1)), (4096, 3), 0),  # maps of one pixel, then large
]
"""Networks with layers that are large indeed."""


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("network", LARGE, ids=lambda network: "-".join(map(str, (*network.shape, *network.dense))))
def test_large_layers_learn_as_autograd_does(network: Network, optimizer: str) -> None:
    parameters = MERParameters(3, 2, within_batch_rate=0.7, across_batch_rate=0.3, current_example_boost=1.5)
    updates = stream(network, 6, F64, [False, True])
    check_exact(
        network, lambda _: mer(optimizer, parameters, updates), lambda _: plain_mer(optimizer, parameters, updates)
    )
