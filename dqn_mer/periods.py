"""Counting in periods where a count may grow by more than one at a time."""

from __future__ import annotations


def reaches_multiple(before: int, now: int, every: int | None) -> bool:
    """Return whether a multiple of ``every`` was reached when a count grew from ``before`` to ``now``.

    Args:
        before: The count before it grew, at least 0.
        now: The count now, at least ``before``.
        every: The period; None or 0 means never.

    >>> [reaches_multiple(now - 1, now, 3) for now in (1, 2, 3, 4)]
    [False, False, True, False]
    >>> reaches_multiple(5, 8, 3), reaches_multiple(6, 8, 3)
    (True, False)
    """
    return now // every > before // every if every else False
