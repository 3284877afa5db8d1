"""Flappy Bird's pictures, drawn by this file: no image is loaded.

Everything is painted four times too large and shrunk, which smooths the edges, once per process and on first use.
"""

from functools import cache, lru_cache
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from continual_ple.games.base import Image

Colour: TypeAlias = tuple[int, int, int]

WIDTH, HEIGHT = 288, 512  # px, of the screen
FLOOR_Y = int(0.79 * HEIGHT)  # first row of the ground
BIRD_X, BIRD_WIDTH, BIRD_HEIGHT = int(0.2 * WIDTH), 34, 24
PIPE_WIDTH, LIP_HEIGHT, LIP_OVERHANG, LIP_SHADOW = 52, 24, 2, 4
GROUND_PERIOD = 24  # px after which the ground's pattern repeats
SCALE = 4  # of the canvases
OUTLINE: Colour = (62, 44, 56)


class SkyColours(NamedTuple):
    """Colours of a background, from top to bottom."""

    top: Colour
    horizon: Colour
    cloud: Colour
    far_city: Colour
    near_city: Colour
    window: Colour
    far_bush: Colour
    near_bush: Colour


SKIES = {
    "day": SkyColours(
        (74, 160, 232), (206, 238, 250), (250, 253, 255), (176, 218, 238), (146, 196, 224), (190, 226, 242),
        (122, 200, 128), (86, 176, 98),
    ),
    "night": SkyColours(
        (10, 16, 52), (76, 66, 128), (66, 66, 122), (46, 46, 100), (32, 34, 80), (250, 214, 120),
        (26, 70, 78), (18, 52, 62),
    ),
}  # fmt: skip
BIRDS: dict[str, tuple[Colour, Colour, Colour]] = {  # body, belly, wing
    "yellow": ((250, 206, 56), (254, 236, 160), (255, 244, 204)),
    "red": ((232, 84, 70), (250, 176, 140), (255, 220, 200)),
    "blue": ((84, 150, 236), (178, 214, 252), (226, 240, 255)),
}
PIPES: dict[str, tuple[Colour, Colour, Colour]] = {  # shadow, body, shine
    "green": ((58, 118, 42), (116, 190, 66), (216, 246, 150)),
    "red": ((134, 48, 40), (214, 98, 72), (255, 196, 160)),
}
FLAP_FRAMES = (0, 1, 2, 1)  # wing up, level, down, level


class Look(NamedTuple):
    """Which sky, bird and pipes an episode shows, as indices into `SKIES`, `BIRDS` and `PIPES`."""

    sky: int
    bird: int
    pipe: int


class Sprite(NamedTuple):
    """An RGB image (height, width, 3) uint8 and the mask (height, width) of what is not transparent."""

    image: Image
    mask: npt.NDArray[np.bool_]


