"""Catcher: move a paddle to catch falling pellets; three misses lose. Dynamics are exactly those of PLE's Catcher."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from continual_ple.games.base import (
    FRAME_MS,
    REWARD_LOSS,
    REWARD_NEGATIVE,
    REWARD_POSITIVE,
    Controls,
    Draws,
    Game,
    Image,
    luma,
    shrink,
)
from continual_ple.games.parameters import Parameter

PADDLE_COLOUR, PELLET_COLOUR = (255, 255, 255), (255, 120, 120)
PADDLE_GREY, PELLET_GREY = (int(grey) for grey in luma(np.array([[PADDLE_COLOUR, PELLET_COLOUR]], np.uint8))[0])
FRICTION = 0.9  # share of the velocity kept each frame
PADDLE_MARGIN = 3  # px between the paddle and the bottom
EXACT_FRAMES = 5_000  # of a ceiling; from then on each frame adds the same to it


def _share(pixels: int, fraction: float) -> int:
    """Return a fraction of a length in whole pixels, rounded as PLE does (halves to even)."""
    return round(fraction * pixels)


class Catcher(Game):
    """PLE's Catcher with changeable parameters.

    Positions are the centres of the sprites' rectangles, in whole pixels, as in PLE's state. A rectangle's left edge is
    its centre minus half its width rounded down.
    """

    name = "catcher"
    score_name = "pellets caught"
    actions = ("left", "right", "noop")
    state_names = ("player_x", "player_vel", "fruit_x", "fruit_y")
    parameter_table = (
        Parameter("width", "px", 64, 32, 512, "screen width", whole=True),
        Parameter("height", "px", 64, 32, 512, "screen height", whole=True),
        Parameter("fall_speed", "px/ms", 0.00095, 0.03, 2.0, "speed of the falling pellet", per="height"),
        Parameter("paddle_speed", "px/frame²", 0.021, 0.2, 50.0, "the paddle's acceleration", per="width"),
        Parameter("lives", "misses", 3, 1, 1000, "misses that lose the game", whole=True),
    )
    varied_parameter = "fall_speed"
    default_values = tuple(round(0.0608 + 0.03 * index, 4) for index in range(6))  # Riemer et al. 2019, section 6
    controls = Controls({"left": ("LEFT",), "right": ("RIGHT",)}, help="LEFT and RIGHT move")

    def __init__(self, *, rounding: str = "nearest", **parameters: object) -> None:
        super().__init__(rounding=rounding, **parameters)
        self.width, self.height = int(self.parameters["width"]), int(self.parameters["height"])
        self._paddle_width, self._paddle_height = _share(self.width, 0.2), _share(self.height, 0.04)
        self._size = _share(self.height, 0.06)
        self._fall_px = self.parameters["fall_speed"] * FRAME_MS
        speed = self.parameters["paddle_speed"]
        self._push = (-speed, speed, 0.0)  # by action
        self._paddle_y = self._whole(self.height - self._paddle_height - PADDLE_MARGIN)
        self._heights = range(self._size, self.height // 2, self._size)  # of a new pellet above the screen

    @classmethod
    def check_parameters(cls, given: Mapping[str, object]) -> dict[str, float]:
        """Return all parameters with the `given` ones changed.

        Raises:
            ValueError: if a name is unknown, a value is out of range, or the screen is too narrow for its height.
        """
        values = super().check_parameters(given)
        size = _share(int(values["height"]), 0.06)
        if values["width"] <= 4 * size:
            raise ValueError(
                f"width={values['width']}: must be more than {4 * size} (px) at height={values['height']}, "
                f"or a pellet of {size} px has no column to fall in"
            )
        return values

    @staticmethod
    def state_range(parameters: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """Return the (4, 2) range of the state: positions within the screen, velocity within a fifth of its width."""
        width, height = parameters["width"], parameters["height"]
        return np.array([(0, width), (-0.2 * width, 0.2 * width), (0, width), (-0.5 * height, height)], np.float64)

    def reset(self, draws: Draws, looks: Draws) -> None:
        """Start an episode; Catcher has one look only."""
        self._draws = draws
        self._lives = int(self.parameters["lives"])
        self._paddle_x = self._whole(self.width / 2 - self._paddle_width / 2)
        self._velocity = 0.0
        self.score = 0
        self.lost = False
        self._respawn()

    def _respawn(self) -> None:
        size = self._size
        self._pellet_x = self._draws.choose(range(2 * size, self.width - 2 * size, size))
        self._pellet_y = -self._draws.choose(self._heights)

    def score_ceiling(self, frames: int) -> float:
        """Return the mean score of a paddle that is under every pellet as soon as it can be caught.

        How high a pellet starts is drawn, so an episode can be a few pellets above it. From some heights a fast pellet
        jumps over the paddle; then the lives that this costs are another bound, and the lower of both is returned.

        >>> round(Catcher(fall_speed=0.0608).score_ceiling(2_000), 1)
        55.0
        >>> Catcher(fall_speed=0.2108).score_ceiling(2_000)  # one of seven heights is out of reach
        18.0
        """
        falls = [self._fall(-height) for height in self._heights]
        hits, exact = sum(hit for _, hit in falls), min(frames, EXACT_FRAMES)
        caught = np.zeros(exact + 1)  # mean catches by frame
        for frame in range(1, exact):
            caught[frame] = sum(hit + caught[frame - fall] for fall, hit in falls if fall <= frame) / len(falls)
        in_time = float(caught[max(exact - 1, 0)]) + (frames - exact) * hits / sum(fall for fall, _ in falls)
        misses = len(falls) - hits
        return min(in_time, self.parameters["lives"] * hits / misses) if misses else in_time

    def _fall(self, y: int) -> tuple[int, bool]:
        """Return the frames until a pellet from height ``y`` is in the paddle's reach or gone, and whether in reach."""
        frame = 0
        while not self._at_paddle(y) and y < self.height:
            y = self._whole(y + self._fall_px)
            frame += 1
        return frame, self._at_paddle(y)

    def step(self, action: int) -> float:
        """Play one frame: left, right or noop. Misses and catches are judged before anything moves."""
        reward = 0.0
        if self._pellet_y >= self.height:
            reward += REWARD_NEGATIVE
            self._lives -= 1
            self._respawn()
        if self._touching():
            reward += REWARD_POSITIVE
            self.score += 1
            self._respawn()
        self._move_paddle(self._push[action])
        self._pellet_y = self._whole(self._pellet_y + self._fall_px)
        if self._lives == 0:
            reward += REWARD_LOSS
            self.lost = True
        return reward

    def _at_paddle(self, pellet_y: int) -> bool:
        """Return whether a pellet at this height is caught if the paddle is below it."""
        top = self._paddle_y - self._paddle_height // 2
        return top - self._size < pellet_y - self._size // 2 < top + self._paddle_height

    def _touching(self) -> bool:
        if not self._at_paddle(self._pellet_y):
            return False
        size = self._size
        left = self._paddle_x - self._paddle_width // 2
        return left - size < self._pellet_x - size // 2 < left + self._paddle_width

    def _move_paddle(self, push: float) -> None:
        self._velocity = (self._velocity + push) * FRICTION
        x = self._paddle_x + self._velocity
        if x <= 0:
            x, self._velocity = 0, 0.0
        if x + self._paddle_width >= self.width:  # PLE takes the centre for the left edge here
            x, self._velocity = self.width - self._paddle_width, 0.0
        self._paddle_x = self._whole(x)

    def state(self) -> npt.NDArray[np.float64]:
        """Return paddle x, paddle velocity (px/frame), pellet x and pellet y (px)."""
        return np.array([self._paddle_x, self._velocity, self._pellet_x, self._pellet_y], np.float64)

    def _paint(self, screen: Image, paddle: int | tuple[int, ...], pellet: int | tuple[int, ...]) -> Image:
        # PLE draws each sprite with its corner at its centre, so the picture is half a sprite off the collisions.
        x, y = self._paddle_x, self._paddle_y
        screen[y : y + self._paddle_height, x : x + self._paddle_width] = paddle
        x, y, size = self._pellet_x, self._pellet_y, self._size
        screen[max(y, 0) : max(y + size, 0), x : x + size] = pellet
        return screen

    def draw(self) -> Image:
        """Return the screen as a new RGB image (height, width, 3) uint8."""
        return self._paint(np.zeros((self.height, self.width, 3), np.uint8), PADDLE_COLOUR, PELLET_COLOUR)

    def thumbnail(self, size: int) -> Image:
        """Return the screen in grey, resized by area to a new (size, size) uint8 image; drawn grey from the start."""
        return shrink(self._paint(np.zeros((self.height, self.width), np.uint8), PADDLE_GREY, PELLET_GREY), size)

    def get_state(self) -> dict[str, Any]:
        """Return everything that changes in play as plain JSON values."""
        return {
            "paddle_x": self._paddle_x,
            "velocity": self._velocity,
            "pellet": [self._pellet_x, self._pellet_y],
            "lives": self._lives,
            "score": self.score,
            "lost": self.lost,
        }

    def set_state(self, state: Mapping[str, Any], draws: Draws) -> None:
        """Resume from what `get_state` returned, drawing from `draws`."""
        self._draws = draws
        self._paddle_x, self._velocity = int(state["paddle_x"]), float(state["velocity"])
        self._pellet_x, self._pellet_y = (int(value) for value in state["pellet"])
        self._lives, self.score, self.lost = int(state["lives"]), int(state["score"]), bool(state["lost"])
