"""What an agent sees of a game: its screen, its numbers, or whatever another class makes of it."""

import inspect
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from continual_ple.games.base import Game
from continual_ple.learnable import UnlearnableError, plain_reward
from continual_ple.messages import shown
from continual_ple.registry import Registry

SCREEN_SIZE = 84  # px, of Mnih et al. 2015
Array = npt.NDArray[Any]


class Observation(ABC):
    """Looks at one game object: ``begin`` and ``observe`` are called at a reset, ``advance`` and ``observe`` at a step.

    An observation is a new array each time, which its reader may keep and change: float32 of shape ``(features,)``, for
    dense networks; or, if `is_image`, uint8 or float32 of shape ``(channels, height, width)``, for convolutions. It is
    added by `continual_ple.register_observation`, or as an installed entry point of ``continual_ple.observations``.

    Attributes:
        name: Name on the command line.
        is_image: Whether observations are images.
        newest_entries: Entries at the end of the first axis that come from the newest frame, so that only the last one
            of a step is stacked where frames are skipped; 0 if frames are not stacked.
        game: The game that is seen; its parameters never change.
        space: The observations, the same for all parameters of a game.
    """

    name: ClassVar[str]
    is_image: ClassVar[bool]
    newest_entries: int = 0
    space: spaces.Box

    def __init__(self, game: Game, frame_stack: int) -> None:
        """Look at a game, which may not have been reset yet.

        Args:
            game: The game.
            frame_stack: Frames in an observation that stacks them.
        """
        self.game = game

    def begin(self) -> None:  # noqa: B027 - optional: a kind that keeps no earlier frames has nothing to do
        """Take in the first frame of an episode."""

    def advance(self) -> None:  # noqa: B027 - optional: a kind that keeps no earlier frames has nothing to do
        """Take in the next frame."""

    @abstractmethod
    def observe(self) -> Array:
        """Return what is seen now, as a new array."""

    def get_state(self) -> Array:
        """Return as one array what is kept of earlier frames; empty if nothing is."""
        return np.array([], np.uint8)

    def set_state(self, state: Array) -> None:  # noqa: B027 - optional: a kind that keeps no earlier frames has nothing to do
        """Resume from what `get_state` returned."""


class FrameStack(Observation):
    """Keeps part of each of the last frames; at a reset, that of the first frame, repeated.

    Attributes:
        frames: What is kept, oldest first.
    """

    def __init__(self, game: Game, frame_stack: int) -> None:
        """Look at a game; takes the same arguments as `Observation`."""
        super().__init__(game, frame_stack)
        self.frames: deque[Array] = deque(maxlen=frame_stack)

    @abstractmethod
    def frame(self) -> Array:
        """Return, as a new array, what is kept of the newest frame."""

    def begin(self) -> None:
        """Take in the first frame of an episode."""
        assert self.frames.maxlen is not None
        self.frames.extend([self.frame()] * self.frames.maxlen)

    def advance(self) -> None:
        """Take in the next frame."""
        self.frames.append(self.frame())

    def get_state(self) -> Array:
        """Return what is kept, oldest first."""
        return np.array(self.frames, self.space.dtype)

    def set_state(self, state: Array) -> None:
        """Resume from what `get_state` returned."""
        self.frames.clear()
        self.frames.extend(np.array(frame, self.space.dtype) for frame in state)


class Pixels(FrameStack):
    """The last frames of the screen, (frame_stack, 84, 84) uint8, in grey."""

    name = "pixels"
    is_image = True
    newest_entries = 1

    def __init__(self, game: Game, frame_stack: int) -> None:
        """Look at a game; takes the same arguments as `Observation`."""
        super().__init__(game, frame_stack)
        self.space = spaces.Box(0, 255, (frame_stack, SCREEN_SIZE, SCREEN_SIZE), np.uint8)

    def frame(self) -> Array:
        """Return the screen, (84, 84) uint8."""
        return self.game.thumbnail(SCREEN_SIZE)

    def observe(self) -> Array:
        """Return the last frames, oldest first."""
        # Gymnasium's FrameStackObservation spends 30 µs here, as long as the rest of a Catcher step: this takes 2.
        return np.array(self.frames)


