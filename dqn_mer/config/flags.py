"""Flags made from a dataclass: one for each field, grouped as its bases are, with its default and what it may be."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import inspect
import io
import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_args, get_type_hints

import docstring_parser
import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from continual_ple.games.base import shown
from dqn_mer.config.fields import Allowed, allowed_values, bad_value

T = TypeVar("T")
NONE = "none"  # how None is written
NO_NOTES: Mapping[str, str] = {}
METAVARS: dict[Any, str] = {
    int: "N", float: "X", str: "TEXT", Path: "PATH", tuple: "{0},{0},...", Mapping: "NAME={0},...",
}  # fmt: skip


class UsageError(Exception):
    """The command line cannot be understood; the message is one line.

    No ValueError, since the parser would take that for its own.
    """


def parse(
    kind: type[T], arguments: Sequence[str], prog: str, default: T | None = None, notes: Mapping[str, str] = NO_NOTES
) -> T:
    """Read flags into a dataclass. Its bases that are dataclasses, named ...Fields, are the groups of its help.

    Args:
        kind: the dataclass.
        arguments: words of the command line.
        prog: how the command is called.
        default: where the defaults come from instead of the fields.
        notes: what the help of some fields says besides their own text.

    Raises:
        UsageError: in one line, for a flag that is unknown or cannot be read.
        ValueError: from the dataclass's own checks.
    """
    parsed, unknown = parse_known(kind, arguments, prog, default, notes)
    if unknown:
        names = [field.name for field in dataclasses.fields(cast(Any, kind))]
        raise UsageError(_not_understood(unknown, names))
    return parsed


def parse_known(
    kind: type[T], arguments: Sequence[str], prog: str, default: T | None = None, notes: Mapping[str, str] = NO_NOTES
) -> tuple[T, list[str]]:
    """Read flags as `parse` does, and also return the words that are no flags of the dataclass, in order."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), _unwrapped(arguments):
            answer: Any = tyro.cli(
                kind,
                prog=prog,
                description=inspect.getdoc(kind),
                args=list(arguments),
                registry=_registry(kind, default, notes),
                config=(tyro.conf.OmitArgPrefixes,),
                return_unknown_args=True,
            )
    except (SystemExit, BrokenPipeError) as leaving:
        if isinstance(leaving, SystemExit) and leaving.code not in (0, None):
            raise UsageError(_one_line(complaint.getvalue())) from None
        _end_output()
        raise SystemExit(0) from None
    values, unknown = answer
    return kind(**values), list(unknown)


def _end_output() -> None:
    """Hand out what is left of the help, which its reader, such as `head`, may have had enough of."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _registry(kind: type[Any], default: object, notes: Mapping[str, str]) -> ConstructorRegistry:
    """Return the rule by which a dataclass becomes groups of flags, and flags a dictionary of its fields' values."""
    registry = ConstructorRegistry()
    groups = [base for base in reversed(kind.__mro__[1:]) if dataclasses.is_dataclass(base)]

    @registry.struct_rule
    def flags(info: StructTypeInfo) -> StructConstructorSpec | None:
        if info.type is kind and groups:
            return StructConstructorSpec(_merged, tuple(map(_group, groups)))
        if dataclasses.is_dataclass(info.type):
            return StructConstructorSpec(dict, tuple(_flags(info.type, default, notes)))
        return None

    return registry


def _group(kind: type[Any]) -> StructFieldSpec:
    return StructFieldSpec(kind.__name__.removesuffix("Fields").lower(), kind, tyro.MISSING, kind.__doc__)


def _merged(**groups: dict[str, Any]) -> dict[str, Any]:
    return {name: value for group in groups.values() for name, value in group.items()}


def _flags(kind: type[Any], default: object, notes: Mapping[str, str]) -> Iterator[StructFieldSpec]:
    """Yield a flag for each field of a dataclass."""
    allowed, hints = allowed_values(kind), get_type_hints(kind, include_extras=True)
    texts = _texts(kind)  # type: ignore[arg-type] # mypy does not see that a class is hashable
    annotated: Any = Annotated  # which a type checker wants spelt out
    for field in dataclasses.fields(kind):
        name = field.name
        value = _default(field) if default is None else getattr(default, name)
        about: list[Any] = []
        if value is not tyro.MISSING:
            about.append(tyro.conf.arg(help_behavior_hint=_hint(allowed[name], value)))
        if allowed[name].kind is not bool:
            several = allowed[name].kind is tuple and tyro.conf.Positional in get_args(hints[name])
            about.append(_several_words(name, allowed[name]) if several else _reader(name, allowed[name]))
        yield StructFieldSpec(
            name, annotated[(hints[name], *about)], value, " ".join((texts[name], notes.get(name, ""))).strip()
        )


