"""Random play on every setting: the floor of every comparison, and the base of forward transfer."""

from __future__ import annotations

from continual_ple.tasks import Task
from dqn_mer.config.config import Config
from dqn_mer.config.seeds import Streams
from dqn_mer.evaluation.evaluator import Evaluator, RandomPolicy


def score_random_play(task: Task, config: Config, streams: Streams) -> list[float]:
    """Return the mean score of random play on each setting, over the episodes of an evaluation."""
    evaluator = make_evaluator(task, config, streams)
    results = evaluator.run(RandomPolicy(task.action_probabilities, streams.random_policy))
    evaluator.close()
    return [result.row().score_mean for result in results]


def make_evaluator(task: Task, config: Config, streams: Streams) -> Evaluator:
    """Return what plays the evaluation episodes of a run."""
    return Evaluator(
        lambda setting: task.agents_env(setting, frame_limit=config.eval_frame_limit),
        task.schedule.settings,
        config.eval_episodes,
        streams.evaluation,
    )
