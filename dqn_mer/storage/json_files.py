"""JSON files, written in one step; numbers that are not finite become null, since JSON has none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dqn_mer.storage.files import replace_file


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
