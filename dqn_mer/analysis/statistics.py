"""Statistics across seeds: interquartile means, stratified bootstrap intervals, probability of improvement.

After Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv 2108.13264). A
stratum is what is resampled by itself, with replacement: the runs of one agent on one game.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dqn_mer.analysis.metrics import FloatArray

CONFIDENCE = 0.95
RESAMPLES = 2_000
RESAMPLES_OF_EPISODES = 9_999
BATCH_OF_EPISODES = 1_000  # resamples held in memory at a time: 8 kB per score
BATCH_NUMBERS = 4_000_000  # resampled numbers held in memory at a time: 32 MB


class Estimate(NamedTuple):
    """A value with its interval, at 95% if nothing else is said, each a float or an array.

    NaN bounds where a single run gives none; NaN throughout where a run has no value.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray


def interquartile_mean(scores: ArrayLike, axis: int = 0) -> FloatArray:
    """Return the mean of the middle half along `axis`: a quarter of the runs, rounded down, is left out at each end.

    NaN where any of the runs is.

    >>> float(interquartile_mean([0.0, 1.0, 2.0, 6.0, 100.0]))
    3.0
    """
    from scipy import stats  # here and below, since it takes half as long to load as PyTorch, and play needs it last

    unknown = np.isnan(scores).any(axis=axis)  # which SciPy 1.11 takes for the largest number, and leaves out
    return np.where(unknown, np.nan, stats.trim_mean(scores, 0.25, axis=axis))


def interquartile_estimate(scores: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Return the interquartile mean over runs with its interval, for scores of shape (runs, ...), resampled by run.

    Args:
        scores: Scores, at least one run.
        confidence: Coverage of the interval, strictly between 0 and 1.

    Raises:
        ValueError: if there is no run.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim == 0 or len(values) == 0:
        raise ValueError(f"scores must hold at least one run, got shape {values.shape}")
    return Estimate(interquartile_mean(values), *_interval([values], interquartile_mean, confidence))


def probability_of_improvement(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]], confidence: float = CONFIDENCE
) -> Estimate:
    """Return the mean over games of the probability that a run of X scores above one of Y, with its interval.

    Args:
        pairs: Scores of X, of shape (n,), and of Y, of shape (m,), for each game; each is a stratum. Ties count half.
        confidence: Coverage of the interval, strictly between 0 and 1.

    Raises:
        ValueError: if there is no game, or a game without runs.

    >>> float(probability_of_improvement([([3.0, 1.0], [0.0, 1.0])]).value)
    0.875
    """
    strata = _strata(pairs)
    return Estimate(_mean_superiority(*strata), *_interval(strata, _mean_superiority, confidence))


def improvement_difference(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    others: Sequence[tuple[ArrayLike, ArrayLike]],
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Return by how much the probability of improvement is higher in ``pairs`` than in ``others``, with its interval.

    Args:
        pairs: As `probability_of_improvement` takes them.
        others: The same under other conditions, such as with a larger memory.
        confidence: Coverage of the interval, strictly between 0 and 1.

    Raises:
        ValueError: if either has no game, or a game without runs.

    >>> float(improvement_difference([([3.0, 1.0], [0.0, 1.0])], [([1.0], [1.0])]).value)
    0.375
    """
    strata, rest = _strata(pairs), _strata(others)

    def difference(*both: FloatArray, axis: int = -1) -> FloatArray:
        ours, theirs = (_mean_superiority(*part, axis=axis) for part in (both[: len(strata)], both[len(strata) :]))
        return ours - theirs

    return Estimate(difference(*strata, *rest), *_interval([*strata, *rest], difference, confidence))


def _strata(pairs: Sequence[tuple[ArrayLike, ArrayLike]]) -> list[FloatArray]:
    """Return the scores of X and of Y for each game in turn."""
    strata = [np.asarray(scores, dtype=np.float64) for pair in pairs for scores in pair]
    if not strata or any(scores.ndim != 1 or scores.size == 0 for scores in strata):
        raise ValueError("every game needs scores of shape (runs,) for both, at least one run each")
    return strata


def _mean_superiority(*strata: FloatArray, axis: int = -1) -> FloatArray:
    """Return the mean over games of P(X > Y) + P(X = Y) / 2; `strata` are X, Y of each game in turn."""
    shares = []
    for ours, theirs in zip(strata[::2], strata[1::2], strict=True):
        difference = np.moveaxis(ours, axis, -1)[..., :, None] - np.moveaxis(theirs, axis, -1)[..., None, :]
        shares.append((np.sign(difference).mean(axis=(-2, -1)) + 1) / 2)
    return np.asarray(np.mean(shares, axis=0))


def _interval(
    strata: Sequence[FloatArray], statistic: Callable[..., FloatArray], confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Return the percentile bootstrap interval; runs are on axis 0 and resampled within each stratum."""
    if min(len(scores) for scores in strata) < 2:
        nothing = np.full(strata[0].shape[1:], np.nan)
        return nothing, nothing
    unknown = np.any([np.isnan(scores).any(axis=0) for scores in strata], axis=0)
    strata = [np.where(unknown, 0.0, scores) for scores in strata]  # which has an interval; it is taken away below
    from scipy import stats

    interval = stats.bootstrap(
        strata,
        statistic,
        axis=0,
        n_resamples=RESAMPLES,
        batch=max(1, min(RESAMPLES, BATCH_NUMBERS // sum(scores.size for scores in strata))),
        vectorized=True,
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(0),  # the keyword that every SciPy from 1.11 on takes
    ).confidence_interval
    return np.where(unknown, np.nan, interval.low), np.where(unknown, np.nan, interval.high)


def mean_interval(scores: ArrayLike, confidence: float = CONFIDENCE, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean of the scores with its percentile bootstrap interval.

    Args:
        scores: Scores, of shape (n,), n >= 1.
        confidence: Coverage of the interval, strictly between 0 and 1.
        seed: Seed of the resampling, so that the same scores give the same interval.

    Returns:
        (mean, low, high); all three are equal for one score or for equal scores.

    Raises:
        ValueError: if there are no scores, one is not finite, or `confidence` is outside (0, 1).
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"scores must be a list of at least one finite number, got shape {values.shape}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    if (values == values[0]).all():
        return float(values[0]), float(values[0]), float(values[0])
    from scipy import stats

    interval = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES_OF_EPISODES,
        batch=BATCH_OF_EPISODES,
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(values.mean()), float(interval.low), float(interval.high)
