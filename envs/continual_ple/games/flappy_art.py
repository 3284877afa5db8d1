"""Flappy Bird's pictures, drawn by this file from plain shapes in flat colours: no image is loaded.

Everything is made of cells of 2×2 pixels. Shapes, places and greys are chosen so that an agent, which sees the screen
small and grey, sees nearly what upstream PLE shows it (`python -m benchmarks.looks`); the colours are our own.
"""

from functools import cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from continual_ple.games.base import Image

Colour: TypeAlias = tuple[int, int, int]
Mask: TypeAlias = npt.NDArray[np.bool_]

CELL = 2  # px
WIDTH, HEIGHT = 288, 512  # px, of the screen
FLOOR_Y = int(0.79 * HEIGHT)  # first row of the ground
BIRD_X, BIRD_WIDTH, BIRD_HEIGHT = int(0.2 * WIDTH), 34, 24
PIPE_WIDTH, LIP_HEIGHT, LIP_OVERHANG = 52, 24, 2
END_ROWS = LIP_HEIGHT + 2  # of a pipe, next to the gap: its lip and the lip's shadow
GROUND_PERIOD = 24  # px after which the ground's pattern repeats
OUTLINE: Colour = (74, 58, 88)


class SkyColours(NamedTuple):
    """Colours of a background, from far to near."""

    sky: Colour
    star: Colour
    haze: Colour
    cloud: Colour
    far_house: Colour
    edge: Colour
    wall: Colour
    window: Colour
    bush: Colour
    twig: Colour


SKIES = {
    "day": SkyColours(
        (92, 178, 237), (92, 178, 237), (106, 183, 236), (238, 246, 240), (226, 232, 226), (150, 212, 240),
        (216, 232, 220), (190, 222, 226), (104, 218, 128), (84, 198, 104),
    ),
    "night": SkyColours(
        (58, 96, 196), (190, 222, 240), (58, 96, 196), (94, 132, 190), (72, 108, 174), (62, 94, 158),
        (62, 94, 158), (252, 178, 24), (16, 148, 40), (20, 160, 46),
    ),
}  # fmt: skip


class BirdColours(NamedTuple):
    """Colours of a bird."""

    shine: Colour
    body: Colour
    belly: Colour
    wing_tip: Colour
    beak: Colour


BIRDS = {
    "yellow": BirdColours((252, 216, 124), (250, 182, 48), (222, 126, 62), (252, 216, 124), (236, 56, 40)),
    "red": BirdColours((248, 116, 60), (236, 58, 50), (190, 38, 40), (216, 230, 204), (250, 182, 48)),
    "blue": BirdColours((140, 196, 255), (110, 172, 255), (90, 140, 220), (252, 216, 124), (238, 92, 36)),
}
PIPES: dict[str, tuple[Colour, Colour]] = {  # shadow, light
    "green": ((52, 140, 58), (212, 255, 166)),
    "red": ((150, 74, 84), (255, 166, 156)),
}
WHITE: Colour = (250, 250, 250)
EYE_SHADE: Colour = (214, 228, 214)
CLOUD_TOPS = ((18, 312), (55, 326), (92, 316), (130, 318), (157, 312), (198, 308), (229, 316), (268, 318), (298, 317))
HOUSES = ((10, 24, 350), (0, 20, 352), (22, 40, 339), (40, 54, 350), (12, 22, 360))  # left and right in a row, top
HOUSES_PERIOD = 68
BUSH_TOPS = (-6, 22, 52, 72, 102, 119, 160, 190, 211, 240, 257, 288)
STARS = ((24, 148), (58, 124), (58, 176), (112, 144), (170, 158), (216, 166), (242, 122), (282, 138))
BRIGHT_STARS = ((117, 181), (263, 175))  # centres


class Look(NamedTuple):
    """Which sky, bird and pipes an episode shows, as indices into `SKIES`, `BIRDS` and `PIPES`."""

    sky: int
    bird: int
    pipe: int


class Sprite(NamedTuple):
    """An RGB image (height, width, 3) uint8 and the mask (height, width) of what is not transparent."""

    image: Image
    mask: Mask


