"""The draws of the next update and the target network's values of them, made by a second core during this update.

What an update draws depends on the memory as the frame before left it, and Q̂ moves only every so many frames, so both
are known one update ahead. A second core is used only if PyTorch has left one; without it the same values are computed
in turn, to the same bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from dqn_mer.agents.memory import TransitionBatch
from dqn_mer.fast.mini_batch import make_forward
from dqn_mer.networks.device import denormals_are_zero, set_up_thread, usable_cores
from dqn_mer.networks.weights import LARGE_WEIGHTS, FlatWeights


def pays_ahead(weights: FlatWeights) -> bool:
    """Whether a network's values take a CPU so much longer than it takes to wake a thread that it is worth while."""
    return weights.vector.device.type == "cpu" and weights.vector.numel() >= LARGE_WEIGHTS


class DrawsAhead:
    """Holds the draws of the next update while their values are computed.

    Args:
        target: the target network; it must not change between `start` and `take`.

    Attributes:
        rng_state: of the generator before the waiting draws were made, or None if none wait.
    """

    def __init__(self, target: FlatWeights) -> None:
        self.q = make_forward(target)  # with separate buffers
        self.rng_state: Mapping[str, Any] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._batch: TransitionBatch | None = None
        self._next_q: Future[Tensor] | None = None

    def start(self, batch: TransitionBatch, rng_state: Mapping[str, Any]) -> None:
        """Hold ``batch``, as `Memory.draw` made it, and begin to compute the values of its rows from 1 on."""
        self._batch, self.rng_state = batch, rng_state
        if self._pool is None and usable_cores() > torch.get_num_threads():
            arithmetic = torch.get_num_threads(), denormals_are_zero()
            self._pool = ThreadPoolExecutor(1, "targets", set_up_thread, arithmetic)
        self._next_q = self._pool.submit(self._values, batch) if self._pool else None

    def take(self) -> tuple[TransitionBatch, Tensor] | None:
        """Return the batch that was held and Q̂(s', ·) of its rows from 1 on; None if none was."""
        if self._batch is None:
            return None
        next_q = self._values(self._batch) if self._next_q is None else self._next_q.result()
        batch, self._batch, self._next_q, self.rng_state = self._batch, None, None, None
        return batch, next_q

    def _values(self, batch: TransitionBatch) -> Tensor:
        with torch.no_grad():  # each thread has its own such mode
            return self.q(torch.from_numpy(batch.next_observations[1:]))