@cache
def _texts(kind: object) -> dict[str, str]:
    """Return the text below each field of a dataclass."""
    found = docstring_parser.parse_from_object(kind).params
    return {entry.arg_name: " ".join((entry.description or "").split()) for entry in found}


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING if field.default is dataclasses.MISSING else field.default


def _hint(allowed: Allowed, default: object) -> str:
    """Return what follows a flag's text: its range and its default."""
    each = "each " if allowed.kind in (tuple, Mapping) else ""
    none = f", or {NONE}" if allowed.optional else ""
    span = f"{each}{allowed.range.span().replace(',', '_')}{none}; " if allowed.range else ""  # lines break at commas
    return f"({span}default: {written(default)})"


def written(value: object) -> str:
    """Return how a value is written on the command line.

    >>> [written(value) for value in ((128, 128), {"gravity": 1.5}, 1e-4, True, None)]
    ['128,128', 'gravity=1.5', '0.0001', 'on', 'none']
    """
    if isinstance(value, Mapping):
        return ",".join(f"{name}={written(item)}" for name, item in value.items()) or "empty"
    if isinstance(value, tuple):
        return ",".join(map(written, value)) or "empty"
    if value is None or value == "":
        return NONE if value is None else "empty"
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def _reader(name: str, allowed: Allowed) -> PrimitiveConstructorSpec[Any]:
    """Return how a field is read from the word behind its flag."""

    def read(words: Sequence[str]) -> Any:
        try:
            value = _value(allowed, words[0])
        except (ValueError, OverflowError):
            raise UsageError(str(bad_value(name, words[0], allowed.describe()))) from None
        return value

    choices = "{" + ",".join(allowed.choices) + "}"
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=choices if allowed.choices else METAVARS[allowed.kind].format(METAVARS.get(allowed.item)),
        instance_from_str=read,
        is_instance=lambda value: True,
        str_from_instance=lambda value: [written(value)],
    )


def _several_words(name: str, allowed: Allowed) -> PrimitiveConstructorSpec[Any]:
    """Return how a field of any number of words is read, which stands on the command line without a flag."""
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{name.upper()} ...",
        instance_from_str=lambda words: tuple(allowed.item(word) for word in words),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [written(item) for item in value],
    )


def _value(allowed: Allowed, word: str) -> Any:
    """Return what a word says; ValueError if it says nothing."""
    if allowed.optional and word.lower() == NONE:
        return None
    parts = [part for part in word.split(",") if part]
    if allowed.kind is tuple:
        return tuple(allowed.item(part) for part in parts)
    if allowed.kind is Mapping:
        pairs = [part.partition("=") for part in parts]
        values = {name: allowed.item(value) for name, _, value in pairs}
        if len(values) < len(pairs):
            raise ValueError("a name is given twice")
        return values
    return allowed.kind(word)


@contextlib.contextmanager
def _unwrapped(arguments: Sequence[str]) -> Iterator[None]:
    """Let the parser write a complaint without breaking its lines; help keeps the terminal's width."""
    if {"-h", "--help"} & set(arguments):
        yield
        return
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "10000"
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if width is not None:
            os.environ["COLUMNS"] = width


def _not_understood(words: Sequence[str], names: Sequence[str]) -> str:
    flags = [f"--{name.replace('_', '-')}" for name in names]
    meant = [flag for word in words for flag in difflib.get_close_matches(word.partition("=")[0], flags, 1)]
    hint = f"did you mean {', '.join(meant)}?" if meant else "--help lists all"
    return f"flags: {' '.join(map(shown, words))} not understood; {hint}"


def _one_line(box: str) -> str:
    """Return what the parser's box says between its title and its next rule."""
    lines = [line.strip(" │╭╮╰╯─-") for line in box.splitlines()][1:]
    said = itertools.takewhile(bool, itertools.dropwhile(lambda line: not line, lines))
    return re.sub(r"\s+", " ", " ".join(said)) or "flags: not understood"
