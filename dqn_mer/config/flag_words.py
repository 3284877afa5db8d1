"""What the words of a command line mean: which field a flag is of, and which value a word is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

from dqn_mer.config.fields import Allowed, Flag, allowed_values, bad_value
from dqn_mer.config.help_texts import NONE

NEGATIVE = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)
"""How a negative number begins, which argparse takes for a flag unless it is a plain one."""


class UsageError(Exception):
    """The command line cannot be understood; the message is one line.

    It is no ValueError, since argparse would take that for its own and reword it.
    """


def flag_of(name: str) -> str:
    """Return the flag of a field.

    >>> flag_of("batch_size")
    '--batch-size'
    """
    return f"--{name.replace('_', '-')}"


def missing(flag: str, allowed: Allowed) -> str:
    """Return the complaint about a flag without its value."""
    return f"{flag}: no value given; must be {'a path' if Path in (allowed.kind, allowed.item) else allowed.describe()}"


def reader(name: str, allowed: Allowed) -> Any:
    """Return the function that reads a field from the word behind its flag."""

    def read(word: str) -> Any:
        try:
            return _value(allowed, word)
        except (ValueError, OverflowError):
            raise UsageError(str(bad_value(name, word, allowed.describe()))) from None

    return read


def _value(allowed: Allowed, word: str) -> Any:
    """Return what a word says; ValueError if it says nothing."""
    if allowed.optional and word.lower() == NONE:
        return None
    if allowed.kind not in (tuple, Mapping):
        if allowed.kind is Path and not word:  # such as an unset variable of the shell
            raise ValueError("a path is empty")
        return allowed.kind(word)
    parts = word.split(",") if word else []
    if not all(parts):
        raise ValueError("an item is empty")
    if allowed.kind is tuple:
        return tuple(allowed.item(part) for part in parts)
    pairs = [part.partition("=") for part in parts]
    values = {name: allowed.item(value) for name, _, value in pairs}
    if len(values) < len(pairs):
        raise ValueError("a name is given twice")
    return values


def flag_note(annotation: Any) -> Flag:
    """Return how a field stands on the command line, from its annotation."""
    return next((note for note in get_args(annotation) if isinstance(note, Flag)), Flag())


def fields_of_flags(kind: type[Any]) -> dict[str, str]:
    """Return the field of every flag."""
    flags: dict[str, str] = {}
    notes = get_type_hints(kind, include_extras=True)
    for name, allowed in allowed_values(kind).items():
        flag = flag_note(notes[name])
        if not flag.positional:
            flags |= dict.fromkeys((flag_of(name), *flag.aliases), name)
            flags |= {flag_of(f"no_{name}"): name} if allowed.kind is bool else {}
    return flags


def normalised(arguments: Sequence[str], flags: Mapping[str, str]) -> list[str]:
    """Return the words with ``--batch_size`` as ``--batch-size``, and ``--settings -1,2`` as ``--settings=-1,2``."""
    words: list[str] = []
    for word in arguments:
        flag, equals, value = word.partition("=")
        dashed = flag.replace("_", "-")
        if words and words[-1] in flags and NEGATIVE.match(word):
            words[-1] += f"={word}"
        else:
            words.append(dashed + equals + value if dashed in flags else word)
    return words
