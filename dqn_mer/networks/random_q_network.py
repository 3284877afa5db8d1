"""A Q-network that plays at random: the floor of every comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


class RandomQNetwork(nn.Module):
    """Q-values drawn anew at every call; the largest is action a's with probability ``odds[a]`` (Gumbel's trick).

    Greedy play on it is random play, which so goes wherever a network goes: evaluation, checkpoints, videos. Its
    weights are the count of its calls and the odds, so that equal weights draw equal numbers.

    Args:
        odds: Probability of each action, ``(actions,)``, summing to 1.
        seed: Seed of the draws.

    Raises:
        ValueError: if the odds are not probabilities that sum to 1.
    """

    def __init__(self, odds: Sequence[float], seed: int) -> None:
        super().__init__()
        if not (min(odds) >= 0 and abs(sum(odds) - 1) < 1e-6):
            raise ValueError(f"odds={odds}: must be probabilities that sum to 1")
        self.seed = seed
        self.calls = nn.Parameter(torch.zeros(1))
        self.odds = nn.Parameter(torch.tensor(odds, dtype=torch.float32))

    def forward(self, observations: Tensor) -> Tensor:
        """Return Q-values ``(n, actions)`` for ``observations`` ``(n, ...)``, whose content is ignored."""
        calls = self.calls.detach().nan_to_num().clamp(0, 2**24 - 1)  # a stranger's file may hold anything
        rng = np.random.default_rng((self.seed, int(calls)))
        with torch.no_grad():
            self.calls.copy_((calls + 1) % 2**24)  # as far as float32 counts
        noise = rng.gumbel(size=(len(observations), len(self.odds))).astype(np.float32)
        return self.odds.log() + torch.from_numpy(noise).to(self.odds.device)
