"""What the fields of a dataclass may hold, read from their annotations: for the command line and for all checks."""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import numpy as np

from continual_ple.messages import shown
from dqn_mer.ranges import Range


@dataclass(frozen=True)
class Known:
    """Texts that the command line offers, where Python may give others: for ``Annotated[str, Known(GAMES)]``.

    Attributes:
        names: The texts; may grow.
    """

    names: Collection[str]


@dataclass(frozen=True)
class Flag:
    """How a field stands on the command line: for ``Annotated[Path, Flag(positional=True)]``.

    Attributes:
        positional: Whether it is given without a flag.
        aliases: Further flags that mean it, such as ``--setting``.
        metavar: What the help shows as its value, if its kind does not say enough.
    """

    positional: bool = False
    aliases: tuple[str, ...] = ()
    metavar: str = ""


@dataclass(frozen=True)
class Allowed:
    """What one field may hold.

    Attributes:
        kind: ``bool``, ``int``, ``float``, ``str``, ``Path``, ``tuple`` or ``Mapping``.
        item: Kind of the items of a tuple or of the values of a mapping; else ``kind`` again.
        choices: All texts allowed, or those known if the field is open; empty if any text is allowed.
        open: Whether texts that are not known are allowed too.
        range: Range of a number, of each item of a tuple or of each value of a mapping.
        optional: Whether None is allowed.
    """

    kind: Any
    item: Any
    choices: tuple[str, ...] = ()
    range: Range | None = None
    optional: bool = False
    open: bool = False

    def describe(self) -> str:
        """Return in words what is allowed."""
        if self.choices:
            return f"one of {', '.join((*self.choices, *(['none'] if self.optional else [])))}"
        each = self.range.describe() if self.range else KINDS[self.item]
        forms: dict[Any, str] = {
            tuple: "words with commas, none empty" if self.item is str else f"numbers with commas, each {each}",
            Mapping: f"NAME=VALUE,..., each name once and each value {each}",
        }
        return forms.get(self.kind, each) + (", or none" if self.optional else "")

    def check(self, name: str, value: object) -> None:
        """Raise ValueError, naming the field, the value and what is allowed, unless ``value`` is."""
        if value is None and self.optional:
            return
        kind = (int, float) if self.kind is float else self.kind
        if not isinstance(value, kind) or (isinstance(value, bool) and self.kind is not bool):
            raise bad_value(name, value, self.describe())
        if self.choices and not self.open and value not in self.choices:
            raise bad_value(name, value, self.describe())
        if isinstance(value, Path) and not _writable(str(value)):
            raise bad_value(name, str(value), "a path in UTF-8 without NUL characters")
        for key, item in _items(value):
            if self.range is not None:
                check_range(name + key, item, self.range)
            elif self.item is float and not _finite(item):
                raise bad_value(name + key, item, KINDS[float])

    def as_held(self, value: object) -> Any:
        """Return a value as the field holds it: lists and arrays as tuples, texts as paths, numbers as Python's own."""
        if self.kind is tuple and isinstance(value, list | tuple | np.ndarray):
            return tuple(_as_path(item) if self.item is Path else _as_number(item) for item in value)
        if self.kind is Mapping and isinstance(value, Mapping):
            return {name: _as_number(item) for name, item in value.items()}
        return _as_path(value) if self.kind is Path else _as_number(value)


KINDS: dict[Any, str] = {
    bool: "true or false", int: "a whole number", float: "a finite number", str: "text", Path: "a path",
}  # fmt: skip


def bad_value(name: str, value: object, allowed: str) -> ValueError:
    """Return the error, with a one-line message, that a field's value is not allowed."""
    return ValueError(f"{name}={shown(value)}: must be {allowed}")


def check_range(name: str, value: object, allowed: Range) -> None:
    """Raise ValueError, naming the field and what is allowed, unless a value is within a range.

    >>> check_range("discount", 2.0, Range(0, 1))
    Traceback (most recent call last):
        ...
    ValueError: discount=2.0: must be a number from 0 to 1
    """
    if not allowed.allows(value):
        raise bad_value(name, value, allowed.describe())


def allowed_values(kind: type) -> dict[str, Allowed]:
    """Return what each field of a dataclass may hold, by name."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: _allowed(hints[field.name]) for field in dataclasses.fields(kind)}


def own_fields(kind: type) -> tuple[str, ...]:
    """Return the names of the fields that a dataclass itself adds to those of its bases."""
    fields = {field.name for field in dataclasses.fields(cast(Any, kind))}
    return tuple(name for name in inspect.get_annotations(kind) if name in fields)


def check_fields(instance: Any) -> None:
    """Check every field of a dataclass against its annotation, and replace its values as `Allowed.as_held` says.

    Raises:
        ValueError: if a value is not allowed; the message names the field, its value and what is allowed.
    """
    for name, allowed in allowed_values(type(instance)).items():
        value = allowed.as_held(getattr(instance, name))
        allowed.check(name, value)
        object.__setattr__(instance, name, value)  # the dataclass may be frozen


def _as_path(value: object) -> Any:
    """Return a text as a path, but for an empty one, which would stand for the current folder."""
    return Path(value) if isinstance(value, str | os.PathLike) and value != "" else value


def _as_number(value: object) -> Any:
    """Return a number of NumPy as one of Python, which can be written as JSON; any other value as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _allowed(hint: Any) -> Allowed:
    if get_origin(hint) is Annotated:
        bare, *notes = get_args(hint)
        ranges = [note for note in notes if isinstance(note, Range)]
        for note in notes:
            if isinstance(note, Known):
                return dataclasses.replace(_allowed(bare), choices=tuple(note.names), open=True)
        return dataclasses.replace(_allowed(bare), range=ranges[0] if ranges else None)
    arguments, origin = get_args(hint), get_origin(hint)
    if origin is Literal:
        return Allowed(str, str, choices=arguments)
    if type(None) in arguments:
        (bare,) = (argument for argument in arguments if argument is not type(None))
        return dataclasses.replace(_allowed(bare), optional=True)
    if origin is tuple:
        return Allowed(tuple, arguments[0])
    if arguments:
        return Allowed(Mapping, arguments[1])
    return Allowed(hint, hint)


def _items(value: object) -> Iterable[tuple[str, object]]:
    """Yield each value that a range applies to, with the suffix of its name."""
    if isinstance(value, Mapping):
        return [(f".{key}", item) for key, item in value.items()]
    return [("", item) for item in (value if isinstance(value, tuple) else (value,))]


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -math.inf < value < math.inf


def _writable(text: str) -> bool:
    """Return whether text can stand in every file of a run; a file's name may be bytes that are no text."""
    return "\0" not in text and text.encode(errors="ignore").decode() == text
