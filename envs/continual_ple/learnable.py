"""Any Gymnasium environment as an agent can learn from it: fresh arrays of one dtype, actions from 0, plain numbers."""

import math
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LONGEST = 100  # characters of a value in a message
SMALLEST_IMAGE_SIDE = 36  # px, for the three convolutions of Mnih et al. 2015
MOST_AXES = 3
LARGEST_BOUND = 1e9  # beyond it a bound is a placeholder, such as the largest float, and gives no scale


class UnlearnableError(ValueError):
    """An environment hands out what cannot be learned from; the message is one line."""


class Learnable(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Stands between an agent and any environment with Box observations and Discrete actions.

    Actions are 0 to n - 1 for the agent, and `start` to `start + n - 1` for the environment. Rewards may be arrays of
    one number. Every observation is a fresh array, so that an environment may change its own in place:

    | Box of the environment | observation of the agent |
    |---|---|
    | 1 axis (or none), any dtype | ``(features,)`` float32, the same numbers |
    | image: sides of at least 36 pixels, with or without a channel axis first or last | ``(channels, height, width)`` |
    | other arrays of 2 or 3 axes, such as small images | ``(features,)`` float32, flattened |

    Images and other arrays of two or more axes are scaled to [0, 1] by the bounds of their Box; an image of uint8
    with bounds 0 and 255 stays as it is, and the network divides it by 255. Arrays without finite bounds keep their
    numbers. The channel axis of an image is the shorter one of the first and the last. Numbers outside the Box are
    taken as they are, numbers that are not finite are errors.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], own_shape: bool = False) -> None:
        """Wrap an environment.

        Args:
            env: Environment to wrap.
            own_shape: Whether observations keep the environment's own shape, of any number of axes, for a network that
                was built for it. They are uint8 or scaled to [0, 1] all the same.

        Raises:
            UnlearnableError: if its spaces are of another kind, or an image has no finite bounds.
        """
        super().__init__(env)
        space, actions = env.observation_space, env.action_space
        if not isinstance(actions, spaces.Discrete):
            raise UnlearnableError(f"must have Discrete actions, has {_short(actions)}")
        if actions.n < 1:
            raise UnlearnableError(f"must have at least one action, has {_short(actions)}")
        if not isinstance(space, spaces.Box):
            raise UnlearnableError(
                f"must have Box observations, has {_short(space)} "
                "(a Box of them may be made by gymnasium.wrappers.FlattenObservation)"
            )
        if 0 in space.shape:
            raise UnlearnableError(f"must have observations of at least one number, has {_short(space)}")
        self._own_space, self._first_action = space, int(actions.start)
        bounded = _is_bounded(space)
        self._axes, shape = _layout(space, bounded, own_shape)
        self._bytes = len(shape) > 1 and space.dtype == np.uint8
        self._bytes = self._bytes and bool((space.low == 0).all() and (space.high == 255).all())
        scaled = bounded and len(space.shape) > 1 and not self._bytes
        self._scale: tuple[Floats, Floats] | None = _scale(space, self._axes) if scaled else None
        self._dtype = np.dtype(np.uint8 if self._bytes else np.float32)
        low, high = (0, 255) if self._bytes else (-np.inf, np.inf)
        self.observation_space = spaces.Box(low, high, shape, self._dtype.type)
        self.action_space = spaces.Discrete(int(actions.n))

    @property
    def scales(self) -> bool:
        """Whether observations are scaled by the bounds of the environment's Box."""
        return self._scale is not None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._see(observation), info

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Play one frame with an action from 0.

        Raises:
            UnlearnableError: if the observation does not fit its Box, or a number is not finite.
        """
        observation, reward, terminated, truncated, info = self.env.step(self._first_action + int(action))
        return self._see(observation), plain_reward(reward), bool(terminated), bool(truncated), info

    def _see(self, observation: Any) -> NDArray[Any]:
        """Return a new array with what the environment shows, which it may overwrite in its next step."""
        given = np.asarray(observation)
        if given.shape != self._own_space.shape:
            raise UnlearnableError(f"observation: must be of shape {self._own_space.shape}, is {given.shape}")
        given = given.transpose(self._axes)
        if self._scale is not None:
            low, span = self._scale
            given = (given - low) / span
        try:
            seen = np.array(given, self._dtype, order="C")
        except (TypeError, ValueError):
            raise UnlearnableError(f"observation: must hold numbers, is of {given.dtype}") from None
        if self._bytes:
            if given.dtype != np.uint8 and not np.array_equal(seen, given):
                raise UnlearnableError(f"observation: must be of uint8 as its Box says, is of {given.dtype}")
        elif not np.isfinite(seen).all():
            raise UnlearnableError("observation: must hold finite numbers only")
        return seen.reshape(self.observation_space.shape)


def agents_view(env: gymnasium.Env[Any, Any]) -> tuple[Any, ...]:
    """Return what one agent needs to be the same in two environments: form and scale of what it sees, and actions."""
    space = env.observation_space
    if not isinstance(env, Learnable):
        return space.shape, space.dtype, None, env.action_space
    return space.shape, space.dtype, env.env.observation_space if env.scales else None, env.env.action_space


def spaces_in_words(env: gymnasium.Env[Any, Any]) -> str:
    """Return the spaces of an environment, those of what a `Learnable` wraps, in one line for a message."""
    inner = env.env if isinstance(env, Learnable) else env
    return f"{_short(inner.observation_space)} and {_short(inner.action_space)}"


def image_axes(shape: Sequence[int]) -> tuple[int, ...] | None:
    """Return the axes of an image in the order channels, height, width, or None if it is too small to be one.

    >>> image_axes((84, 84, 3)), image_axes((4, 84, 84)), image_axes((84, 84)), image_axes((10, 10, 4))
    ((2, 0, 1), (0, 1, 2), (0, 1), None)
    """
    axes = tuple(range(len(shape)))
    if len(shape) == 3 and shape[-1] < shape[0]:
        axes = (2, 0, 1)
    if len(shape) not in (2, 3) or min(shape[axis] for axis in axes[-2:]) < SMALLEST_IMAGE_SIDE:
        return None
    return axes


def _layout(space: spaces.Box, bounded: bool, own_shape: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the order of the axes, and then the shape, of the agent's observations."""
    shape, axes = space.shape, tuple(range(len(space.shape)))
    if own_shape:
        return axes, shape
    if len(shape) > MOST_AXES:
        raise UnlearnableError(
            f"must have observations of at most {MOST_AXES} axes, has {_short(space)}; "
            "reshape them with a wrapper, or give a network for them"
        )
    image = image_axes(shape)
    if image is None or (len(shape) == 2 and not bounded):
        return axes, (math.prod(shape),)
    if not bounded:
        raise UnlearnableError(f"images must have a Box with finite bounds, to be scaled by, has {_short(space)}")
    height, width = (shape[axis] for axis in image[-2:])
    return image, (math.prod(shape) // (height * width), height, width)


def _is_bounded(space: spaces.Box) -> bool:
    return all(bool((np.abs(bound.astype(np.float64)) < LARGEST_BOUND).all()) for bound in (space.low, space.high))


def _scale(space: spaces.Box, axes: tuple[int, ...]) -> tuple[Floats, Floats] | None:
    """Return what to subtract from an array and what to divide it by, or None if it is from 0 to 1 already."""
    low, high = (bound.transpose(axes).astype(np.float64) for bound in (space.low, space.high))
    if (low == 0).all() and (high == 1).all():
        return None
    return low, np.where(high > low, high - low, 1.0)


def plain_reward(reward: Any) -> float:
    """Return a reward as a number; it may be an array of one."""
    try:
        value = float(reward) if isinstance(reward, (int, float)) else float(np.asarray(reward, np.float64).reshape(()))
    except (TypeError, ValueError):
        raise UnlearnableError(f"reward={_short(reward)}: must be one number") from None
    if not math.isfinite(value):
        raise UnlearnableError(f"reward={value}: must be a finite number")
    return value


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
