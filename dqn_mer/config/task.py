"""The task that a configuration describes: one of the games under a schedule of settings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from continual_ple import ENV_IDS, GAMES, OBSERVATIONS, Game, Observation
from continual_ple.env_ids import MAX_EPISODE_FRAMES
from continual_ple.game_schedules import check_fixed, check_schedule, schedule_from_values
from continual_ple.games.catalogue import game_class
from continual_ple.learnable import SMALLEST_IMAGE_SIDE
from continual_ple.observations import observation_class
from continual_ple.schedule_files import load_schedule
from continual_ple.settings import Schedule, Setting
from continual_ple.tasks import Task
from dqn_mer.config.combinations import ODDS_OPTIONS
from dqn_mer.config.config import Config


def name_after(task: Task, config: Config) -> Config:
    """Return the configuration under which a task is filed.

    A game of ours as its name, which is also the default, is replaced by the task's own, and what the agent sees is
    what the environment has to show.
    """
    if task.name == config.game and not task.is_own:
        return config
    game = task.name if config.game in GAMES else config.game
    return replace(config, game=game, observation=seen_in(task))


def is_own(config: Config) -> bool:
    """Return whether a configuration is that of a user's task, which only the user can name or pass again."""
    return config.task is not None or config.game not in GAMES


def seen_in(task: Task) -> str:
    """Return what the agent sees of a user's environment: ``pixels`` of images, else ``state``."""
    env = task.make_env(task.schedule.settings[0])
    shape = env.observation_space.shape or ()
    env.close()
    return "pixels" if len(shape) > 1 and math.prod(shape) >= SMALLEST_IMAGE_SIDE**2 else "state"


def game_task(config: Config, schedule: Schedule | None = None) -> Task:
    """Return the task that a configuration describes.

    Args:
        config: Configuration with the game.
        schedule: Schedule that replaces the one that ``config`` describes, such as a saved one.

    Raises:
        ValueError: if the schedule or a game parameter is not allowed, or the configuration is that of a user's task.
        ImportError: if the ``ple`` backend is asked for and missing.
    """
    if config.task is not None:
        raise ValueError(f"task={config.task!r}: only the command line imports a task; in Python, pass the Task itself")
    game, observation = game_class(config.game), observation_class(config.observation)
    schedule = check_schedule(schedule or game_schedule(config), config.game)
    check_game_parameters(config.game_parameters, schedule, game.check_parameters)
    varied = schedule.settings[0].parameters
    parameter = config.vary or game.varied_parameter
    if parameter not in varied:
        parameter = min(varied)
    return Task(
        partial(_make_env, config, game, observation),  # which can be pickled, as the whole task can
        schedule,
        parameter,
        random_odds(config),
        check=game.check_parameters,
        frame_skip=config.frame_skip,
        name=config.game,
        fresh=True,
    )


def _make_env(
    config: Config,
    game: type[Game],
    observation: type[Observation],
    setting: Setting,
    frame_limit: int | None = None,
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any]:
    """Make the environment of a setting, in this process or in another one."""
    _make_known(game, observation)
    return make_game_env(config, {**config.game_parameters, **setting.parameters}, frame_limit, render_mode)


def _make_known(game: type[Game], observation: type[Observation]) -> None:
    """Register a task's classes in another process: that of an evaluation worker has registered nothing.

    A function, so that what is sent there refers to the registries and holds no copies of them.
    """
    GAMES.make_known(game)
    OBSERVATIONS.make_known(observation)


def random_odds(config: Config) -> NDArray[np.float64]:
    """Return the probability of each action in random play of the game of a configuration, ``(actions,)``.

    Raises:
        ValueError: if the game takes them from an option that does not exist.
    """
    game = game_class(config.game)
    odds, count = game.random_odds, len(game.actions)
    if not isinstance(odds, str):
        return np.array(odds or [1 / count] * count)
    if odds not in ODDS_OPTIONS:
        raise ValueError(f"random_odds={odds!r} of {config.game}: must be numbers, or one of {', '.join(ODDS_OPTIONS)}")
    first = getattr(config, odds)
    return np.array([first, *[(1.0 - first) / (count - 1)] * (count - 1)])


def check_game_parameters(
    game_parameters: Mapping[str, float], schedule: Schedule, check: Callable[[Mapping[str, float]], object]
) -> None:
    """Raise ValueError if game parameters are not allowed, or are among those that the settings of a schedule vary.

    Args:
        game_parameters: Values by parameter name, the same under every setting.
        schedule: Schedule of the task.
        check: Check of the game, or of `Task`.
    """
    try:
        check_fixed(game_parameters, schedule)
        check(game_parameters)
    except ValueError as error:
        names_one = re.match(r"\w+=", str(error))
        raise ValueError(f"game_parameters{'.' if names_one else ': '}{error}") from None


def make_game_env(
    config: Config, parameters: dict[str, float], frame_limit: int | None, render_mode: str | None
) -> gymnasium.Env[Any, Any]:
    """Make the game's registered environment as the agent of ``config`` sees it, with these game parameters."""
    options: dict[str, Any] = {
        "backend": config.backend,
        "observation": config.observation,
        "fixed_looks": config.fixed_looks,
        "rounding": config.rounding if config.backend == "native" else None,
        "render_mode": render_mode,
        **parameters,
    }
    if frame_limit is not None:
        options["max_episode_steps"] = min(frame_limit, MAX_EPISODE_FRAMES)
    return gymnasium.make(ENV_IDS[config.game], **options)


def game_schedule(config: Config) -> Schedule:
    """Return the schedule that a configuration describes."""
    if config.schedule is not None:
        return load_schedule(config.schedule, config.game)
    parameters = [parameter.name for parameter in game_class(config.game).parameter_table]
    if config.vary and config.vary not in parameters:
        raise ValueError(f"vary={config.vary!r}: must be one of {', '.join(parameters)}")
    return schedule_from_values(
        config.game,
        config.settings or game_class(config.game).default_values,
        parameter=config.vary or None,
        frames_per_setting=config.frames_per_setting,
        cycles=config.cycles,
        interleave_frames=config.interleave_frames,
    )
