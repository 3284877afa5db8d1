"""Flags made from a dataclass: one for each field, grouped by its bases, with its default and the values allowed."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar, cast, get_type_hints

from dqn_mer.config.fields import Allowed, Flag, allowed_values, own_fields
from dqn_mer.config.flag_hints import leftover_hint, unknown_hint
from dqn_mer.config.flag_words import UsageError, fields_of_flags, flag_note, flag_of, missing, normalised, reader
from dqn_mer.config.help_texts import METAVARS, HelpFormatter, field_texts, hint, version

T = TypeVar("T")
NOT_GIVEN = object()
HELP = {"-h", "--help"}
HIDDEN = argparse.SUPPRESS


class Extra(NamedTuple):
    """What the help of a command says besides the texts of its fields.

    Attributes:
        notes: Function from what the flags would make to further text behind that of some fields; `HIDDEN` leaves a
            field out.
        epilog: A paragraph below the flags.
        related: Further flags that a misspelt one may mean.
    """

    notes: Callable[[Any], Mapping[str, str]] = lambda likely: {}
    epilog: str = ""
    related: tuple[str, ...] = ()


NOTHING = Extra()


def parse(
    kind: type[T], arguments: Sequence[str], prog: str, make: Callable[..., T] | None = None, extra: Extra = NOTHING
) -> T:
    """Read flags into a dataclass. Its bases that are dataclasses are the groups of its help.

    Args:
        kind: The dataclass.
        arguments: Words of the command line.
        prog: Name of the command in its help.
        make: Makes the dataclass from the given values, and so chooses the defaults; by default those of the fields.
        extra: Further text of the help.

    Raises:
        UsageError: if a flag is unknown or cannot be read, or one is missing.
        ValueError: if the dataclass's checks refuse a value.
        SystemExit: if the help or the version was asked for and printed.
    """
    parsed, unknown = parse_known(kind, arguments, prog, make, extra)
    if unknown:
        names = [flag_of(field.name) for field in dataclasses.fields(cast(Any, kind))]
        raise UsageError(unknown_hint(unknown, (*names, *extra.related)))
    return parsed


def parse_known(
    kind: type[T], arguments: Sequence[str], prog: str, make: Callable[..., T] | None = None, extra: Extra = NOTHING
) -> tuple[T, list[str]]:
    """Read flags as `parse` does, and also return the words that are no flags of the dataclass, in order."""
    allowed, fields = allowed_values(kind), fields_of_flags(kind)
    words = normalised(arguments, fields)
    help_wanted = bool(HELP & set(words))
    defaults: Mapping[str, Any] = {}
    notes: Mapping[str, str] = {}
    if make is not None and help_wanted:
        likely, defaults = _suitable_defaults(kind, words, make)
        notes = extra.notes(likely)
    parser = _parser(kind, prog, defaults, notes, help_wanted)
    parser.epilog = extra.epilog
    values, unknown = _given(kind, words, parser)
    for field in dataclasses.fields(cast(Any, kind)):
        if field.name not in values and _default(field, {}) is dataclasses.MISSING:
            flag = flag_of(field.name) if flag_of(field.name) in fields else field.name
            raise UsageError(missing(flag, allowed[field.name]))
    return (make or kind)(**values), unknown


def _given(kind: type[Any], words: Sequence[str], parser: argparse.ArgumentParser) -> tuple[dict[str, Any], list[str]]:
    """Return the values that flags give, by field, and the words that are no flags of the dataclass."""
    allowed, fields = allowed_values(kind), fields_of_flags(kind)
    try:
        given, unknown = parser.parse_known_intermixed_args(words)
    except argparse.ArgumentError as error:  # a flag without its value, or a switch with one; `reader` judges values
        flag = str(error.argument_name).partition("/")[0]
        said = leftover_hint(words, (), fields, allowed)
        if not said and flag in fields:
            said = missing(flag, allowed[fields[flag]])
        raise UsageError(said or f"flags: {error.argument_name}: takes no value") from None
    if leftover := leftover_hint(words, unknown, fields, allowed):
        raise UsageError(leftover)
    values = {name: value for name, value in vars(given).items() if value is not NOT_GIVEN}
    # argparse gives several words as a list, and the fields of a dataclass hold tuples.
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}, unknown


def _suitable_defaults(kind: type[T], words: Sequence[str], make: Callable[..., T]) -> tuple[T, dict[str, Any]]:
    """Return the dataclass that the given flags make, and the default of each field beside the other given flags."""
    try:
        given, _ = _given(kind, [word for word in words if word not in HELP], _parser(kind, "", {}, {}, False))
        likely = make(**given)
    except (UsageError, ValueError):  # without the request for help, it would be reported
        given, likely = {}, make()
    defaults = dict(vars(likely))
    for name in given:
        with suppress(ValueError):
            others = {other: value for other, value in given.items() if other != name}
            defaults[name] = getattr(make(**others), name)
    return likely, defaults


def _parser(
    kind: type[Any], prog: str, defaults: Mapping[str, Any], notes: Mapping[str, str], help_wanted: bool
) -> argparse.ArgumentParser:
    """Return the parser; texts are read from the source only if the help is wanted."""
    parser = argparse.ArgumentParser(
        prog, description=inspect.getdoc(kind), formatter_class=HelpFormatter,
        argument_default=argparse.SUPPRESS, allow_abbrev=False, exit_on_error=False, usage="%(prog)s [flags]",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=version(), help="Print the version and exit.")
    texts = field_texts(cast(object, kind)) if help_wanted else {}
    allowed, annotations = allowed_values(kind), get_type_hints(kind, include_extras=True)
    for base in [base for base in reversed(kind.__mro__[1:]) if dataclasses.is_dataclass(base)] or [kind]:
        title, about = _heading(base) if base is not kind else ("command", None)
        group = parser.add_argument_group(f"{title} options", about)
        for field in (field for field in dataclasses.fields(base) if field.name in own_fields(base)):
            flag = flag_note(annotations[field.name])
            text = f"{texts.get(field.name, '')} {notes.get(field.name, '')}".strip()
            behind = hint(allowed[field.name], _default(field, defaults))
            shown = HIDDEN if notes.get(field.name) == HIDDEN else f"{text} {behind}".replace("%", "%%")
            _add(group, field.name, flag, allowed[field.name], shown)
            if flag.positional:
                parser.usage = f"{parser.usage} {field.name.upper()}{' ...' * (allowed[field.name].kind is tuple)}"
    return parser


def _heading(base: type[Any]) -> tuple[str, str]:
    """Return the name of a group of flags, and the first line of its class's docstring."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", re.sub("(Fields|Parameters)$", "", base.__name__))
    return words.lower(), (inspect.getdoc(base) or "").partition("\n")[0]


def _add(group: Any, name: str, flag: Flag, allowed: Allowed, text: str) -> None:
    """Add the argument of a field to a group of the parser."""
    if flag.positional:
        several = allowed.kind is tuple
        read = allowed.item if several else reader(name, allowed)
        group.add_argument(
            name,
            nargs="*" if several else "?",
            default=[] if several else NOT_GIVEN,
            type=read,
            metavar=name.upper(),
            help=text,
        )
    elif allowed.kind is bool:
        group.add_argument(flag_of(name), action=argparse.BooleanOptionalAction, help=text)
    else:
        usual = "NAME" if allowed.choices else METAVARS[allowed.kind].format(METAVARS.get(allowed.item))
        group.add_argument(
            flag_of(name), *flag.aliases, dest=name, type=reader(name, allowed),
            metavar=flag.metavar or usual, help=text,
        )  # fmt: skip


def _default(field: dataclasses.Field[Any], defaults: Mapping[str, Any]) -> Any:
    """Return a field's default, `dataclasses.MISSING` if it has none."""
    if field.name in defaults:
        return defaults[field.name]
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
