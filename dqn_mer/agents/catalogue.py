"""The agents, side by side: each is a memory and a replay step, and nothing else differs between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import gymnasium
from torch.optim import Optimizer

from dqn_mer.agents.dqn import ReplayUpdate
from dqn_mer.agents.efficient_mer import EfficientMERUpdate
from dqn_mer.agents.hare_tortoise import HareTortoiseUpdate
from dqn_mer.agents.memory import FifoMemory, Memory, ReservoirMemory
from dqn_mer.agents.targets import HuberTDLoss
from dqn_mer.config.config import Config
from dqn_mer.config.seeds import Streams
from dqn_mer.fast.mini_batch import make_mini_batch
from dqn_mer.fast.sequential import make_learner
from dqn_mer.mer import MERUpdate
from dqn_mer.networks.weights import FlatWeights

MakeMemory = Callable[[Config, gymnasium.spaces.Box, Streams], Memory]
MakeReplay = Callable[[Config, FlatWeights, Optimizer, Streams], ReplayUpdate]


class Arm(NamedTuple):
    """What makes one agent.

    Attributes:
        memory: makes what is drawn from.
        replay: makes the replay step.
        learns: False for random play, which never takes an update.
    """

    memory: MakeMemory
    replay: MakeReplay
    learns: bool = True


def _fifo(config: Config, space: gymnasium.spaces.Box, streams: Streams) -> Memory:
    return FifoMemory(config.capacity, space.shape, space.dtype)


def _reservoir(config: Config, space: gymnasium.spaces.Box, streams: Streams) -> Memory:
    return ReservoirMemory(config.capacity, space.shape, space.dtype, streams.reservoir)


def _mini_batch(config: Config, online: FlatWeights, optimizer: Optimizer, streams: Streams) -> ReplayUpdate:
    return make_mini_batch(online, HuberTDLoss(), optimizer, config.batch_size)


def _mer(config: Config, online: FlatWeights, optimizer: Optimizer, streams: Streams) -> ReplayUpdate:
    learner = make_learner(online, HuberTDLoss(), optimizer, config.cuda_graph)
    return MERUpdate(online, learner, config, streams.ordering)


def _efficient_mer(config: Config, online: FlatWeights, optimizer: Optimizer, streams: Streams) -> ReplayUpdate:
    inner = _mini_batch(config, online, optimizer, streams)
    return EfficientMERUpdate(online, inner, config)


def _hare_tortoise(config: Config, online: FlatWeights, optimizer: Optimizer, streams: Streams) -> ReplayUpdate:
    inner = _mini_batch(config, online, optimizer, streams)
    return HareTortoiseUpdate(online, inner, config)


ARMS: dict[str, Arm] = {
    "dqn": Arm(_fifo, _mini_batch),
    "dqn-reservoir": Arm(_reservoir, _mini_batch),
    "dqn-mer": Arm(_reservoir, _mer),
    "efficient-mer": Arm(_reservoir, _efficient_mer),
    "hare-tortoise": Arm(_reservoir, _hare_tortoise),
    "random": Arm(_fifo, _mini_batch, learns=False),
}
"""By the value of `Config.agent`; which options an agent alone has is in `combinations.OPTIONS_OF_AGENTS`."""
