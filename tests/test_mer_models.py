"""Which models MER takes, and what may be done to them afterwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dqn_mer import CrossEntropy, MERParameters, MERUpdate, make_learner
from dqn_mer.mer import UPDATES_PER_CHECK, AutogradLearner


def make_model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def update_of(model: nn.Module, make: Any = make_learner) -> MERUpdate:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    return MERUpdate.for_model(model, CrossEntropy(), optimizer, MERParameters(batch_size=2), make_learner=make)


def replace_head(model: nn.Sequential) -> None:
    model[2] = nn.Linear(4, 2)


def add_layer(model: nn.Sequential) -> None:
    model.append(nn.Linear(2, 2))


@pytest.mark.parametrize("make", [make_learner, AutogradLearner])
@pytest.mark.parametrize(
    ("change", "name"), [(nn.Module.double, "0.weight"), (replace_head, "2.weight"), (add_layer, "3.weight")]
)
@pytest.mark.parametrize("before", [0, 1])
def test_a_parameter_that_left_the_vector_is_an_error(
    change: Callable[[nn.Sequential], object], name: str, make: Any, before: int
) -> None:
    model, examples = make_model(), (torch.randn(3, 3), torch.tensor([0, 1, 0]))
    mer = update_of(model, make)
    for _ in range(before * UPDATES_PER_CHECK):
        mer.update(examples)
    change(model)
    with pytest.raises(
        ValueError, match=f"model: its parameter {name} was replaced or moved, and is no longer trained"
    ):
        mer.update(examples)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(4), nn.SyncBatchNorm(4)])
def test_batch_normalisation_is_refused_unless_it_is_frozen(layer: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(3, 4), layer, nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="model: 1 normalises over a batch, and MER learns one example at a time"):
        update_of(model)
    layer.eval()
    if isinstance(layer, nn.BatchNorm1d):
        update_of(model).update((torch.randn(3, 3), torch.tensor([0, 1, 0])))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 2.5}, r"batch_size=2\.5: must be a whole number"),
        ({"num_batches": True}, "num_batches=True: must be a whole number"),
        ({"across_batch_rate": "0.3"}, "across_batch_rate='0.3': must be a number"),
        ({"within_batch_rate": None}, "within_batch_rate=None: must be a number"),
        ({"one_big_batch": 1}, "one_big_batch=1: must be true or false"),
        ({"across_batch_rate": float("nan")}, r"across_batch_rate=nan: must be in \[0, 1\]"),
    ],
)
def test_parameters_of_a_wrong_type_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        MERParameters(**wrong)


def test_parameters_may_be_numbers_of_numpy() -> None:
    assert MERParameters(batch_size=np.int64(3), across_batch_rate=np.float32(0.5)).num_draws == 3
