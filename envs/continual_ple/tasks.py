"""What an agent is trained on: an environment, the schedule of its settings, and how a random action is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import RecordEpisodeStatistics
from numpy.typing import NDArray

from continual_ple.frame_skip import FrameSkip
from continual_ple.games.catalogue import GAMES
from continual_ple.learnable import UnlearnableError, agents_view, spaces_in_words
from continual_ple.nonstationary import Apply, NonStationary, apply_parameters
from continual_ple.own import (
    RENDER_MODE,
    UNNAMED,
    MakeEnv,
    MakeLearnable,
    MakeNetwork,
    OwnEnvironment,
    OwnMake,
    own_name,
    try_out,
)
from continual_ple.settings import FRAMES_PER_SETTING, FramesPerSetting, Schedule, Setting, schedule_of_values

STATISTICS = "continual_ple_episode"
"""Where an ended episode's return and length stand in ``info``; an environment may have an ``"episode"`` itself."""


@dataclass(frozen=True)
class Task:
    """An environment whose setting changes.

    Attributes:
        make_env: Makes an environment under a setting.
        schedule: Settings in time.
        parameter: Name of the parameter that the settings vary, for charts.
        action_probabilities: Probability of each action in random play, ``(actions,)``, summing to 1.
        apply: Gives the unwrapped environment a setting's parameters, just before a reset.
        check: Raises ValueError for parameters that are not allowed; ``dict`` allows all.
        frame_skip: Frames for which the agent holds an action; a run takes that of its configuration.
        name: Name of the task, for folders and titles.
        network: Builds the Q-network (see `own_task`); None for the one that suits the observations.
        fresh: Whether ``make_env`` makes what an agent can learn from as it is: each observation a new array of float32
            or of uint8 pixels, actions from 0, rewards of one number. Otherwise every environment is made a
            `continual_ple.learnable.Learnable`, which copies observations (2 µs for 84x84x4 pixels).
    """

    make_env: MakeEnv
    schedule: Schedule
    parameter: str
    action_probabilities: NDArray[np.float64]
    apply: Apply = apply_parameters
    check: Callable[[Mapping[str, float]], object] = dict
    frame_skip: int = 1
    name: str = UNNAMED
    network: MakeNetwork | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        """Wrap ``make_env``, where needed, so that an agent can learn from its environments."""
        if not self.fresh:
            object.__setattr__(self, "make_env", MakeLearnable(self.make_env, own_shape=self.network is not None))
            object.__setattr__(self, "fresh", True)

    def __repr__(self) -> str:
        return f"<Task: {self.name}, {self.parameter} in {self.schedule}, {len(self.action_probabilities)} actions>"

    @property
    def is_own(self) -> bool:
        """Whether this is not one of our games, so that only Python code can make it."""
        return self.name not in GAMES

    def training_env(self, end_frame: int | None = None) -> gymnasium.Env[Any, Any]:
        """Return the non-stationary environment, with episode statistics that also see the borders.

        Args:
            end_frame: Frame at which the run ends, which no step crosses where frames are skipped, nor the end of a
                segment, interleaved or not; None for no end.

        Raises:
            UnlearnableError: if observations or actions are not of the same spaces under all settings; to see it, an
                environment is made under each.
        """
        self._check_spaces()
        first = self.schedule.settings[self.schedule.order[0]]
        env = RecordEpisodeStatistics(
            NonStationary(self.make_env(first), self.schedule, self.apply), stats_key=STATISTICS
        )
        stops = () if end_frame is None else self.schedule.ends(end_frame)
        return env if self.frame_skip == 1 else FrameSkip(env, self.frame_skip, stops)

    def _check_spaces(self) -> None:
        """Raise UnlearnableError unless an agent can play under all settings."""
        views, words = [], []
        for setting in self.schedule.settings:
            env = self.make_env(setting)
            views.append(agents_view(env))
            words.append(spaces_in_words(env))
            env.close()
            if views[-1] != views[0]:
                raise UnlearnableError(
                    f"setting {setting.name!r}: must have the observations and actions of "
                    f"{self.schedule.settings[0].name!r}, {words[0]}; has {words[-1]}"
                )

    def agents_env(
        self, setting: Setting, frame_limit: int | None = None, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        """Return an environment under one setting as the agent plays it: `make_env`'s, with the frame skip."""
        env = self.make_env(setting, frame_limit, render_mode)
        return env if self.frame_skip == 1 else FrameSkip(env, self.frame_skip)


def own_task(
    env: OwnMake,
    parameter: str,
    values: Sequence[float],
    frames_per_setting: FramesPerSetting = FRAMES_PER_SETTING,
    cycles: int = 1,
    interleave_frames: int = 0,
    apply: Apply = apply_parameters,
    network: MakeNetwork | None = None,
    **options: Any,
) -> Task:
    """Return the task of a user's environment, one of whose parameters changes.

    The environment needs Box observations and Discrete actions. What the agent sees of it, and which network learns
    from that, is described in `continual_ple.learnable.Learnable`: vectors and small or unbounded arrays go through
    the dense layers, images of at least 36 pixels a side through the convolutions. One frame is played here to try it.

    Args:
        env: Id that is registered in Gymnasium, or a callable that makes a new environment at each call, with its
            wrappers. It may take ``render_mode``.
        parameter: Name of the parameter that changes.
        values: Values of the parameter in training order; a value may return.
        frames_per_setting: Length of training on each value in frames, or a list of one length for each of `values`.
        cycles: Number of times to go through the values.
        interleave_frames: Length of a turn in frames if all settings take turns all through training; 0 for one after
            the other.
        apply: Gives the unwrapped environment a setting's parameters; by default through its ``configure()`` if it has
            one, else as attributes.
        network: Builds the Q-network instead, from the shape of an observation, which is then the environment's own,
            and the number of actions. It is a `torch.nn.Module` from ``(n, *shape)`` float32 to ``(n, actions)``
            float32, without dropout or batch normalisation. Images of uint8 reach it divided by 255, other arrays of
            two or more axes scaled to [0, 1] by the bounds of their Box. Its gradients come from autograd, which is
            slower than the built-in networks; ``hidden_sizes`` and ``layer_norm`` have no effect. To load a checkpoint,
            pass the task again.
        options: Keyword arguments of `gymnasium.make`, or of the callable.

    Raises:
        ValueError: if the schedule is not valid, or the environment cannot be learned from.
        AttributeError: if the environment cannot be given the parameter.
    """
    schedule = schedule_of_values(parameter, values, frames_per_setting, cycles, interleave_frames)
    name = own_name(env)
    make_env = MakeLearnable(OwnEnvironment(env, apply, options), own_shape=network is not None)
    try:
        actions = try_out(make_env, apply, schedule.settings)
    except UnlearnableError as error:
        raise ValueError(f"{env if isinstance(env, str) else name}: {error}") from None
    odds = np.full(actions, 1 / actions)
    name = f"own-{name}" if name in GAMES else name
    return Task(make_env, schedule, parameter, odds, apply, name=name, network=network, fresh=True)


def why_not_drawn(task: Task) -> str | None:
    """Return in one line why a task's environments give no pictures, RGB uint8 ``(height, width, 3)``, or None."""
    try:
        with closing(task.make_env(task.schedule.settings[0], render_mode=RENDER_MODE)) as env:
            if env.render_mode != RENDER_MODE:
                return f"the environment has no render_mode {RENDER_MODE}"
            env.reset(seed=0)
            picture = np.asarray(env.render())
    except Exception as error:  # of the user's own code, such as for a missing package
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] != 3 or not picture.size:
        return f"render() must return RGB uint8, returns {picture.dtype} of shape {picture.shape}"
    return None
