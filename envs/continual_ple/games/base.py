"""What a game is: reset, step, state, draw, and a table of the parameters that may be changed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from continual_ple.games.parameters import Parameter, resolve_parameters
from continual_ple.messages import one_of

Image: TypeAlias = npt.NDArray[np.uint8]

FRAMES_PER_SECOND = 30
FRAME_MS = 1000.0 / FRAMES_PER_SECOND
REWARD_POSITIVE, REWARD_NEGATIVE, REWARD_LOSS = 1.0, -1.0, -5.0


class Draws(Protocol):
    """A source of random choices, so that a test can replay recorded ones."""

    def choose(self, options: Sequence[int]) -> int:
        """Return one of `options`, each as likely as the others."""
        ...


class GeneratorDraws:
    """Draws from a NumPy generator."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def choose(self, options: Sequence[int]) -> int:
        """Return one of `options`, each as likely as the others."""
        return options[int(self._generator.integers(len(options)))]


class FirstDraws:
    """Always the first option: what fixed looks and upstream's discarded first round are made of."""

    def choose(self, options: Sequence[int]) -> int:
        """Return the first of `options`."""
        return options[0]


def round_half_away(value: float) -> int:
    """Round to the nearest whole number, halves away from zero, as pygame 2.6 does when a `Rect` takes a float.

    >>> [round_half_away(value) for value in (25.5, -5.97, -0.5, 0.4)]
    [26, -6, -1, 0]
    """
    return int(value + math.copysign(0.5, value))


ROUNDINGS: dict[str, Callable[[float], int]] = {"nearest": round_half_away, "truncate": int}
"""How a position becomes whole pixels: `nearest` on today's pygame, `truncate` on that of the paper's time."""


def luma(frame: Image) -> Image:
    """Return the grey (ITU-R 601) of an RGB image (height, width, 3) as (height, width), both uint8."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def shrink(grey: Image, size: int) -> Image:
    """Return a grey image (height, width) resized to (size, size) with area interpolation, both uint8."""
    return np.asarray(cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True)
class Controls:
    """How a person plays a game; the first action without a key is what is done while none is pressed.

    Attributes:
        keys: Names of the keys of each action, as in pygame's constants after ``K_``: ``SPACE``, ``LEFT``, ``a``.
        help: What the keys do, in a few words.
        tapped: Actions that each press does once; the others last as long as their key is held.
    """

    keys: Mapping[str, tuple[str, ...]]
    help: str
    tapped: tuple[str, ...] = ()


class Game(ABC):
    """A game that advances one frame (1/30 s) per step.

    A subclass declares here everything that the rest of the package needs to know about it. It is added by
    `continual_ple.register_game`, or as an installed entry point of the group ``continual_ple.games``.

    Parameters are fixed for the life of the object: to change them, make another game. A game remembers the draws it
    was reset with, because play keeps drawing (where the next pellet falls).

    Attributes:
        name: Name on the command line, such as ``flappy_bird``; the ids in Gymnasium, such as
            ``ContinualPLE/FlappyBird-v0``, are made from it.
        score_name: What `score` counts.
        actions: Names of the actions, in order.
        state_names: PLE's names of the columns of `state()`.
        parameter_table: The parameters that may be changed.
        varied_parameter: The parameter that changes in training, unless a run names another.
        default_values: Values of that parameter in training order, from easy to hard.
        random_odds: Probability of each action in random play; empty if all have the same; or the name of the run's
            option that holds the first action's, of which the others share the rest.
        controls: How a person plays it; None if nobody can.
        parameters: The values in force.
        width: Screen width in pixels.
        height: Screen height in pixels.
        score: Pellets caught or pipes passed since the reset.
        lost: Whether the game is over.
    """

    name: ClassVar[str]
    score_name: ClassVar[str]
    actions: ClassVar[tuple[str, ...]]
    state_names: ClassVar[tuple[str, ...]]
    parameter_table: ClassVar[tuple[Parameter, ...]]
    varied_parameter: ClassVar[str]
    default_values: ClassVar[tuple[float, ...]]
    random_odds: ClassVar[tuple[float, ...] | str] = ()
    controls: ClassVar[Controls | None] = None
    parameters: dict[str, float]
    width: int
    height: int
    score: int
    lost: bool

    def __init__(self, *, rounding: str = "nearest", **parameters: object) -> None:
        """Make a game; call `reset` before playing.

        Args:
            rounding: How positions become whole pixels, `nearest` or `truncate`.
            **parameters: Values of `parameter_table` that differ from the default.

        Raises:
            ValueError: if a value is not allowed.
        """
        self._whole = ROUNDINGS[one_of("rounding", rounding, ROUNDINGS)]
        self.parameters = self.check_parameters(parameters)

    @classmethod
    def check_parameters(cls, given: Mapping[str, object]) -> dict[str, float]:
        """Return all parameters with the `given` ones changed.

        Raises:
            ValueError: if a name is unknown, or a value is out of range or does not fit the others.
        """
        return resolve_parameters(cls.name, cls.parameter_table, given)

    def score_ceiling(self, frames: int) -> float | None:
        """Return the highest mean score that any play can reach in episodes of at most ``frames`` frames.

        Where chance decides how much an episode offers, it is the mean over its draws: single episodes can be above it.
        None, as here, if the game cannot say.
        """
        return None

    @staticmethod
    @abstractmethod
    def state_range(parameters: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """Return the (columns, 2) low and high of each state column that are scaled to −1 and 1.

        They depend on the screen's size at most: an agent must not read the difficulty from how its input is scaled.
        """

    @abstractmethod
    def reset(self, draws: Draws, looks: Draws) -> None:
        """Start an episode.

        Args:
            draws: Source of every choice that matters for play.
            looks: Source of background and colours, apart so that they never disturb play.
        """

    @abstractmethod
    def step(self, action: int) -> float:
        """Play one frame with the action of this index and return PLE's raw reward."""

    @abstractmethod
    def state(self) -> npt.NDArray[np.float64]:
        """Return PLE's non-visual state: one raw value per name in `state_names`."""

    @abstractmethod
    def draw(self) -> Image:
        """Return the screen as a new RGB image (height, width, 3) uint8."""

    def screen(self) -> Image:
        """Return what `draw` returns.

        Raises:
            ValueError: if it is no such image.
        """
        image, shape = self.draw(), (self.height, self.width, 3)
        if not isinstance(image, np.ndarray) or image.shape != shape or image.dtype != np.uint8:
            kind = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ValueError(f"{type(self).__name__}.draw: must return uint8 of shape {shape}, returned {kind}")
        return image

    def thumbnail(self, size: int) -> Image:
        """Return the screen in grey, resized by area to a new (size, size) uint8 image.

        This is the definition; a game may override it with something faster that gives the same.
        """
        return shrink(luma(self.screen()), size)

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """Return everything that changes in play as plain JSON values; the draws are not part of it."""

    @abstractmethod
    def set_state(self, state: Mapping[str, Any], draws: Draws) -> None:
        """Resume from what `get_state` of a game with the same parameters returned, drawing from `draws`."""
