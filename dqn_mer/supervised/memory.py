"""A memory of examples: any tuple of columns, each kept once, in the slots of a reservoir."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqn_mer.reservoir import ReservoirSlots
from dqn_mer.storage.state import SavedState, State

Example = tuple[NDArray[Any], ...]
"""One example: an array without a row axis for each column, the model's input first."""


class ExampleMemory:
    """Keeps a uniform sample of all examples seen, of any columns.

    Args:
        capacity: Examples kept at most, at least 1.
        like: An example, for the shape and dtype of each column.
        rng: Random generator that decides what is kept.

    Attributes:
        seen: Examples added since the start.

    Raises:
        ValueError: if ``capacity`` is below 1.

    >>> memory = ExampleMemory(2, (np.zeros(3, np.float32), np.int64(0)), np.random.default_rng(0))
    >>> memory.add((np.ones(3, np.float32), np.int64(5)))
    >>> [tuple(column.shape) for column in memory.sample(4, np.random.default_rng(1), (np.zeros(3), 7))]
    [(5, 3), (5,)]
    """

    def __init__(self, capacity: int, like: Sequence[Any], rng: np.random.Generator) -> None:
        self.slots = ReservoirSlots(capacity, rng)
        self.seen = 0
        self.columns = [np.zeros((capacity, *np.shape(part)), np.asarray(part).dtype) for part in like]

    def __len__(self) -> int:
        return min(self.seen, self.slots.capacity)

    @property
    def nbytes(self) -> int:
        """The size of all columns in bytes."""
        return sum(column.nbytes for column in self.columns)

    def add(self, example: Sequence[Any]) -> None:
        """Take in the next example of the stream.

        Raises:
            ValueError: if it is not like the one that the memory was made for.
        """
        parts = self._parts(example)
        self.seen += 1
        slot = self.slots.slot_for(self.seen)
        if slot is not None:
            for column, part in zip(self.columns, parts, strict=True):
                column[slot] = part

    def _parts(self, example: Sequence[Any]) -> list[NDArray[Any]]:
        """Return the parts of an example, none of which its column would repeat, or keep as other whole numbers."""
        if len(example) != len(self.columns):
            raise ValueError(f"example: must have {len(self.columns)} parts, has {len(example)}")
        parts = [np.asarray(part) for part in example]
        for index, (column, part) in enumerate(zip(self.columns, parts, strict=True)):
            if part.shape != column.shape[1:] or not _is_kept(part, column.dtype):
                raise ValueError(
                    f"example[{index}]: must be {column.dtype} of shape {column.shape[1:]}, is {part.dtype} of shape "
                    f"{part.shape}"
                )
        return parts

    def sample(self, draws: int, rng: np.random.Generator, newest: Sequence[Any]) -> tuple[Tensor, ...]:
        """Return ``newest`` in row 0, then ``draws`` examples drawn uniformly with replacement.

        Raises:
            ValueError: if examples are to be drawn from an empty memory, or ``newest`` is not like those kept.
        """
        if draws and not len(self):
            raise ValueError(f"draws={draws}: must be 0 while the memory is empty")
        slots = rng.integers(len(self), size=draws) if draws else np.zeros(0, np.int64)
        batch = []
        for column, part in zip(self.columns, self._parts(newest), strict=True):
            rows = np.empty((draws + 1, *column.shape[1:]), column.dtype)
            rows[0] = part
            np.take(column, slots, axis=0, out=rows[1:])
            batch.append(torch.from_numpy(rows))
        return tuple(batch)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that is kept, to be saved by `torch.save`; only slots in use are part of it."""
        columns = [torch.from_numpy(column[: len(self)].copy()) for column in self.columns]
        return {"seen": self.seen, "columns": columns, "rng": self.slots.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from what `state_dict` of a memory made the same way gave.

        Raises:
            ValueError: if it kept other examples, or another number of them.
        """
        used, forms = min(state["seen"], self.slots.capacity), [(c.dtype, c.shape[1:]) for c in self.columns]
        saved = [part.cpu().numpy() for part in state["columns"]]
        given = [(column.dtype, column.shape[1:]) for column in saved]
        if given != forms or any(len(column) != used for column in saved):
            raise ValueError(f"columns: must be {used} of {forms}, are {[len(column) for column in saved]} of {given}")
        self.seen = state["seen"]
        self.slots.rng.bit_generator.state = state["rng"]
        for mine, theirs in zip(self.columns, saved, strict=True):
            mine[:used] = theirs

    def get_state(self) -> State:
        """Return everything that is kept, in the form of a run's snapshots; only slots in use are part of it."""
        used = len(self)
        columns = {str(index): column[:used] for index, column in enumerate(self.columns)}
        return {"seen": self.seen, "columns": columns, "rng": self.slots.rng.bit_generator.state}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what a run's snapshot has of `get_state` of a memory made the same way.

        Raises:
            StateError: if it does not fit; the memory is then unusable.
        """
        with saved, saved.part("columns") as columns:
            self.seen = saved.whole("seen")
            used = len(self)
            for index, column in enumerate(self.columns):
                column[:used] = columns.array(str(index), column.dtype, (used, *column.shape[1:]))
            saved.generator("rng", self.slots.rng)


def _is_kept(part: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Return whether a dtype has the values of an array, if it is one of whole numbers; others round."""
    if part.dtype == dtype or dtype.kind not in "biu":
        return True
    return part.dtype.kind in "biu" and np.array_equal(part.astype(dtype), part)
