"""The tables of a run folder for a notebook: pandas where it is installed, else one NumPy array for each column."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.run_reader import TABLE_BYTES, RunReader

TABLES = ("evaluations", "metrics", "interference", "matrix")
"""Tables of a run folder: NAME.csv."""


def read_table(run_dir: Path, name: str) -> Any:
    """Return a table of a run folder.

    Args:
        run_dir: Folder of the run.
        name: One of `TABLES`.

    Returns:
        A ``pandas.DataFrame`` if pandas can be imported, else a dict of arrays by column: int64, float64 (NaN where a
        cell is empty), or text.

    Raises:
        ValueError: if the table is unknown, missing or damaged.
    """
    if name not in TABLES:
        raise ValueError(f"name={name!r}: must be one of {', '.join(TABLES)}")
    columns = _columns(RunReader(run_dir).read(f"{name}.csv", TABLE_BYTES), run_dir / f"{name}.csv")
    try:
        import pandas as pd
    except ImportError:
        return columns
    return pd.DataFrame(columns)


def _columns(data: bytes, path: Path) -> dict[str, NDArray[Any]]:
    try:
        heading, *rows = csv.reader(io.StringIO(data.decode()))
        cells = {column: [row[place] for row in rows] for place, column in enumerate(heading)}
    except (csv.Error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise DamagedError(f"{path}: no table with a heading: {error}") from None
    return {column: _typed(texts) for column, texts in cells.items()}


def _typed(texts: list[str]) -> NDArray[Any]:
    """Return a column as numbers if all its cells are, else as text."""
    for kind in (np.int64, np.float64):
        try:
            return np.array([text or "nan" for text in texts]).astype(kind)
        except (OverflowError, ValueError):
            continue
    return np.array(texts)
