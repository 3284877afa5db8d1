"""The evidence: what PROTOCOL.md measures of each run, the statistics over runs, and the verdicts on the claim.

Runs are read from ``results/evidence/PART/GAME/ARM/seed-N/``, where ``protocol.py keep`` puts their small files; the
arms of the map are ``CELL/ARM``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dqn_mer.analysis.metrics import backward_transfer_interference, learning_accuracy, retained_accuracy
from dqn_mer.analysis.statistics import (
    CONFIDENCE,
    Estimate,
    improvement_difference,
    interquartile_estimate,
    probability_of_improvement,
)

EVIDENCE = Path(__file__).parent / "evidence"
GAMES = ("catcher", "flappy_bird")
AGREEMENT = ("cosine_q", "cosine_loss", "same_sign")
"""What ``agreement.py`` measures of saved agents."""
MEASURED = ("RA", "LA", "BTI", "G", "E", "AUC", "cosine", *AGREEMENT)
"""What is measured of each run, as PROTOCOL.md defines it."""
LEAST_SEEDS = 3
"""Fewest seeds of an arm that any verdict is based on."""
LEARNING_ARMS = ("dqn", "dqn-mer", "dqn-reservoir", "dqn-mer-sgd", "no-reptile", "dqn-reservoir-17")
"""Arms of `state` that learn the stream as it comes; the first three as `compare` has them."""
PERMUTATIONS = 9_999
CONTROLS = "-controls"
"""Ending of the part whose arms are judged with those of the part before it."""
NAN = float("nan")

Key = tuple[str, str, str]
"""Part, game and arm."""


class Run(NamedTuple):
    """One finished run.

    Attributes:
        part: Part of the protocol.
        game: Game that it plays.
        arm: Arm, after its cell in the parts of the map.
        seed: Seed of the run.
        values: Value of each of `MEASURED`; NaN where a run has none.
        facts: Frames, wall time in seconds, processor and commit.
    """

    part: str
    game: str
    arm: str
    seed: int
    values: dict[str, float]
    facts: dict[str, Any]


class Verdict(NamedTuple):
    """The verdict on one sentence of the claim.

    Attributes:
        sentence: Number in PROTOCOL.md.
        part: Part of the protocol that it is judged by.
        numbers: Numbers that decide it, in words.
        verdict: Whether it is held.
    """

    sentence: int
    part: str
    numbers: str
    verdict: str


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def gain_on_easier(matrix: NDArray[np.float64], order: Sequence[int]) -> float:
    """Return G: mean over pairs i < j of R[j, order[i]] - R[i, order[i]]; NaN without a pair.

    >>> gain_on_easier(np.array([[4.0, 0.0], [6.0, 1.0]]), [0, 1])
    2.0
    """
    gains = [
        matrix[later, setting] - matrix[segment, setting]
        for segment, setting in enumerate(order)
        for later in range(segment + 1, len(order))
    ]
    return float(np.mean(gains)) if gains else NAN


def score_on_easier(matrix: NDArray[np.float64], order: Sequence[int]) -> float:
    """Return E: mean over pairs i < j of R[j, order[i]]; NaN without a pair.

    >>> score_on_easier(np.array([[4.0, 0.0], [6.0, 1.0]]), [0, 1])
    6.0
    """
    scores = [matrix[later, setting] for later in range(len(order)) for setting in order[:later]]
    return float(np.mean(scores)) if scores else NAN


def matrix_of(plays: Sequence[Mapping[str, str]], settings: Sequence[str]) -> NDArray[np.float64]:
    """Return R, (saved agents, settings), from the rows of plays.csv."""
    frames = list(dict.fromkeys(row["frame"] for row in plays))
    scores = {(row["frame"], row["setting"]): float(row["score_mean"]) for row in plays}
    return np.array([[scores[frame, setting] for setting in settings] for frame in frames])


def cosine_between(rows: Sequence[Mapping[str, str]], frames: int) -> float:
    """Return the mean cosine between gradients on different settings over the last three quarters of training."""
    late: dict[int, list[float]] = {}
    for row in rows:
        if row["setting"] != row["other_setting"] and int(row["frame"]) > frames / 4:
            late.setdefault(int(row["frame"]), []).append(float(row["cosine_mean"]))
    return float(np.mean([np.mean(values) for values in late.values()])) if late else NAN


def load_run(folder: Path, evidence: Path) -> Run:
    """Read one run, and measure it.

    Raises:
        ValueError: if its config.json has another game or seed than its folder, as in a copy, which would count twice.
    """
    part, game, *arm, seed = folder.relative_to(evidence).parts
    described = json.loads((folder / "config.json").read_text())
    made = (described["config"]["game"], f"seed-{described['config']['seed']}")
    if made != (game, seed):
        raise ValueError(f"{folder}: its config.json is of {' '.join(made)}")
    summary = json.loads((folder / "summary.json").read_text())
    evaluations, plays = table(folder / "evaluations.csv"), table(folder / "plays.csv")
    settings = list(dict.fromkeys(row["setting"] for row in plays))
    matrix = matrix_of(plays, settings)
    values = dict.fromkeys(MEASURED, NAN)
    values["RA"] = retained_accuracy(matrix)
    values["AUC"] = float(np.mean([float(row["score_mean"]) for row in evaluations]))
    meter = folder / "interference.csv"
    if meter.exists():
        values["cosine"] = cosine_between(table(meter), summary["frames"])
    if (folder / "agreement.csv").exists():
        saved = table(folder / "agreement.csv")
        for name in AGREEMENT:
            known = [float(row[name]) for row in saved if row[name]]
            values[name] = float(np.mean(known)) if known else NAN
    if len(matrix) == len(settings) and not described["config"].get("interleave_frames"):
        order = range(len(settings))
        values["LA"] = learning_accuracy(matrix, order)
        values["BTI"] = backward_transfer_interference(matrix, order)
        values["G"] = gain_on_easier(matrix, order)
        values["E"] = score_on_easier(matrix, order)
    facts = {
        "frames": summary["frames"],
        "wall_s": summary["wall_s"],
        "processor": described.get("machine", {}).get("processor", ""),
        "commit": described["git_commit"],
    }
    return Run(part, game, "/".join(arm), int(seed.removeprefix("seed-")), values, facts)


def load(evidence: Path = EVIDENCE) -> list[Run]:
    """Read all runs whose saved agents have played."""
    return [load_run(path.parent, evidence) for path in sorted(evidence.glob("**/plays.csv"))]


class Evidence:
    """All runs, with the statistics over them.

    Args:
        runs: Runs, as `load` reads them.
        confidence: Coverage of all intervals.
    """

    def __init__(self, runs: Iterable[Run], confidence: float = CONFIDENCE) -> None:
        self.confidence = confidence
        self.runs = sorted(runs, key=lambda run: (run.part, run.game, run.arm, run.seed))
        self.by_arm: dict[Key, list[Run]] = {}
        for run in self.runs:
            part = run.part.removesuffix(CONTROLS)
            self.by_arm.setdefault((part, run.game, run.arm), []).append(run)

    def has(self, part: str) -> bool:
        """Return whether there is a run of a part or of its controls."""
        return any(part == of for of, _, _ in self.by_arm)

    def values(self, part: str, game: str, arm: str, name: str) -> NDArray[np.float64]:
        """Return a measured value of every run of an arm, by seed; none where the arm was not run."""
        return np.array([run.values[name] for run in self.by_arm.get((part, game, arm), [])])

    def estimate(self, part: str, game: str, arm: str, name: str) -> Estimate:
        """Return the interquartile mean over seeds with its bootstrap interval."""
        return interquartile_estimate(self.values(part, game, arm, name), self.confidence)

    def improvement(
        self, ours: tuple[str, str], theirs: tuple[str, str], name: str, games: Sequence[str] = GAMES
    ) -> Estimate | None:
        """Return the probability that an arm is above another over some games.

        None unless both have `LEAST_SEEDS` on each of these games: what is known of one game says nothing of two.

        Args:
            ours: Part and arm.
            theirs: Part and arm to compare with.
            name: One of `MEASURED`.
            games: Games to look at.
        """
        pairs = self._pairs(ours, theirs, name, games)
        fewest = min((min(len(x), len(y)) for x, y in pairs), default=0)
        return probability_of_improvement(pairs, self.confidence) if fewest >= LEAST_SEEDS else None

    def _pairs(
        self, ours: tuple[str, str], theirs: tuple[str, str], name: str, games: Sequence[str]
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        return [
            (self.values(ours[0], game, ours[1], name), self.values(theirs[0], game, theirs[1], name)) for game in games
        ]

    def growth(self, arms: tuple[str, str], first: tuple[str, str], last: tuple[str, str], name: str) -> Estimate:
        """Return by how much the probability that an arm is above another is higher in a last cell than in a first.

        Args:
            arms: The arm, and the other.
            first: Part and cell, both with `LEAST_SEEDS` of each arm.
            last: Part and cell likewise.
            name: One of `MEASURED`.
        """
        cells = [
            self._pairs((part, cell + arms[0]), (part, cell + arms[1]), name, GAMES) for part, cell in (last, first)
        ]
        return improvement_difference(*cells, confidence=self.confidence)

    def cosine_against_bti(self, game: str) -> tuple[float, float]:
        """Return the rank correlation of cosine and BTI within the arms of `state` on a game, and its p-value.

        Ranks are those within an arm, less their mean, so that differences between arms do not enter. The p-value is
        two-sided, by permutation within arms.
        """
        cosines, losses = [], []
        for (part, name, arm), runs in self.by_arm.items():
            points = np.array([[run.values["cosine"], run.values["BTI"]] for run in runs])
            points = points[~np.isnan(points).any(axis=1)]
            if (part, name) == ("state", game) and arm in LEARNING_ARMS and len(points) > 1:
                cosines.append(stats.rankdata(points[:, 0]) - (len(points) + 1) / 2)
                losses.append(stats.rankdata(points[:, 1]) - (len(points) + 1) / 2)
        if not cosines:
            return NAN, NAN
        lengths = [np.linalg.norm(np.concatenate(ranks)) for ranks in (cosines, losses)]
        rng = np.random.default_rng(0)
        found = np.concatenate(cosines) @ np.concatenate(losses)
        drawn = [sum(one @ rng.permutation(other) for one, other in zip(cosines, losses, strict=True))
                 for _ in range(PERMUTATIONS)]  # fmt: skip
        extreme = np.sum(np.abs(drawn) >= abs(found) - 1e-9)
        return float(found / np.prod(lengths)), float((extreme + 1) / (PERMUTATIONS + 1))


def estimate_cell(estimate: Estimate, digits: int = 1) -> str:
    """Return an estimate as text, without an interval where one run gives none.

    >>> estimate_cell(Estimate(1.0, 0.5, 1.25), 2), estimate_cell(Estimate(1.0, NAN, NAN), 2)
    ('1.00 [0.50, 1.25]', '1.00')
    """
    value, low, high = (float(part) for part in estimate)
    if np.isnan(low):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def above(estimate: Estimate, level: float) -> bool:
    """Return whether the whole interval is above a level."""
    return float(estimate.low) > level


def below(estimate: Estimate, level: float) -> bool:
    """Return whether the whole interval is below a level."""
    return float(estimate.high) < level
