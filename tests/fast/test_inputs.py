"""Inputs that a model cannot take: refused before any kernel reads or writes beyond an array."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from dqn_mer import CrossEntropy, MERParameters, MERUpdate, make_learner
from dqn_mer.fast.choose import make_forward, make_mini_batch
from dqn_mer.mer import AutogradLearner
from dqn_mer.networks.q_network import ScalePixels
from dqn_mer.networks.weights import FlatWeights
from tests.helpers.closeness import check_same
from tests.helpers.mer_problems import needs_numba, with_dtype

LABELS = torch.tensor([0, 1, 0])
PIXELS = (1, 38, 26)


def wide_mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(9, 600), nn.ReLU(), nn.Linear(600, 600), nn.ReLU(), nn.Linear(600, 2))


def cnn() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(ScalePixels(), nn.Conv2d(1, 4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 12 * 8, 2))


def update_of(model: nn.Module, kind: Any, make: Any = make_learner) -> MERUpdate:
    return MERUpdate.for_model(
        model, CrossEntropy(), partial(kind, lr=0.01), MERParameters(batch_size=2), make_learner=make
    )


def bytes_of(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


REFUSED = [
    (wide_mlp, torch.rand(3, 8)),
    (wide_mlp, torch.rand(3, 10)),
    (wide_mlp, torch.rand(3, 1, 9)),
    (wide_mlp, torch.rand(3, 9, dtype=torch.float64)),
    (cnn, bytes_of(2, 38, 26)),
    (cnn, bytes_of(1, 40, 40)),
    (cnn, bytes_of(1, 3, 3)),
    (cnn, bytes_of(38, 26)),
]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize(("make_model", "inputs"), REFUSED)
def test_inputs_that_a_model_cannot_take_are_refused_at_once_and_later(make_model: Any, inputs: Any, kind: Any) -> None:
    good = torch.rand(3, 9) if make_model is wide_mlp else bytes_of(*PIXELS)
    for first in (False, True):
        model = make_model()
        update = update_of(model, kind)
        if not first:
            update.update((good, LABELS))
        before = update.weights.snapshot()
        with pytest.raises((RuntimeError, ValueError)):
            update.update((inputs, LABELS))
        assert torch.equal(update.weights.vector, before)


@needs_numba
@pytest.mark.parametrize(("make_model", "inputs"), REFUSED)
def test_so_they_are_by_mini_batches_and_forward_passes(make_model: Any, inputs: Any) -> None:
    weights = FlatWeights(make_model())
    replay = make_mini_batch(weights, CrossEntropy(), torch.optim.SGD([weights.vector], lr=0.1), 2)
    for count in (1, 3):
        with pytest.raises((RuntimeError, ValueError)):
            replay.update((inputs[:count], LABELS[:count]))
        with pytest.raises((RuntimeError, ValueError)), torch.no_grad():
            make_forward(weights)(inputs[:count])


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_screens_of_another_form_are_learned_too_if_the_model_takes_them(kind: Any) -> None:
    movements = []
    for make in (make_learner, AutogradLearner):
        update = update_of(with_dtype(cnn(), torch.float64), kind, make)
        before = update.weights.snapshot()
        for shape in (PIXELS, (1, 26, 38), PIXELS):
            update.update((bytes_of(*shape), LABELS))
        movements.append(update.weights.snapshot() - before)
    check_same(*movements)


class ShortGradient(CrossEntropy):
    """A loss whose gradient lacks the last output."""

    def output_gradient(self, outputs: Any, label: Any) -> Any:
        return super().output_gradient(outputs, label)[:-1]


@needs_numba
@pytest.mark.parametrize(("make_model", "inputs"), [(wide_mlp, torch.rand(3, 9)), (cnn, bytes_of(*PIXELS))])
def test_a_gradient_of_another_shape_than_the_outputs_is_refused(make_model: Any, inputs: torch.Tensor) -> None:
    parameters = MERParameters(batch_size=2)
    update = MERUpdate.for_model(
        make_model(), ShortGradient(), partial(torch.optim.Adam, lr=0.01), parameters, make_learner=make_learner
    )
    with pytest.raises(
        ValueError, match=r"^loss: output_gradient must be of shape \(2,\), as the outputs, is of \(1,\)$"
    ):
        update.update((inputs, LABELS))
