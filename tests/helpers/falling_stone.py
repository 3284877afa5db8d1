"""A whole game and two observations, as another package would write them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from continual_ple import Controls, Draws, FrameStack, Game, Observation, Parameter

WIDTH, HEIGHT = 12, 16  # px


class FallingStone(Game):
    """A stone falls into a random column, and a basket that is under it in time catches it; a miss loses."""

    name = "falling_stone"
    score_name = "stones caught"
    actions = ("left", "right", "stay")
    state_names = ("basket_x", "stone_x", "stone_y")
    parameter_table = (
        Parameter("fall", "px/frame", 1, 1, 8, "speed of the stone", whole=True),
        Parameter("stride", "px/frame", 2, 1, 4, "speed of the basket", whole=True),
    )
    varied_parameter = "fall"
    default_values = (1, 2, 3)
    random_odds = (0.4, 0.4, 0.2)
    controls = Controls({"left": ("a", "LEFT"), "right": ("d", "SPACE")}, help="A and D move it")
    width, height = WIDTH, HEIGHT

    @staticmethod
    def state_range(parameters: Mapping[str, float]) -> npt.NDArray[np.float64]:
        return np.array([(0, WIDTH - 1), (0, WIDTH - 1), (0, HEIGHT)], np.float64)

    def reset(self, draws: Draws, looks: Draws) -> None:
        self._draws, self.score, self.lost = draws, 0, False
        self._basket = WIDTH // 2
        self._drop()

    def _drop(self) -> None:
        self._stone, self._y = self._draws.choose(range(WIDTH)), 0

    def step(self, action: int) -> float:
        move = (-1, 1, 0)[action] * int(self.parameters["stride"])
        self._basket = min(max(self._basket + move, 0), WIDTH - 1)
        self._y += int(self.parameters["fall"])
        if self._y < HEIGHT - 1:
            return 0.0
        self.lost = abs(self._basket - self._stone) > 2
        self.score += not self.lost
        if not self.lost:
            self._drop()
        return -1.0 if self.lost else 1.0

    def state(self) -> npt.NDArray[np.float64]:
        return np.array([self._basket, self._stone, self._y], np.float64)

    def draw(self) -> npt.NDArray[np.uint8]:
        screen = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        screen[-1, max(self._basket - 2, 0) : self._basket + 3] = 255
        screen[min(self._y, HEIGHT - 1), self._stone] = (255, 120, 0)
        return screen

    def get_state(self) -> dict[str, Any]:
        return {"x": [self._basket, self._stone, self._y], "score": self.score, "lost": self.lost}

    def set_state(self, state: Mapping[str, Any], draws: Draws) -> None:
        self._draws, self.score, self.lost = draws, int(state["score"]), bool(state["lost"])
        self._basket, self._stone, self._y = map(int, state["x"])


class StateStack(FrameStack):
    """The raw numbers of the last frames, one frame after another."""

    name = "state_stack"
    is_image = False

    def __init__(self, game: Game, frame_stack: int) -> None:
        super().__init__(game, frame_stack)
        self.newest_entries = len(game.state_names)
        self.space = spaces.Box(-1e4, 1e4, (frame_stack * self.newest_entries,), np.float32)

    def frame(self) -> npt.NDArray[Any]:
        return self.game.state().astype(np.float32)

    def observe(self) -> npt.NDArray[Any]:
        return np.concatenate(self.frames)


class Colour(Observation):
    """The screen in colour, as large as it is when each of its pixels is drawn as three by three."""

    name = "colour"
    is_image = True

    def __init__(self, game: Game, frame_stack: int) -> None:
        super().__init__(game, frame_stack)
        self.space = spaces.Box(0, 255, (3, 3 * game.height, 3 * game.width), np.uint8)

    def observe(self) -> npt.NDArray[Any]:
        return self.game.draw().transpose(2, 0, 1).repeat(3, axis=1).repeat(3, axis=2)
