"""The games of the upstream `ple` package behind our interface."""

from collections.abc import Mapping
from typing import Any

from continual_ple.games.base import Game
from continual_ple.games.catcher import Catcher
from continual_ple.games.flappy_bird import FlappyBird
from continual_ple.upstream.base import UpstreamGame, load_upstream
from continual_ple.upstream.stand_ins import load_pictures

UPSTREAM_PIPE_SPEED = 4.0  # px/frame
PLAYER_FIELDS = ("vel", "flapped", "current_image", "color", "thrust_time", "game_tick", "pos_x", "pos_y")


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
        module = load_upstream("ple.games.catcher")
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
        module = load_upstream("ple.games.flappybird")
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
        ValueError: if a value is not allowed, or upstream does not support it.
        ImportError: if the upstream package is missing or has no art.
    """
    if name not in UPSTREAM_GAMES:
        raise ValueError(f"backend='ple': has only {', '.join(UPSTREAM_GAMES)}; must be native for {name}")
    return UPSTREAM_GAMES[name](rounding=rounding, **parameters)
