"""What an agent is trained on: an environment, the schedule of its settings, and how a random action is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium.wrappers import RecordEpisodeStatistics
from numpy.typing import NDArray

from continual_ple import ENV_IDS
from continual_ple.frame_skip import FrameSkip
from continual_ple.games.catalogue import game_class
from continual_ple.nonstationary import Apply, NonStationary, apply_parameters
from continual_ple.schedule_files import load_schedule
from continual_ple.settings import (
    DEFAULT_VALUES,
    FRAMES_PER_SETTING,
    SCHEDULE_PARAMETER,
    Schedule,
    Setting,
    check_schedule,
    schedule_from_values,
    schedule_of_values,
)
from dqn_mer.config.config import Config


class MakeEnv(Protocol):
    """Makes a fresh environment under one setting."""

    def __call__(
        self, setting: Setting, frame_limit: int | None = None, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        """Make it, with episodes truncated after ``frame_limit`` frames if given."""


@dataclass(frozen=True)
class Task:
    """An environment whose setting changes.

    Attributes:
        make_env: makes an environment under a setting.
        schedule: which setting is on when.
        parameter: name of the parameter that the settings vary, for charts.
        action_probabilities: of a random action, ``(actions,)``, summing to 1.
        apply: gives the unwrapped environment a setting's parameters, just before a reset.
        check: raises ValueError for parameters that are not allowed; ``dict`` allows all.
        frame_skip: frames for which the agent holds an action; a run takes that of its configuration.
    """

    make_env: MakeEnv
    schedule: Schedule
    parameter: str
    action_probabilities: NDArray[np.float64]
    apply: Apply = apply_parameters
    check: Callable[[Mapping[str, float]], object] = dict
    frame_skip: int = 1

    def training_env(self, end_frame: int | None = None) -> gymnasium.Env[Any, Any]:
        """Return the non-stationary environment, with episode statistics that also see the borders.

        Args:
            end_frame: frame beyond which no step goes, where frames are skipped; None for no end.
        """
        first = self.schedule.settings[self.schedule.order[0]]
        env = RecordEpisodeStatistics(NonStationary(self.make_env(first), self.schedule, self.apply))
        return env if self.frame_skip == 1 else FrameSkip(env, self.frame_skip, end_frame)

    def agents_env(
        self, setting: Setting, frame_limit: int | None = None, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        """Return an environment under one setting as the agent plays it: `make_env`'s, with the frame skip."""
        env = self.make_env(setting, frame_limit, render_mode)
        return env if self.frame_skip == 1 else FrameSkip(env, self.frame_skip)


def own_task(
    env_id: str,
    parameter: str,
    values: Sequence[float],
    frames_per_setting: int = FRAMES_PER_SETTING,
    cycles: int = 1,
    interleave_frames: int = 0,
    apply: Apply = apply_parameters,
    **options: Any,
) -> Task:
    """Return the task of an environment of one's own, one of whose parameters changes.

    Args:
        env_id: registered in Gymnasium, with Box observations and Discrete actions.
        parameter: what changes.
        values: of it, in training order; one may return.
        frames_per_setting: length of training on each value.
        cycles: how often to go through the values.
        interleave_frames: let all settings take turns all through training, so many frames each; 0 for one by one.
        apply: gives the unwrapped environment a setting's parameters; by default through its ``configure()`` if it has
            one, else as attributes.
        options: of `gymnasium.make`.

    Raises:
        ValueError: for a bad schedule, or actions that are not Discrete.
        AttributeError: if the parameter cannot be given.
    """
    schedule = schedule_of_values(parameter, values, frames_per_setting, cycles, interleave_frames)

    def make_env(
        setting: Setting, frame_limit: int | None = None, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        limit = {} if frame_limit is None else {"max_episode_steps": frame_limit}
        env = gymnasium.make(env_id, render_mode=render_mode, **{**options, **limit})
        apply(env.unwrapped, setting.parameters)
        return env

    env = make_env(schedule.settings[0])
    actions = env.action_space
    env.close()
    if not isinstance(actions, gymnasium.spaces.Discrete):
        raise ValueError(f"{env_id}: must have Discrete actions, has {actions}")
    return Task(make_env, schedule, parameter, np.full(int(actions.n), 1 / int(actions.n)), apply)


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
    return Task(make_env, schedule, parameter, probabilities, check=check, frame_skip=config.frame_skip)


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
        options["max_episode_steps"] = frame_limit
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
