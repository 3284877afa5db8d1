"""Whether it is the harder settings that make an agent better on the easier ones: part `stay` beside part `state`.

A run of `stay` is one of `state` until half of the settings have come, of which the last then stays for the frames that
the harder ones take. Both are played at the end on the settings that both have met.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from evidence import EVIDENCE, Estimate, table
from numpy.typing import NDArray
from scipy import stats

Scores = dict[str, float]


def last_scores(plays: Path) -> Scores:
    """Return the score on each setting of a run's last saved agent, by the setting's name."""
    rows = table(plays)
    last = max(int(row["frame"]) for row in rows)
    return {row["setting"]: float(row["score_mean"]) for row in rows if int(row["frame"]) == last}


def going_on_and_staying(game: str, arm: str, folder: Path = EVIDENCE) -> NDArray[np.float64]:
    """Return the mean score on the settings that both have met, of going on and of staying, ``(seeds, 2)``."""
    found = []
    for plays in sorted(folder.glob(f"stay/{game}/{arm}/seed-*/plays.csv")):
        other = folder / "state" / game / arm / plays.parent.name / "plays.csv"
        if other.exists():
            stays, goes_on = last_scores(plays), last_scores(other)
            found.append([np.mean([scores[name] for name in stays]) for scores in (goes_on, stays)])
    return np.array(found).reshape(-1, 2)


def paired_difference(pairs: NDArray[np.float64]) -> Estimate:
    """Return the mean of first less second, with Student's 95% interval over pairs; NaN bounds for one pair.

    >>> [round(float(value), 2) for value in paired_difference(np.array([[3.0, 1.0], [4.0, 3.0]]))]
    [1.5, -4.85, 7.85]
    """
    differences = pairs[:, 0] - pairs[:, 1]
    if len(differences) < 2:
        return Estimate(float(differences.mean()), float("nan"), float("nan"))
    interval = stats.ttest_1samp(differences, 0.0).confidence_interval()
    return Estimate(float(differences.mean()), float(interval.low), float(interval.high))
