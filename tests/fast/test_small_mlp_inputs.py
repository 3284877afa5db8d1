"""What the compiled updates of small MLPs refuse to learn from, and what they do not hide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dqn_mer.fast.choose import make_learner, make_mini_batch
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import AutogradLearner, Examples
from tests.fast.test_small_mlp import COMPILED_STEPS, EACH_LOSS, problem
from tests.helpers import grid
from tests.helpers.mer_problems import needs_numba

pytestmark = needs_numba


def check_refused(examples: Examples, loss: Any, optimizer: str, kind: type[Exception], message: str) -> None:
    """Check that neither learner takes the examples, nor moves anything by them."""
    weights, _ = problem((6, 8, 3), torch.float32, loss)
    before, stepper = weights.snapshot(), grid.optimizer_of_vector(optimizer, weights)
    with pytest.raises(kind, match=message):
        make_learner(weights, loss, stepper).learn(examples, np.arange(12), 1.0, 1.0)
    with pytest.raises(kind, match=message):
        make_mini_batch(weights, loss, stepper, 11).update(examples)
    assert torch.equal(weights.snapshot(), before) and not stepper.state


@EACH_LOSS
@COMPILED_STEPS
@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_output_is_refused(label: int, optimizer: str, loss: Any) -> None:
    _, examples = problem((6, 8, 3), torch.float32, loss)
    examples[1][4] = label
    check_refused(examples, loss, optimizer, IndexError, f"label={label}: must be from 0 to 2")


@COMPILED_STEPS
@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        (1, lambda part: part[:3], r"labels: must be \(12,\)"),
        (1, lambda part: part.unsqueeze(1), r"labels: must be \(12,\)"),
        (1, torch.Tensor.float, "labels: .* whole numbers"),
        (1, torch.Tensor.bool, "labels: .* whole numbers"),
        (2, lambda part: part[:0], r"targets: must be \(12,\)"),
        (2, lambda part: part.unsqueeze(1), r"targets: must be \(12,\)"),
        (2, torch.Tensor.double, r"targets: must be \(12,\) torch.float32"),
    ],
)
def test_other_columns_are_refused(column: int, change: Any, message: str, optimizer: str) -> None:
    _, examples = problem((6, 8, 3), torch.float32, HuberTDLoss())
    columns = list(examples)
    columns[column] = change(columns[column])
    check_refused(tuple(columns), HuberTDLoss(), optimizer, ValueError, message)


@EACH_LOSS
@COMPILED_STEPS
@pytest.mark.parametrize("more", [-1, 1])
def test_another_number_of_columns_is_refused(more: int, optimizer: str, loss: Any) -> None:
    _, examples = problem((6, 8, 3), torch.float32, loss)
    columns = (*examples, examples[0])[: len(examples) + more]
    check_refused(columns, loss, optimizer, ValueError, f"must have {len(examples)} columns")


@COMPILED_STEPS
@pytest.mark.parametrize("change", [lambda part: part[:, :5], lambda part: part.repeat(1, 2), torch.Tensor.double])
def test_other_inputs_are_refused_by_the_inner_loop(change: Any, optimizer: str) -> None:
    weights, (inputs, *rest) = problem((6, 8, 3), torch.float32, HuberTDLoss())
    learner = make_learner(weights, HuberTDLoss(), grid.optimizer_of_vector(optimizer, weights))
    with pytest.raises(ValueError, match=r"inputs: must be \(n, 6\)"):
        learner.learn((change(inputs), *rest), np.arange(12), 1.0, 1.0)
    with pytest.raises(RuntimeError):  # of PyTorch, by autograd
        make_mini_batch(weights, HuberTDLoss(), grid.optimizer_of_vector(optimizer, weights), 11).update(
            (change(inputs), *rest)
        )


@COMPILED_STEPS
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_hidden(value: float, optimizer: str) -> None:
    for place in (0, 2):
        weights, examples = problem((6, 8, 3), torch.float32, HuberTDLoss())
        examples[place][4] = value
        make_learner(weights, HuberTDLoss(), grid.optimizer_of_vector(optimizer, weights)).learn(
            examples, np.arange(12), 1.0, 1.0
        )
        by_autograd, _ = problem((6, 8, 3), torch.float32, HuberTDLoss())
        AutogradLearner(by_autograd, HuberTDLoss(), grid.optimizer_of_vector(optimizer, by_autograd)).learn(
            examples, np.arange(12), 1.0, 1.0
        )
        assert bool(weights.snapshot().isfinite().all()) is bool(by_autograd.snapshot().isfinite().all())