class Canvas:
    """A picture to paint on, a cell at a time: a cell is painted if its centre lies in the shape. All lengths in px."""

    def __init__(self, height: int, width: int) -> None:
        self._cells: Image = np.zeros((height // CELL, width // CELL, 3), np.uint8)
        self._painted: Mask = np.zeros((height // CELL, width // CELL), np.bool_)
        self._y, self._x = np.ogrid[CELL / 2 : height : CELL, CELL / 2 : width : CELL]

    def paint(self, shape: Mask, colour: Colour) -> None:
        """Paint the cells of a shape."""
        self._cells[shape] = colour
        self._painted |= shape

    def box(self, left: float, top: float, right: float, bottom: float) -> Mask:
        """Return a rectangle."""
        return (left < self._x) & (self._x < right) & (top < self._y) & (self._y < bottom)

    def ellipse(self, x: float, y: float, half_width: float, half_height: float) -> Mask:
        """Return an ellipse."""
        return np.asarray(((self._x - x) / half_width) ** 2 + ((self._y - y) / half_height) ** 2 <= 1, np.bool_)

    def finish(self) -> Sprite:
        """Return the picture and what is painted of it."""
        rows, columns = np.arange(len(self._y) * CELL)[:, None] // CELL, np.arange(self._x.size * CELL) // CELL
        return Sprite(self._cells[rows, columns], self._painted[rows, columns])


def _draw_house(canvas: Canvas, left: int, right: int, top: int, colours: SkyColours) -> None:
    canvas.paint(canvas.box(left, top, right, FLOOR_Y), colours.edge)
    canvas.paint(canvas.box(left + CELL, top + CELL, right - CELL, FLOOR_Y), colours.wall)
    for row in range(top + 6, FLOOR_Y, 7):
        for column in range(left + 4, right - 4, 4):
            canvas.paint(canvas.box(column, row, column + 2, row + 4), colours.window)


@cache
def sky(index: int) -> Image:
    """Return a background (512, 288, 3): a flat sky, stars at night, and low clouds, houses and bushes."""
    colours = list(SKIES.values())[index]
    canvas = Canvas(HEIGHT, WIDTH)
    canvas.paint(canvas.box(0, 0, WIDTH, HEIGHT), colours.sky)
    for x, y in STARS:
        canvas.paint(canvas.box(x, y, x + CELL, y + CELL), colours.star)
    for x, y in BRIGHT_STARS:
        canvas.paint(canvas.box(x - 3, y - 1, x + 3, y + 1) | canvas.box(x - 1, y - 3, x + 1, y + 3), colours.star)
    for radius, colour in ((26, colours.haze), (23, colours.cloud)):
        for x, top in CLOUD_TOPS:
            canvas.paint(canvas.ellipse(x, top + 23, radius, radius), colour)
    canvas.paint(canvas.box(0, 332, WIDTH, FLOOR_Y), colours.cloud)
    for start in range(30 - HOUSES_PERIOD, WIDTH + HOUSES_PERIOD, HOUSES_PERIOD):
        canvas.paint(canvas.ellipse(start + 6, 360, 14, 17), colours.far_house)
        canvas.paint(canvas.box(start - 14, 353, start - 10, FLOOR_Y), colours.far_house)
        canvas.paint(canvas.box(start - 14, 364, start, FLOOR_Y), colours.far_house)
        for left, right, top in HOUSES:
            _draw_house(canvas, start + left, start + right, top, colours)
    canvas.paint(canvas.box(0, 374, WIDTH, HEIGHT), colours.bush)
    for top, radius in ((368, 17), (376, 20)):
        for x in BUSH_TOPS:
            canvas.paint(canvas.ellipse(x, top + radius, radius, radius), colours.twig)
            canvas.paint(canvas.ellipse(x, top + radius + CELL, radius, radius), colours.bush)
    canvas.paint(canvas.box(0, 386, WIDTH, HEIGHT), colours.bush)
    return canvas.finish().image


@cache
def ground() -> Image:
    """Return the ground (108, 312, 3): a screen and a period wide, so that it can scroll."""
    width = WIDTH + GROUND_PERIOD
    canvas = Canvas(HEIGHT - FLOOR_Y, width)
    canvas.paint(canvas.box(0, 0, width, HEIGHT), (226, 212, 172))
    canvas.paint(canvas.box(0, 0, width, 22), (212, 164, 106))
    canvas.paint(canvas.box(0, 0, width, 20), (52, 140, 58))
    canvas.paint(canvas.box(0, 0, width, 18), (148, 230, 118))
    for row in range(4, 18, CELL):
        for left in range(4 - row, width, GROUND_PERIOD):
            canvas.paint(canvas.box(left, row, left + GROUND_PERIOD / 2, row + CELL), (100, 191, 84))
    canvas.paint(canvas.box(0, 0, width, 4), (212, 255, 166))
    canvas.paint(canvas.box(0, 0, width, 2), OUTLINE)
    return canvas.finish().image


def _shaded_row(index: int, width: int, lightest: int, reach: int) -> Image:
    """Return a row (width, 3) across a pipe: outlined, lightest at one cell, darkest `reach` cells from it."""
    shadow, light = np.array(list(PIPES.values())[index], np.float64)
    cells = np.arange(width // CELL)
    lit = np.maximum(1 - np.abs(cells - lightest) / reach, 0)[:, None]
    row = np.rint(shadow + lit * (light - shadow)).astype(np.uint8)
    row[[0, -1]] = OUTLINE
    return np.asarray(row.repeat(CELL, axis=0), np.uint8)


@cache
def pipe(index: int) -> Sprite:
    """Return a lower pipe as high as the screen (512, 52), its lip at the top."""
    body, in_shadow = _shaded_row(index, PIPE_WIDTH - 2 * LIP_OVERHANG, 8, 11), slice(LIP_HEIGHT, END_ROWS)
    image, mask = np.zeros((HEIGHT, PIPE_WIDTH, 3), np.uint8), np.zeros((HEIGHT, PIPE_WIDTH), np.bool_)
    inside = slice(LIP_OVERHANG, PIPE_WIDTH - LIP_OVERHANG)
    image[:, inside], mask[:, inside], mask[:LIP_HEIGHT] = body, True, True
    image[in_shadow, inside][:, CELL:-CELL] = list(PIPES.values())[index][0]
    image[:LIP_HEIGHT] = _shaded_row(index, PIPE_WIDTH, 4, 17)
    image[2:4] = _shaded_row(index, PIPE_WIDTH, 5, 23)
    image[20:22, CELL:-CELL] = list(PIPES.values())[index][0]
    image[:2] = image[22:24] = OUTLINE
    return Sprite(image, mask)


@cache
def bird(index: int, wing_position: int) -> Sprite:
    """Return a bird (24, 34) with its wing up (0), level (1) or down (2)."""
    colours = list(BIRDS.values())[index]
    canvas = Canvas(BIRD_HEIGHT, BIRD_WIDTH)
    canvas.paint(canvas.ellipse(16, 12, 13, 12), OUTLINE)
    body = canvas.ellipse(16, 12, 11, 10)
    canvas.paint(body, colours.body)
    canvas.paint(body & canvas.box(0, 0, 20, 6), colours.shine)
    canvas.paint(body & canvas.box(0, 16, 34, 24), colours.belly)
    canvas.paint(canvas.ellipse(23, 7, 7, 7), OUTLINE)  # the eye
    canvas.paint(canvas.ellipse(23, 7, 5, 5), WHITE)
    canvas.paint(canvas.ellipse(23, 7, 5, 5) & canvas.box(0, 0, 20, 24), EYE_SHADE)
    canvas.paint(canvas.box(24, 6, 26, 10), OUTLINE)
    canvas.paint(canvas.box(18, 14, 32, 22) | canvas.box(20, 12, 30, 14), OUTLINE)  # the beak
    canvas.paint(canvas.box(32, 14, 34, 18), OUTLINE)
    canvas.paint(canvas.box(20, 14, 32, 16) | canvas.box(20, 18, 30, 20) | canvas.box(18, 16, 20, 18), colours.beak)
    x, y, half_height = ((7, 12, 4), (7, 14, 2.5), (6, 17, 3.5))[wing_position]
    wing = canvas.ellipse(x, y, 5.5, half_height)
    canvas.paint(canvas.ellipse(x, y, 7.5, half_height + 2), OUTLINE)
    canvas.paint(wing, WHITE)
    canvas.paint(wing & canvas.box(0, y + half_height - 2, 34, 24), colours.wing_tip)
    return canvas.finish()
