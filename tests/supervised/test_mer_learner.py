"""MER of a user's model: the learner that a program makes, against the one of the supervised runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dqn_mer import CrossEntropy, ExampleMemory, FlatWeights, MERLearner, MERParameters
from dqn_mer.supervised.learners import make_mer

FORMS = {
    "1": MERParameters(4, num_batches=3, within_batch_rate=0.4, across_batch_rate=0.7),
    "6": MERParameters(4, across_batch_rate=0.3, one_big_batch=True),
    "7": MERParameters(4, across_batch_rate=0.3, current_example_boost=5.0),
}
STREAM = [(row, np.int64(row.sum() > 2)) for row in np.random.default_rng(0).random((30, 4), np.float32)]


def make_model() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


def make(parameters: MERParameters = FORMS["1"], **choices: Any) -> MERLearner:
    sgd = partial(torch.optim.SGD, lr=0.1)
    return MERLearner(make_model(), CrossEntropy(), sgd, parameters, **{"capacity": 7, **choices})


@pytest.mark.parametrize("form", FORMS)
def test_it_learns_as_the_learners_of_the_supervised_runs(form: str) -> None:
    learner, weights = make(FORMS[form], seed=5), FlatWeights(make_model())
    order, kept, drawn = (np.random.default_rng(int(x)) for x in np.random.SeedSequence(5).generate_state(3))
    other = make_mer(weights, 0.1, FORMS[form], ExampleMemory(7, STREAM[0], kept), drawn, order)
    for inputs, label in STREAM:
        learner.observe(torch.from_numpy(inputs), int(label))  # what a data loader gives
        other.observe((inputs, label), 0)
        assert torch.equal(learner.update.weights.vector, weights.vector)
    assert learner.memory is not None and learner.memory.seen == len(STREAM) and len(learner.memory) == 7


@pytest.mark.parametrize("seen", [0, 3, 20])
def test_it_is_saved_and_resumed_bit_identically(seen: int, tmp_path: Path) -> None:
    learner = make(seed=1)
    for example in STREAM[:seen]:
        learner.observe(*example)
    torch.save(learner.state_dict(), tmp_path / "saved.pt")
    other = make(seed=2)
    for example in STREAM[:4]:
        other.observe(*example)
    other.load_state_dict(torch.load(tmp_path / "saved.pt"))
    for example in STREAM[seen:]:
        learner.observe(*example)
        other.observe(*example)
    assert torch.equal(other.update.weights.vector, learner.update.weights.vector)


@pytest.mark.parametrize("kind", [torch.optim.Adam, partial(torch.optim.SGD, momentum=0.9)])
def test_a_state_shares_nothing_with_the_learners_that_gave_and_took_it(kind: Any) -> None:
    def adaptive() -> MERLearner:
        return MERLearner(make_model(), CrossEntropy(), partial(kind, lr=0.1), FORMS["1"], capacity=7)

    learner, other, late = adaptive(), adaptive(), adaptive()
    for example in STREAM[:10]:
        learner.observe(*example)
    state = learner.state_dict()
    other.load_state_dict(state)
    for one in (other, learner):
        for example in STREAM[10:]:
            one.observe(*example)
    late.load_state_dict(state)
    for example in STREAM[10:]:
        late.observe(*example)
    for one in (other, late):
        assert torch.equal(one.update.weights.vector, learner.update.weights.vector)


def test_it_takes_a_model_and_a_loss_of_ones_own() -> None:
    class Square(nn.Module):
        def forward(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return (outputs - target).square().sum(1)

    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    learner = MERLearner(model, Square(), partial(torch.optim.Adam, lr=0.01), FORMS["7"], capacity=20)
    target = np.array([0.5], np.float32)
    before = (model(torch.from_numpy(STREAM[0][0])) - 0.5).abs().item()
    for inputs, _ in STREAM:
        learner.observe(inputs, target)
    assert (model(torch.from_numpy(STREAM[0][0])) - 0.5).abs().item() < before / 2


@pytest.mark.parametrize(
    ("example", "has"),
    [
        ((np.zeros(3, np.float32), 0), r"shape \(3,\), float32 and shape \(\), int64"),
        ((np.zeros(4), 0), r"shape \(4,\), float64 and shape \(\), int64"),
        ((np.zeros(4, np.float32),), r"shape \(4,\), float32"),
        ((), "nothing"),
    ],
)
def test_an_example_that_does_not_fit_the_first_is_refused(example: Any, has: str) -> None:
    learner = make()
    learner.observe(*STREAM[0])
    with pytest.raises(ValueError, match=rf"^example: must have parts of shape \(4,\), .*int64, has {has}$"):
        learner.observe(*example)


@pytest.mark.parametrize("capacity", [0, -1, 2.5])
def test_a_capacity_must_be_a_whole_number(capacity: Any) -> None:
    with pytest.raises(ValueError, match=rf"^capacity={capacity}: must be a whole number of at least 1$"):
        make(capacity=capacity)
    assert make(capacity=np.int64(7)).capacity == 7


def test_an_example_that_fails_decides_on_no_form() -> None:
    learner = make()
    with pytest.raises((ValueError, RuntimeError)):  # of the compiled loop, of PyTorch
        learner.observe(STREAM[0][0].astype(np.float64), 1)
    assert learner.memory is None and learner.state_dict()["memory"] is None
    learner.observe(*STREAM[0])
    assert learner.memory is not None and len(learner.memory) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_inputs_and_targets_may_be_of_any_dtype_of_a_model(dtype: torch.dtype) -> None:
    class Square(nn.Module):
        def forward(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            assert outputs.dtype == target.dtype == dtype
            return (outputs.squeeze(1) - target).square()

    model, parameters = nn.Linear(4, 1).to(dtype), MERParameters(3)
    learner = MERLearner(model, Square(), partial(torch.optim.SGD, lr=0.1), parameters, capacity=5)
    for inputs, label in STREAM:
        before = learner.update.weights.snapshot()
        learner.observe(torch.from_numpy(inputs).to(dtype), torch.tensor(label, dtype=dtype))
        assert not torch.equal(learner.update.weights.vector, before)
    assert learner.memory is not None and len(learner.memory) == 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fractions_of_python_have_the_dtype_of_the_model(dtype: torch.dtype) -> None:
    model, loss = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)).to(dtype), nn.HuberLoss(reduction="none")
    learner = MERLearner(model, loss, partial(torch.optim.SGD, lr=0.1), MERParameters(3), capacity=5)
    for place in range(4):
        learner.observe([0.5, place / 2], 1.5)
    assert learner.memory is not None
    assert {str(column.dtype) for column in learner.memory.columns} == {str(dtype).removeprefix("torch.")}
