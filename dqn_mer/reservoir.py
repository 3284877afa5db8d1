"""The slot rule of reservoir sampling, for any memory of numbered slots."""

from __future__ import annotations

import numpy as np


class ReservoirSlots:
    """Decides which slot the next item of a stream takes, so that the slots hold a uniform sample of all items.

    This is Vitter's Algorithm R: the n-th item is kept with probability capacity / n, in the place of a uniformly
    chosen one. (The code published with the paper draws among n + 1 places, which slightly favours what is kept
    already; this does not.)

    Args:
        capacity: Number of slots, at least 1.
        rng: Random generator that decides what is kept; one draw for each item that meets full slots.

    Raises:
        ValueError: if ``capacity`` is below 1.

    >>> slots = ReservoirSlots(2, np.random.default_rng(0))
    >>> [slots.slot_for(count) for count in (1, 2, 3, 4, 5)]
    [0, 1, None, None, None]
    """

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        if capacity < 1:
            raise ValueError(f"capacity={capacity}: must be at least 1")
        self.capacity = capacity
        self.rng = rng

    def slot_for(self, count: int) -> int | None:
        """Return the slot, from 0, of the ``count``-th item (from 1), or None to pass it over."""
        if count <= self.capacity:
            return count - 1
        slot = int(self.rng.integers(count))
        return slot if slot < self.capacity else None
