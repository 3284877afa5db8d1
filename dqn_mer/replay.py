"""Memories of transitions: a reservoir over all that was seen, and the last ones seen (FIFO)."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import zstandard
from numpy.typing import NDArray

COLUMN_BYTES = 8 + 4 + 1 + 8
"""A transition's action, reward, termination and date."""
BLOCK_OVERHEAD_BYTES = 8 + 33
"""Of a compressed block: its place in the list and Python's header."""


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


class ObservationStore(Protocol):
    """Where the observations of transitions are kept, by slot."""

    @property
    def nbytes(self) -> int:
        """The size of what is kept now, in bytes."""

    def write(self, slot: int, observation: NDArray[Any], next_observation: NDArray[Any]) -> None:
        """Keep the two observations of one transition."""

    def read(self, slots: NDArray[np.int64], out: NDArray[Any], next_out: NDArray[Any]) -> None:
        """Fill ``out`` and ``next_out``, both ``(len(slots), ...)``, with what was kept."""


class PairStore:
    """Keeps both observations of a transition as they are."""

    def __init__(self, capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.pairs = np.zeros((capacity, 2, *shape), dtype)

    @property
    def nbytes(self) -> int:
        """The size of what is kept, in bytes."""
        return self.pairs.nbytes

    @staticmethod
    def largest_bytes(capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
        """Return the size of a store in bytes."""
        return capacity * 2 * int(np.prod(shape)) * dtype.itemsize

    def write(self, slot: int, observation: NDArray[Any], next_observation: NDArray[Any]) -> None:
        """Keep the two observations of one transition."""
        self.pairs[slot, 0] = observation
        self.pairs[slot, 1] = next_observation

    def read(self, slots: NDArray[np.int64], out: NDArray[Any], next_out: NDArray[Any]) -> None:
        """Fill ``out`` and ``next_out`` with what was kept."""
        out[:] = self.pairs[slots, 0]
        next_out[:] = self.pairs[slots, 1]


class StackStore:
    """Keeps stacked frames once and compressed: k + 1 frames a transition, where two stacks of k would be 2k.

    The next stack is the last one moved on by a frame, so that the two share k - 1 frames. Frames of a game repeat
    each other: zstd (level 1, lossless) kept five frames of Flappy Bird in 5.8 kB instead of 35, of Catcher in 0.24,
    and gave them back in 45 and 27 µs. A reservoir cannot share frames between transitions instead, since the
    neighbours of a transition it keeps are mostly gone.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = (shape[0] + 1, *shape[1:])
        self.dtype = dtype
        self.blocks: list[bytes] = [b""] * capacity
        self.frame_bytes = 0
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()

    @property
    def nbytes(self) -> int:
        """The size of what is kept now, in bytes."""
        return self.frame_bytes + len(self.blocks) * BLOCK_OVERHEAD_BYTES

    @staticmethod
    def largest_bytes(capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
        """Return the size in bytes that a full store cannot exceed: that of frames that do not compress."""
        raw = (shape[0] + 1) * int(np.prod(shape[1:])) * dtype.itemsize
        return capacity * (raw + raw // 256 + 64 + BLOCK_OVERHEAD_BYTES)

    def write(self, slot: int, observation: NDArray[Any], next_observation: NDArray[Any]) -> None:
        """Keep the frames of one transition.

        Raises:
            ValueError: if the next stack is not the last one moved on by a frame.
        """
        if not np.array_equal(observation[1:], next_observation[:-1]):
            raise ValueError("next_observation: must be the observation's frames moved on by one, newest frame last")
        block = self._compressor.compress(np.concatenate([observation, next_observation[-1:]]).tobytes())
        # A copy, because what the compressor returns was cut from a larger piece, whose rest no other block fits into:
        # 50,000 blocks of 4 kB took 1.8 GB.
        block = bytes(memoryview(block))
        self.frame_bytes += len(block) - len(self.blocks[slot])
        self.blocks[slot] = block

    def read(self, slots: NDArray[np.int64], out: NDArray[Any], next_out: NDArray[Any]) -> None:
        """Fill ``out`` and ``next_out`` with what was kept."""
        for row, slot in enumerate(slots):
            frames = np.frombuffer(self._decompressor.decompress(self.blocks[slot]), self.dtype).reshape(self.shape)
            out[row] = frames[:-1]
            next_out[row] = frames[1:]


class Memory:
    """Transitions in slots: typed arrays, and an `ObservationStore`; what happens when full is for the subclass to say.

    Args:
        capacity: M, transitions kept at most; at least 1.
        observation_shape: of one observation; three axes mean stacked frames, oldest first.
        observation_dtype: of the observations.

    Attributes:
        seen: transitions added since the start.
        born: ``(capacity,)`` int64, the count of transitions when each kept one was added, from 1; 0 if empty.

    Raises:
        ValueError: if ``capacity`` is below 1.
    """

    def __init__(self, capacity: int, observation_shape: tuple[int, ...], observation_dtype: np.dtype[Any]) -> None:
        if capacity < 1:
            raise ValueError(f"capacity={capacity}: must be at least 1")
        self.capacity = capacity
        self.shape = observation_shape
        self.dtype = observation_dtype
        self.seen = 0
        self.store: ObservationStore = _store_kind(observation_shape)(capacity, observation_shape, observation_dtype)
        self.actions = np.zeros(capacity, np.int64)
        self.rewards = np.zeros(capacity, np.float32)
        self.terminated = np.zeros(capacity, np.bool_)
        self.born = np.zeros(capacity, np.int64)

    def __len__(self) -> int:
        return min(self.seen, self.capacity)

    def _slot_for(self, count: int) -> int | None:
        """Return where the ``count``-th transition (from 1) goes, or None to pass it over."""
        raise NotImplementedError

    def add(self, transition: Transition) -> None:
        """Take in the next transition of the stream."""
        self.seen += 1
        slot = self._slot_for(self.seen)
        if slot is None:
            return
        self.store.write(slot, transition.observation, transition.next_observation)
        self.actions[slot] = transition.action
        self.rewards[slot] = transition.reward
        self.terminated[slot] = transition.terminated
        self.born[slot] = self.seen

    def sample(self, draws: int, rng: np.random.Generator, newest: Transition) -> TransitionBatch:
        """Return ``newest`` in row 0, then ``draws`` transitions drawn uniformly with replacement.

        Raises:
            ValueError: if transitions are to be drawn from an empty memory.
        """
        if draws and not len(self):
            raise ValueError(f"draws={draws}: must be 0 while the memory is empty")
        slots = rng.integers(len(self), size=draws) if draws else np.zeros(0, np.int64)
        observations = np.empty((draws + 1, *self.shape), self.dtype)
        next_observations = np.empty_like(observations)
        self.store.read(slots, observations[1:], next_observations[1:])
        observations[0] = newest.observation
        next_observations[0] = newest.next_observation
        return TransitionBatch(
            observations,
            np.append(np.int64(newest.action), self.actions[slots]),
            np.append(np.float32(newest.reward), self.rewards[slots]),
            next_observations,
            np.append(np.bool_(newest.terminated), self.terminated[slots]),
        )

    @property
    def nbytes(self) -> int:
        """The size of everything kept now, in bytes."""
        return self.capacity * COLUMN_BYTES + self.store.nbytes

    def ages(self) -> NDArray[np.int64]:
        """Return how many transitions ago each kept one was added, ``(len(self),)``; 0 is the newest."""
        return self.seen - self.born[: len(self)]


class FifoMemory(Memory):
    """Keeps the last ``capacity`` transitions."""

    def _slot_for(self, count: int) -> int | None:
        return (count - 1) % self.capacity


class ReservoirMemory(Memory):
    """Keeps a uniform sample of all transitions seen (Vitter's Algorithm R).

    The n-th transition is kept with probability capacity / n, in the place of a uniformly chosen one. (The
    authors' code draws among n + 1 places, which slightly favours what is already kept; this does not.)

    Args:
        capacity: as in `Memory`.
        observation_shape: as in `Memory`.
        observation_dtype: as in `Memory`.
        rng: decides what is kept.
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

    def _slot_for(self, count: int) -> int | None:
        if count <= self.capacity:
            return count - 1
        slot = int(self.rng.integers(count))
        return slot if slot < self.capacity else None


def _store_kind(observation_shape: tuple[int, ...]) -> type[PairStore] | type[StackStore]:
    return StackStore if len(observation_shape) == 3 else PairStore


def largest_bytes(capacity: int, observation_shape: tuple[int, ...], observation_dtype: np.dtype[Any]) -> int:
    """Return the size in bytes that a memory cannot exceed, without making it.

    >>> largest_bytes(50_000, (8,), np.dtype(np.float32)) / 1e6
    4.25
    """
    kind = _store_kind(observation_shape)
    return capacity * COLUMN_BYTES + kind.largest_bytes(capacity, observation_shape, observation_dtype)
