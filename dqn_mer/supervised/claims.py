"""The authors' claims about MER and its baselines, each compared with the user's runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 9_999
FORMS = ("mer-1", "mer-6", "mer-7")

Cell = tuple[str, str, int]
"""Stream, learner and memory size; 0 for a learner without a memory of this kind."""
Scores = Mapping[Cell, Mapping[int, float]]
"""Retained accuracy in percent, by cell and by seed."""


class Claim(NamedTuple):
    """A claim with the result of the runs.

    Attributes:
        claim: The claim in words.
        where: Stream and memory size.
        difference: Mean over seeds, in points, that should be above 0.
        low: Lower end of its 95% bootstrap interval over seeds; equal to the mean for a single seed.
        high: Upper end of the interval.
        seeds: Number of seeds that it is the mean over.
    """

    claim: str
    where: str
    difference: float
    low: float
    high: float
    seeds: int

    @property
    def verdict(self) -> str:
        """Verdict on the claim, on these seeds.

        >>> Claim("MER > ER", "rotations", 2.0, -0.5, 4.0, 5).verdict
        'undecided'
        """
        if self.seeds < 2:
            return "one seed only"
        return "held" if self.low > 0 else "not held" if self.high < 0 else "undecided"


def claims(scores: Scores) -> list[Claim]:
    """Return every claim that the runs can test: differences are taken seed by seed."""
    return [claim for claim in _all_claims(scores) if claim.seeds]


def _all_claims(scores: Scores) -> Iterator[Claim]:
    streams = list(dict.fromkeys(stream for stream, _, _ in scores))
    sizes = sorted({memory for *_, memory in scores if memory}, reverse=True)
    for stream, memory in itertools.product(streams, sizes):
        where = f"{stream}, memory {memory:,}"
        for form in FORMS:
            yield _claim(f"{form} > er", where, _difference(scores, (stream, form, memory), (stream, "er", memory)))
        for better, worse in (("er", "gem"), ("gem", "ewc")):
            pair = [(stream, name, 0 if name == "ewc" else memory) for name in (better, worse)]
            yield _claim(f"{better} > {worse}", where, _difference(scores, *pair))
    for stream in streams:
        yield _claim("ewc > online", stream, _difference(scores, (stream, "ewc", 0), (stream, "online", 0)))
    for stream, form in itertools.product(streams, FORMS):
        present = [memory for memory in sizes if (stream, form, memory) in scores]
        for large, small in itertools.pairwise(present):
            leads = [_difference(scores, (stream, form, m), (stream, "er", m)) for m in (small, large)]
            claim = f"the lead of {form} over er is larger with memory {small:,} than with {large:,}"
            yield _claim(claim, stream, _minus(*leads))
    for memory, form in itertools.product(sizes, FORMS):
        leads = [
            _difference(scores, (stream, form, memory), (stream, "er", memory))
            for stream in ("many-permutations", "permutations")
        ]
        claim = f"the lead of {form} over er is larger where tasks switch more often (many-permutations, permutations)"
        yield _claim(claim, f"memory {memory:,}", _minus(*leads))


def _difference(scores: Scores, better: Cell, worse: Cell) -> dict[int, float]:
    return _minus(scores.get(better, {}), scores.get(worse, {}))


def _minus(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[int, float]:
    """Return the differences of the seeds that both have."""
    return {seed: ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())}


def _claim(claim: str, where: str, differences: Mapping[int, float]) -> Claim:
    values = np.array(list(differences.values()))
    if not len(values):
        return Claim(claim, where, float("nan"), float("nan"), float("nan"), 0)
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return Claim(claim, where, mean, mean, mean, len(values))
    interval = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    return Claim(claim, where, mean, float(interval.low), float(interval.high), len(values))
