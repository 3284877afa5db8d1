"""Build the parts of an agent from a configuration, each with its own stream of random numbers."""

from __future__ import annotations

from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import Optimizer

from dqn_mer.config import Config
from dqn_mer.dqn import DQNAgent, DQNSettings, HuberTDLoss, ReplayUpdate
from dqn_mer.exploration import EpsilonSchedule, Exploration
from dqn_mer.mer import MERParameters, MERUpdate, MiniBatchUpdate
from dqn_mer.networks import FlatWeights, build_network
from dqn_mer.replay import FifoMemory, Memory, ReservoirMemory
from dqn_mer.sequential import make_learner


class Streams(NamedTuple):
    """Seeds and generators of a run, one for each part, so that no part's draws depend on another's."""

    environment: int
    network: int
    evaluation: int
    exploration: np.random.Generator
    reservoir: np.random.Generator
    sampling: np.random.Generator
    ordering: np.random.Generator
    random_policy: np.random.Generator


def spawn_streams(seed: int) -> Streams:
    """Derive every stream of a run from its one seed."""
    children = iter(np.random.SeedSequence(seed).spawn(len(Streams._fields)))

    def whole() -> int:
        return int(next(children).generate_state(1)[0])

    def generator() -> np.random.Generator:
        return np.random.default_rng(next(children))

    return Streams(
        environment=whole(),
        network=whole(),
        evaluation=whole(),
        exploration=generator(),
        reservoir=generator(),
        sampling=generator(),
        ordering=generator(),
        random_policy=generator(),
    )


def choose_device(name: str) -> torch.device:
    """Return the device; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        ValueError: if the device is not there.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if present[kind])
    if not present[name]:
        raise ValueError(
            f"device={name!r}: not available here; must be one of {', '.join(k for k in present if present[k])}"
        )
    return torch.device(name)


def make_optimizer(name: str, weights: FlatWeights, learning_rate: float) -> Optimizer:
    """Return an optimizer over all weights as one vector, made once and kept for the whole run.

    Adam is fused where PyTorch has it (one pass over the weights instead of many); RMSprop is centred, with the
    constants of Mnih et al., 2015.
    """
    if name == "sgd":
        return torch.optim.SGD([weights.vector], lr=learning_rate)
    if name == "adam":
        return torch.optim.Adam([weights.vector], lr=learning_rate, fused=weights.vector.device.type != "mps")
    return torch.optim.RMSprop([weights.vector], lr=learning_rate, alpha=0.95, eps=0.01, centered=True)


def build_agent(config: Config, env: gymnasium.Env[object, object], streams: Streams) -> DQNAgent:
    """Build the agent for an environment with Box observations and Discrete actions.

    Raises:
        ValueError: if the spaces are of another kind.
    """
    space, actions = env.observation_space, env.action_space
    if not isinstance(space, gymnasium.spaces.Box) or not isinstance(actions, gymnasium.spaces.Discrete):
        raise ValueError(f"environment: must have Box observations and Discrete actions, has {space} and {actions}")
    device = choose_device(config.device)

    def network() -> FlatWeights:
        model = build_network(space.shape, int(actions.n), config.hidden_sizes, streams.network)
        return FlatWeights(model.to(device))

    online, target = network(), network()
    settings = DQNSettings(config.discount, config.target_sync_frames, config.warmup_frames, config.double_q)
    replay = build_replay(config, online, streams)
    memory = build_memory(config, space, streams)
    return DQNAgent(online, target, replay, memory, streams.sampling, settings)


def build_replay(config: Config, online: FlatWeights, streams: Streams) -> ReplayUpdate:
    """Return the replay step: the only place where the agents differ in how they learn."""
    loss = HuberTDLoss()
    optimizer = make_optimizer(config.optimizer, online, config.learning_rate)
    if config.agent != "dqn-mer":
        return MiniBatchUpdate(online, loss, optimizer, config.batch_size)
    parameters = MERParameters(
        batch_size=config.batch_size,
        num_batches=config.num_batches,
        within_batch_rate=config.within_batch_rate,
        across_batch_rate=config.across_batch_rate,
        current_example_boost=config.current_example_boost,
        one_big_batch=config.one_big_batch,
    )
    return MERUpdate(online, make_learner(online, loss, optimizer), parameters, streams.ordering)


def build_memory(config: Config, space: gymnasium.spaces.Box, streams: Streams) -> Memory:
    """Return the memory: FIFO for dqn, a reservoir for the others."""
    if config.agent == "dqn":
        return FifoMemory(config.capacity, space.shape, space.dtype)
    return ReservoirMemory(config.capacity, space.shape, space.dtype, streams.reservoir)


def build_exploration(config: Config, probabilities: NDArray[np.float64], streams: Streams) -> Exploration:
    """Return ε-greedy exploration with the task's odds for a random action."""
    schedule = EpsilonSchedule(config.epsilon_start, config.epsilon_end, config.epsilon_decay_frames)
    return Exploration(schedule, probabilities, streams.exploration)
