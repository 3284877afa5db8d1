"""Cross-entropy and its gradients against autograd."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dqn_mer import MERParameters, MERUpdate, make_learner
from dqn_mer.losses import CrossEntropy
from dqn_mer.mer import AutogradLearner
from tests.helpers.closeness import unit_roundoff


def softmax_rounding(dtype: Any, classes: int) -> float:
    """Return how far apart two softmax functions of values may be, of at most 1 each.

    exp(z) of z <= 0 is off by at most |z| exp(z) <= 1/e units for the rounding of z and by a few for its own, a sum by
    one for each term, and a quotient and its difference from 1 by one each: less than classes + 8 units, in both.
    """
    return 2 * (classes + 8) * unit_roundoff(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 50.0, 1e4])
def test_gradient_of_one_example_equals_autograd(dtype: torch.dtype, scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    for label in range(7):
        outputs = (scale * torch.randn(7, generator=generator, dtype=dtype)).requires_grad_()
        loss = CrossEntropy()(outputs.unsqueeze(0), torch.tensor([label]))
        loss.sum().backward()
        gradient = CrossEntropy().output_gradient(outputs.detach().numpy(), np.int64(label))
        assert gradient.dtype == outputs.detach().numpy().dtype
        np.testing.assert_allclose(gradient, outputs.grad.numpy(), rtol=0, atol=softmax_rounding(gradient.dtype, 7))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_of_the_mean_equals_autograd(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    outputs = (30 * torch.randn(9, 5, generator=generator, dtype=dtype)).requires_grad_()
    labels = torch.randint(5, (9,), generator=generator)
    CrossEntropy()(outputs, labels).mean().backward()
    gradient = CrossEntropy().mean_gradient(outputs.detach(), labels)
    bound = softmax_rounding(outputs.grad.numpy().dtype, 5) / 9
    np.testing.assert_allclose(gradient, outputs.grad, rtol=0, atol=bound)


def test_losses_are_one_for_each_example() -> None:
    losses = CrossEntropy()(torch.zeros(3, 4), torch.tensor([0, 1, 3]))
    np.testing.assert_allclose(losses, np.full(3, np.log(4)), rtol=softmax_rounding(np.float32, 4))


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_is_no_class_is_refused(label: int) -> None:
    with pytest.raises(IndexError, match=f"label={label}: must be from 0 to 3"):
        CrossEntropy().output_gradient(np.zeros(4), np.int64(label))
    with pytest.raises(IndexError):
        CrossEntropy().mean_gradient(torch.zeros(2, 4), torch.tensor([0, label]))


class Doubled(CrossEntropy):
    def __call__(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 2 * super().__call__(outputs, labels)


class DoubledModule(CrossEntropy, nn.Module):
    __call__ = nn.Module.__call__

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 2 * CrossEntropy.__call__(self, outputs, labels)


@pytest.mark.parametrize("loss", [Doubled(), DoubledModule()])
def test_a_loss_that_changes_an_inherited_one_is_the_one_that_is_learned(loss: Any) -> None:
    weights = []
    for make in (make_learner, AutogradLearner):
        torch.manual_seed(0)
        model, parameters = nn.Sequential(nn.Linear(3, 2)).double(), MERParameters(batch_size=2)
        mer = MERUpdate.for_model(
            model, loss, lambda vector: torch.optim.SGD(vector, lr=0.1), parameters, make_learner=make
        )
        mer.update((torch.randn(3, 3, dtype=torch.float64), torch.tensor([0, 1, 0])))
        weights.append(mer.weights.snapshot())
    assert torch.allclose(*weights, rtol=0, atol=1e-12)
