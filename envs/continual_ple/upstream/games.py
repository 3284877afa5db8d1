"""The games of the upstream `ple` package behind our interface: the only file that imports `ple`.

Upstream plays in one window with one event queue for the whole process. Here each game has a surface of its own, its
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
from continual_ple.games.catcher import Catcher
from continual_ple.games.flappy_bird import FlappyBird
from continual_ple.upstream.stand_ins import SCREEN_BITS, UpstreamRandom, installed_rounding, load_pictures

HOW_TO_GET = (
    "backend='ple' needs the upstream package, which is on no registry: "
    "git clone https://github.com/ntasfi/PyGame-Learning-Environment && pip install -e PyGame-Learning-Environment "
    "(-e, because a plain install leaves out Flappy Bird's art)"
)

UPSTREAM_PIPE_SPEED = 4.0  # px/frame
PLAYER_FIELDS = ("vel", "flapped", "current_image", "color", "thrust_time", "game_tick", "pos_x", "pos_y")


def _load(module: str) -> Any:
    """Import a module of `ple`.

    Raises:
        ImportError: It is missing.
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
            ValueError: A value is not allowed, or upstream cannot do it.
            ImportError: The upstream package is missing or has no art.
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
        """Put upstream's game, just begun, into that state."""

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


class UpstreamCatcher(UpstreamGame):
    """Upstream's Catcher."""

    name, score_name, actions = Catcher.name, Catcher.score_name, Catcher.actions
    state_names, parameter_table = Catcher.state_names, Catcher.parameter_table
    state_range = staticmethod(Catcher.state_range)

    @classmethod
    def check_parameters(cls, given: Mapping[str, object]) -> dict[str, float]:
        """Return all parameters with the `given` ones changed, checked as ours are."""
        return Catcher.check_parameters(given)

    def _make(self) -> Any:
        self.width, self.height = int(self.parameters["width"]), int(self.parameters["height"])
        module = _load("ple.games.catcher")
        game = module.Catcher(self.width, self.height, init_lives=int(self.parameters["lives"]))
        game.fruit_fall_speed, game.player_speed = self.parameters["fall_speed"], self.parameters["paddle_speed"]
        return game

    def _press(self, action: int) -> None:
        self._ple.dx = (-self._ple.player_speed, self._ple.player_speed, 0.0)[action]

    def _show(self) -> None:
        self._ple.screen.fill((0, 0, 0))
        self._ple.player.draw(self._ple.screen)
        self._ple.fruit.draw(self._ple.screen)

    def _get_state(self) -> dict[str, Any]:
        player, fruit = self._ple.player, self._ple.fruit
        return {"player": [*player.rect.center, float(player.vel)], "fruit": list(fruit.rect.center)}

    def _set_state(self, state: Mapping[str, Any]) -> None:
        player, fruit = self._ple.player, self._ple.fruit
        player.rect.center, player.vel = state["player"][:2], state["player"][2]
        fruit.rect.center = state["fruit"]


class UpstreamFlappyBird(UpstreamGame):
    """Upstream's Flappy Bird, with upstream's art."""

    name, score_name, actions = FlappyBird.name, FlappyBird.score_name, FlappyBird.actions
    state_names, parameter_table = FlappyBird.state_names, FlappyBird.parameter_table
    state_range = staticmethod(FlappyBird.state_range)
    width, height = FlappyBird.width, FlappyBird.height

    def _make(self) -> Any:
        speed = self.parameters["pipe_speed"]
        if speed != UPSTREAM_PIPE_SPEED:
            raise ValueError(
                f"pipe_speed={speed:g}: must be {UPSTREAM_PIPE_SPEED:g} with backend='ple', "
                "which counts a passed pipe in a window that fits no other speed"
            )
        module = _load("ple.games.flappybird")
        headless = type("FlappyBird", (module.FlappyBird,), {"_load_images": load_pictures})
        return headless(pipe_gap=int(self.parameters["pipe_gap"]))

    def _tune(self) -> None:
        player = self._ple.player
        player.GRAVITY, player.FLAP_POWER = self.parameters["gravity"], self.parameters["flap_power"]
        player.MAX_DROP_SPEED = self.parameters["max_drop_speed"]

    def _press(self, action: int) -> None:
        if self.actions[action] == "flap":
            self._ple.player.flap()

    def _show(self) -> None:
        game = self._ple
        game.player.rect.center = (game.player.pos_x, game.player.pos_y)
        game.backdrop.draw_background(game.screen)
        game.pipe_group.draw(game.screen)
        game.screen.blit(game.backdrop.base_image, (game.backdrop.x, game.height * 0.79))
        game.player.draw(game.screen)

    def _get_state(self) -> dict[str, Any]:
        game = self._ple
        backgrounds = game.images["background"]
        return {
            "player": {name: getattr(game.player, name) for name in PLAYER_FIELDS},
            "pipes": [[float(pipe.x), int(pipe.gap_start)] for pipe in game.pipe_group],
            "pipe_colour": game.pipe_color,
            "background": next(name for name in backgrounds if backgrounds[name] is game.backdrop.background_image),
            "scroll": float(game.backdrop.x),
        }

    def _set_state(self, state: Mapping[str, Any]) -> None:
        game = self._ple
        game.player.init(game.init_pos, state["player"]["color"])
        for name, value in state["player"].items():
            setattr(game.player, name, value)
        game.player.image = game.images["player"][game.player.color][game.player.current_image]
        game.player.rect = game.player.image.get_rect(center=(game.player.pos_x, game.player.pos_y))
        game.pipe_color = state["pipe_colour"]
        for pipe, (x, gap_start) in zip(game.pipe_group, state["pipes"], strict=True):
            # `init` adds the width of screen and pipe to the offset; x is set afterwards to be exact to the last bit.
            pipe.init(gap_start, game.pipe_gap, x - pipe.SCREEN_WIDTH - pipe.width, game.pipe_color)
            pipe.x = x
            pipe.rect.center = (x, pipe.SCREEN_HEIGHT / 2)
        game.backdrop.background_image = game.images["background"][state["background"]]
        game.backdrop.x = state["scroll"]


UPSTREAM_GAMES: dict[str, type[UpstreamGame]] = {game.name: game for game in (UpstreamCatcher, UpstreamFlappyBird)}


def make_game(name: str, parameters: Mapping[str, object], rounding: str | None) -> Game:
    """Make one of upstream's games.

    Raises:
        ValueError: A value is not allowed, or upstream cannot do it.
        ImportError: The upstream package is missing or has no art.
    """
    return UPSTREAM_GAMES[name](rounding=rounding, **parameters)
