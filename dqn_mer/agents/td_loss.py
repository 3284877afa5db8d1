"""Temporal differences: the targets of Q-learning, and the loss of what differs from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


def td_targets(
    rewards: Tensor, terminated: Tensor, next_q: Tensor, discount: float, selecting_q: Tensor | None = None
) -> Tensor:
    """Return ``r + discount * Q̂(s', a*) * (1 - terminated)`` with a* greedy.

    Args:
        rewards: ``(n,)`` float32.
        terminated: ``(n,)`` bool. Truncation is not termination: a truncated state has a future.
        next_q: Q̂(s', ·) of the target network, ``(n, actions)``.
        discount: Discount γ of reinforcement learning, in [0, 1].
        selecting_q: Q-values ``(n, actions)`` that choose a* (double Q-learning); ``next_q`` by default.

    Returns:
        Targets ``(n,)``.

    >>> import torch
    >>> td_targets(torch.tensor([1.0, 1.0]), torch.tensor([False, True]), torch.tensor([[2.0, 4.0]] * 2), 0.5)
    tensor([3., 1.])
    """
    best = (next_q if selecting_q is None else selecting_q).argmax(dim=1, keepdim=True)
    return rewards + discount * next_q.gather(1, best).squeeze(1) * ~terminated


class HuberTDLoss:
    """Huber loss (threshold 1) of the temporal-difference error of the action taken."""

    def __call__(self, q: Tensor, actions: Tensor, targets: Tensor) -> Tensor:
        """Return the losses ``(n,)`` of Q-values ``(n, actions)``, actions (int64) and targets ``(n,)``."""
        return F.smooth_l1_loss(q.gather(1, actions.unsqueeze(1)).squeeze(1), targets, reduction="none")

    def output_gradient(self, q: NDArray[Any], action: np.int64, target: np.floating[Any]) -> NDArray[Any]:
        """Return d loss / d q, shape ``(actions,)``: the TD error clipped to [-1, 1] at the action taken."""
        gradient = np.zeros(q.shape, q.dtype)  # zeros_like takes three times as long
        gradient[action] = min(max(q[action] - target, -1.0), 1.0)
        return gradient
