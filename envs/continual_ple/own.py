"""Environments of the user: made from an id or a callable, tried once, and wrapped so that any agent can learn."""

import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import gymnasium
from gymnasium.wrappers import TimeLimit

from continual_ple.learnable import Learnable, UnlearnableError
from continual_ple.nonstationary import Apply
from continual_ple.settings import Setting

OwnMake = str | Callable[..., gymnasium.Env[Any, Any]]
"""An id that is registered in Gymnasium, or a callable that makes a new environment at each call."""

MakeNetwork = Callable[[tuple[int, ...], int], Any]
"""Function from the shape of an observation and the number of actions to a `torch.nn.Module`."""

MAX_NAME = 60  # characters, of a folder's name that holds more than this
UNNAMED = "own-environment"
RENDER_MODE = "rgb_array"
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "SDL_VIDEO_DRIVER")
"""Variables that name a screen, or the driver of SDL 2 or 3 that a user chose."""


class MakeEnv(Protocol):
    """Makes a fresh environment under one setting."""

    def __call__(
        self, setting: Setting, frame_limit: int | None = None, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        """Make an environment, with episodes truncated after `frame_limit` frames, if given, or sooner."""


class MakeLearnable:
    """Makes each environment a `Learnable`.

    Args:
        make: Makes any environment.
        own_shape: As in `Learnable`.
    """

    def __init__(self, make: MakeEnv, own_shape: bool) -> None:
        self.make, self.own_shape = make, own_shape

    def __call__(
        self, setting: Setting, frame_limit: int | None = None, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        """Make an environment, as a `MakeEnv` does."""
        return Learnable(self.make(setting, frame_limit=frame_limit, render_mode=render_mode), self.own_shape)


class OwnEnvironment:
    """Makes a user's environment under a setting.

    Args:
        make: An id, or a callable that takes `options`, and `render_mode` if it can draw.
        apply: Gives the unwrapped environment a setting's parameters.
        options: Keyword arguments of every call.
    """

    def __init__(self, make: OwnMake, apply: Apply, options: Mapping[str, Any]) -> None:
        self.make, self.apply, self.options = make, apply, dict(options)
        self._takes_mode = isinstance(make, str) or _takes(make, "render_mode")
        self._draws: bool | None = None  # not known before the first environment

    def __call__(
        self, setting: Setting, frame_limit: int | None = None, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        """Make an environment; its built-in frame limit also holds, so that the smaller of the two decides."""
        env = self._make(render_mode)
        if frame_limit is not None:
            env = TimeLimit(env, frame_limit)
        self.apply(env.unwrapped, setting.parameters)
        return env

    def _make(self, render_mode: str | None) -> gymnasium.Env[Any, Any]:
        """Make an environment; one that cannot draw is made without a render mode."""
        if render_mode is not None and self._draws is None:
            env = self._make(None)
            self._draws = render_mode in (env.metadata.get("render_modes") or ())
            env.close()
        if render_mode is None or not (self._draws and self._takes_mode):
            return self._call(self._required_mode())
        if render_mode == RENDER_MODE:
            draw_without_screen()
        try:
            return self._call({"render_mode": render_mode})
        except TypeError as error:
            if "render_mode" not in str(error):
                raise
            self._draws = False  # its class promises to draw, but its constructor does not take the argument
            return self._call({})

    def _required_mode(self) -> dict[str, None]:
        """Return the render mode None where a callable must be given one."""
        if isinstance(self.make, str):
            return {}
        return {"render_mode": None} if _takes(self.make, "render_mode", required=True) else {}

    def _call(self, mode: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
        if isinstance(self.make, str):
            try:
                return gymnasium.make(self.make, **self.options, **mode)
            except gymnasium.error.Error as error:
                raise UnlearnableError(" ".join(str(error).split())) from None
        made: Any = self.make(**self.options, **mode)
        if not isinstance(made, gymnasium.Env):
            raise UnlearnableError(f"must make a gymnasium.Env, made a {type(made).__module__}.{type(made).__name__}")
        return made


def draw_without_screen() -> None:
    """Let SDL draw without a screen where there is none, which it would else complain of on standard error."""
    if sys.platform == "linux" and not any(os.environ.get(name) for name in SCREENS):
        os.environ["SDL_VIDEODRIVER"] = "dummy"


def try_out(make_env: MakeEnv, apply: Apply, settings: Sequence[Setting]) -> int:
    """Play one frame, apply every setting once, and return the number of actions.

    Raises:
        UnlearnableError: if the environment cannot be learned from, or the same one is made twice.
    """
    env, other = make_env(settings[0]), make_env(settings[0])
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)  # of a Learnable
    try:
        if env.unwrapped is other.unwrapped:
            raise UnlearnableError("must make a new environment at each call, made the same one twice")
        env.reset(seed=0)
        env.step(0)
        for setting in settings:
            apply(other.unwrapped, setting.parameters)
    finally:
        env.close()
        other.close()
    return int(env.action_space.n)


def own_name(make: OwnMake) -> str:
    """Return a name for folders and titles: an id without the module before it, or a callable's name.

    >>> own_name("ALE/Pong-v5"), own_name("minigrid:MiniGrid-Empty-5x5-v0"), own_name(dict), own_name(lambda: None)
    ('ALE-Pong-v5', 'MiniGrid-Empty-5x5-v0', 'dict', 'own-environment')
    """
    if isinstance(make, str):
        name = make.rpartition(":")[2]
    else:
        inner = make.func if isinstance(make, functools.partial) else make
        name = getattr(inner, "__name__", type(inner).__name__)
        name = UNNAMED if name == "<lambda>" else name
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.")[:MAX_NAME] or UNNAMED


def _takes(make: Callable[..., Any], name: str, required: bool = False) -> bool:
    """Return whether a callable has a keyword argument, or takes any; if ``required``, whether it has no default."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):  # of a builtin
        return False
    if name not in parameters:
        return not required and any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return not required or parameters[name].default is inspect.Parameter.empty
