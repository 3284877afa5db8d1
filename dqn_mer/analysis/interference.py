"""The transfer-interference meter's table of one run: how far the gradients of examples of each two settings agree."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dqn_mer.analysis.metrics import FloatArray, IntArray
from dqn_mer.analysis.scores import LARGEST_SCORE
from dqn_mer.storage.escapes import csv_cell, shown
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.run_reader import RunReader

FILE = "interference.csv"
COLUMNS = ("frame", "setting", "other_setting", "cosine_mean")
MOST_CELLS = 2**26
"""Cosines of a run, of each two settings at each frame, that are held: 0.5 GB."""


def read_interference(path: Path, names: Sequence[str]) -> tuple[IntArray, FloatArray]:
    """Read a run's interference.csv: frames, of shape (n,), and cosines, of shape (n, settings, settings).

    Raises:
        ValueError: if the file does not hold measurements on these settings; the message names it.
    """
    place_of = {text: place for place, name in enumerate(names) for text in (name, csv_cell(name))}
    times, firsts, seconds, values = array("q"), array("q"), array("q"), array("d")
    for frame, one, other, cosine in RunReader(path.parent).rows(path.name, COLUMNS):
        try:
            times.append(int(frame[:20]))
            firsts.append(_place(place_of, one))
            seconds.append(_place(place_of, other))
            values.append(float(cosine))
        except (OverflowError, ValueError) as error:
            raise DamagedError(f"{path}: cannot be read: {type(error).__name__}: {error}") from None
    frames = np.unique(np.asarray(times, np.int64))
    if len(frames) * len(names) ** 2 > MOST_CELLS:
        raise DamagedError(f"{path}: must hold at most {MOST_CELLS // len(names) ** 2:,} frames")
    cosines = np.full((len(frames), len(names), len(names)), np.nan)
    at = np.searchsorted(frames, times)
    cosines[at, firsts, seconds] = cosines[at, seconds, firsts] = values
    if not (np.isnan(cosines) | (np.abs(cosines) <= LARGEST_SCORE)).all():
        raise DamagedError(f"{path}: cosine_mean: must be a number")
    return frames, cosines


def _place(place_of: Mapping[str, int], name: str) -> int:
    if name not in place_of:
        raise ValueError(f"{shown(name)}: must be a setting of the run")
    return place_of[name]
