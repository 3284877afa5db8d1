"""Which arm is above which, and how probably: the comparisons that the text of docs/results.md speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from evidence import GAMES, Evidence, estimate_cell
from evidence_figures import GAME_NAMES, MAP

Pair = tuple[str, str]
"""An arm, and the one that it is asked to be above; or a part and an arm."""

LEADS: tuple[Pair, ...] = (
    ("dqn-mer", "dqn"),
    ("dqn-mer", "dqn-reservoir"),
    ("dqn-mer", "no-reptile"),
    ("dqn-mer-sgd", "dqn"),
    ("dqn-reservoir", "dqn"),
    ("dqn-reservoir-17", "dqn-reservoir"),
)
LEADS_OF_MAP = LEADS[:3]
"""Those of `dqn-mer` over the other arms that run in the cells of the map."""
LEADS_OF_PARTS = (*LEADS_OF_MAP, ("dqn-reservoir", "dqn"), ("no-reptile", "dqn"))
"""The same, and those of its parts over `dqn`."""


def cells_of(part: str) -> dict[str, str]:
    """Return the cells of a part of the map: what an arm's name begins with, and the cell in words."""
    return {cell: name for name, (where, cell) in MAP.items() if where == part}


def lead_rows(
    evidence: Evidence, part: str, cells: Mapping[str, str], pairs: Sequence[Pair], names: Sequence[str]
) -> list[list[str]]:
    """Return a heading, and a row for each cell and pair, over all games and on each, of those that have the runs.

    Args:
        evidence: Runs.
        part: Part of the protocol.
        cells: What an arm's name begins with in each cell, and the cell in words; none for a part without cells.
        pairs: Arms to compare.
        names: Which of `MEASURED`.
    """
    rows = [["cell", "first > second", "game", *names]]
    for (cell, words), (ours, theirs) in product(cells.items(), pairs):
        found = rows_of_pair(evidence, (part, cell + ours), (part, cell + theirs), f"`{ours}` > `{theirs}`", names)
        rows += [[words, *row] for row in found]
    return rows if any(cells.values()) else [row[1:] for row in rows]


def leads_of_arms(evidence: Evidence, part: str) -> list[list[str]]:
    """Return a heading, and the rows of the leads between the arms of a part without cells that have the runs."""
    return lead_rows(evidence, part, {"": ""}, LEADS, ("RA", "AUC", "G", "E"))


def leads_over(evidence: Evidence, others: Mapping[Pair, str], names: Sequence[str]) -> list[list[str]]:
    """Return a heading, and the rows of `dqn-mer` over arms of other parts than `state`, given with their names."""
    rows = [["first > second", "game", *names]]
    for theirs, words in others.items():
        rows += rows_of_pair(evidence, ("state", "dqn-mer"), theirs, f"`dqn-mer` > {words}", names)
    return rows


def rows_of_pair(evidence: Evidence, ours: Pair, theirs: Pair, words: str, names: Sequence[str]) -> list[list[str]]:
    """Return a row of a part and arm over another, over all games and on each, of those that have the runs."""
    rows = []
    for games in (GAMES, *((game,) for game in GAMES)):
        found = [evidence.improvement(ours, theirs, name, games) for name in names]
        known = [estimate_cell(estimate, 2) for estimate in found if estimate is not None]
        if len(known) == len(names):
            rows.append([words, "both" if games == GAMES else GAME_NAMES[games[0]], *known])
    return rows
