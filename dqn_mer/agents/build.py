"""Build the parts of an agent from a configuration, each with its own stream of random numbers."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import Optimizer

from continual_ple.settings import Schedule
from dqn_mer.agents.catalogue import ARMS
from dqn_mer.agents.dqn import DQNAgent, DQNSettings
from dqn_mer.agents.exploration import EpsilonSchedule, Exploration
from dqn_mer.config.config import Config
from dqn_mer.config.seeds import Streams
from dqn_mer.networks.device import choose_device
from dqn_mer.networks.own_networks import MakeNetwork
from dqn_mer.networks.q_network import FlatWeights, network_from_spec, network_spec, own_network_spec
from dqn_mer.training.meter import Meter


def make_optimizer(
    name: str,
    weights: FlatWeights,
    learning_rate: float,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> Optimizer:
    """Return an optimizer over all weights as one vector, made once and kept for the whole run.

    Adam is fused where PyTorch has it (one pass over the weights instead of many); RMSprop is centred, with the
    constants of Mnih et al., 2015. With weight decay every step also takes ``learning_rate * weight_decay`` of each
    weight (decoupled: AdamW; SGD is that by itself; RMSprop has none). Momentum is SGD's, Nesterov's or the plain kind.
    """
    on_cuda = weights.vector.device.type == "cuda"  # then its counters stay there, as a graph needs them
    if name == "sgd":
        return torch.optim.SGD(
            [weights.vector], lr=learning_rate, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov
        )
    if name == "adam":
        fused = weights.vector.device.type != "mps"
        options: dict[str, Any] = {"lr": learning_rate, "fused": fused, "capturable": on_cuda}
        if weight_decay:
            return torch.optim.AdamW([weights.vector], weight_decay=weight_decay, **options)
        return torch.optim.Adam([weights.vector], **options)
    return torch.optim.RMSprop(
        [weights.vector], lr=learning_rate, alpha=0.95, eps=0.01, centered=True, capturable=on_cuda
    )


def describe_network(
    config: Config,
    env: gymnasium.Env[Any, Any],
    probabilities: NDArray[np.float64] | None = None,
    network: MakeNetwork | None = None,
) -> dict[str, Any]:
    """Return the `network_spec` of an agent for an environment.

    Args:
        config: of the run.
        env: with Box observations and Discrete actions.
        probabilities: of a random action, ``(actions,)``; all the same by default.
        network: builds the network of an agent that learns, if a user's function does.

    Raises:
        ValueError: if the spaces are of another kind.
    """
    space, actions = env.observation_space, env.action_space
    if not isinstance(space, gymnasium.spaces.Box) or not isinstance(actions, gymnasium.spaces.Discrete):
        raise ValueError(f"environment: must have Box observations and Discrete actions, has {space} and {actions}")
    count, odds = int(actions.n), None
    if not ARMS[config.agent].learns:
        odds = [1 / count] * count if probabilities is None else probabilities.tolist()
    spec = network_spec(space.shape, count, config.hidden_sizes, config.layer_norm, odds, config.input_scaling)
    if network is None or odds is not None:
        return spec
    return own_network_spec(spec, network, space.dtype == np.uint8)


def build_agent(
    config: Config,
    env: gymnasium.Env[Any, Any],
    streams: Streams,
    probabilities: NDArray[np.float64] | None = None,
    network: MakeNetwork | None = None,
) -> DQNAgent:
    """Build the agent for an environment with Box observations and Discrete actions.

    Args:
        config: of the run.
        env: to act in.
        streams: of the run.
        probabilities: of a random action, ``(actions,)``; all the same by default.
        network: as in `describe_network`.

    Raises:
        ValueError: if the spaces are of another kind, or the user's function builds no Q-network.
    """
    device, arm = choose_device(config.device, config.observation), ARMS[config.agent]
    spec = describe_network(config, env, probabilities, network)
    online, target = (FlatWeights(network_from_spec(spec, streams.network).to(device)) for _ in range(2))
    optimizer = make_optimizer(
        config.optimizer, online, config.learning_rate, config.weight_decay, config.momentum, config.nesterov
    )
    settings = DQNSettings(
        discount=config.discount,
        target_sync_frames=config.target_sync_frames,
        warmup_frames=config.warmup_frames,
        double_q=config.double_q,
        freeze_after_frames=config.freeze_after_frames if arm.learns else 0,
        target_sync_episodes=config.target_sync_episodes,
        clip_rewards=config.clip_rewards,
        updates_per_frame=config.updates_per_frame,
        update_every=config.update_every,
        newest=config.newest,
        frame_skip=config.frame_skip,
    )
    replay = arm.replay(config, online, optimizer, streams)
    assert isinstance(env.observation_space, gymnasium.spaces.Box)  # describe_network took nothing else
    memory = arm.memory(config, env.observation_space, streams)
    return DQNAgent(online, target, replay, memory, streams.sampling, settings)


def build_exploration(config: Config, probabilities: NDArray[np.float64], streams: Streams) -> Exploration:
    """Return ε-greedy exploration with the task's odds for a random action; who does not learn only explores."""
    schedule = EpsilonSchedule(config.epsilon_start, config.epsilon_end, config.epsilon_decay_frames)
    if not ARMS[config.agent].learns:
        schedule = EpsilonSchedule(1.0, 1.0, 0)
    return Exploration(schedule, probabilities, streams.exploration)


def build_meter(config: Config, agent: DQNAgent, schedule: Schedule, streams: Streams) -> Meter:
    """Return the meter of an agent, which is never due for one that does not learn."""
    return Meter(agent, schedule, config.meter_every if ARMS[config.agent].learns else 0, streams.meter)
