"""What a run reports before its first frame: the memory that it needs, and what it cannot do here."""

from __future__ import annotations

from functools import partial

from rich.console import Console

import continual_ple
from continual_ple.games.catalogue import game_class
from continual_ple.observations import observation_class
from dqn_mer.agents.build import build_agent
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.memory import largest_bytes
from dqn_mer.config.agent_registry import AGENTS
from dqn_mer.config.config import Config
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.fast.kernels.dense import WHY_NOT_COMPILED
from dqn_mer.training.loop import TrainingLoop
from dqn_mer.training.state_trial import env_under_change, why_agent_not_saved, why_not_saved


def announce(console: Console, loop: TrainingLoop, own: bool) -> bool:
    """Report what a run needs and cannot do.

    Args:
        console: Console that it is reported on.
        loop: Loop of the run, before its first frame.
        own: Whether the environment is the user's. Whether its state can be saved is then unknown, and is tried; so it
            is of a game or an observation that was added to ours.

    Returns:
        False if the state of the environment or of an agent from outside turned out to be one that cannot be saved.
    """
    space = loop.env.observation_space
    assert space.shape is not None and space.dtype is not None
    moving = not own and getattr(loop.env.unwrapped, "newest_entries", 0) == 1
    size = largest_bytes(loop.config.capacity, space.shape, space.dtype, moving)
    console.print(f"memory: {loop.config.capacity:,} transitions, at most {size / 1e6:,.0f} MB", highlight=False)
    if WHY_NOT_COMPILED and loop.agent.device.type == "cpu":
        say_line(console, f"Numba cannot be imported, so PyTorch's autograd learns, more slowly ({WHY_NOT_COMPILED})")
    reasons: dict[str, str | None] = {}
    if own or not _is_ours(loop.config):
        reasons["environment"] = why_not_saved(partial(env_under_change, loop.task))
    if loop.config.agent not in AGENTS:
        reasons["agent"] = why_agent_not_saved(loop.agent, lambda: _another_agent(loop))
    lacking = {whose: reason for whose, reason in reasons.items() if reason is not None}
    for whose, reason in lacking.items():
        say_line(console, f"this run cannot be resumed if it is stopped: the {whose}'s state cannot be saved: {reason}")
    return not lacking


def _another_agent(loop: TrainingLoop) -> DQNAgent:
    """Return an agent like the one of a run, with separate random generators."""
    task, streams = loop.task, spawn_streams(loop.config.seed)
    return build_agent(loop.config, loop.env, streams, task.action_probabilities, task.network)


def _is_ours(config: Config) -> bool:
    """Return whether neither the game nor the observation was added to those of `continual_ple`."""
    kinds = game_class(config.game), observation_class(config.observation)
    return all(kind.__module__.partition(".")[0] == continual_ple.__name__ for kind in kinds)


def say_line(console: Console, line: str) -> None:
    """Print a line as it is, however wide the terminal."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)
