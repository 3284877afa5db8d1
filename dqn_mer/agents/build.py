"""Build the parts of an agent from a configuration, each with its own stream of random numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from continual_ple.observations import sees_images
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.exploration import EpsilonSchedule, Exploration
from dqn_mer.agents.makers import AgentContext
from dqn_mer.config.agent_registry import find_agent, make_part, options_of
from dqn_mer.config.config import Config
from dqn_mer.config.seeds import Streams
from dqn_mer.networks.device import choose_device
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.own_networks import MakeNetwork, check_same_buffers
from dqn_mer.networks.q_network import network_from_spec, network_spec, own_network_spec
from dqn_mer.networks.weights import FlatWeights


def describe_network(
    config: Config,
    env: gymnasium.Env[Any, Any],
    probabilities: NDArray[np.float64] | None = None,
    network: MakeNetwork | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the `network_spec` of an agent for an environment.

    Args:
        config: Configuration of the run.
        env: Environment with Box observations and Discrete actions.
        probabilities: Probability of each action in random play, ``(actions,)``; all the same by default.
        network: User's function that builds the network of an agent that learns, if there is one.
        seed: Seed under which that function is called.

    Raises:
        ValueError: if the spaces are of another kind.
    """
    space, actions = env.observation_space, env.action_space
    if not isinstance(space, gymnasium.spaces.Box) or not isinstance(actions, gymnasium.spaces.Discrete):
        raise ValueError(f"environment: must have Box observations and Discrete actions, has {space} and {actions}")
    count, odds = int(actions.n), None
    if not find_agent(config.agent).learns:
        odds = [1 / count] * count if probabilities is None else probabilities.tolist()
    spec = network_spec(space.shape, count, config.hidden_sizes, config.layer_norm, odds, config.input_scaling)
    if network is None or odds is not None:
        return spec
    return own_network_spec(spec, network, space.dtype == np.uint8, seed)


def build_agent(
    config: Config,
    env: gymnasium.Env[Any, Any],
    streams: Streams,
    probabilities: NDArray[np.float64] | None = None,
    network: MakeNetwork | None = None,
) -> DQNAgent:
    """Build the agent for an environment with Box observations and Discrete actions.

    Args:
        config: Configuration of the run.
        env: Environment to act in.
        streams: Random generators of the run.
        probabilities: Probability of each action in random play, ``(actions,)``; all the same by default.
        network: User's function, as in `describe_network`.

    Raises:
        ValueError: if the agent is unknown, the spaces are of another kind, or the user's function builds no Q-network.
    """
    kind, options = find_agent(config.agent), options_of(config)
    device = choose_device(config.device, sees_images(config.observation))
    spec = describe_network(config, env, probabilities, network, streams.network)
    online, target = (FlatWeights(network_from_spec(spec, streams.network).to(device)) for _ in range(2))
    check_same_buffers(online.model, target.model)
    optimizer = make_optimizer(
        config.optimizer, online, config.learning_rate, config.weight_decay, config.momentum, config.nesterov
    )
    # PyTorch's default would take the gradient from the vector that is stepped, while the model's remained.
    optimizer.zero_grad = partial(optimizer.zero_grad, set_to_none=False)  # type: ignore[method-assign] # one object's
    assert isinstance(env.observation_space, gymnasium.spaces.Box)  # describe_network took nothing else
    parts = AgentContext(config, options, env.observation_space, online, optimizer, streams)
    replay, memory = make_part(kind.replay, parts), make_part(kind.memory, parts)
    return DQNAgent(online, target, replay, memory, streams.sampling, _as_it_learns(config))


def build_exploration(config: Config, probabilities: NDArray[np.float64], streams: Streams) -> Exploration:
    """Return ε-greedy exploration with the task's odds for a random action; one that never learns only explores."""
    return Exploration(EpsilonSchedule(_as_it_learns(config)), probabilities, streams.exploration)


def _as_it_learns(config: Config) -> Config:
    """Return the configuration, of an agent that does not learn without updates and greedy actions."""
    if find_agent(config.agent).learns:
        return config
    return replace(config, freeze_after_frames=0, epsilon_start=1.0, epsilon_end=1.0)
