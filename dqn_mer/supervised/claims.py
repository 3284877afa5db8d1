"""The authors' claims about MER and its baselines, each compared with the user's runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FORMS = ("mer-1", "mer-6", "mer-6-last", "mer-7")
LEAST_SEEDS = 5
"""Fewest seeds of a verdict."""
SIGNIFICANT = 0.05
KINDS = ("authors", "elsewhere", "compute")
REPEATED = " > er-repeated"
PUBLISHED_SIZES = {
    "rotations": (5120, 500, 200),
    "permutations": (5120, 500, 200),
    "many-permutations": (5120, 500),
}
"""Memory sizes with which the authors ran each stream."""

Cell = tuple[str, str, int]
"""Stream, learner and memory size; 0 for a learner without a memory of this kind."""
Scores = Mapping[Cell, Mapping[int, float]]
"""Retained accuracy in percent, by cell and by seed."""


class Claim(NamedTuple):
    """A claim with the result of the runs.

    Attributes:
        claim: The claim in words.
        where: Stream and memory size.
        published: Whether the authors ran it there.
        seeds: Number of seeds.
        difference: Mean over seeds, in points, that should be above 0.
        low: Lower end of Student's 95% interval over seeds; NaN for a single seed.
        high: Upper end of the interval.
        p: Two-sided p-value of Student's test against 0, by Holm's method for all claims of the same kind; NaN for a
            single seed.
    """

    claim: str
    where: str
    published: bool
    seeds: int
    difference: float
    low: float
    high: float
    p: float

    @property
    def kind(self) -> str:
        """Kind of the claim: the authors' (`authors`), the same where they ran nothing (`elsewhere`), or `compute`.

        The last compares MER with replay of as many batches, `er-repeated`.
        """
        if self.claim.endswith(REPEATED):
            return "compute"
        return "authors" if self.published else "elsewhere"

    @property
    def verdict(self) -> str:
        """Verdict on the claim, on these seeds.

        >>> Claim("MER > ER", "rotations", True, 5, 2.0, -0.5, 4.5, 0.09).verdict
        'undecided'
        """
        if self.seeds < LEAST_SEEDS:
            return "too few seeds"
        if not self.p < SIGNIFICANT:
            return "undecided"
        return "held" if self.difference > 0 else "not held"


def claims(scores: Scores) -> list[Claim]:
    """Return every claim that the runs can test, those that the authors published first.

    Differences are taken seed by seed.
    """
    tested = [claim for claim in _all_claims(scores) if claim.seeds]
    kinds = [[claim for claim in tested if claim.kind == kind] for kind in KINDS]
    return [
        claim._replace(p=float(p))
        for kind in kinds
        for claim, p in zip(kind, _holm([claim.p for claim in kind]), strict=True)
    ]


def _holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Return p-values adjusted for their number by Holm's method; NaN stays.

    >>> _holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.array(p_values, np.float64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known])]
    factors = np.arange(len(known), 0, -1)
    values[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return values


def _all_claims(scores: Scores) -> Iterator[Claim]:
    streams = list(dict.fromkeys(stream for stream, _, _ in scores))
    sizes = sorted({memory for *_, memory in scores if memory}, reverse=True)
    pairs = [(form, other) for form in FORMS for other in ("er", "gem")] + [("er", "gem"), ("gem", "ewc")]
    for stream, memory, (better, worse) in itertools.product(streams, sizes, pairs):
        cells = [(stream, name, 0 if name == "ewc" else memory) for name in (better, worse)]
        where = f"{stream}, memory {memory:,}"
        yield _claim(f"{better} > {worse}", where, _ran(stream, memory), _difference(scores, *cells))
    for stream, memory, form in itertools.product(streams, sizes, FORMS):
        difference = _difference(scores, (stream, form, memory), (stream, "er-repeated", memory))
        yield _claim(form + REPEATED, f"{stream}, memory {memory:,}", False, difference)
    for stream in streams:
        difference = _difference(scores, (stream, "ewc", 0), (stream, "online", 0))
        yield _claim("ewc > online", stream, stream in PUBLISHED_SIZES, difference)
    for stream, form in itertools.product(streams, FORMS):
        present = [memory for memory in sizes if (stream, form, memory) in scores]
        for large, small in itertools.pairwise(present):
            claim = f"the lead of {form} over er is larger with memory {small:,} than with {large:,}"
            leads = [_difference(scores, (stream, form, m), (stream, "er", m)) for m in (small, large)]
            yield _claim(claim, stream, _ran(stream, small, large), _minus(*leads))
    for memory, form in itertools.product(sizes, FORMS):
        often, seldom = "many-permutations", "permutations"
        claim = f"the lead of {form} over er is larger where tasks switch more often ({often}, {seldom})"
        leads = [_difference(scores, (stream, form, memory), (stream, "er", memory)) for stream in (often, seldom)]
        yield _claim(claim, f"memory {memory:,}", _ran(often, memory), _minus(*leads))


def _ran(stream: str, *memories: int) -> bool:
    """Return whether the authors ran a stream with these memory sizes."""
    return set(memories) <= set(PUBLISHED_SIZES.get(stream, ()))


def _difference(scores: Scores, better: Cell, worse: Cell) -> dict[int, float]:
    return _minus(scores.get(better, {}), scores.get(worse, {}))


def _minus(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[int, float]:
    """Return the differences of the seeds that both have."""
    return {seed: ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())}


def _claim(claim: str, where: str, published: bool, differences: Mapping[int, float]) -> Claim:
    values = np.array(list(differences.values()))
    nothing = float("nan")
    if len(values) < 2:
        mean = float(values[0]) if len(values) else nothing
        return Claim(claim, where, published, len(values), mean, nothing, nothing, nothing)
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return Claim(claim, where, published, len(values), mean, mean, mean, float(mean == 0))
    test = stats.ttest_1samp(values, 0.0)
    interval = test.confidence_interval()
    return Claim(
        claim, where, published, len(values), mean, float(interval.low), float(interval.high), float(test.pvalue)
    )