class Canvas:
    """A large image to paint on in the pixels of the small one, with fractions."""

    def __init__(self, height: int, width: int, colour: Colour) -> None:
        self.pixels: Image = np.full((height * SCALE, width * SCALE, 3), colour, np.uint8)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Paint a filled circle."""
        self.ellipse(x, y, radius, radius, colour)

    def ellipse(
        self, x: float, y: float, half_width: float, half_height: float, colour: Colour, turn: float = 0
    ) -> None:
        """Paint a filled ellipse, turned clockwise by `turn` degrees."""
        centre, axes = (round(x * SCALE), round(y * SCALE)), (round(half_width * SCALE), round(half_height * SCALE))
        cv2.ellipse(self.pixels, centre, axes, turn, 0, 360, colour, -1)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Paint a filled rectangle."""
        rows = slice(round(max(top, 0) * SCALE), round(max(bottom, 0) * SCALE))
        self.pixels[rows, round(max(left, 0) * SCALE) : round(max(right, 0) * SCALE)] = colour

    def polygon(self, corners: list[tuple[float, float]], colour: Colour) -> None:
        """Paint a filled convex polygon of (x, y) corners."""
        cv2.fillConvexPoly(self.pixels, np.rint(np.array(corners) * SCALE).astype(np.int32), colour)

    def finish(self) -> Image:
        """Return the image at its proper size."""
        height, width = self.pixels.shape[0] // SCALE, self.pixels.shape[1] // SCALE
        return np.asarray(cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _gradient(stops: list[tuple[float, Colour]], length: int) -> npt.NDArray[np.float64]:
    """Return (length, 3) colours through stops at positions from 0 to 1."""
    where, colours = np.linspace(0, 1, length), np.array([colour for _, colour in stops])
    return np.stack(
        [np.interp(where, [stop for stop, _ in stops], colours[:, channel]) for channel in range(3)], axis=1
    )


def _city(canvas: Canvas, seed: int, tallest: int, walls: Colour, window: Colour) -> None:
    generator, left = np.random.default_rng(seed), -6
    while left < WIDTH:
        width, height = int(generator.integers(16, 30)), int(generator.integers(tallest // 2, tallest))
        top = FLOOR_Y - 34 - height
        canvas.box(left, top, left + width, FLOOR_Y, walls)
        if generator.random() < 0.4:
            canvas.box(left + width / 2 - 1, top - 9, left + width / 2 + 1, top, walls)
        for row in range(top + 5, FLOOR_Y - 40, 8):
            for column in range(left + 4, left + width - 5, 6):
                if generator.random() < 0.55:
                    canvas.box(column, row, column + 2.5, row + 4, window)
        left += width + int(generator.integers(0, 4))


def _bushes(canvas: Canvas, seed: int, top: int, size: int, colour: Colour) -> None:
    generator = np.random.default_rng(seed)
    for x in range(-10, WIDTH + 20, size):
        canvas.disc(x + int(generator.integers(-3, 4)), top + int(generator.integers(0, 9)), size * 0.9, colour)
    canvas.box(0, top + 4, WIDTH, FLOOR_Y, colour)


def _heavens(canvas: Canvas, name: str, colours: SkyColours) -> None:
    if name == "night":
        generator = np.random.default_rng(5)
        for x, y in generator.uniform((4, 6), (WIDTH - 4, 270), (70, 2)):
            canvas.disc(x, y, generator.uniform(0.4, 1.1), (232, 232, 255))
        canvas.disc(222, 74, 25, (250, 244, 214))
        for x, y, radius in ((213, 66, 5), (230, 82, 6.5), (228, 62, 3)):
            canvas.disc(x, y, radius, (232, 222, 184))
    else:
        canvas.disc(226, 72, 31, (140, 200, 240))
        canvas.disc(226, 72, 25, (255, 244, 190))
    for x, y, size in ((52, 118, 1.0), (196, 176, 1.25), (96, 232, 0.8), (270, 262, 0.9), (10, 280, 1.1)):
        for dx, dy, radius in ((-24, 4, 10), (-10, -4, 15), (8, -8, 17), (25, 2, 12)):
            canvas.disc(x + dx * size, y + dy * size, radius * size, colours.cloud)
        canvas.ellipse(x, y + 8 * size, 36 * size, 7 * size, colours.cloud)


@cache
def sky(index: int) -> Image:
    """Return a background (512, 288, 3): gradient, sun or moon, clouds, two rows of houses and of bushes."""
    name, colours = list(SKIES.items())[index]
    canvas = Canvas(HEIGHT, WIDTH, colours.horizon)
    rows = _gradient([(0, colours.top), (1, colours.horizon)], FLOOR_Y * SCALE)
    canvas.pixels[: FLOOR_Y * SCALE] = np.rint(rows)[:, None].astype(np.uint8)
    _heavens(canvas, name, colours)
    _city(canvas, 1, 92, colours.far_city, colours.far_city)
    _city(canvas, 2, 62, colours.near_city, colours.window)
    _bushes(canvas, 3, FLOOR_Y - 34, 20, colours.far_bush)
    _bushes(canvas, 4, FLOOR_Y - 16, 14, colours.near_bush)
    return canvas.finish()


@cache
def ground() -> Image:
    """Return the ground (108, 312, 3): a screen and a period wide, so that it can scroll."""
    width = WIDTH + GROUND_PERIOD
    canvas = Canvas(HEIGHT - FLOOR_Y, width, (222, 196, 142))
    for x in range(-GROUND_PERIOD, width + GROUND_PERIOD, GROUND_PERIOD):
        for y, dx, radius in ((34, 6, 2.2), (48, 17, 1.5), (64, 9, 1.8), (82, 20, 2.4), (96, 4, 1.4)):
            canvas.ellipse(x + dx, y, 2 * radius, radius, (204, 174, 118))
    canvas.box(0, 0, width, 16, (128, 204, 84))
    for x in range(-GROUND_PERIOD, width + GROUND_PERIOD, GROUND_PERIOD):
        canvas.polygon([(x + 8, 2), (x + 20, 2), (x + 12, 14), (x, 14)], (98, 176, 66))
    canvas.box(0, 0, width, 2, OUTLINE)
    canvas.box(0, 2, width, 4, (200, 240, 140))
    canvas.box(0, 14, width, 16, (72, 136, 52))
    canvas.box(0, 16, width, 19, (196, 164, 108))
    return canvas.finish()


def _pipe_row(colours: tuple[Colour, Colour, Colour], width: int) -> Image:
    """Return one row (width, 3) across a pipe: outlined, lit from the left."""
    shadow, body, shine = colours
    stops = [(0.0, body), (0.16, shine), (0.3, shine), (0.5, body), (0.8, shadow), (1.0, shadow)]
    row = np.rint(_gradient(stops, width)).astype(np.uint8)
    row[:2] = row[-2:] = OUTLINE
    return row


def _pipe_lip(colours: tuple[Colour, Colour, Colour]) -> Image:
    """Return the lip (24, 52, 3) of a pipe."""
    lip = np.repeat(_pipe_row(colours, PIPE_WIDTH)[None], LIP_HEIGHT, axis=0)
    lip[2:4, 2:-2] = lip[2:4, 2:-2] // 2 + np.array(colours[2], np.uint8) // 2
    lip[-5:-2, 2:-2] = lip[-5:-2, 2:-2] // 4 * 3
    lip[:2] = lip[-2:] = OUTLINE
    return lip


def pipe_body(index: int) -> Image:
    """Return the row (48, 3) that a pipe shows at every height but its lip and the lip's shadow."""
    return _pipe_row(list(PIPES.values())[index], PIPE_WIDTH - 2 * LIP_OVERHANG)


@lru_cache(maxsize=256)
def pipe(index: int, gap_start: int, gap: int) -> Sprite:
    """Return a pair of pipes over the whole height (512, 52) with the gap from row `gap_start`, `gap` rows high."""
    colours = list(PIPES.values())[index]
    image, mask = np.zeros((HEIGHT, PIPE_WIDTH, 3), np.uint8), np.ones((HEIGHT, PIPE_WIDTH), np.bool_)
    body = slice(LIP_OVERHANG, PIPE_WIDTH - LIP_OVERHANG)
    image[:, body] = pipe_body(index)
    mask[:, :LIP_OVERHANG] = mask[:, -LIP_OVERHANG:] = False
    gap_end = gap_start + gap
    for top, shade in ((gap_start - LIP_HEIGHT - LIP_SHADOW, gap_start), (gap_end, gap_end + LIP_HEIGHT + LIP_SHADOW)):
        image[max(top, 0) : shade, body] = image[max(top, 0) : shade, body] // 4 * 3  # the shadow of the lip
    lip = _pipe_lip(colours)
    for top in (gap_start - LIP_HEIGHT, gap_end):
        rows = slice(max(top, 0), top + LIP_HEIGHT)
        image[rows], mask[rows] = lip[rows.start - top :], True
    mask[gap_start:gap_end] = False
    return Sprite(image, mask)


@cache
def bird(index: int, wing_position: int) -> Sprite:
    """Return a bird (24, 34) with its wing up (0), level (1) or down (2)."""
    body, belly, wing = list(BIRDS.values())[index]
    canvas, shape = Canvas(BIRD_HEIGHT, BIRD_WIDTH, OUTLINE), Canvas(BIRD_HEIGHT, BIRD_WIDTH, (0, 0, 0))
    shape.ellipse(16, 12, 14.5, 11.8, (255, 255, 255))
    shape.ellipse(27, 15.5, 7, 5.2, (255, 255, 255))
    shape.polygon([(0, 5), (6, 8), (5, 16), (0, 13)], (255, 255, 255))
    canvas.polygon([(1.5, 6.8), (7, 9), (6, 14.5), (1.5, 12)], wing)
    canvas.ellipse(16, 12, 13, 10.3, body)
    canvas.ellipse(17, 18, 9.5, 4.3, belly)
    canvas.ellipse(15, 5.5, 6, 2.4, wing, turn=-14)  # shine on the head
    canvas.disc(23, 8.2, 5.6, OUTLINE)
    canvas.disc(23, 8.2, 4.6, (255, 255, 255))
    canvas.disc(24.8, 8.4, 2, OUTLINE)
    canvas.ellipse(27, 15.5, 6, 4.2, (250, 142, 50))
    canvas.box(21.5, 15, 33, 16, OUTLINE)
    y, turn = ((8, 24), (12.5, 0), (16, -24))[wing_position]
    canvas.ellipse(8.5, y, 7.4, 4.9, OUTLINE, turn)
    canvas.ellipse(8.5, y, 6.1, 3.6, wing, turn)
    shape.ellipse(8.5, y, 7.4, 4.9, (255, 255, 255), turn)
    return Sprite(canvas.finish(), shape.finish()[..., 0] >= 128)
