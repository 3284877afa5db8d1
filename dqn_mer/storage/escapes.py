"""Text from files and file names, made harmless before it leaves the program: one function for each way out.

Whatever a stranger's run folder contains, a terminal obeys no control character in it, a page of Markdown shows it as
text, a spreadsheet computes no formula from it, and a figure sets no mathematics from it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

LONGEST_SHOWN = 100
LONGEST_MESSAGE = 900
LONGEST_DRAWN = 100
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the start of a formula (OWASP, CSV injection)."""
_MARKDOWN = re.compile(r"[\\`*\[\]|~$#<&]|(?<!\w)_|_(?!\w)")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
_LINK = re.compile(r"(?<=[a-z])://|(?<=www)\.", re.IGNORECASE)
_LIST_START = re.compile(r"^\s*(?:([-+=!>])|(\d+)([.)]))")


def printable(text: object) -> str:
    r"""Return text in which each character that is not printed, and so may act, is written as an escape.

    >>> printable("red \x1b[31m, \u202edesrever\n")
    'red \\x1b[31m, \\u202edesrever\\n'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def shown(value: object) -> str:
    """Return a value as Python writes it, cut where it is long, for a message.

    >>> shown("x" * 1_000) == "'" + "x" * 99 + "…"
    True
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # whole numbers of thousands of digits are not written out
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


def one_line(text: object) -> str:
    """Return text as one line for the terminal: runs of white space become a space, the rest as `printable`."""
    return printable(" ".join(str(text).split()))


def message(text: object) -> str:
    """Return a message as `one_line` of at most about `LONGEST_MESSAGE` characters: its start and its end."""
    line = one_line(text)
    if len(line) <= LONGEST_MESSAGE:
        return line
    return f"{line[: LONGEST_MESSAGE * 2 // 3]} … {line[-LONGEST_MESSAGE // 3 :]}"


def cell(text: object) -> Text:
    """Return text for a cell, title or line of a rich table, taken literally."""
    return Text(printable(text))


def say(console: Console, text: object, style: str = "", end: str = "\n") -> None:
    """Print one line, or a part of one, taken literally: no markup, emoji codes, colours or control characters."""
    console.print(Text(printable(text), style=style), soft_wrap=True, highlight=False, end=end)


def markdown_text(text: object) -> str:
    r"""Return text that Markdown, and the HTML made of it, shows as it is.

    >>> markdown_text("a|b <b>*[x](y)*</b> https://z batch_size=2")
    'a\\|b &lt;b>\\*\\[x\\](y)\\*&lt;/b> https&#58;//z batch_size=2'
    """
    escaped = _MARKDOWN.sub(lambda match: _ENTITIES.get(match[0], "\\" + match[0]), one_line(text))
    linkless = _LINK.sub(lambda match: "&#58;//" if match[0] == "://" else "&#46;", escaped)
    return _LIST_START.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", linkless)


def csv_cell(value: Any) -> Any:
    """Return a value for a cell of CSV: text that would be a formula gets an apostrophe in front.

    >>> [csv_cell(value) for value in ("=1+1", "a=1", -1.5, None)]
    ["'=1+1", 'a=1', -1.5, None]
    """
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if value.startswith(FORMULA_STARTS) else printable(value)


def csv_text(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as CSV in UTF-8; None becomes an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def figure_text(text: object) -> str:
    r"""Return text that Matplotlib draws as it is, with nothing set as mathematics; it is cut where it is long.

    >>> figure_text("$x^2$")
    '\\$x^2\\$'
    """
    drawn = printable(text)
    return (drawn if len(drawn) <= LONGEST_DRAWN else drawn[:LONGEST_DRAWN] + "…").replace("$", r"\$")
