"""Evaluation in the calling process, and its plan, which any process can follow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from continual_ple.tasks import Task
from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.evaluation.evaluator import Evaluator, GreedyPolicy, RandomPolicy
from dqn_mer.networks.device import processor
from dqn_mer.networks.q_network import network_from_spec
from dqn_mer.networks.weights import FlatWeights

Finished = list[tuple[int, list[EvaluationRow]]]
"""Frames with their rows, one for each setting, in the order of submission."""


class EvaluationPlan(NamedTuple):
    """Plan of an evaluation that any process can follow.

    Attributes:
        task: Task whose settings are played.
        network: Description of the network, as `network_spec` makes it.
        episodes: Episodes per setting and evaluation.
        frame_limit: Frames after which an episode is truncated.
        seed: Seed of the episodes.
    """

    task: Task
    network: dict[str, Any]
    episodes: int
    frame_limit: int
    seed: int


def make_evaluator(plan: EvaluationPlan) -> Evaluator:
    """Return what plays the episodes of a plan."""
    return Evaluator(
        lambda setting: plan.task.agents_env(setting, frame_limit=plan.frame_limit),
        plan.task.schedule.settings,
        plan.episodes,
        plan.seed,
    )


def score_random_play(plan: EvaluationPlan, rng: np.random.Generator) -> list[float]:
    """Return the mean score of random play on each setting, whose actions are drawn from ``rng``."""
    evaluator = make_evaluator(plan)
    results = evaluator.run(RandomPolicy(plan.task.action_probabilities, rng))
    evaluator.close()
    return [result.row().score_mean for result in results]


class InlineEvaluation:
    """Evaluates at each call, in this process, on a separate network."""

    def __init__(self, plan: EvaluationPlan, device: torch.device) -> None:
        model = network_from_spec(plan.network).to(device)
        self.weights = FlatWeights(model)
        self.policy = GreedyPolicy(model, device)
        self.evaluator = make_evaluator(plan)
        self._finished: Finished = []

    def submit(self, frame: int, weights: Tensor) -> None:
        """Evaluate ``weights``, the vector of a `FlatWeights`, as those at ``frame``."""
        self.weights.load(weights)
        with processor(1):  # as in the worker, so that scores do not depend on which of the two it is
            self._finished.append((frame, [result.row() for result in self.evaluator.run(self.policy)]))

    def finished(self, wait: bool = False) -> Finished:
        """Return, once each, the evaluations that are done."""
        done, self._finished = self._finished, []
        return done

    def waiting(self) -> list[tuple[int, bytes]]:
        """Return frames and weights (float32) that are not evaluated yet: none, ever."""
        return []

    def close(self) -> None:
        """Close the environments."""
        self.evaluator.close()
