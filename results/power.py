"""What the runs could have found: the differences between two arms that as many seeds detect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from evidence import GAMES, Evidence
from evidence_figures import GAME_NAMES
from scipy import optimize, stats

POWER = 0.8
"""Share of studies that find the difference."""
COMPARED = ("dqn", "dqn-mer")
"""Arms whose standard deviation counts."""


def detectable(seeds: int) -> float:
    """Return the difference in standard deviations that a t-test finds in `POWER` of studies, two-sided at 5%.

    Args:
        seeds: Number of runs of each of two arms, at least 2.

    >>> round(detectable(10), 2), round(detectable(3), 2)
    (1.32, 3.07)
    """
    degrees = 2 * seeds - 2
    least = stats.t.ppf(0.975, degrees)

    def lacks(difference: float) -> float:
        return float(stats.nct.sf(least, degrees, difference * np.sqrt(seeds / 2))) - POWER

    return float(optimize.brentq(lacks, 0.1, 20))


def power_table(evidence: Evidence, names: Sequence[str] = ("RA", "AUC", "G", "E"), part: str = "state") -> str:
    """Return a table of the differences that the seeds of `COMPARED` and five detect on each game.

    Args:
        evidence: Runs.
        names: Which of `MEASURED`.
        part: Part of the protocol.
    """
    lines = ["| game | seeds of each | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    for game in GAMES:
        runs = [[evidence.values(part, game, arm, name) for arm in COMPARED] for name in names]
        if not all(len(values) > 1 for of_name in runs for values in of_name):
            continue
        deviations = [np.sqrt(np.mean([np.var(values, ddof=1) for values in of_name])) for of_name in runs]
        for seeds in sorted({5, min(len(values) for values in runs[0])}):
            cells = [f"{detectable(seeds) * deviation:.1f}" for deviation in deviations]
            lines.append(f"| {GAME_NAMES[game]} | {seeds} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])
