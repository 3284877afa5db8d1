"""The catalogue of the games, and how to make one on either backend."""

from collections.abc import Mapping
from typing import Literal

from continual_ple.env_ids import register_ids
from continual_ple.games.base import Game
from continual_ple.games.catcher import Catcher
from continual_ple.games.checks import check_game
from continual_ple.games.flappy_bird import FlappyBird
from continual_ple.messages import one_of
from continual_ple.registry import Registry

Backend = Literal["native", "ple"]

BACKENDS = ("native", "ple")
GAMES: Registry[Game] = Registry("game", "continual_ple.games", check_game, register_ids)
"""The games by name, those of installed packages too, which are imported when they are first asked for."""
GAMES.register(Catcher)
GAMES.register(FlappyBird)


def register_game(kind: type[Game]) -> type[Game]:
    """Add a game: its environments are registered in Gymnasium, and every command and function knows its name.

    It may be used as a decorator. A package that is installed offers a game as an entry point instead.

    Args:
        kind: The game's class.

    Returns:
        The same class.

    Raises:
        ValueError: if it is no complete game, or another one has its name.
    """
    return GAMES.register(kind)


def game_class(name: str) -> type[Game]:
    """Return the native class of a game: its actions, its table of parameters and their checks hold for every backend.

    Raises:
        ValueError: if the game is unknown, or it is installed and cannot be used.
    """
    return GAMES.find(name)


def make_game(
    name: str, parameters: Mapping[str, object], backend: str = "native", rounding: str | None = None
) -> Game:
    """Make a game.

    Args:
        name: Name of a game.
        parameters: Values that differ from the default, by name.
        backend: `native`, or `ple` for the upstream package where it is installed.
        rounding: How positions become whole pixels, `nearest` or `truncate`; None is `nearest`, or what the installed
            pygame does with the upstream package.

    Raises:
        ValueError: if a value is not allowed, or the backend does not support it.
        ImportError: if `backend="ple"` and the package is missing.
    """
    native = game_class(name)
    if one_of("backend", backend, BACKENDS) == "native":
        return native(rounding="nearest" if rounding is None else rounding, **parameters)
    # Here, because only this backend needs pygame and ple.
    from continual_ple.upstream.games import make_game as make_upstream

    return make_upstream(name, parameters, rounding)
