"""Ranges of numbers, for the annotations of a dataclass's fields."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included: for ``Annotated[int, Range(0, 9, whole=True)]``.

    It says what a flag or a file may give. A part that takes numbers from a program may allow more.

    >>> Range(0, 1).describe(), Range(0, 1).allows(2.0)
    ('a number from 0 to 1', False)
    """

    low: float
    high: float
    whole: bool = False

    def describe(self) -> str:
        """Return in words what is allowed."""
        return f"{'a whole number' if self.whole else 'a number'} {self.span()}"

    def span(self) -> str:
        """Return in words the lowest and the highest number."""
        low, high = (f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high))
        return f"from {low} to {high}"

    def allows(self, value: object) -> bool:
        """Return whether a value is a number of the right kind within the range."""
        kind: Any = Integral if self.whole else Real  # NumPy's numbers are of these; NaN fails the comparison
        return isinstance(value, kind) and not isinstance(value, bool) and bool(self.low <= value <= self.high)


COUNT = Range(1, 1_000_000_000, whole=True)
COUNT_OR_0 = Range(0, 1_000_000_000, whole=True)
RATE = Range(0, 1)
SAVE_MINUTES = Range(0, 1_000_000)
