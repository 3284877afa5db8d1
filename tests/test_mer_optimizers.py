"""What is done around the steps of an optimizer, or added to them, is done by every inner loop of MER."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from dqn_mer import CrossEntropy, MERLearner, MERParameters, MERUpdate, make_learner
from dqn_mer.mer import AutogradLearner
from tests.helpers.closeness import check_same
from tests.test_mer_models import learned, make_model

STEPS = (torch.optim.SGD, torch.optim.Adam)
"""Optimizers whose steps are written out."""


def clipped(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    def clip(own: torch.optim.Optimizer, *_: object) -> None:
        nn.utils.clip_grad_norm_(own.param_groups[0]["params"], 0.05)

    optimizer.register_step_pre_hook(clip)
    return optimizer


def halved(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    whole = optimizer.step

    def step(closure: Any = None) -> Any:
        vector = optimizer.param_groups[0]["params"][0]
        vector.grad.mul_(0.5)
        return whole(closure)

    vars(optimizer)["step"] = step
    return optimizer


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("change", [clipped, halved])
def test_what_is_done_around_a_step_is_done_by_every_inner_loop(kind: Any, change: Any) -> None:
    weights = []
    for make, around in ((make_learner, change), (AutogradLearner, change), (AutogradLearner, lambda own: own)):
        torch.manual_seed(0)
        weights.append(learned(make_model(), lambda own, around=around: around(kind(own, lr=0.1)), make))
    assert torch.allclose(weights[0], weights[1], atol=1e-5)
    assert kind is torch.optim.Adam or not torch.allclose(weights[0], weights[2], atol=1e-3)


def add_momentum(optimizer: torch.optim.Optimizer) -> None:  # as OneCycleLR does
    optimizer.param_groups[0]["momentum"] = 0.9


def add_decay(optimizer: torch.optim.Optimizer) -> None:
    optimizer.param_groups[0]["weight_decay"] = 0.5


@pytest.mark.parametrize(
    ("kind", "change"),
    [(torch.optim.SGD, add_momentum), *((kind, change) for kind in STEPS for change in (clipped, add_decay))],
)
@pytest.mark.parametrize("hidden", [4, 600])
def test_what_is_added_to_an_optimizer_later_is_done_by_every_inner_loop(kind: Any, change: Any, hidden: int) -> None:
    movements = []
    for make in (make_learner, AutogradLearner):
        torch.manual_seed(0)
        model, parameters = make_model(hidden).double(), MERParameters(batch_size=2)
        mer = MERUpdate.for_model(model, CrossEntropy(), partial(kind, lr=0.1), parameters, make_learner=make)
        mer.update((torch.randn(3, 3, dtype=torch.float64), torch.tensor([0, 1, 0])))
        before = mer.weights.snapshot()
        change(mer.learner.optimizer)
        mer.update((torch.randn(3, 3, dtype=torch.float64), torch.tensor([0, 1, 0])))
        movements.append(mer.weights.snapshot() - before)
    check_same(*movements)


@pytest.mark.parametrize("make", [make_learner, AutogradLearner])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("hidden", [4, 600])
def test_a_learning_rate_may_be_a_tensor_which_no_update_changes(kind: Any, make: Any, hidden: int) -> None:
    parameters = MERParameters(batch_size=2, current_example_boost=2.0)
    movements = []
    for rate in (0.125, torch.tensor(0.125, dtype=torch.float64)):
        torch.manual_seed(0)
        model = make_model(hidden).double()
        mer = MERUpdate.for_model(model, CrossEntropy(), partial(kind, lr=rate), parameters, make_learner=make)
        before = mer.weights.snapshot()
        for _ in range(3):
            mer.update((torch.randn(3, 3, dtype=torch.float64), torch.tensor([0, 1, 0])))
        assert float(rate) == float(mer.learner.optimizer.param_groups[0]["lr"]) == 0.125
        movements.append(mer.weights.snapshot() - before)
    check_same(*movements)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_an_optimizer_of_some_of_the_weights_moves_those_alone(kind: Any) -> None:
    for make in (make_learner, AutogradLearner):
        model = make_model()
        before = [parameter.detach().clone() for parameter in model.parameters()]
        learned(model, lambda _, own=model: kind(own[2].parameters(), lr=0.1), make)
        same = [torch.equal(one, two) for one, two in zip(before, model.parameters(), strict=True)]
        assert same == [True, True, False, False]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_a_schedule_of_the_learning_rate_gives_no_false_warning(kind: Any) -> None:
    mer = MERUpdate.for_model(
        make_model(), CrossEntropy(), partial(kind, lr=0.1), MERParameters(), make_learner=make_learner
    )
    schedule = torch.optim.lr_scheduler.StepLR(mer.learner.optimizer, 1, 0.5)
    for _ in range(2):
        mer.update((torch.randn(1, 3), torch.tensor([0])))
        schedule.step()  # a warning would be an error here
    assert mer.learner.optimizer.param_groups[0]["lr"] == 0.025


@pytest.mark.parametrize(("given", "what"), [("optimizer", "is an optimizer, SGD"), ("sgd", "is str")])
def test_an_optimizer_in_place_of_what_makes_one_is_refused_before_the_model_is_changed(given: str, what: str) -> None:
    model = nn.Linear(3, 2)
    weights = model.weight.data_ptr()
    make: Any = torch.optim.SGD(model.parameters(), lr=0.1) if given == "optimizer" else given
    with pytest.raises(TypeError, match=rf"^make_optimizer: must be a function .*lr=0\.1\); {what}$"):
        MERLearner(model, CrossEntropy(), make, MERParameters(), capacity=9)
    assert model.weight.data_ptr() == weights
