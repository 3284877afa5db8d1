"""Where a memory keeps the observations of its transitions: as they are, or stacked frames once and compressed."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import zstandard
from numpy.typing import NDArray

from dqn_mer.storage.state import SavedState, State, StateError

BLOCK_OVERHEAD_BYTES = 8 + 33
"""Bytes of a compressed block besides its content: its place in the list and Python's header."""

EXAMPLE_SLOTS = (0, 25, 50, 75)
"""Slots whose first frame is an example to the compressor for all that is written after the last of them."""


class ObservationStore(Protocol):
    """Where the observations of transitions are kept, by slot."""

    @property
    def nbytes(self) -> int:
        """Size of what is kept now, in bytes."""

    def write(self, slot: int, observation: NDArray[Any], next_observation: NDArray[Any]) -> None:
        """Keep the two observations of one transition."""

    def read(self, slots: NDArray[np.int64], out: NDArray[Any], next_out: NDArray[Any]) -> None:
        """Fill ``out`` and ``next_out``, both ``(len(slots), ...)``, with what was kept."""

    def get_state(self, used: int) -> State:
        """Return what the first ``used`` slots keep."""

    def set_state(self, saved: SavedState, used: int) -> None:
        """Resume from what `get_state` gave, in an empty store."""


class PairStore:
    """Keeps both observations of a transition as they are."""

    def __init__(self, capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.pairs = np.zeros((capacity, 2, *shape), dtype)

    @property
    def nbytes(self) -> int:
        """Size of what is kept, in bytes."""
        return self.pairs.nbytes

    @staticmethod
    def largest_bytes(capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any], moving: bool = False) -> int:
        """Return the size of a store in bytes, whether or not stacks move."""
        return capacity * 2 * int(np.prod(shape)) * dtype.itemsize

    def write(self, slot: int, observation: NDArray[Any], next_observation: NDArray[Any]) -> None:
        """Keep the two observations of one transition."""
        self.pairs[slot, 0] = observation
        self.pairs[slot, 1] = next_observation

    def read(self, slots: NDArray[np.int64], out: NDArray[Any], next_out: NDArray[Any]) -> None:
        """Fill ``out`` and ``next_out`` with what was kept."""
        out[:] = self.pairs[slots, 0]
        next_out[:] = self.pairs[slots, 1]

    def get_state(self, used: int) -> State:
        """Return what the first ``used`` slots keep."""
        return {"pairs": self.pairs[:used]}

    def set_state(self, saved: SavedState, used: int) -> None:
        """Resume from what `get_state` gave, in an empty store."""
        with saved:
            self.pairs[:used] = saved.array("pairs", self.pairs.dtype, (used, *self.pairs.shape[1:]))


