"""How a value is shown in a message, and the message for a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_VALUE = 200  # characters of a value in a message


def shown(value: object) -> str:
    """Return a value as Python writes it, cut where it is long, for a message."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # Python does not write out whole numbers of thousands of digits
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def one_of(field: str, value: object, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of `allowed`.

    Raises:
        ValueError: if it is not; the message names the field, the value and what is allowed.
    """
    names = list(allowed)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{field}={shown(value)}: must be one of {', '.join(names)}")
    return value
