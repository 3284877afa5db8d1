"""MER against the oracle, and its inner loops against one another, for MLP and CNN."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from dqn_mer.fast import adam
from dqn_mer.fast.dedup_convolution import DistinctStack
from dqn_mer.fast.sequential import ExplicitLearner
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import MERUpdate, arrange_batches
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import build_network
from dqn_mer.networks.weights import FlatWeights
from tests.helpers.closeness import EXACT, check_as_near, check_same
from tests.helpers.mer_problems import (
    ALGORITHMS,
    BIG_CNN,
    CNN,
    EACH_LEARNER,
    LEARNERS,
    LONGEST_SUM,
    MLP,
    CrossEntropy,
    flat,
    make_problem,
    make_update,
    named,
    needs_numba,
    nudged,
    sparse,
)
from tests.helpers.oracle import naive_mer


@pytest.mark.parametrize("learner", EACH_LEARNER)
@pytest.mark.parametrize("kind", [MLP, CNN])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_update_equals_the_oracle(algorithm: str, kind: str, learner: str) -> None:
    parameters = ALGORITHMS[algorithm]
    model, examples = make_problem(kind, parameters.num_draws + 1, torch.float64)
    twin = copy.deepcopy(model)
    start = flat(named(twin), twin).clone()
    weights = FlatWeights(model)
    update = make_update(weights, learner, parameters)
    for seed in (3, 4):  # a second update shows that nothing stale is left from the first
        update.rng = np.random.default_rng(seed)
        update.update(examples)
        batches = arrange_batches(parameters, parameters.num_draws, np.random.default_rng(seed))
        expected = naive_mer(
            twin,
            HuberTDLoss(),
            examples,
            [batch.tolist() for batch in batches],
            0.05,
            1.0 if parameters.one_big_batch else parameters.within_batch_rate,
            parameters.across_batch_rate,
            parameters.current_example_boost,
        )
    assert (flat(expected, twin) - start).abs().max() > 1e-3
    check_same(flat(named(model), model) - start, flat(expected, twin) - start)


@needs_numba
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("kind", [MLP, CNN, BIG_CNN])
def test_explicit_loop_is_as_near_as_autograd_in_float32(kind: str, optimizer: str) -> None:
    def movement(learner: str, dtype: torch.dtype, nudge: int = 0) -> torch.Tensor:
        model, examples = make_problem(kind, 9, dtype)
        weights = FlatWeights(model)
        weights.load(nudged(weights.snapshot(), nudge))
        start = weights.snapshot()
        update = make_update(weights, learner, MERParameters(batch_size=8, across_batch_rate=0.3), optimizer, 1e-3)
        for _ in range(2):
            update.update(examples)
        return weights.snapshot() - start

    exact = movement("autograd", torch.float64)
    usual = [movement("autograd", torch.float32, nudge) for nudge in (-1, 0, 1)]
    check_as_near(movement("explicit", torch.float32), usual, exact, LONGEST_SUM[kind])


@needs_numba
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("kind", [CNN, BIG_CNN])
def test_screens_of_few_patches_are_learned_by_patch(kind: str, optimizer: str) -> None:
    parameters = MERParameters(batch_size=4, num_batches=2, within_batch_rate=0.6, across_batch_rate=0.3)
    results = []
    for learner in LEARNERS:
        model, (dense, *targets) = make_problem(kind, 9, torch.float64)
        weights = FlatWeights(model)
        start = weights.snapshot()
        update = make_update(weights, learner, parameters, optimizer, rate=0.01)
        for inputs in (sparse(dense), dense, sparse(dense)):  # it may change from update to update
            update.update((inputs, *targets))
            if isinstance(update.learner, ExplicitLearner):
                by_patch = isinstance(update.learner.convolutions, DistinctStack)
                assert by_patch is (inputs is not dense)
        results.append(weights.snapshot() - start)
    check_same(*results)


@needs_numba
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_large_layers_equal_autograd_in_float64(optimizer: str) -> None:
    parameters = MERParameters(
        batch_size=8, num_batches=2, within_batch_rate=0.6, across_batch_rate=0.3, current_example_boost=1.5
    )
    results = []
    for learner in LEARNERS:
        model, examples = make_problem(BIG_CNN, 17, torch.float64)
        weights = FlatWeights(model)
        start = weights.snapshot()
        update = make_update(weights, learner, parameters, optimizer, rate=0.01)
        for _ in range(2):
            update.update(examples)
        results.append(weights.snapshot() - start)
    check_same(*results)
    if optimizer == "adam":
        assert float(update.learner.optimizer.state[weights.vector]["step"]) == 36


class PathLength:
    """Adds up how far each weight moves, step by step."""

    def __init__(self, weights: FlatWeights) -> None:
        self.weights = weights
        self.last = weights.snapshot()
        self.lengths = torch.zeros_like(self.last)

    def add(self, *step: object) -> None:
        now = self.weights.snapshot()
        self.lengths += (now - self.last).abs()
        self.last = now


@needs_numba
@pytest.mark.parametrize("steps_before", [0, 40, 1_000, 100_000])
@pytest.mark.parametrize("boost", [1.0, 3.0])
def test_adam_steps_put_off_equal_those_taken_at_once(steps_before: int, boost: float) -> None:
    """Steps without a gradient may be taken as one with a mean ε, which is off in the second order of ε's change."""
    parameters = MERParameters(batch_size=16, across_batch_rate=0.3, current_example_boost=boost)
    results, paths = [], {}
    for learner in LEARNERS:
        model, examples = make_problem(BIG_CNN, 17, torch.float64)
        weights = FlatWeights(model)
        update = make_update(weights, learner, parameters, "adam", rate=0.01)
        update.update(examples)
        state = update.learner.optimizer.state[weights.vector]
        state["step"] += steps_before
        before, roots = weights.snapshot(), state["exp_avg_sq"].sqrt()
        path = PathLength(weights)
        update.learner.optimizer.register_step_post_hook(path.add)
        update.update(examples)
        moments = state["exp_avg"].clone(), state["exp_avg_sq"].clone()
        results.append((weights.snapshot() - before, *moments))
        paths[learner] = path.lengths
    # A weight's step is c / (√v + ε). With ε in a range of d ε, the mean ε is off by at most (d ε / 2 (√v + ε))² of the
    # step; √v has fallen by 0.999^(17 / 2) at the most. A gradient changes with the weights: twice that.
    epsilon, drift = 1e-8, adam.MAX_EPSILON_DRIFT if steps_before >= 1_000 else 0.0
    part = (drift / 2) ** 2 * (epsilon / (0.99 * roots + epsilon)) ** 2
    (moved, *moments), (expected, *expected_moments) = results
    assert (moved - expected).norm() <= EXACT * expected.norm() + 2 * (part * paths["autograd"]).norm()
    for ours, oracle in zip(moments, expected_moments, strict=True):
        check_same(ours, oracle)


