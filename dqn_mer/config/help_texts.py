"""What the help of a command shows: the text of each field, its range and default, in lines that fit."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache, partial
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from dqn_mer.config.fields import Allowed

NONE = "none"  # how None is written
METAVARS: dict[Any, str] = {
    int: "N", float: "X", str: "TEXT", Path: "PATH", tuple: "{0},{0},...", Mapping: "NAME={0},...",
}  # fmt: skip


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


@cache
def field_texts(kind: object) -> dict[str, str]:
    """Return the text below each field of a dataclass and of its bases."""
    texts: dict[str, str] = {}
    for base in filter(dataclasses.is_dataclass, inspect.getmro(cast(Any, kind))):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cast(Any, base)))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in pairwise(definition.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    texts.setdefault(name, " ".join(words.split()))
    return texts


def version() -> str:
    """Return the name and version of this package."""
    try:
        return f"dqn-mer {metadata.version('dqn-mer')}"
    except metadata.PackageNotFoundError:
        return "dqn-mer (not installed: no version)"


class HelpFormatter(argparse.HelpFormatter):
    """Breaks lines at spaces alone, so that numbers and names stay whole, and keeps paragraphs apart."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrap = partial(textwrap.fill, width=width, initial_indent=indent, subsequent_indent=indent)
        return "\n\n".join(wrap(paragraph, break_on_hyphens=False) for paragraph in text.split("\n\n"))


def hint(allowed: Allowed, default: object) -> str:
    """Return what follows a flag's text: the values allowed, and its default."""
    parts = []
    if allowed.choices:
        parts.append(f"one of {', '.join(allowed.choices)}{f', or {NONE}' * allowed.optional}")
    if allowed.range:
        each = "each " if allowed.kind in (tuple, Mapping) else ""
        parts.append(f"{each}{allowed.range.span()}{f', or {NONE}' * allowed.optional}")
    if default is not dataclasses.MISSING:
        parts.append(f"default: {written(default)}")
    return f"({'; '.join(parts)})" if parts else ""
