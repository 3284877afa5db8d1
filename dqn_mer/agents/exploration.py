"""ε-greedy exploration, with ε falling linearly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dqn_mer.storage.state import SavedState, State


@dataclass(frozen=True)
class EpsilonSchedule:
    """ε falling linearly from ``start`` to ``end`` over the first ``decay_frames`` frames.

    >>> [EpsilonSchedule(1.0, 0.1, 10).at(frame) for frame in (0, 5, 10, 99)]
    [1.0, 0.55, 0.1, 0.1]
    """

    start: float
    end: float
    decay_frames: int

    def at(self, frame: int) -> float:
        """Return ε, in [0, 1], after ``frame`` frames."""
        if frame >= self.decay_frames:
            return self.end
        return self.start + (self.end - self.start) * frame / self.decay_frames


class Exploration:
    """ε-greedy exploration with given odds for the random action.

    Args:
        schedule: of ε.
        probabilities: of each action when exploring, ``(actions,)``, summing to 1.
        rng: its own generator.
    """

    def __init__(self, schedule: EpsilonSchedule, probabilities: NDArray[np.float64], rng: np.random.Generator) -> None:
        self.schedule = schedule
        self.cumulative = np.cumsum(probabilities)[:-1]
        self.rng = rng

    def random_action(self, frame: int) -> int | None:
        """Return a random action with probability ε at ``frame``, else None. Draws two numbers either way."""
        explore, action = self.rng.random(2)
        if explore >= self.schedule.at(frame):
            return None
        return int(np.searchsorted(self.cumulative, action, side="right"))

    def get_state(self) -> State:
        """Return the state of the generator."""
        return {"rng": self.rng.bit_generator.state}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            saved.generator("rng", self.rng)
