"""MER against the oracle, and its inner loops against one another, for MLP and CNN."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from dqn_mer.agents.build import make_optimizer
from dqn_mer.agents.targets import HuberTDLoss
from dqn_mer.fast import sequential
from dqn_mer.fast.dedup_convolution import DistinctStack
from dqn_mer.fast.kernels import dense
from dqn_mer.mer import MERParameters, MERUpdate, arrange_batches
from dqn_mer.networks.q_network import FlatWeights
from tests.helpers.mer_problems import (
    ALGORITHMS,
    BIG_CNN,
    CNN,
    LEARNERS,
    MLP,
    CrossEntropy,
    flat,
    make_problem,
    make_update,
    named,
    sparse,
)
from tests.helpers.oracle import naive_mer


@pytest.mark.parametrize("learner", LEARNERS)
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
    moved = (flat(expected, twin) - start).abs().max()
    assert moved > 1e-3
    torch.testing.assert_close(flat(named(model), model), flat(expected, twin), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize(("kind", "rate"), [(MLP, 1e-3), (CNN, 1e-3), (BIG_CNN, 1e-3)])
def test_explicit_loop_equals_autograd_in_float32(kind: str, rate: float, optimizer: str) -> None:
    parameters = MERParameters(batch_size=8, across_batch_rate=0.3)
    results = []
    for learner in LEARNERS:
        model, examples = make_problem(kind, 9, torch.float32)
        weights = FlatWeights(model)
        start = weights.snapshot()
        update = make_update(weights, learner, parameters, optimizer, rate)
        for _ in range(2):
            update.update(examples)
        results.append(weights.snapshot() - start)
    assert results[0].abs().max() > 1e-5
    # Adam divides by the square root of tiny gradients, so single weights may differ; the movement may not.
    assert (results[0] - results[1]).norm() <= 2e-3 * results[0].norm()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("kind", [CNN, BIG_CNN])
def test_screens_of_few_patches_are_learned_by_patch(kind: str, optimizer: str) -> None:
    pytest.importorskip("numba")
    parameters = MERParameters(batch_size=4, num_batches=2, within_batch_rate=0.6, across_batch_rate=0.3)
    results = []
    for learner in LEARNERS:
        model, (dense, *targets) = make_problem(kind, 9, torch.float64)
        weights = FlatWeights(model)
        start = weights.snapshot()
        update = make_update(weights, learner, parameters, optimizer, rate=0.01)
        for inputs in (sparse(dense), dense, sparse(dense)):  # it may change from update to update
            update.update((inputs, *targets))
            if isinstance(update.learner, sequential.ExplicitLearner):
                by_patch = isinstance(update.learner.convolutions, DistinctStack)
                assert by_patch is (inputs is not dense)
        results.append(weights.snapshot() - start)
    assert (results[0] - results[1]).norm() <= 1e-9 * results[0].norm()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("compiled", [False, True])
def test_large_layers_equal_autograd_in_float64(
    optimizer: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled:
        pytest.importorskip("numba")
    for module in (dense, sequential):
        monkeypatch.setattr(module, "COMPILED", compiled)
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
    assert (results[0] - results[1]).norm() <= 1e-9 * results[0].norm()
    if optimizer == "adam":
        assert float(update.learner.optimizer.state[weights.vector]["step"]) == 36


@pytest.mark.parametrize("steps_before", [0, 40, 1_000, 100_000])
@pytest.mark.parametrize("boost", [1.0, 3.0])
def test_adam_steps_put_off_equal_those_taken_at_once(steps_before: int, boost: float) -> None:
    pytest.importorskip("numba")
    parameters = MERParameters(batch_size=16, across_batch_rate=0.3, current_example_boost=boost)
    results = []
    for learner in LEARNERS:
        model, examples = make_problem(BIG_CNN, 17, torch.float64)
        weights = FlatWeights(model)
        update = make_update(weights, learner, parameters, "adam", rate=0.01)
        update.update(examples)
        state = update.learner.optimizer.state[weights.vector]
        state["step"] += steps_before
        before = weights.snapshot()
        update.update(examples)
        moments = state["exp_avg"].clone(), state["exp_avg_sq"].clone()
        results.append((weights.snapshot() - before, *moments))
    at_once = steps_before >= 1_000  # then to first order in the change of ε, far within float32's rounding of weights
    for ours, oracle in zip(*results, strict=True):
        assert float(oracle.abs().max()) > 0
        assert (ours - oracle).norm() <= (5e-7 if at_once else 1e-9) * oracle.norm()


@pytest.mark.parametrize("learner", LEARNERS)
def test_another_loss_learns_the_same_in_both_loops(learner: str) -> None:
    model, (inputs, labels, _) = make_problem(MLP, 6, torch.float64)
    twin = copy.deepcopy(model)
    weights = FlatWeights(model)
    opt = make_optimizer("sgd", weights, 0.1)
    update = MERUpdate(
        weights, LEARNERS[learner](weights, CrossEntropy(), opt), MERParameters(5), np.random.default_rng(0)
    )
    update.update((inputs, labels))
    (batch,) = arrange_batches(MERParameters(5), 5, np.random.default_rng(0))
    expected = naive_mer(twin, CrossEntropy(), (inputs, labels), [batch.tolist()], 0.1, 1.0, 0.3)
    torch.testing.assert_close(flat(named(model), model), flat(expected, twin), rtol=1e-10, atol=1e-12)
