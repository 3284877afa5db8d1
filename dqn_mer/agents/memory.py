"""Memories of transitions: a reservoir over all transitions seen, and the last ones seen (FIFO)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqn_mer.agents.stores import ObservationStore, store_kind
from dqn_mer.reservoir import ReservoirSlots
from dqn_mer.storage.state import SavedState, State, StateError

COLUMNS = ("actions", "rewards", "terminated", "born")
COLUMN_BYTES = 8 + 4 + 1 + 8
"""A transition's action, reward, termination and date."""


class Transition(NamedTuple):
    """One step of an environment. A truncated step has ``terminated=False``: its next state has a future."""

    observation: NDArray[Any]
    action: int
    reward: float
    next_observation: NDArray[Any]
    terminated: bool


class TransitionBatch(NamedTuple):
    """Transitions as arrays with one row each: ``(n, ...)``, int64, float32, ``(n, ...)``, bool."""

    observations: NDArray[Any]
    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    next_observations: NDArray[Any]
    terminated: NDArray[np.bool_]

    def set_row(self, row: int, transition: Transition) -> None:
        """Put a transition into a row, overwriting the row."""
        columns: tuple[NDArray[Any], ...] = self
        for column, value in zip(columns, transition, strict=True):
            column[row] = value


class Memory:
    """Transitions in slots: typed arrays, and an `ObservationStore`; a subclass decides what happens when it is full.

    Args:
        capacity: Largest number of transitions that are kept (M), at least 1.
        observation_shape: Shape of one observation; three axes or more mean images: stacked frames, oldest first, or
            others.
        observation_dtype: NumPy dtype of the observations.

    Attributes:
        seen: Transitions added since the start.
        frames: Environment frames that the transitions took; equal to their number unless frames are skipped.
        born: ``(capacity,)`` int64, the count of frames when each kept transition was added, from 1; 0 if empty.

    Raises:
        ValueError: if ``capacity`` is below 1.
    """

    def __init__(self, capacity: int, observation_shape: tuple[int, ...], observation_dtype: np.dtype[Any]) -> None:
        if capacity < 1:
            raise ValueError(f"capacity={capacity}: must be at least 1")
        self.capacity = capacity
        self.shape = observation_shape
        self.dtype = np.dtype(observation_dtype)  # from Python it may be `np.uint8`
        self.seen = self.frames = 0
        self.store: ObservationStore = store_kind(observation_shape)(capacity, observation_shape, self.dtype)
        self.actions = np.zeros(capacity, np.int64)
        self.rewards = np.zeros(capacity, np.float32)
        self.terminated = np.zeros(capacity, np.bool_)
        self.born = np.zeros(capacity, np.int64)

    def __len__(self) -> int:
        return min(self.seen, self.capacity)

    def _slot_for(self, count: int) -> int | None:
        """Return where the ``count``-th transition (from 1) goes, or None to pass it over."""
        raise NotImplementedError

    def add(self, transition: Transition, frames: int = 1) -> None:
        """Take in the next transition of the stream, which took `frames` environment frames."""
        self.seen += 1
        self.frames += frames
        slot = self._slot_for(self.seen)
        if slot is None:
            return
        self.store.write(slot, transition.observation, transition.next_observation)
        self.actions[slot] = transition.action
        self.rewards[slot] = transition.reward
        self.terminated[slot] = transition.terminated
        self.born[slot] = self.frames

    def sample(self, draws: int, rng: np.random.Generator, newest: Transition) -> TransitionBatch:
        """Return ``newest`` in row 0, then ``draws`` transitions drawn uniformly with replacement.

        Raises:
            ValueError: if transitions are to be drawn from an empty memory.
        """
        batch = self.draw(draws, rng)
        batch.set_row(0, newest)
        return batch

    def draw(self, draws: int, rng: np.random.Generator) -> TransitionBatch:
        """Return a batch like that of `sample` whose row 0 is still to be set."""
        if draws and not len(self):
            raise ValueError(f"draws={draws}: must be 0 while the memory is empty")
        return self._read(self.slots(draws, rng) if draws else np.zeros(0, np.int64), free_rows=1)

    def slots(self, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw slots ``(draws,)`` uniformly with replacement from a memory that is not empty, for `read`.

        With replacement at all times, so that while the memory is small an update has transitions more than once; the
        authors' code draws min(k, stored) different ones instead, and has smaller batches then.
        """
        return rng.integers(len(self), size=draws)

    def read(self, slots: NDArray[np.int64]) -> TransitionBatch:
        """Return the transitions that are kept in ``slots`` ``(n,)``, each from 0 to ``len(self) - 1``."""
        return self._read(slots, free_rows=0)

    def _read(self, slots: NDArray[np.int64], free_rows: int) -> TransitionBatch:
        rows = free_rows + len(slots)
        observations, next_observations = (np.empty((rows, *self.shape), self.dtype) for _ in range(2))
        self.store.read(slots, observations[free_rows:], next_observations[free_rows:])
        kept = self.actions, self.rewards, self.terminated
        actions, rewards, terminated = (np.zeros(rows, column.dtype) for column in kept)
        actions[free_rows:] = self.actions[slots]
        rewards[free_rows:] = self.rewards[slots]
        terminated[free_rows:] = self.terminated[slots]
        return TransitionBatch(observations, actions, rewards, next_observations, terminated)

    @property
    def nbytes(self) -> int:
        """Size of everything kept now, in bytes."""
        return self.capacity * COLUMN_BYTES + self.store.nbytes

    def ages(self) -> NDArray[np.int64]:
        """Return the age in frames of each kept transition, ``(len(self),)``; 0 is the newest."""
        return self.frames - self.born[: len(self)]

    def get_state(self) -> State:
        """Return everything that is kept, with its age; only slots in use are part of it."""
        used = len(self)
        columns = {name: getattr(self, name)[:used] for name in COLUMNS}
        return {"seen": self.seen, "frames": self.frames, **columns, "store": self.store.get_state(used)}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` of a memory made the same way gave, in an empty memory.

        Raises:
            StateError: if it does not fit; the memory is then unusable.
        """
        with saved:
            self.seen = saved.whole("seen")
            # A state from before there was frame skip: a transition was a frame.
            self.frames = saved.whole("frames", low=self.seen) if "frames" in saved else self.seen
            used = len(self)
            for name in COLUMNS:
                column = getattr(self, name)
                column[:used] = saved.array(name, column.dtype, (used,))
            if used and not 1 <= self.born[:used].min() <= self.born.max() <= self.frames:
                raise StateError(f"{saved.path}.born: must be from 1 to {self.frames:,}")
            self._set_more(saved)
            self.store.set_state(saved.part("store"), used)

    def _set_more(self, saved: SavedState) -> None:
        """Read what a subclass adds to the state."""


class FifoMemory(Memory):
    """Keeps the last ``capacity`` transitions."""

    def _slot_for(self, count: int) -> int | None:
        return (count - 1) % self.capacity


class ReservoirMemory(Memory):
    """Keeps a uniform sample of all transitions seen, by `ReservoirSlots`.

    Args:
        capacity: As in `Memory`.
        observation_shape: As in `Memory`.
        observation_dtype: As in `Memory`.
        rng: Random generator that decides what is kept.
    """

    def __init__(
        self,
        capacity: int,
        observation_shape: tuple[int, ...],
        observation_dtype: np.dtype[Any],
        rng: np.random.Generator,
    ) -> None:
        super().__init__(capacity, observation_shape, observation_dtype)
        self.rng = rng
        self.reservoir = ReservoirSlots(capacity, rng)

    def _slot_for(self, count: int) -> int | None:
        return self.reservoir.slot_for(count)

    def get_state(self) -> State:
        """Return everything that is kept, and the state of the generator."""
        return {**super().get_state(), "rng": self.rng.bit_generator.state}

    def _set_more(self, saved: SavedState) -> None:
        saved.generator("rng", self.rng)


def largest_bytes(
    capacity: int, observation_shape: tuple[int, ...], observation_dtype: np.dtype[Any], moving: bool = False
) -> int:
    """Return the size in bytes that a memory cannot exceed, without making it.

    Args:
        capacity: As in `Memory`.
        observation_shape: As in `Memory`.
        observation_dtype: As in `Memory`.
        moving: Whether observations are stacks of frames, each the one before it moved on by a frame.

    >>> largest_bytes(50_000, (8,), np.dtype(np.float32)) / 1e6
    4.25
    """
    kind = store_kind(observation_shape)
    return capacity * COLUMN_BYTES + kind.largest_bytes(capacity, observation_shape, observation_dtype, moving)
