"""Build the learner of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dqn_mer.mer import arrange_batches
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.supervised.gem import AGEMLearner, GEMLearner, TaskMemories
from dqn_mer.supervised.learners import OnlineLearner, StreamLearner, make_mer, make_replay, newest_last
from dqn_mer.supervised.memory import ExampleMemory
from dqn_mer.supervised.options import EWC_EXAMPLES, RunSpec
from dqn_mer.supervised.presets import Rates
from dqn_mer.supervised.regularized import EWCLearner
from dqn_mer.supervised.streams import Stream


def build_learner(
    spec: RunSpec, stream: Stream, weights: FlatWeights, generators: Sequence[np.random.Generator]
) -> StreamLearner:
    """Build the learner that ``spec`` names.

    Args:
        spec: Specification of the run.
        stream: Stream to learn, for the form of its examples and the number of tasks.
        weights: Weights of the model that learns.
        generators: Random generators of the reservoir, of the draws from memory, and of the order within a batch.
    """
    rates = spec.rates
    reservoir, draws, ordering = generators
    like = stream.example(0)[0]
    if spec.learner == "online":
        return OnlineLearner(weights, rates.learning_rate)
    if spec.learner == "ewc":
        return EWCLearner(weights, rates.learning_rate, rates.strength, EWC_EXAMPLES, like)
    if spec.learner in ("gem", "a-gem"):
        memories = TaskMemories(spec.memory // len(stream.tasks), like)
        if spec.learner == "a-gem":
            return AGEMLearner(weights, rates.learning_rate, max(1, rates.batch_size), memories, draws)
        return GEMLearner(weights, rates.learning_rate, rates.strength, memories)
    memory = ExampleMemory(spec.memory, like, reservoir)
    if spec.learner in ("er", "er-repeated"):
        return make_replay(weights, rates.learning_rate, rates.batch_size, memory, draws, rates.num_batches)
    arrange = newest_last if spec.learner == "mer-6-last" else arrange_batches
    return make_mer(weights, rates.learning_rate, mer_parameters(spec.learner, rates), memory, draws, ordering, arrange)


def mer_parameters(learner: str, rates: Rates) -> MERParameters:
    """Return the form of MER that a learner's name stands for.

    >>> mer_parameters("mer-7", Rates(0.03, 50, across_batch_rate=0.03, current_example_boost=5.0)).num_draws
    50
    """
    if learner == "mer-7":
        return MERParameters(
            batch_size=rates.batch_size,
            across_batch_rate=rates.across_batch_rate,
            current_example_boost=rates.current_example_boost,
        )
    return MERParameters(
        batch_size=rates.batch_size,
        num_batches=rates.num_batches,
        within_batch_rate=rates.within_batch_rate if learner == "mer-1" else 1.0,
        across_batch_rate=rates.across_batch_rate,
        one_big_batch=learner != "mer-1",
    )
