"""Learners of a stream against slow, obvious ones, written from the published algorithms and the authors' loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from dqn_mer.mer_parameters import MERParameters
from dqn_mer.storage.state import SavedState, StateError
from dqn_mer.supervised.gem import AGEMLearner, GEMLearner, TaskMemories
from dqn_mer.supervised.learners import OnlineLearner, ReplayLearner, make_mer, make_replay, newest_last
from dqn_mer.supervised.memory import ExampleMemory
from dqn_mer.supervised.regularized import EWCLearner
from tests.helpers.closeness import check_same
from tests.helpers.stream_problems import (
    make_examples,
    make_twin,
    make_weights,
    reptile,
    sgd_step,
    vector_of,
    weights_of,
)

CAPACITY, BATCH, RATE = 7, 4, 0.2
FORMS = {
    "1": MERParameters(BATCH, num_batches=3, within_batch_rate=0.4, across_batch_rate=0.7),
    "6": MERParameters(BATCH, across_batch_rate=0.3, one_big_batch=True),
    "7": MERParameters(BATCH, across_batch_rate=0.3, current_example_boost=5.0),
}


def make_memory(seed: int = 1, capacity: int = CAPACITY) -> ExampleMemory:
    return ExampleMemory(capacity, make_examples(1)[0], np.random.default_rng(seed))


def authors_order(form: str, draws: int, batches: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the rows of each batch as the authors' code learns them: newest first (1), last (6), anywhere (7)."""
    parts = np.split(np.arange(1, draws + 1), batches)
    if form == "7":
        return [rng.permutation(np.append(0, part)) for part in parts]
    return [np.append(0, part) if form == "1" else np.append(part, 0) for part in parts]


def authors_update(
    form: str, model: nn.Module, examples: tuple[torch.Tensor, ...], batches: list[np.ndarray], p: MERParameters
) -> None:
    """Do what the authors' loop does for one example of the stream, in plain PyTorch."""
    inputs, labels = examples
    before_all = weights_of(model)
    for batch in batches:
        before = weights_of(model)
        for row in batch.tolist():
            boost = p.current_example_boost if form == "7" and row == 0 else 1.0  # they multiply the loss by s
            sgd_step(model, inputs[row : row + 1], labels[row : row + 1], RATE * boost)
        reptile(model, before, p.within_batch_rate if form == "1" else p.across_batch_rate)
    if form == "1":
        reptile(model, before_all, p.across_batch_rate)


