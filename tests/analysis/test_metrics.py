import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqn_mer.analysis import metrics
from dqn_mer.analysis.metric_table import continual_summary

# Three segments on three settings; every number below is worked by hand.
MATRIX = [[10.0, 4.0, 1.0], [6.0, 12.0, 3.0], [2.0, 8.0, 14.0]]
ORDER = [0, 1, 2]
RANDOM = [0.5, 1.0, 2.0]


def test_plain_schedule() -> None:
    assert metrics.learning_accuracy(MATRIX, ORDER) == 12.0  # (10 + 12 + 14) / 3
    assert metrics.retained_accuracy(MATRIX) == 8.0  # (2 + 8 + 14) / 3
    assert metrics.backward_transfer_interference(MATRIX, ORDER) == -4.0
    assert metrics.forgetting(MATRIX).tolist() == [8.0, 4.0, 0.0]
    # pairs (0, 1), (0, 2), (1, 2): 4 - 1, 1 - 2, 3 - 2
    assert metrics.zero_shot_forward_transfer(MATRIX, RANDOM, ORDER) == pytest.approx(1.0)


def test_schedule_that_comes_back() -> None:
    matrix = [[10.0, 4.0, 1.0], [6.0, 12.0, 3.0], [8.0, 7.0, 5.0]]
    order = [0, 1, 0]
    assert metrics.learning_accuracy(matrix, order) == 10.0  # (10 + 12 + 8) / 3
    assert metrics.forgetting(matrix).tolist() == [2.0, 5.0, 0.0]
    # setting 2 is never trained on: (0, 1), (0, 2), (1, 2), (2, 2): 3, -1, 1, 3
    assert metrics.zero_shot_forward_transfer(matrix, RANDOM, order) == pytest.approx(1.5)


def test_one_segment_and_last_setting() -> None:
    assert metrics.learning_accuracy([[3.0, 5.0]], [1]) == 5.0
    assert metrics.forgetting([[3.0, 5.0]]).tolist() == [0.0, 0.0]
    assert math.isnan(metrics.zero_shot_forward_transfer([[3.0]], [1.0], [0]))


@given(st.integers(1, 6), st.integers(0, 10_000))
def test_forward_transfer_equals_the_papers_formula(settings: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    matrix, random_scores = generator.normal(size=(settings, settings)), generator.normal(size=settings)
    pairs = [matrix[i, j] - random_scores[j] for i in range(settings) for j in range(settings) if i < j]
    result = metrics.zero_shot_forward_transfer(matrix, random_scores, np.arange(settings))
    assert result == pytest.approx(np.mean(pairs) if pairs else math.nan, nan_ok=True)


def test_area_under_curve() -> None:
    # settings' mean is 0, 2, 4 at frames 0, 10, 30: (10 * 1 + 20 * 3) / 30
    scores = [[0.0, 0.0], [1.0, 3.0], [4.0, 4.0]]
    assert metrics.area_under_curve([0, 10, 30], scores) == pytest.approx(70 / 30)
    assert metrics.area_under_curve([500], [[1.0, 3.0]]) == 2.0
    assert metrics.area_under_curve([5, 10], [[3.0], [3.0]]) == 3.0


def test_summary_joins_the_metrics() -> None:
    summary = continual_summary(MATRIX, ORDER, RANDOM, [0, 10], [[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])
    assert summary == {
        "learning_accuracy": 12.0,
        "retained_accuracy": 8.0,
        "backward_transfer_interference": -4.0,
        "forgetting_mean": 4.0,
        "forgetting": [8.0, 4.0, 0.0],
        "zero_shot_forward_transfer": pytest.approx(1.0),
        "area_under_curve": 1.0,
    }
    short = continual_summary(MATRIX, ORDER)
    assert "zero_shot_forward_transfer" not in short and "area_under_curve" not in short
    with pytest.raises(ValueError, match="belong together"):
        continual_summary(MATRIX, ORDER, frames=[0])


BAD_CALLS: list[tuple[Callable[[], object], str]] = [
    (lambda: metrics.learning_accuracy([1.0, 2.0], [0]), "matrix must have the shape"),
    (lambda: metrics.retained_accuracy(np.zeros((0, 3))), "matrix must have the shape"),
    (lambda: metrics.forgetting([[1.0, math.nan]]), "not finite"),
    (lambda: metrics.learning_accuracy(MATRIX, [0, 1]), "for each of 3 segments"),
    (lambda: metrics.learning_accuracy(MATRIX, [0.0, 1.0, 2.0]), "whole number"),
    (lambda: metrics.learning_accuracy(MATRIX, [0, 1, 3]), "settings 0 to 2"),
    (lambda: metrics.learning_accuracy(MATRIX, [0, 1, -1]), "settings 0 to 2"),
    (lambda: metrics.zero_shot_forward_transfer(MATRIX, [1.0], ORDER), "random_scores"),
    (lambda: metrics.zero_shot_forward_transfer(MATRIX, [1.0, 2.0, math.nan], ORDER), "random_scores"),
    (lambda: metrics.area_under_curve([0, 1], [[1.0]]), "do not fit"),
    (lambda: metrics.area_under_curve([], np.zeros((0, 2))), "do not fit"),
    (lambda: metrics.area_under_curve([0, 0], [[1.0], [1.0]]), "increase"),
    (lambda: metrics.area_under_curve([0, 1], [[1.0], [math.inf]]), "finite"),
]


@pytest.mark.parametrize(("call", "message"), BAD_CALLS)
def test_bad_input_is_one_clear_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
