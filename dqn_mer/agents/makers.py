"""What the agents are made of: memories and replay steps, side by side; nothing else differs between agents.

Each function makes one part from the `AgentContext`. Which agent has which is in `dqn_mer.config.agent_registry`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
from torch.optim import Optimizer

from dqn_mer.agents.dqn import ReplayUpdate
from dqn_mer.agents.efficient_mer import EfficientMERUpdate
from dqn_mer.agents.hare_tortoise import HareTortoiseUpdate
from dqn_mer.agents.memory import FifoMemory, Memory, ReservoirMemory
from dqn_mer.config.config import Config
from dqn_mer.config.seeds import Streams
from dqn_mer.fast.choose import make_learner, make_mini_batch
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import MERUpdate
from dqn_mer.networks.weights import FlatWeights


class AgentContext(NamedTuple):
    """What an agent's memory and replay step are made from.

    Attributes:
        config: Configuration of the run.
        options: Options of the agent: an instance of the dataclass that it was registered with.
        space: Observations of the environment.
        weights: Weights of the network that acts and learns.
        optimizer: Takes the steps, over the weights as one vector.
        streams: Random generators of the run. A replay step that draws takes ``streams.ordering``, and has its state
            in ``get_state``, so that a resumed run draws the same.
    """

    config: Config
    options: Any
    space: gymnasium.spaces.Box
    weights: FlatWeights
    optimizer: Optimizer
    streams: Streams


def fifo(parts: AgentContext) -> Memory:
    """Return a memory of the newest transitions."""
    return FifoMemory(parts.config.capacity, parts.space.shape, parts.space.dtype)


def reservoir(parts: AgentContext) -> Memory:
    """Return a memory in which every transition so far is as likely to be as any other."""
    return ReservoirMemory(parts.config.capacity, parts.space.shape, parts.space.dtype, parts.streams.reservoir)


def mini_batch(parts: AgentContext) -> ReplayUpdate:
    """Return ordinary replay: one step on the mean loss."""
    return make_mini_batch(parts.weights, HuberTDLoss(), parts.optimizer, parts.config.batch_size)


def mer(parts: AgentContext) -> ReplayUpdate:
    """Return MER's replay step."""
    learner = make_learner(parts.weights, HuberTDLoss(), parts.optimizer, parts.config.cuda_graph)
    return MERUpdate(parts.weights, learner, parts.options, parts.streams.ordering)


def efficient_mer(parts: AgentContext) -> ReplayUpdate:
    """Return ordinary replay with a Reptile step now and then."""
    return EfficientMERUpdate(parts.weights, mini_batch(parts), parts.options)


def hare_tortoise(parts: AgentContext) -> ReplayUpdate:
    """Return ordinary replay with weights reset to their slow average."""
    return HareTortoiseUpdate(parts.weights, mini_batch(parts), parts.options)
