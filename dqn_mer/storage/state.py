"""Saved state: every part of a run can save and restore its own, so that a resumed run is bit-identical.

A part has ``get_state() -> State``, JSON values and arrays nested in dicts, and ``set_state(saved)``, which reads them
back through a `SavedState`: field by field, each with its kind and range, so that a damaged or hostile file ends in one
line that names the field. An array's dtype and shape are checked before its bytes are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

State = dict[str, Any]
"""JSON values, NumPy arrays and tensors, by name; may be nested. The arrays may be those that a part changes later:
write them to a file, or copy them, before it does."""

LARGEST = 2**53
"""No count in a saved state is larger."""
LARGEST_ENV_ARRAY_BYTES = 2**20


class StateError(ValueError):
    """A saved state does not fit; the message is one line that names the field."""


class StoredArray(Protocol):
    """An array in a file, whose bytes are not read before `load`."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""

    def load(self) -> NDArray[Any]:
        """Read the array."""


class SavedState:
    """Reads a state that was saved; used in a ``with`` block, which ends in `StateError` if a field was not read.

    Args:
        values: What ``get_state`` returned; arrays may be a `StoredArray`.
        path: Name of the state in messages.

    >>> with SavedState({"seen": 3}, "memory") as saved:
    ...     saved.whole("seen", 0, 2)
    Traceback (most recent call last):
        ...
    dqn_mer.storage.state.StateError: memory.seen=3: must be a whole number from 0 to 2
    """

    def __init__(self, values: Mapping[str, Any], path: str = "state") -> None:
        if not isinstance(values, dict):
            raise StateError(f"{path}: must be an object with named fields")
        self._left = dict(values)
        self.path = path

    def __enter__(self) -> SavedState:
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None and self._left:
            raise StateError(f"{self.path}.{min(self._left)}: unknown field")

    def __contains__(self, name: str) -> bool:
        """Return whether a field of that name is left to read."""
        return name in self._left

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the fields that are left to read."""
        return iter(list(self._left))

    def value(self, name: str, kind: type | tuple[type, ...], what: str) -> Any:
        """Return a field if it is of ``kind``, which messages call ``what``."""
        if name not in self._left:
            raise StateError(f"{self.path}.{name}: missing")
        value = self._left.pop(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise StateError(f"{self.path}.{name}: must be {what}")
        return value

    def whole(self, name: str, low: int = 0, high: int = LARGEST) -> int:
        """Return a whole number from ``low`` to ``high``."""
        value = cast(int, self.value(name, int, "a whole number"))
        if not low <= value <= high:
            raise StateError(f"{self.path}.{name}={value}: must be a whole number from {low:,} to {high:,}")
        return value

    def number(self, name: str, low: float = -1e12, high: float = 1e12) -> float:
        """Return a number from ``low`` to ``high``."""
        value = cast(float, self.value(name, (int, float), "a number"))
        if not low <= value <= high:  # NaN too
            raise StateError(f"{self.path}.{name}={value}: must be a number from {low:g} to {high:g}")
        return value

    def numbers(self, name: str) -> list[float]:
        """Return a list of finite numbers."""
        values = cast(list[float], self.value(name, list, "a list of numbers"))
        if not all(type(value) in (int, float) and abs(value) <= 1e12 for value in values):
            raise StateError(f"{self.path}.{name}: must be a list of finite numbers")
        return values

    def part(self, name: str) -> SavedState:
        """Return the state of a part, to be read in a separate ``with`` block."""
        return SavedState(self.value(name, dict, "an object with named fields"), f"{self.path}.{name}")

    def array(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array of this type and shape, finite if it is of floats."""
        kept = self.value(name, object, "an array")
        kept = kept.cpu().numpy() if isinstance(kept, Tensor) else kept
        form = (getattr(kept, "dtype", None), getattr(kept, "shape", None))
        if form != (np.dtype(dtype), shape):
            given = f"{form[0]} of shape {form[1]}" if form[1] is not None else "no array"
            raise StateError(f"{self.path}.{name}: must be {np.dtype(dtype)} of shape {shape}, is {given}")
        array: NDArray[Any] = kept if isinstance(kept, np.ndarray) else kept.load()
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise StateError(f"{self.path}.{name}: must hold finite numbers only")
        return array

    def generator(self, name: str, rng: np.random.Generator) -> None:
        """Restore ``rng`` from its saved ``bit_generator.state``."""
        try:
            rng.bit_generator.state = self.value(name, dict, "the state of a generator")
        except (KeyError, TypeError, ValueError, OverflowError):
            kind = type(rng.bit_generator).__name__
            raise StateError(f"{self.path}.{name}: must be the state of a {kind} generator") from None

    def plain(self, name: str) -> Any:
        """Return a field whose part checks it by itself: finite values and small arrays, in dicts and lists."""
        return _plain(self.value(name, object, ""), f"{self.path}.{name}")


def _plain(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        if "bit_generator" in value:  # its numbers are larger, and it checks them when it is set
            return value
        return {name: _plain(item, f"{path}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if hasattr(value, "dtype"):
        if value.dtype.itemsize * int(np.prod(value.shape)) > LARGEST_ENV_ARRAY_BYTES:
            raise StateError(f"{path}: must be an array of at most {LARGEST_ENV_ARRAY_BYTES:,} bytes")
        return value if isinstance(value, np.ndarray) else value.load()
    if isinstance(value, (int, float)) and not abs(value) <= LARGEST:
        raise StateError(f"{path}: must be a number from -{LARGEST:,} to {LARGEST:,}")
    return value
