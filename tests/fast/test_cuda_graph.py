"""The recorded inner loop: its buffers and its undone warm-up here, the recording itself where there is a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dqn_mer.fast.cuda_graph import GraphLearner
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import AutogradLearner, Examples, MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.weights import FlatWeights
from tests.helpers.closeness import check_same
from tests.helpers.mer_problems import CNN, MLP, make_problem

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def make(
    kind: str, optimizer: str, boost: float, device: str, graph: bool, capture: bool, dtype: torch.dtype = torch.float32
) -> MERUpdate:
    weights = FlatWeights(make_problem(kind, 1, dtype)[0].to(device))
    learner = AutogradLearner(weights, HuberTDLoss(), make_optimizer(optimizer, weights, 0.01))
    parameters = MERParameters(4, 2, 0.5, 0.3, current_example_boost=boost)
    chosen = GraphLearner(learner, capture) if graph else learner
    return MERUpdate(weights, chosen, parameters, np.random.default_rng(0))


def run(update: MERUpdate, examples: Examples) -> torch.Tensor:
    update.update(tuple(part[:1] for part in examples))  # the newest alone: another length of batch
    for shift in range(3):
        update.update(tuple(part.roll(shift, 0) for part in examples))
    return update.weights.snapshot()


@pytest.mark.parametrize("boost", [1.0, 2.0])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("kind", [MLP, CNN])
def test_learning_from_buffers_changes_no_bit(kind: str, optimizer: str, boost: float) -> None:
    examples = make_problem(kind, 9, torch.float32)[1]
    plain, buffered = (
        run(make(kind, optimizer, boost, "cpu", graph, capture=False), examples) for graph in (False, True)
    )
    assert torch.equal(plain, buffered)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_warming_up_leaves_no_trace(optimizer: str, first: bool) -> None:
    examples = make_problem(MLP, 9, torch.float32)[1]
    update = make(MLP, optimizer, 1.0, "cpu", graph=True, capture=False)
    learner, twin = update.learner, make(MLP, optimizer, 1.0, "cpu", graph=True, capture=False)
    if not first:
        run(update, examples), run(twin, examples)
    saved = learner._save()
    for _ in range(3):
        learner.general.learn(examples, np.arange(9), 1.0, 0.3)
    assert not torch.equal(update.weights.snapshot(), twin.weights.snapshot())
    learner._restore(saved)
    assert torch.equal(update.weights.snapshot(), twin.weights.snapshot())
    assert torch.equal(run(update, examples), run(twin, examples))


@needs_cuda
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_graph_equals_the_general_loop_on_a_gpu(optimizer: str) -> None:
    examples = tuple(part.cuda() for part in make_problem(CNN, 9, torch.float64)[1])
    updates = [make(CNN, optimizer, 1.0, "cuda", graph, capture=True, dtype=torch.float64) for graph in (False, True)]
    starts = [update.weights.snapshot() for update in updates]
    check_same(*(run(update, examples) - start for update, start in zip(updates, starts, strict=True)))


@needs_cuda
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_the_general_loop_never_waits_for_the_gpu(optimizer: str) -> None:
    examples = tuple(part.cuda() for part in make_problem(CNN, 9, torch.float32)[1])
    learner = make(CNN, optimizer, 1.0, "cuda", graph=False, capture=False).learner
    learner.learn(examples, np.arange(9), 1.0, 0.3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        learner.learn(examples, np.arange(9), 1.0, 0.3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
