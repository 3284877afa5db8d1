"""The targets of Q-learning."""

from __future__ import annotations

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