class ScaledState(Observation):
    """PLE's non-visual state scaled to [−1, 1] and clipped, (columns,) float32; it holds the velocity.

    Attributes:
        scale: Factor of each column.
        shift: Offset of each column, added after scaling.
    """

    name = "state"
    is_image = False

    def __init__(self, game: Game, frame_stack: int) -> None:
        """Look at a game; takes the same arguments as `Observation`."""
        super().__init__(game, frame_stack)
        self.space = spaces.Box(-1.0, 1.0, (len(game.state_names),), np.float32)
        low, high = np.asarray(game.state_range(game.parameters), np.float64).T
        self.scale = 2 / (high - low)
        self.shift = -1 - low * self.scale

    def observe(self) -> Array:
        """Return the state in the range."""
        scaled: npt.NDArray[np.float64] = self.game.state() * self.scale + self.shift
        return np.minimum(np.maximum(scaled, -1.0), 1.0).astype(np.float32)  # a third of the time of np.clip


def check_observation(kind: object) -> None:
    """Raise ValueError, in one line, unless `kind` is a complete observation."""
    if not (isinstance(kind, type) and issubclass(kind, Observation)):
        raise ValueError(f"observation={shown(kind)}: must be a subclass of continual_ple.Observation")
    if inspect.isabstract(kind):
        raise ValueError(f"{kind.__name__}: must define {', '.join(sorted(kind.__abstractmethods__))}")
    for attribute, wanted in (("name", str), ("is_image", bool)):
        value = getattr(kind, attribute, None)
        if not isinstance(value, wanted):
            raise ValueError(f"{kind.__name__}.{attribute}={shown(value)}: must be a {wanted.__name__}")


def check_space(kind: type[Observation], space: object) -> None:
    """Raise ValueError, in one line, unless the networks can learn from the observations in `space`."""
    axes, dtypes = (3, (np.uint8, np.float32)) if kind.is_image else (1, (np.float32,))
    if not isinstance(space, spaces.Box) or len(space.shape) != axes or space.dtype not in dtypes:
        names = " or ".join(dtype.__name__ for dtype in dtypes)
        raise ValueError(
            f"{kind.__name__}.space={' '.join(shown(space).split())}: must be a Box of {names} with {axes} axes, "
            f"since is_image={kind.is_image}"
        )


def check_seen(view: Observation, seen: Any) -> None:
    """Raise UnlearnableError, in one line, unless what a view returned is an array like those of its space, finite."""
    space = view.space
    form = getattr(seen, "dtype", None), getattr(seen, "shape", None)
    if form != (space.dtype, space.shape):
        given = f"{form[0]} of shape {form[1]}" if form[1] is not None else f"a {type(seen).__name__}"
        raise UnlearnableError(
            f"{type(view).__name__}.observe: must return {space.dtype} of shape {space.shape}, as its space says, "
            f"returned {given}"
        )
    if space.dtype.kind == "f" and not np.isfinite(seen).all():
        raise UnlearnableError(f"{type(view).__name__}.observe: must hold finite numbers only, in {view.game.name}")


def check_played(view: Observation, seen: Any, reward: Any) -> float:
    """Return the reward of a step; raises UnlearnableError unless it and what the view returned can be learned from."""
    check_seen(view, seen)
    return plain_reward(reward)


OBSERVATIONS: Registry[Observation] = Registry(
    "observation", "continual_ple.observations", check_observation, lambda name: None
)
"""The observations by name, as `GAMES` has the games."""
OBSERVATIONS.register(Pixels)
OBSERVATIONS.register(ScaledState)


def register_observation(kind: type[Observation]) -> type[Observation]:
    """Add an observation, so that every command and function knows its name; may be used as a decorator.

    Args:
        kind: The observation's class.

    Returns:
        The same class.

    Raises:
        ValueError: if it is no complete observation, or another one has its name.
    """
    return OBSERVATIONS.register(kind)


def observation_class(name: str) -> type[Observation]:
    """Return the class of an observation.

    Raises:
        ValueError: if there is none of this name, or it is installed and cannot be used.
    """
    return OBSERVATIONS.find(name)


def sees_images(name: str) -> bool:
    """Return whether the observation of this name is of images; one that is not known here is not."""
    return name in OBSERVATIONS and OBSERVATIONS[name].is_image
