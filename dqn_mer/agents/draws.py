"""Where the examples of an update come from: the newest transition, draws from memory, and Q̂'s values of them.

What an update draws depends on the memory as the step before left it, and Q̂ moves only once in a while, so both are
known one update ahead: `DrawsAhead` has a second core compute them during this update. That core is used only if
PyTorch has left one; without it the same values are computed in turn, bit-identical.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dqn_mer.agents.memory import Memory, Transition, TransitionBatch
from dqn_mer.fast.choose import make_forward
from dqn_mer.networks.device import denormals_are_zero, set_up_thread, usable_cores
from dqn_mer.networks.weights import LARGE_WEIGHTS, FlatWeights


class Draws:
    """Draws for one update after another, each made when it is taken.

    Args:
        memory: Memory to draw from.
        count: Transitions to draw for one update.
        rng: Random generator for drawing.
        target: Weights of the target network Q̂.
    """

    def __init__(self, memory: Memory, count: int, rng: np.random.Generator, target: FlatWeights) -> None:
        self.memory = memory
        self.count = count
        self.rng = rng
        self.target_q = make_forward(target)
        self.device = target.vector.device

    @torch.no_grad()
    def take(self, newest: Transition) -> tuple[TransitionBatch, Tensor]:
        """Return ``newest`` in row 0 with the draws behind it, and Q̂(s', ·) of all, ``(n, actions)``."""
        count = self.count if len(self.memory) else 0
        return self._with_values(self.memory.sample(count, self.rng, newest))

    def prepare(self, sure: bool) -> None:
        """Begin to make the next draws, if it is ``sure`` that the next update has this memory and this Q̂."""

    @property
    def rng_state(self) -> Mapping[str, Any]:
        """State of the generator before the draws that have not been taken yet, which are made again from it."""
        return self.rng.bit_generator.state

    def _with_values(self, batch: TransitionBatch) -> tuple[TransitionBatch, Tensor]:
        return batch, self.target_q(torch.from_numpy(batch.next_observations).to(self.device))


class DrawsAlone(Draws):
    """Draws from a memory that holds the newest transition too, which is not in the batch unless it is drawn."""

    @torch.no_grad()
    def take(self, newest: Transition) -> tuple[TransitionBatch, Tensor]:
        """Return the draws, and Q̂(s', ·) of them, ``(n, actions)``."""
        return self._with_values(self.memory.read(self.memory.slots(self.count, self.rng)))


class DrawsAhead(Draws):
    """Draws that are made, and valued by Q̂, on a second core while the update before them learns.

    The arguments are those of `Draws`; between `prepare` and `take` the memory and the target must not change.
    """

    def __init__(self, memory: Memory, count: int, rng: np.random.Generator, target: FlatWeights) -> None:
        super().__init__(memory, count, rng, target)
        self.ahead_q = make_forward(target)  # with separate buffers
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: tuple[TransitionBatch, Future[Tensor] | None, Mapping[str, Any]] | None = None

    @torch.no_grad()
    def take(self, newest: Transition) -> tuple[TransitionBatch, Tensor]:
        """Return what was prepared, completed by ``newest``; if nothing was, draws made now."""
        if self._waiting is None:
            return super().take(newest)
        (batch, future, _), self._waiting = self._waiting, None
        drawn_q = self._values(batch) if future is None else future.result()
        batch.set_row(0, newest)
        newest_q = self.target_q(torch.from_numpy(batch.next_observations[:1]))
        return batch, torch.cat([newest_q, drawn_q])

    def prepare(self, sure: bool) -> None:
        """Draw, and begin to compute Q̂ of the draws, unless that has been done."""
        if not sure or self._waiting is not None or not len(self.memory):
            return
        rng_state = self.rng.bit_generator.state
        batch = self.memory.draw(self.count, self.rng)
        if self._pool is None and usable_cores() > torch.get_num_threads():
            arithmetic = torch.get_num_threads(), denormals_are_zero()
            self._pool = ThreadPoolExecutor(1, "targets", set_up_thread, arithmetic)
        self._waiting = batch, self._pool.submit(self._values, batch) if self._pool else None, rng_state

    @property
    def rng_state(self) -> Mapping[str, Any]:
        """State of the generator before the draws that wait."""
        return super().rng_state if self._waiting is None else self._waiting[2]

    def _values(self, batch: TransitionBatch) -> Tensor:
        """Return Q̂(s', ·) of the rows from 1 on."""
        with torch.no_grad():  # the mode holds for one thread
            return self.ahead_q(torch.from_numpy(batch.next_observations[1:]))


def pays_ahead(weights: FlatWeights) -> bool:
    """Return whether a forward pass is slow enough on the CPU to be worth a second thread."""
    return weights.vector.device.type == "cpu" and weights.vector.numel() >= LARGE_WEIGHTS


def make_draws(memory: Memory, count: int, rng: np.random.Generator, target: FlatWeights, newest: bool = True) -> Draws:
    """Return the fastest source of draws; the other arguments are those of `Draws`.

    Args:
        memory: Memory to draw from.
        count: Transitions to draw for one update.
        rng: Random generator for drawing.
        target: Weights of the target network Q̂.
        newest: Whether the newest transition is one of every update's examples.
    """
    if not newest:
        return DrawsAlone(memory, count, rng, target)
    return (DrawsAhead if count and pays_ahead(target) else Draws)(memory, count, rng, target)
