"""Schedules from JSON files, which may hold anything."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from continual_ple.game_schedules import check_schedule
from continual_ple.messages import shown
from continual_ple.settings import Schedule

MAX_FILE_BYTES = 1_000_000


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number allowed in JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, in which Python would let the last of two values win."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{shown(next(name for name in names if names.count(name) > 1))} is given twice")
    return entries


def _read(path: Path) -> bytes:
    """Return what a plain file holds; a pipe or a device might never end, and opening it never return."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("must be a plain file")
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"must have at most {MAX_FILE_BYTES:,} bytes")
    return data


def load_schedule(path: str | Path, game: str) -> Schedule:
    """Read a schedule from a JSON file with the layout of `Schedule.to_json`.

    Raises:
        ValueError: if the file cannot be read or its contents are not a schedule for the game; the message names the
            file.
    """
    try:
        data = _read(Path(path))
        value = json.loads(data.decode(), parse_constant=_no_constant, object_pairs_hook=_once)
        return check_schedule(Schedule.from_json(value), game)
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path}: cannot be read: {reason}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
