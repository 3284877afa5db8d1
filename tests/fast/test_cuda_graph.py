"""The recorded inner loop: its buffers and its undone warm-up here, the recording itself where there is a GPU."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from dqn_mer.fast.cuda_graph import GraphLearner
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import AutogradLearner, Examples, MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState
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


def test_examples_of_another_dtype_or_shape_get_buffers_of_their_own() -> None:
    pixels = make_problem(CNN, 9, torch.float32)[1]
    floats = pixels[0] / 255, *pixels[1:]
    ends = []
    for graph in (False, True):
        update = make(CNN, "sgd", 1.0, "cpu", graph, capture=False)
        for examples in (pixels, floats, pixels):
            update.update(examples)
        ends.append(update.weights.snapshot())
    assert torch.equal(*ends)


def test_what_is_recorded_is_dropped_once_it_holds_no_more() -> None:
    examples = make_problem(MLP, 9, torch.float32)[1]
    update = make(MLP, "adam", 1.0, "cpu", graph=True, capture=False)
    learner = update.learner

    def recorded_after_a_batch() -> list[int]:
        learner.learn(examples, np.arange(9), 1.0, 0.3)
        return [id(replay) for _, replay in learner._recorded.values()]

    first = recorded_after_a_batch()
    assert first and recorded_after_a_batch() == first
    for change in (
        lambda: learner.optimizer.param_groups[0].update(lr=0.5),
        lambda: update.load_state_dict(update.state_dict()),
        lambda: update.set_state(SavedState(copy.deepcopy(update.get_state()))),
    ):
        kept = list(learner._recorded.values())  # so that no new one gets an old id
        change()
        assert recorded_after_a_batch() == []
        assert recorded_after_a_batch() not in ([], [id(replay) for _, replay in kept])


def test_warming_up_leaves_no_trace_in_an_optimizer_of_each_parameter() -> None:
    update = make(MLP, "sgd", 1.0, "cpu", graph=False, capture=False)
    update.learner.optimizer = torch.optim.Adam(update.weights.model.parameters())
    examples = make_problem(MLP, 9, torch.float32)[1]
    update.update(examples)
    learner = GraphLearner(update.learner, capture=False)
    before = [part.clone() for part in learner._state()]
    saved = learner._save()
    update.update(examples)
    learner._restore(saved)
    assert before and all(map(torch.equal, before, learner._state()))


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
