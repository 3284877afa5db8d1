"""Stand-ins for what upstream's games take from the process around them: random numbers and a window's pictures."""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import pygame

from continual_ple.games.base import Draws, FirstDraws

SCREEN_BITS = 32  # a pixel


class UpstreamRandom:
    """What upstream takes for its `numpy.random.RandomState`: play comes from `draws`, colours (names) from `looks`."""

    def __init__(self) -> None:
        self.draws: Draws = FirstDraws()
        self.looks: Draws = FirstDraws()

    def choice(self, options: Sequence[Any]) -> Any:
        """Return one of `options`: names are looks, numbers are play."""
        if isinstance(options[0], str):
            return options[self.looks.choose(range(len(options)))]
        return self.draws.choose(options)

    def random_integers(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included, by a method that newer NumPy no longer has."""
        return self.draws.choose(range(low, high + 1))

    def rand(self) -> float:
        """Return a number for a start position that upstream then overwrites."""
        return 0.5


def installed_rounding() -> str:
    """Return how the installed pygame makes whole pixels, which upstream inherits: `nearest` or `truncate`."""
    rect = pygame.Rect(0, 0, 1, 1)
    rect.center = (0.75, 0.75)  # type: ignore[assignment] # pygame accepts floats, its stubs only int
    return "nearest" if rect.centerx == 1 else "truncate"


@cache
def _picture(path: str, opaque: bool) -> pygame.Surface:
    """Return a picture, shared by all games since none changes it; `opaque` ones are without an alpha channel."""
    from PIL import Image as Pillow  # upstream requires it; pygame would print warnings about these files

    with Pillow.open(path) as file:
        picture = pygame.image.frombuffer(file.convert("RGBA").tobytes(), file.size, "RGBA")
    if not opaque:
        return picture
    screen_like = pygame.Surface(picture.get_size(), 0, SCREEN_BITS)
    screen_like.blit(picture, (0, 0))
    return screen_like


def load_pictures(game: Any) -> None:
    """Give upstream's Flappy Bird its pictures without converting them to the format of a window that is not there."""

    def picture(name: str, opaque: bool = False) -> pygame.Surface:
        return _picture(os.path.join(game._asset_dir, f"{name}.png"), opaque)

    lower = {colour: picture(f"pipe-{colour}") for colour in ("red", "green")}
    game.images = {
        "player": {
            colour: [picture(f"{colour}bird-{wing}flap") for wing in ("up", "mid", "down")]
            for colour in ("red", "blue", "yellow")
        },
        "background": {time: picture(f"background-{time}", opaque=True) for time in ("day", "night")},
        "pipes": {
            colour: {"lower": pipe, "upper": pygame.transform.rotate(pipe, 180)} for colour, pipe in lower.items()
        },
        "base": picture("base", opaque=True),
    }
