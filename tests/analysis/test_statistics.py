import itertools
from functools import partial

import numpy as np
import pytest
from scipy import stats

from dqn_mer.analysis.statistics import (
    improvement_difference,
    interquartile_estimate,
    interquartile_mean,
    mean_interval,
    probability_of_improvement,
)


def test_interquartile_mean_leaves_out_a_quarter_at_each_end() -> None:
    assert interquartile_mean([100.0, 1.0, 2.0, 3.0, -50.0]) == 2.0  # (1 + 2 + 3) / 3
    assert interquartile_mean([0.0, 2.0, 4.0, 100.0]) == 3.0  # (2 + 4) / 2
    assert interquartile_mean([1.0, 5.0, 9.0]) == 5.0  # a quarter of three runs is none
    assert interquartile_mean([[1.0, 2.0], [3.0, 4.0]]).tolist() == [2.0, 3.0]


def test_a_run_without_a_value_leaves_no_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    def trimmed(scores: np.ndarray, share: float, axis: int) -> np.ndarray:
        """SciPy 1.11's, for shares of a quarter: NaN is sorted last, and cut."""
        cut = int(share * np.shape(scores)[axis])
        return np.mean(np.take(np.sort(scores, axis), range(cut, np.shape(scores)[axis] - cut), axis), axis)

    for version in (stats.trim_mean, trimmed):
        monkeypatch.setattr(stats, "trim_mean", version)
        rows = [[1.0, 1.0], [2.0, np.nan], [3.0, 3.0], [4.0, 4.0]]
        assert interquartile_mean(rows) == pytest.approx([2.5, np.nan], nan_ok=True)
        assert interquartile_mean(np.transpose(rows), axis=1) == pytest.approx([2.5, np.nan], nan_ok=True)
        assert np.isnan(interquartile_mean([0.0, 1.0, 2.0, np.nan]))


def test_interval_of_two_runs_is_that_of_all_four_resamples() -> None:
    # Means of resamples of (0, 1): 0, 0.5, 0.5, 1, each with probability 1/4, so that the 2.5% and 97.5% ends are 0, 1.
    assert [float(part) for part in interquartile_estimate([0.0, 1.0])] == [0.5, 0.0, 1.0]


def test_interval_has_the_ends_of_the_exact_bootstrap_distribution() -> None:
    runs = [1.0, 2.0, 4.0, 8.0]
    exact = [stats.trim_mean(resample, 0.25) for resample in itertools.product(runs, repeat=4)]
    value, low, high = interquartile_estimate(runs)
    assert value == 3.0
    assert (low, high) == pytest.approx(np.percentile(exact, [2.5, 97.5]), abs=0.26)


def test_runs_are_resampled_whole() -> None:
    scores = np.random.default_rng(0).normal(size=(6, 1))
    both = interquartile_estimate(np.hstack([scores, -scores]))
    assert both.low.shape == (2,)
    assert both.low == pytest.approx(-both.high[::-1])


def test_where_a_run_has_no_value_there_is_no_interval_and_elsewhere_it_stays() -> None:
    rows = np.array([[1.0, 1.0], [2.0, np.nan], [4.0, 3.0]])
    both, first = interquartile_estimate(rows), interquartile_estimate(rows[:, 0])
    assert [float(part[0]) for part in both] == [float(part) for part in first]
    assert all(np.isnan(part[1]) for part in both)
    assert np.isnan(list(probability_of_improvement([([1.0, np.nan], [0.0, 2.0])]))).all()


def test_one_run_has_no_interval_and_equal_runs_an_empty_one() -> None:
    value, low, high = interquartile_estimate([3.0])
    assert value == 3.0 and np.isnan(low) and np.isnan(high)
    assert [float(part) for part in interquartile_estimate([2.0, 2.0, 2.0])] == [2.0, 2.0, 2.0]


def test_probability_of_improvement_is_the_mann_whitney_statistic() -> None:
    # pairs: 3 > 1, 3 > 2, 1 = 1 (half), 1 < 2
    assert probability_of_improvement([([3.0, 1.0], [1.0, 2.0])]).value == 0.625
    generator = np.random.default_rng(1)
    ours, theirs = generator.integers(0, 5, 7).astype(float), generator.integers(0, 5, 9).astype(float)
    expected = stats.mannwhitneyu(ours, theirs).statistic / (7 * 9)
    assert probability_of_improvement([(ours, theirs)]).value == pytest.approx(expected)


def test_probability_of_improvement_is_averaged_over_games_and_resampled_within_them() -> None:
    estimate = probability_of_improvement([([5.0, 6.0], [1.0, 2.0]), ([0.0, 1.0], [10.0, 20.0])])
    # Pooled, the games' scores would overlap; within each game the order never changes.
    assert [float(part) for part in estimate] == [0.5, 0.5, 0.5]


def test_an_interval_of_higher_confidence_is_wider() -> None:
    ours, theirs = np.random.default_rng(2).normal(size=(2, 10))
    pairs, others = [(ours + 0.5, theirs)], [(ours, theirs)]
    for estimate in (
        partial(interquartile_estimate, ours),
        partial(probability_of_improvement, pairs),
        partial(improvement_difference, pairs, others),
    ):
        usual, wide = estimate(), estimate(confidence=0.99)
        assert wide.value == usual.value and wide.low < usual.low < usual.high < wide.high
        assert estimate(confidence=0.95) == usual


@pytest.mark.parametrize("scores", [[], 3.0])
def test_no_runs(scores: object) -> None:
    with pytest.raises(ValueError, match="at least one run"):
        interquartile_estimate(scores)
    with pytest.raises(ValueError, match="at least one run"):
        probability_of_improvement([([1.0], [])])


def test_mean_interval() -> None:
    scores = [0.0, 1.0, 2.0, 3.0, 10.0]
    mean, low, high = mean_interval(scores)
    assert mean == 3.2 and 0.0 <= low < mean < high <= 10.0
    assert mean_interval(scores) == (mean, low, high)
    narrow = mean_interval(scores, confidence=0.5)
    assert low < narrow[1] < narrow[2] < high
    normal = np.random.default_rng(0).normal(size=400)
    _, low, high = mean_interval(normal)
    assert high - low == pytest.approx(2 * 1.96 * normal.std() / 20, rel=0.05)  # the central limit theorem's interval


@pytest.mark.parametrize("scores", [[7.0], [0.1, 0.1, 0.1]])
def test_mean_interval_without_spread(scores: list[float]) -> None:
    assert mean_interval(scores) == (scores[0],) * 3


@pytest.mark.parametrize(
    ("scores", "confidence", "message"),
    [([], 0.95, "at least one"), ([float("nan")], 0.95, "finite"), ([1.0, 2.0], 1.0, "confidence")],
)
def test_no_interval_of_bad_scores(scores: list[float], confidence: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_interval(scores, confidence)


def test_difference_of_two_probabilities_of_improvement() -> None:
    rng = np.random.default_rng(0)
    pairs, others = ([(rng.normal(shift, 1, 8), rng.normal(0, 1, 8)) for _ in range(2)] for shift in (3.0, 0.0))
    found = improvement_difference(pairs, others)
    values = [float(probability_of_improvement(each).value) for each in (pairs, others)]
    assert found.value == pytest.approx(values[0] - values[1])
    assert 0 < found.low < found.value < found.high < 1
    same = improvement_difference(others, others)
    assert same.low < same.value == 0 < same.high
    with pytest.raises(ValueError, match="at least one run each"):
        improvement_difference(pairs, [])
