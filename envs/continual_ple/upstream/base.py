"""What the games of the upstream `ple` package share behind our interface: the only file that imports `ple`.

Upstream plays in one window with one event queue for the whole process. Here each game has a separate surface, its
player is driven directly, and its random numbers come from our draws, so that any number can be alive with no display.
"""

import contextlib
import importlib
import io
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pygame

from continual_ple.games.base import FRAME_MS, REWARD_LOSS, Draws, FirstDraws, Game, Image
from continual_ple.upstream.stand_ins import SCREEN_BITS, UpstreamRandom, installed_rounding

HOW_TO_GET = (
    "backend='ple' needs the upstream package, which is on no registry: "
    "git clone https://github.com/ntasfi/PyGame-Learning-Environment && pip install -e PyGame-Learning-Environment "
    "(-e, because a plain install leaves out Flappy Bird's art)"
)


def load_upstream(module: str) -> Any:
    """Import a module of `ple`.

    Raises:
        ImportError: if the package or the module is missing.
    """
    try:
        # Upstream prints that it has no Doom, and its age shows in warnings that a user can do nothing about.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{HOW_TO_GET} [{error}]") from None


class UpstreamGame(Game):
    """What both upstream games need."""

    def __init__(self, *, rounding: str | None = None, **parameters: object) -> None:
        """Make a game.

        Raises:
            ValueError: if a value is not allowed, or upstream does not support it.
            ImportError: if the upstream package is missing or has no art.
        """
        super().__init__(rounding=rounding or installed_rounding(), **parameters)
        if rounding not in (None, installed_rounding()):
            raise ValueError(
                f"rounding={rounding!r}: backend='ple' rounds as the installed pygame {pygame.ver} does, "
                f"which is {installed_rounding()!r}"
            )
        try:
            with mock.patch.object(pygame.display, "set_mode"):  # its constructor would open a window
                self._ple = self._make()
        except FileNotFoundError as error:
            raise ImportError(f"{HOW_TO_GET} [{error}]") from None
        self._ple.screen = pygame.Surface(self._ple.getScreenDims(), 0, SCREEN_BITS)
        self._random = self._ple.rng = UpstreamRandom()
        self._ple.init()  # Flappy Bird draws more numbers in its first round: this one is thrown away
        self._tune()

    @abstractmethod
    def _make(self) -> Any:
        """Construct upstream's game."""

    def _tune(self) -> None:
        """Set parameters that upstream's constructor does not take."""

    @abstractmethod
    def _press(self, action: int) -> None:
        """Do at once what the action's key would do."""

    @abstractmethod
    def _get_state(self) -> dict[str, Any]:
        """Return the part of the state that differs between the games."""

    @abstractmethod
    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Put upstream's game, just started, into that state."""

    @abstractmethod
    def _show(self) -> None:
        """Draw what there is before the first frame is played; upstream draws only when it plays."""

    def reset(self, draws: Draws, looks: Draws) -> None:
        """Start an episode."""
        self._random.draws, self._random.looks = draws, looks
        self._ple.reset()
        self.score, self.lost = 0, False
        self._show()

    def step(self, action: int) -> float:
        """Play one frame."""
        before = float(self._ple.getScore())
        # The queue belongs to the whole process: the key is pressed by hand instead.
        self._ple._handle_player_events = lambda: self._press(action)
        self._ple.step(FRAME_MS)
        reward = float(self._ple.getScore()) - before
        self.lost = bool(self._ple.game_over())
        self.score += reward - REWARD_LOSS * self.lost > 0
        return reward

    def state(self) -> npt.NDArray[np.float64]:
        """Return upstream's non-visual state."""
        values = self._ple.getGameState()
        return np.array([values[name] for name in self.state_names], np.float64)

    def draw(self) -> Image:
        """Return the screen as a new RGB image (height, width, 3) uint8."""
        return np.ascontiguousarray(pygame.surfarray.array3d(self._ple.screen).swapaxes(0, 1), np.uint8)

    def get_state(self) -> dict[str, Any]:
        """Return everything that changes in play as plain JSON values."""
        common = {"lives": int(self._ple.lives), "points": float(self._ple.score), "score": self.score}
        return common | {"lost": self.lost} | self._get_state()

    def set_state(self, state: Mapping[str, Any], draws: Draws) -> None:
        """Resume from what `get_state` returned, drawing from `draws`."""
        self._random.draws = self._random.looks = FirstDraws()
        self._ple.init()
        self._set_state(state)
        self._random.draws = draws
        self._ple.lives, self._ple.score = state["lives"], state["points"]
        self.score, self.lost = int(state["score"]), bool(state["lost"])
        self._show()
