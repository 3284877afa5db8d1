"""Losses with their gradient in closed form, so that learning needs no autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


class CrossEntropy:
    """Cross-entropy between outputs, taken as logits, and class labels.

    >>> CrossEntropy().output_gradient(np.zeros(4), np.int64(1)).tolist()
    [0.25, -0.75, 0.25, 0.25]
    """

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the losses ``(n,)`` in nats of logits ``(n, classes)`` and labels ``(n,)`` int64."""
        return F.cross_entropy(outputs, labels, reduction="none")

    def mean_gradient(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return d mean loss / d outputs, ``(n, classes)``, of logits ``(n, classes)`` and labels ``(n,)`` int64.

        Raises:
            IndexError: if a label is no class.
        """
        if len(labels) and int(labels.min()) < 0:  # which would count from the end; PyTorch refuses the others
            raise IndexError(f"label={int(labels.min())}: must be from 0 to {outputs.shape[1] - 1}")
        gradient = outputs.softmax(dim=1)
        gradient[torch.arange(len(labels), device=labels.device), labels] -= 1
        return gradient.div_(len(labels))

    def output_gradient(self, outputs: NDArray[Any], label: np.int64) -> NDArray[Any]:
        """Return d loss / d outputs of one example: the softmax of ``outputs`` less 1 at the label.

        Args:
            outputs: Logits, ``(classes,)``, float32 or float64. They are shifted by the largest, so that the
                exponential neither overflows nor makes a division by zero.
            label: Class, from 0.

        Returns:
            ``(classes,)`` in the dtype of ``outputs``.

        Raises:
            IndexError: if the label is no class.
        """
        if not 0 <= label < len(outputs):
            raise IndexError(f"label={label}: must be from 0 to {len(outputs) - 1}")
        gradient: NDArray[Any] = np.exp(outputs - outputs.max())
        gradient /= gradient.sum()
        gradient[label] -= 1
        return gradient


class HuberTDLoss:
    """Huber loss (threshold 1) of the temporal-difference error of the action taken."""

    def __call__(self, q: Tensor, actions: Tensor, targets: Tensor) -> Tensor:
        """Return the losses ``(n,)`` of Q-values ``(n, actions)``, actions (int64) and targets ``(n,)``."""
        return F.smooth_l1_loss(q.gather(1, actions.unsqueeze(1)).squeeze(1), targets, reduction="none")

    def output_gradient(self, q: NDArray[Any], action: np.int64, target: np.floating[Any]) -> NDArray[Any]:
        """Return d loss / d q, shape ``(actions,)``: the TD error clipped to [-1, 1] at the action taken.

        Raises:
            IndexError: if the action is none.
        """
        if not 0 <= action < len(q):
            raise IndexError(f"action={action}: must be from 0 to {len(q) - 1}")
        gradient = np.zeros(q.shape, q.dtype)  # zeros_like takes three times as long
        gradient[action] = min(max(q[action] - target, -1.0), 1.0)
        return gradient
