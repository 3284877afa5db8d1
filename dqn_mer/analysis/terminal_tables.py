"""Tables for a terminal of 80 columns: no word or number is broken; what does not fit beside the rest stands below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

WIDTH = 80
LONGEST_NAME = 20  # letters of a line in the first column
GAP = 3  # letters between two columns


def narrow_tables(title: Text, rows: Sequence[Sequence[Text]], below: Text | None = None) -> Group:
    """Return rows of cells, of which the first is the heading, as one or more tables of at most 80 columns.

    Args:
        title: Title, above the first table.
        rows: Rows of equally many cells, at least two; the first cell of each, its name, is repeated in every table.
        below: What stands below the last table.
    """
    names = [_wrapped(row[0], LONGEST_NAME) for row in rows]
    columns = [[row[place] for row in rows] for place in range(1, len(rows[0]))]
    title = title.copy()
    title.stylize("italic")
    return Group(title, *(_table(names, part) for part in _parts(_width(names), columns)), *([below] if below else []))


def _parts(room_taken: int, columns: Sequence[list[Text]]) -> Iterator[list[list[Text]]]:
    """Yield the columns, their headings in lines no wider than need be, in parts that fit beside the names."""
    part: list[list[Text]] = []
    taken = room_taken
    for column in columns:
        heading = _wrapped(column[0], _width(column[1:]))
        column = [heading, *column[1:]]
        if part and taken + GAP + _width(column) > WIDTH:
            yield part
            part, taken = [], room_taken
        part.append(column)
        taken += GAP + _width(column)
    yield part


def _table(names: Sequence[Text], columns: Sequence[Sequence[Text]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(names[0], overflow="fold")
    for column in columns:
        table.add_column(column[0], justify="right", overflow="fold")
    for cells in zip(names[1:], *(column[1:] for column in columns), strict=True):
        table.add_row(*cells)
    table.add_row()
    return table


def _wrapped(text: Text, width: int) -> Text:
    """Return text in lines of this width, or that of its longest word, with the style of its start."""
    whole_words = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    lines = [line for part in text.plain.split("\n") for line in whole_words.wrap(part)]
    return Text("\n".join(lines), style=text.style)


def _width(cells: Sequence[Text]) -> int:
    return max((len(line) for cell in cells for line in cell.plain.split("\n")), default=1) or 1
