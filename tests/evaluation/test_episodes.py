"""What an evaluation says of its episodes, by hand, and the odds of random play."""

from __future__ import annotations

import numpy as np
import pytest

from continual_ple import Setting
from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.evaluation.evaluator import Evaluator, RandomPolicy, SettingResult


def test_a_row_sums_up_the_episodes() -> None:
    scores, returns, lengths = np.array([1.0, 4.0, 4.0]), np.array([-2.0, 1.0, 4.0]), np.array([10, 20, 60])
    row = SettingResult(2, Setting("slow", {"speed": 1.0}), scores, returns, lengths).row()
    assert row == EvaluationRow(
        setting_index=2, setting="slow", episodes=3, score_mean=3.0, score_std=pytest.approx(2**0.5), score_best=4.0,
        return_mean=1.0, length_mean=30.0,
    )  # fmt: skip


def test_scores_are_the_pellets_caught_and_returns_have_the_losses_too() -> None:
    """Each of the three misses costs a point, and the loss of the game five more."""
    task = game_task(default_config(game="catcher", observation="state", settings=(0.3, 0.35)))
    evaluator = Evaluator(lambda setting: task.make_env(setting, 5_000), task.schedule.settings, episodes=8, seed=1)
    results = evaluator.run(lambda observations: np.full(len(observations), 2))  # stands still
    evaluator.close()
    caught = np.concatenate([result.scores for result in results])
    assert len(set(caught.tolist())) > 1 and caught.min() >= 0
    assert set((caught - np.concatenate([result.returns for result in results])).tolist()) == {3 * 1.0 + 5.0}


def test_random_play_has_its_odds() -> None:
    policy = RandomPolicy(np.array([0.1, 0.0, 0.9]), np.random.default_rng(0))
    shares = np.bincount(policy(np.zeros((20_000, 1))), minlength=3) / 20_000
    assert shares.tolist() == pytest.approx([0.1, 0.0, 0.9], abs=0.01)  # over 4 standard deviations
