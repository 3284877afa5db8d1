"""A wrapper that changes the setting of an environment in the loop of training."""

from collections.abc import Callable, Mapping
from typing import Any, SupportsFloat

import gymnasium

from continual_ple.settings import Schedule

Apply = Callable[[gymnasium.Env[Any, Any], Mapping[str, float]], None]


def apply_parameters(env: gymnasium.Env[Any, Any], parameters: Mapping[str, float]) -> None:
    """Give an unwrapped environment new parameters: by its `configure(**parameters)` if it has one, else as attributes.

    Raises:
        AttributeError: if it has neither; nothing is changed.
    """
    configure = getattr(env, "configure", None)
    if configure is not None:
        configure(**parameters)
        return
    missing = [name for name in parameters if not hasattr(env, name)]
    if missing:
        raise AttributeError(f"{type(env).__name__} has no configure() and no attribute {', '.join(missing)}")
    for name, value in parameters.items():
        setattr(env, name, value)


class NonStationary(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Moves an environment through a schedule of settings.

    Every step is one frame. The step that completes a stretch (a segment, unless the schedule is interleaved) ends its
    episode with `truncated`, and the next reset applies the next stretch's setting, so that each episode is played
    under one setting. After the last segment nothing changes any more, unless interleaved. No reset goes back in the
    schedule, with a seed or without: to start over, make the environment anew. Observations are untouched: the agent is
    not told which setting is on. `info` holds `setting` (name), `setting_index` (in `schedule.settings`) and `segment`
    of the episode that the observation belongs to.

    Attributes:
        schedule: Settings in time.
        frames: Environment frames played so far.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], schedule: Schedule, apply: Apply = apply_parameters) -> None:
        """Wrap an environment.

        Args:
            env: Any environment.
            schedule: Settings in time.
            apply: Gives the unwrapped environment a setting's parameters; called just before a reset.
        """
        super().__init__(env)
        self.schedule = schedule
        self.frames = 0
        self._apply = apply
        self._stretch: int | None = None  # none has been applied yet

    @property
    def stretch(self) -> int:
        """Number of the stretch whose setting is in force, from 0."""
        return 0 if self._stretch is None else self._stretch

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode under the setting that is due."""
        stretch = self.schedule.stretch_at(self.frames)
        if stretch != self._stretch:
            self._apply(self.env.unwrapped, self.schedule.settings[self.schedule.index_in(stretch)].parameters)
            self._stretch = stretch
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, self._tell(info)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Play one frame; the last of a stretch is `truncated`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.frames += 1
        # A step beyond the border without a reset stays truncated: no frame may be played under the wrong setting.
        border = self.schedule.stretch_at(self.frames) != self.stretch
        return observation, reward, terminated, truncated or border, self._tell(info)

    def _tell(self, info: dict[str, Any]) -> dict[str, Any]:
        schedule = self.schedule
        index = schedule.index_in(self.stretch)
        turn = schedule.interleave_frames
        segment = schedule.segment_at(self.stretch * turn) if turn else self.stretch
        return info | {"setting": schedule.settings[index].name, "setting_index": index, "segment": segment}

    def get_state(self) -> dict[str, Any]:
        """Return the place in the schedule as JSON values; the environment's own state is not part of it."""
        return {"frames": self.frames, "stretch": self._stretch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Resume from what `get_state` returned, in an environment that has the setting of that time.

        The environment restores its setting by its own `set_state`; one that has none gets the setting applied here.

        Raises:
            ValueError: if the place is not one of the schedule.
        """
        frames, stretch = int(state["frames"]), state["stretch"]
        if frames < 0 or (stretch is not None and not 0 <= stretch <= self.schedule.stretch_at(frames)):
            raise ValueError(f"frames={frames}, stretch={stretch!r}: not a place in the schedule")
        self.frames, self._stretch = frames, stretch
        if stretch is not None and not hasattr(self.env.unwrapped, "set_state"):
            setting = self.schedule.settings[self.schedule.index_in(stretch)]
            self._apply(self.env.unwrapped, setting.parameters)