class StackStore:
    """Keeps stacked frames once and compressed: k + 1 frames a transition, where two stacks of k would be 2k.

    The next stack is the last one moved on by a frame, so that the two share k - 1 frames. Frames of a game repeat
    each other: zstd (level 1, lossless), with four frames of the game as examples, keeps five frames of Flappy Bird in
    1.7 kB instead of 35 and of Catcher in 0.24, and gives them back in 26 µs. A reservoir cannot share frames between
    transitions instead, since the neighbours of a transition it keeps are mostly gone. Images that do not move on like
    that, such as colour channels, are kept as a pair.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.depth, self.frame_shape = shape[0], shape[1:]
        self.dtype = dtype
        self.capacity = capacity
        self.blocks: list[bytes] = []  # one for each slot in use: the capacity in a file may be any number
        self.frame_bytes = 0
        self.examples = np.zeros((0, *self.frame_shape), dtype)
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()

    @property
    def nbytes(self) -> int:
        """Size of what is kept now, in bytes."""
        return self.frame_bytes + self.examples.nbytes + self.capacity * BLOCK_OVERHEAD_BYTES

    @staticmethod
    def largest_bytes(capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any], moving: bool = False) -> int:
        """Return the size in bytes that a full store cannot exceed: that of frames that do not compress.

        Args:
            capacity: Largest number of transitions.
            shape: Shape of an observation.
            dtype: NumPy dtype of the observations.
            moving: Whether each stack is the one before it moved on by a frame.
        """
        frame = int(np.prod(shape[1:])) * dtype.itemsize
        raw = (shape[0] + 1 if moving else 2 * shape[0]) * frame
        return capacity * (raw + raw // 256 + 64 + BLOCK_OVERHEAD_BYTES) + len(EXAMPLE_SLOTS) * frame

    def write(self, slot: int, observation: NDArray[Any], next_observation: NDArray[Any]) -> None:
        """Keep the frames of one transition, in a slot in use or in the next."""
        moving = np.array_equal(observation[1:], next_observation[:-1])
        parts = [observation, next_observation[-1:] if moving else next_observation]
        frames = np.concatenate(parts, dtype=self.dtype, casting="unsafe")  # as an assignment to an array casts
        block = self._compressor.compress(frames.tobytes())
        # A copy, because what the compressor returns was cut from a larger piece, whose rest no other block fits into:
        # 50,000 blocks of 4 kB took 1.8 GB.
        block = bytes(memoryview(block))
        if slot == len(self.blocks):
            self.blocks.append(b"")
            if slot in EXAMPLE_SLOTS:
                self._learn_from(np.concatenate([self.examples, frames[:1]]))
        self.frame_bytes += len(block) - len(self.blocks[slot])
        self.blocks[slot] = block

    def _learn_from(self, examples: NDArray[Any]) -> None:
        """Take in frames as examples to the compressor, for which it needs all of them."""
        self.examples = examples
        if len(examples) == len(EXAMPLE_SLOTS):
            known = zstandard.ZstdCompressionDict(examples.tobytes(), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
            self._compressor = zstandard.ZstdCompressor(level=1, dict_data=known)
            self._decompressor = zstandard.ZstdDecompressor(dict_data=known)  # reads what was written without it, too

    def read(self, slots: NDArray[np.int64], out: NDArray[Any], next_out: NDArray[Any]) -> None:
        """Fill ``out`` and ``next_out`` with what was kept."""
        for row, slot in enumerate(slots):
            frames = self._unpacked(slot)
            out[row] = frames[: self.depth]
            next_out[row] = frames[-self.depth :]

    def _unpacked(self, slot: int) -> NDArray[Any]:
        """Return the frames of a slot: depth + 1 of them, or both observations."""
        values = np.frombuffer(self._decompressor.decompress(self.blocks[slot]), self.dtype)
        return values.reshape(-1, *self.frame_shape)

    def get_state(self, used: int) -> State:
        """Return what the first ``used`` slots keep as it is: ``(used,)`` lengths, the blocks in a row, examples."""
        blocks = self.blocks[:used]
        lengths = np.array([len(block) for block in blocks], np.int64)
        return {"lengths": lengths, "blocks": np.frombuffer(b"".join(blocks), np.uint8), "examples": self.examples}

    def set_state(self, saved: SavedState, used: int) -> None:
        """Resume from what `get_state` gave, in an empty store.

        Every block is unpacked once, so that none can fail later, or unpack to more than its frames.
        """
        frame_bytes = int(np.prod(self.frame_shape)) * self.dtype.itemsize
        sizes = [frames * frame_bytes for frames in (self.depth + 1, 2 * self.depth)]
        largest = self.largest_bytes(1, (self.depth, *self.frame_shape), self.dtype)
        with saved:
            lengths = saved.array("lengths", np.int64, (used,))
            if used and not 0 < lengths.min() <= lengths.max() <= largest:
                raise StateError(f"{saved.path}.lengths: must be from 1 to {largest:,}")
            data = saved.array("blocks", np.uint8, (int(lengths.sum()),))
            slots = [slot for slot in EXAMPLE_SLOTS if slot < used]
            older = "examples" not in saved  # of a version that had none
            if not older:
                self._learn_from(saved.array("examples", self.dtype, (len(slots), *self.frame_shape)))
        ends = np.cumsum(lengths).tolist()
        for slot, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            block = data[start:end].tobytes()
            try:
                stated = zstandard.get_frame_parameters(block).content_size  # before anything of that size is made
                whole = stated in sizes and stated == len(self._decompressor.decompress(block))
            except zstandard.ZstdError:
                whole = False
            if not whole:
                raise StateError(f"{saved.path}.blocks: block {slot} does not hold {sizes[0]:,} bytes of frames")
            self.blocks.append(block)
        self.frame_bytes = len(data)
        if older:
            firsts = [self._unpacked(slot)[:1] for slot in slots]
            self._learn_from(np.concatenate([self.examples, *firsts]))


def store_kind(observation_shape: tuple[int, ...]) -> type[PairStore] | type[StackStore]:
    """Return the store that suits observations of a shape."""
    return StackStore if len(observation_shape) >= 3 else PairStore
