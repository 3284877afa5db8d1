"""JSON files, written in one step, and read with care since they may be from strangers."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dqn_mer.storage.escapes import shown
from dqn_mer.storage.files import DamagedError, replace_file

DEEPEST_JSON = 100


def as_json(content: Mapping[str, Any]) -> bytes:
    """Return content as a JSON file; numbers that are not finite become null, since JSON has none.

    >>> as_json({"score": float("nan")}).decode().split()
    ['{', '"score":', 'null', '}']
    """
    return (json.dumps(_finite(content), indent=2, allow_nan=False) + "\n").encode()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file in one step."""
    replace_file(path, as_json(content))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse_json(data: bytes, path: Path) -> dict[str, Any]:
    """Return the JSON object in ``data``, which is from the file ``path``.

    Raises:
        DamagedError: if it is no JSON object, or nested too deep; the message names the file.
    """
    try:
        value = json.loads(data.decode(), parse_constant=_no_number, parse_float=_finite_number)
    except RecursionError:
        raise DamagedError(f"{path}: must be nested at most {DEEPEST_JSON} deep") from None
    except (MemoryError, ValueError) as error:
        raise DamagedError(f"{path}: cannot be read: {str(error) or 'more than there is memory for'}") from None
    if not isinstance(value, dict):
        raise DamagedError(f"{path}: must be an object with named fields")
    level: list[Any] = [value]
    for _ in range(DEEPEST_JSON):
        level = list(itertools.chain.from_iterable(map(_items, level)))
        if not level:
            return value
    raise DamagedError(f"{path}: must be nested at most {DEEPEST_JSON} deep")


def _items(value: Any) -> list[Any]:
    """Return the dicts and lists in a dict or list."""
    items = value.values() if isinstance(value, dict) else value
    return [item for item in items if isinstance(item, (dict, list))]


def _finite_number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(shown(text))  # 1e999 is infinity too


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number allowed in JSON")
