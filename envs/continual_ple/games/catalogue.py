"""The games there are, and how to make one on either backend."""

from collections.abc import Mapping
from typing import Literal

from continual_ple.games.base import Game, one_of
from continual_ple.games.catcher import Catcher
from continual_ple.games.flappy_bird import FlappyBird

Backend = Literal["native", "ple"]

GAMES: dict[str, type[Game]] = {game.name: game for game in (Catcher, FlappyBird)}
ENV_IDS = {"catcher": "ContinualPLE/Catcher-v0", "flappy_bird": "ContinualPLE/FlappyBird-v0"}
BACKENDS = ("native", "ple")


def game_class(name: str) -> type[Game]:
    """Return the native class of a game: its actions, its table of parameters and their checks hold for every backend.

    Raises:
        ValueError: There is no such game.
    """
    return GAMES[one_of("game", name, GAMES)]


def make_game(
    name: str, parameters: Mapping[str, object], backend: str = "native", rounding: str | None = None
) -> Game:
    """Make a game.

    Args:
        name: `catcher` or `flappy_bird`.
        parameters: Values to change, by name.
        backend: `native`, or `ple` for the upstream package where it is installed.
        rounding: How positions become whole pixels, `nearest` or `truncate`; None is `nearest`, or what the installed
            pygame does with the upstream package.

    Raises:
        ValueError: A value is not allowed, or the backend cannot do it.
        ImportError: `backend="ple"` and the package is missing.
    """
    native = game_class(name)
    if one_of("backend", backend, BACKENDS) == "native":
        return native(rounding="nearest" if rounding is None else rounding, **parameters)
    from continual_ple.upstream.games import (
        make_game as make_upstream,  # here, because only this backend needs pygame and ple
    )

    return make_upstream(name, parameters, rounding)
