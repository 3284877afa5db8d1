"""Statistics of one update: loss, values, gradient and step, measured beside it without changing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import autograd

from dqn_mer.mer import Examples, Loss
from dqn_mer.networks.weights import FlatWeights


class LearningStatistics(NamedTuple):
    """Statistics of one update, measured on its examples with the weights before it."""

    loss: float
    td_error: float
    q_mean: float
    q_max: float
    gradient_norm: float
    update_norm: float


def measured_update(
    online: FlatWeights, loss: Loss, examples: Examples, update: Callable[[Examples], None]
) -> LearningStatistics:
    """Make an update and return its statistics; costs about one more mini-batch.

    Args:
        online: Weights that learn; their gradient is overwritten.
        loss: Per-example loss.
        examples: Observations, actions and TD targets of the update.
        update: Function that learns the examples, in place.
    """
    observations, actions, targets = examples
    before = online.snapshot()
    online.tie_gradients()  # a replay step from outside may have left none
    gradient = online.vector.grad
    assert gradient is not None
    gradient.zero_()
    q = online.model(observations)
    mean_loss = loss(q, actions, targets).mean()
    autograd.backward([mean_loss])
    gradient_norm = float(gradient.norm())
    with torch.no_grad():
        td_error = (q.gather(1, actions.unsqueeze(1)).squeeze(1) - targets).abs().mean()
    update(examples)
    return LearningStatistics(
        loss=float(mean_loss.detach()),
        td_error=float(td_error),
        q_mean=float(q.detach().mean()),
        q_max=float(q.detach().max()),
        gradient_norm=gradient_norm,
        update_norm=float((online.snapshot() - before).norm()),
    )
