"""The task that a configuration describes: one of the games under a schedule of settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import gymnasium
import numpy as np

from continual_ple import ENV_IDS
from continual_ple.games.catalogue import game_class
from continual_ple.learnable import SMALLEST_IMAGE_SIDE
from continual_ple.registration import MAX_EPISODE_FRAMES
from continual_ple.schedule_files import load_schedule
from continual_ple.settings import (
    DEFAULT_VALUES,
    SCHEDULE_PARAMETER,
    Schedule,
    Setting,
    check_schedule,
    schedule_from_values,
)
from continual_ple.tasks import Task
from dqn_mer.config.config import Config


def name_after(task: Task, config: Config) -> Config:
    """Return the configuration under which a task is filed.

    A game of ours as its name, which is also the default, is replaced by the task's own, and what the agent sees is
    what the environment has to show.
    """
    if task.name == config.game:
        return config
    env = task.make_env(task.schedule.settings[0])
    shape = env.observation_space.shape or ()
    env.close()
    is_image = len(shape) > 1 and math.prod(shape) >= SMALLEST_IMAGE_SIDE**2
    observation: Literal["pixels", "state"] = "pixels" if is_image else "state"
    return replace(config, game=task.name if config.game in ENV_IDS else config.game, observation=observation)


def game_task(config: Config, schedule: Schedule | None = None) -> Task:
    """Return the task that a configuration describes.

    Args:
        config: with the game.
        schedule: to use instead of the one that ``config`` describes, such as a saved one.

    Raises:
        ValueError: in one line, for a bad schedule or game parameter.
        ImportError: if the ``ple`` backend is asked for and missing.
    """
    schedule = check_schedule(schedule or game_schedule(config), config.game)
    check_not_varied(config.game_parameters, schedule)
    varied = schedule.settings[0].parameters
    game_class(config.game).check_parameters(config.game_parameters)
    parameter = config.vary or SCHEDULE_PARAMETER[config.game]
    if parameter not in varied:
        parameter = min(varied)

    def make_env(
        setting: Setting, frame_limit: int | None = None, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        return make_game_env(config, {**config.game_parameters, **setting.parameters}, frame_limit, render_mode)

    if config.game == "flappy_bird":
        probabilities = np.array([config.flap_probability, 1.0 - config.flap_probability])
    else:
        probabilities = np.full(3, 1 / 3)
    check = game_class(config.game).check_parameters
    return Task(
        make_env,
        schedule,
        parameter,
        probabilities,
        check=check,
        frame_skip=config.frame_skip,
        name=config.game,
        fresh=True,
    )


def check_not_varied(game_parameters: Mapping[str, float], schedule: Schedule) -> None:
    """Raise ValueError if a game parameter is one that the settings of a schedule vary."""
    for name in game_parameters:
        if name in schedule.settings[0].parameters:
            raise ValueError(f"game_parameters: {name} is what the settings vary; give its values there")


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
        config.settings or DEFAULT_VALUES[config.game],
        parameter=config.vary or None,
        frames_per_setting=config.frames_per_setting,
        cycles=config.cycles,
        interleave_frames=config.interleave_frames,
    )
