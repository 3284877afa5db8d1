"""ε-greedy exploration, with ε falling linearly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dqn_mer.config.groups import ExplorationParameters
from dqn_mer.storage.state import SavedState, State


class EpsilonSchedule:
    """ε falling linearly over the first ``epsilon_decay_frames`` frames.

    Args:
        parameters: Values of ε at first and after the decay, and the decay's length in frames.

    >>> schedule = EpsilonSchedule(ExplorationParameters(epsilon_end=0.1, epsilon_decay_frames=10))
    >>> [schedule.at(frame) for frame in (0, 5, 10, 99)]
    [1.0, 0.55, 0.1, 0.1]
    """

    def __init__(self, parameters: ExplorationParameters) -> None:
        self.parameters = parameters

    def at(self, frame: int) -> float:
        """Return ε, in [0, 1], after ``frame`` frames."""
        start, end = self.parameters.epsilon_start, self.parameters.epsilon_end
        if frame >= self.parameters.epsilon_decay_frames:
            return end
        return start + (end - start) * frame / self.parameters.epsilon_decay_frames


class Exploration:
    """ε-greedy exploration with given odds for the random action.

    Args:
        schedule: Schedule of ε.
        probabilities: Probability of each action when exploring, ``(actions,)``, summing to 1.
        rng: Random generator for exploration.
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