@pytest.mark.parametrize("form", FORMS)
def test_mer_equals_the_authors_loops_step_for_step(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    order = np.random.default_rng(5)
    handed: list[list[np.ndarray]] = []

    def arrange(parameters: MERParameters, draws: int, rng: np.random.Generator) -> list[np.ndarray]:
        handed.append(authors_order(form, draws, parameters.num_batches, order))
        if form == "6":
            made = newest_last(parameters, draws, rng)
            assert [part.tolist() for part in made] == [part.tolist() for part in handed[-1]]
        return handed[-1]

    weights = make_weights()
    twin = make_twin(weights)
    memory = make_memory()
    learner = make_mer(weights, RATE, FORMS[form], memory, np.random.default_rng(2), np.random.default_rng(3), arrange)
    update, taken = learner.update.update, []
    monkeypatch.setattr(learner.update, "update", lambda examples: (taken.append(examples), update(examples)))
    for count, example in enumerate(make_examples(20)):
        learner.observe(example, task=0)
        assert len(taken[-1][0]) == 1 + min(BATCH, count, CAPACITY) * FORMS[form].num_batches
        assert (taken[-1][0][0].numpy() == example[0]).all() and taken[-1][1][0] == example[1]
        authors_update(form, twin, taken[-1], handed[-1], FORMS[form])
        check_same(weights.vector.detach(), vector_of(twin))
    assert len(memory) == CAPACITY


@pytest.mark.parametrize("steps", [1, 3])
def test_replay_takes_steps_on_the_mean_loss_of_the_newest_and_draws(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = make_weights()
    twin = make_twin(weights)
    learner = make_replay(weights, RATE, BATCH, make_memory(), np.random.default_rng(2), steps)
    update, taken = learner.update.update, []
    monkeypatch.setattr(learner.update, "update", lambda examples: (taken.append(examples), update(examples)))
    for count, example in enumerate(make_examples(15)):
        learner.observe(example, task=0)
        assert len(taken) == (count + 1) * steps
        for inputs, labels in taken[-steps:]:
            assert len(inputs) == 1 + min(BATCH, count, CAPACITY) and (inputs[0].numpy() == example[0]).all()
            sgd_step(twin, inputs, labels, RATE)
        check_same(weights.vector.detach(), vector_of(twin))


def test_replay_and_mer_never_look_at_the_task() -> None:
    for make in (lambda w: make_replay(w, RATE, BATCH, make_memory(), np.random.default_rng(2)), make_mer_7):
        results = []
        for tasks in (itertools.repeat(0), itertools.count()):
            weights = make_weights()
            learner = make(weights)
            for example, task in zip(make_examples(15), tasks, strict=False):
                learner.observe(example, task)
            results.append(weights.snapshot())
        assert torch.equal(*results)


def make_mer_7(weights) -> ReplayLearner:
    return make_mer(weights, RATE, FORMS["7"], make_memory(), np.random.default_rng(2), np.random.default_rng(3))


def test_mer_with_both_rates_1_is_sequential_sgd() -> None:
    weights = make_weights()
    twin = make_twin(weights)
    plain = MERParameters(0, across_batch_rate=1.0)
    learner = make_mer(weights, RATE, plain, make_memory(), np.random.default_rng(2), np.random.default_rng(3))
    for inputs, label in make_examples(10):
        learner.observe((inputs, label), 0)
        sgd_step(twin, torch.from_numpy(inputs[None]), torch.tensor([label]), RATE)
    check_same(weights.vector.detach(), vector_of(twin))


def test_ewc_of_strength_0_is_online_learning_bit_for_bit() -> None:
    results = []
    like = make_examples(1)[0]
    for make in (OnlineLearner, lambda weights, rate: EWCLearner(weights, rate, 0.0, 3, like)):
        weights = make_weights()
        learner = make(weights, RATE)
        for place, example in enumerate(make_examples(20)):
            learner.observe(example, place // 5)
        results.append(weights.snapshot())
    assert torch.equal(*results)


def test_ewc_equals_its_penalty_in_autograd() -> None:
    strength, kept = 3.0, 4
    weights = make_weights()
    twin = make_twin(weights)
    learner = EWCLearner(weights, RATE, strength, kept, make_examples(1)[0])
    past: list[tuple[list[torch.Tensor], list[torch.Tensor]]] = []
    first: list[tuple[np.ndarray, np.int64]] = []
    for place, example in enumerate(make_examples(24)):
        if place and place % 8 == 0:  # the next task
            twin.zero_grad()
            inputs = torch.from_numpy(np.stack([one for one, _ in first]))
            nn.functional.cross_entropy(twin(inputs), torch.tensor([label for _, label in first])).backward()
            past.append(([weight.grad.square() for weight in twin.parameters()], weights_of(twin)))
            first = []
        first += [example] if len(first) < kept else []
        twin.zero_grad()
        loss = nn.functional.cross_entropy(twin(torch.from_numpy(example[0][None])), torch.tensor([example[1]]))
        for fisher, anchor in past:
            for weight, f, start in zip(twin.parameters(), fisher, anchor, strict=True):
                loss = loss + (strength * f * (weight - start).square()).sum()
        loss.backward()
        with torch.no_grad():
            for weight in twin.parameters():
                weight -= RATE * weight.grad
        learner.observe(example, place // 8)
        check_same(weights.vector.detach(), vector_of(twin))
    assert past[1][0][0].abs().max() > 0


def test_weights_that_are_not_finite_end_no_learner() -> None:
    for learner in make_learners(make_weights()).values():
        for place, example in enumerate(make_examples(12)):
            learner.observe(example, place // 4)
            if place == 5:
                learner.weights.vector.detach().fill_(torch.nan)


def make_learners(weights) -> dict[str, object]:
    like = make_examples(1)[0]
    return {
        "online": OnlineLearner(weights, RATE),
        "ewc": EWCLearner(weights, RATE, 2.0, 3, like),
        "gem": GEMLearner(weights, RATE, 0.1, TaskMemories(2, like)),
        "a-gem": AGEMLearner(weights, RATE, 3, TaskMemories(2, like), np.random.default_rng(4)),
        "er": make_replay(weights, RATE, BATCH, make_memory(), np.random.default_rng(2)),
        "er-repeated": make_replay(weights, RATE, BATCH, make_memory(), np.random.default_rng(2), 3),
        "mer-7": make_mer_7(weights),
    }


@pytest.mark.parametrize("name", ["online", "ewc", "gem", "a-gem", "er", "er-repeated", "mer-7"])
@pytest.mark.parametrize("stop", [0, 2, 13])
def test_a_resumed_learner_goes_on_as_the_first(name: str, stop: int) -> None:
    examples = make_examples(25)
    first = make_learners(make_weights())[name]
    for place in range(stop):
        first.observe(examples[place], place // 5)
    second = make_learners(make_weights(seed=9))[name]
    second.set_state(SavedState(first.get_state()))
    for place in range(stop, 25):
        for learner in (first, second):
            learner.observe(examples[place], place // 5)
    assert torch.equal(first.weights.snapshot(), second.weights.snapshot())
    assert first.stored() == second.stored()


@pytest.mark.parametrize("name", ["online", "ewc", "gem", "a-gem", "er", "er-repeated", "mer-7"])
def test_a_state_that_lacks_a_field_is_refused(name: str) -> None:
    learner = make_learners(make_weights())[name]
    for place, example in enumerate(make_examples(7)):
        learner.observe(example, place // 5)
    state = learner.get_state()
    for field in state:
        fresh = make_learners(make_weights())[name]
        with pytest.raises(StateError, match=rf"state\.{field}: "):
            fresh.set_state(SavedState({key: value for key, value in state.items() if key != field}))
