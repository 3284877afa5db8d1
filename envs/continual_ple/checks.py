"""Checks of what a schedule is made of, each of which names the field, the value and what is allowed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from continual_ple.messages import shown


def whole(field: str, value: object, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`.

    Raises:
        ValueError: if it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise ValueError(f"{field}={shown(value)}: must be a whole number from {low:,} to {high:,}")
    return int(value)


def whole_or_each(field: str, value: object, low: int, high: int, of_what: str, count: int) -> int | tuple[int, ...]:
    """Return a whole number for all of `count` things called `of_what`, or one for each where they are not all equal.

    Raises:
        ValueError: if a number is not allowed, or there is not one for each.
    """
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return whole(field, value, low, high)
    if len(value) != count:
        raise ValueError(f"{field}: must be one number, or one for each of {count:,} {of_what}; holds {len(value):,}")
    each = tuple(whole(f"{field}[{index}]", item, low, high) for index, item in enumerate(value))
    return each[0] if len(set(each)) == 1 else each


def entries(field: str, value: object, high: int) -> tuple[Any, ...]:
    """Return a list, or anything else that gives its entries in order, as a tuple of 1 to `high` entries.

    Raises:
        ValueError: if it is not one.
    """
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise ValueError(f"{field}={shown(value)}: must be a list")
    items = tuple(value)
    if not 1 <= len(items) <= high:
        raise ValueError(f"{field}: must hold from 1 to {high:,} entries, holds {len(items):,}")
    return items


def json_fields(field: str, value: object, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    """Return a JSON object that has all `required` keys, and none that is not among them or `optional`.

    Raises:
        ValueError: if it is not one.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{field}={shown(value)}: must be an object with {', '.join(required)}")
    for key in required:
        if key not in value:
            raise ValueError(f"{field}: {key!r} is missing; it must have {', '.join(required)}")
    for key in value:
        if key not in (*required, *optional):
            raise ValueError(f"{field}: {shown(key)} is unknown; allowed are {', '.join((*required, *optional))}")
    return value


def json_list(field: str, value: object) -> list[Any]:
    """Return a JSON list.

    Raises:
        ValueError: if it is not one.
    """
    if not isinstance(value, list):
        raise ValueError(f"{field}={shown(value)}: must be a list")
    return value
