"""Fields of a configuration that have no meaning together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from continual_ple import GAMES, OBSERVATIONS
from continual_ple.observations import sees_images
from dqn_mer.config.agent_registry import AgentKind, agents, known_agent
from dqn_mer.config.fields import bad_value, own_fields
from dqn_mer.config.supervised_runs import STREAM_OBSERVATION
from dqn_mer.config.task_references import check_reference
from dqn_mer.mer_parameters import MERParameters

if TYPE_CHECKING:
    from dqn_mer.config.config import Config

TARGET_PERIODS = ("target_sync_frames", "target_sync_episodes")
"""Fields of which exactly one says when Q is copied into the target network."""

ODDS_OPTIONS = ("flap_probability",)
"""Fields with the odds of a random action; a game names the one that it has as its `random_odds`."""

SCHEDULE_FLAGS = ("settings", "vary", "cycles", "frames_per_setting", "interleave_frames")
"""Fields that describe a schedule together; a schedule file says all of it."""


def check_combinations(config: Config) -> None:
    """Raise ValueError for values that have no meaning together."""
    if config.task is not None:
        check_reference(config.task)
    check_name("agent", config.agent)
    agent = known_agent(config.agent)
    if agent is not None:
        _check_options_of_others(config, agent)
    rules = (
        (config.optimizer == "rmsprop", ("weight_decay",), "only adam and sgd have it, and optimizer=rmsprop"),
        (config.optimizer != "sgd", ("momentum", "nesterov"), f"only sgd has it, and optimizer={config.optimizer}"),
        (
            agent is not None and agent.options is MERParameters,
            ("newest",),
            f"agent {config.agent} learns the newest transition always (Algorithm 8)",
        ),
        (
            not sees_images(config.observation),
            ("input_scaling",),
            f"only pixels are scaled, and observation={config.observation}",
        ),
        (config.one_big_batch, ("within_batch_rate",), "not used with one_big_batch (Algorithm 6)"),
        (config.schedule is not None, SCHEDULE_FLAGS, "not used with a schedule file"),
        (config.backend == "ple", ("rounding",), "the ple backend rounds as the installed pygame does"),
    )
    for holds, names, why in rules:
        if holds:
            _must_be_default(config, names, why)
    _check_odds(config)
    check_name("game", config.game, f"one of {', '.join(GAMES)}, or the name of a task of yours: ")
    _check_observation(config.observation)
    _check_target_period(config)
    if config.nesterov and not config.momentum:
        raise ValueError(f"nesterov={config.nesterov}: needs momentum above 0")
    if not config.newest and not config.batch_size:
        raise ValueError("batch_size=0: must be at least 1 with newest=False, else nothing is learned")
    if config.vary and not config.settings:
        raise ValueError(f"vary={config.vary!r}: needs settings, the values to give it")


def options_of_agents(kind: type) -> dict[str, tuple[str, ...]]:
    """Return, for each agent whose options are a group that a configuration inherits, the fields of that group.

    Args:
        kind: Class `Config` itself.
    """
    groups = {agent.name: agent.options for agent in agents() if agent.options is not None}
    return {name: own_fields(group) for name, group in groups.items() if issubclass(kind, group)}


def _check_options_of_others(config: Config, agent: AgentKind) -> None:
    """Raise ValueError if an option has a value that its agent does not read."""
    options = options_of_agents(type(config))
    for other, names in options.items():
        if names != options.get(agent.name):
            _must_be_default(config, names, f"only agent {other} has it, and agent={agent.name}")


def _check_odds(config: Config) -> None:
    """Raise ValueError if the odds of random actions are given in an option that the game does not have."""
    odds = GAMES[config.game].random_odds if config.game in GAMES else ()
    for option in ODDS_OPTIONS:
        if odds != option:
            games = ", ".join(kind.name for kind in GAMES.loaded() if kind.random_odds == option)
            _must_be_default(config, (option,), f"only {games} has it, and game={config.game}")


def _check_target_period(config: Config) -> None:
    frames, episodes = config.target_sync_frames, config.target_sync_episodes
    if frames is not None and episodes is not None:
        raise ValueError(f"target_sync_frames={frames}: not used with target_sync_episodes={episodes}; must be none")
    if frames is None and episodes is None:
        raise ValueError("target_sync_frames=None: must be a whole number, unless target_sync_episodes is one")


def check_name(field: str, name: object, known: str = "") -> None:
    """Raise ValueError unless a name, in the name of a folder, means nothing but itself; ``known`` are good ones."""
    text = name if isinstance(name, str) else ""
    if not text.isprintable() or not text.strip() or len(text) > 100 or re.search(r"^\.|[/\\]", text):
        raise bad_value(field, name, f"{known}one line, no slash, no dot in front, at most 100 characters")


def _check_observation(name: object) -> None:
    """Raise ValueError unless a run may be filed under an observation, whether that is known here or not."""
    names = ", ".join(OBSERVATIONS)
    if name == STREAM_OBSERVATION:
        raise bad_value("observation", name, OBSERVATIONS.describe())
    check_name("observation", name, f"one of {names}, or the name of an observation of yours: ")


def check_no_schedule(config: Config) -> None:
    """Raise ValueError if a configuration describes a schedule, for a run whose task has its own."""
    _must_be_default(config, (*SCHEDULE_FLAGS, "schedule"), "the task has its own schedule")


def check_chooses_no_schedule(choices: Mapping[str, object]) -> None:
    """Raise ValueError if choices for a configuration describe a schedule, beside a task that has its own."""
    for name in (*SCHEDULE_FLAGS, "schedule"):
        if name in choices:
            raise ValueError(f"{name}={choices[name]!r}: the task has its own schedule; must be left out")


def _must_be_default(config: Config, names: Sequence[str], why: str) -> None:
    for f in dataclasses.fields(config):
        if f.name in names and getattr(config, f.name) != f.default:
            raise ValueError(f"{f.name}={getattr(config, f.name)!r}: {why}; must be left at {f.default!r}")