@needs_numba
@pytest.mark.parametrize("beta", [0.0, 0.001, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adam_steps_put_off_with_a_first_moment_that_fades_at_once(dtype: torch.dtype, beta: float) -> None:
    results = []
    for learner in LEARNERS.values():
        model = build_network((512,), 3, (512,), seed=2).to(dtype)
        weights, rng = FlatWeights(model), np.random.default_rng(1)
        start = weights.snapshot()
        optimizer = torch.optim.Adam([weights.vector], lr=1e-3, betas=(beta, 0.999))
        update = MERUpdate(weights, learner(weights, HuberTDLoss(), optimizer), MERParameters(16), rng)
        inputs = torch.from_numpy(rng.random((17, 512)) * (rng.random((17, 512)) < 0.1)).to(dtype)
        for _ in range(2):
            update.update((inputs, torch.arange(17) % 3, inputs.sum(dim=1)))
            optimizer.state[weights.vector]["step"] += 1_000  # after as many ε hardly changes over a batch
        results.append(weights.snapshot() - start)
    assert torch.isfinite(results[1]).all()
    if dtype is torch.float64:
        check_same(*results)


@pytest.mark.parametrize("learner", EACH_LEARNER)
def test_another_loss_learns_the_same_in_both_loops(learner: str) -> None:
    model, (inputs, labels, _) = make_problem(MLP, 6, torch.float64)
    twin = copy.deepcopy(model)
    start = flat(named(twin), twin)
    weights = FlatWeights(model)
    opt = make_optimizer("sgd", weights, 0.1)
    update = MERUpdate(
        weights, LEARNERS[learner](weights, CrossEntropy(), opt), MERParameters(5), np.random.default_rng(0)
    )
    update.update((inputs, labels))
    (batch,) = arrange_batches(MERParameters(5), 5, np.random.default_rng(0))
    expected = naive_mer(twin, CrossEntropy(), (inputs, labels), [batch.tolist()], 0.1, 1.0, 0.3)
    check_same(flat(named(model), model) - start, flat(expected, twin) - start)
