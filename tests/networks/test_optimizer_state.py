"""What an optimizer keeps between steps comes back whole, in every form that an optimizer has."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from dqn_mer import CrossEntropy, MERParameters, MERUpdate, make_learner
from dqn_mer.storage.state import SavedState

FORMS = {
    "sgd": partial(torch.optim.SGD, lr=0.1),
    "momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.1),
    "adam": partial(torch.optim.Adam, lr=0.01),
    "amsgrad": partial(torch.optim.Adam, lr=0.01, amsgrad=True),
    "adamw": partial(torch.optim.AdamW, lr=0.01, amsgrad=True),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.01),
    "rmsprop with momentum": partial(torch.optim.RMSprop, lr=0.01, momentum=0.9),
    "centred rmsprop": partial(torch.optim.RMSprop, lr=0.01, centered=True, momentum=0.9),
}


def make(form: str, dtype: torch.dtype) -> MERUpdate:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(dtype)
    return MERUpdate.for_model(model, CrossEntropy(), FORMS[form], MERParameters(2), make_learner=make_learner)


def learn(update: MERUpdate, dtype: torch.dtype, seed: int) -> None:
    inputs = torch.randn(3, 3, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    update.update((inputs, torch.tensor([0, 1, 0])))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", FORMS)
def test_an_update_that_is_resumed_learns_as_the_first_does(form: str, dtype: torch.dtype) -> None:
    first, second = make(form, dtype), make(form, dtype)
    for seed in range(2):
        learn(first, dtype, seed)
    second.weights.load(first.weights.vector)
    second.set_state(SavedState(copy.deepcopy(first.get_state())))
    for update in (first, second):
        learn(update, dtype, 2)
    assert torch.equal(first.weights.vector, second.weights.vector)


@pytest.mark.parametrize("form", FORMS)
def test_a_state_from_before_the_first_step_forgets_all_steps(form: str) -> None:
    update = make(form, torch.float32)
    start, state = update.weights.snapshot(), copy.deepcopy(update.get_state())
    ends: list[Any] = []
    for _ in range(2):
        update.weights.load(start)
        update.set_state(SavedState(copy.deepcopy(state)))
        learn(update, torch.float32, 0)
        ends.append(update.weights.snapshot())
    assert torch.equal(*ends)


@pytest.mark.parametrize("default", [torch.float32, torch.bfloat16, torch.float64])
def test_steps_are_counted_under_any_default_dtype(default: torch.dtype) -> None:
    update = make("adam", torch.float32)
    torch.set_default_dtype(default)
    try:
        for _ in range(100):
            update.learner.learn(
                (torch.ones(1, 3, dtype=torch.float32), torch.tensor([0])), torch.zeros(3).long().numpy(), 1.0, 1.0
            )
    finally:
        torch.set_default_dtype(torch.float32)
    assert update.get_state()["optimizer"]["step"].item() == 300
