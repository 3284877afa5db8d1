"""Flappy Bird's screen small and grey at once, as an agent sees it.

Reducing the whole 512×288 screen takes 0.2 ms, twenty times as long as playing a frame. But the screen is made of a few
parts that come again and again: backgrounds, pipes without a gap, ends of pipes in front of a flat sky, birds. Each is
reduced once and pasted from then on; what is none of these is put together at full size, but no more than that of it.
"""

import itertools
import math
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from continual_ple.games import flappy_screen
from continual_ple.games.base import Image, luma, shrink
from continual_ple.games.flappy_art import (
    BIRD_HEIGHT,
    BIRD_WIDTH,
    BIRD_X,
    END_ROWS,
    FLOOR_Y,
    GROUND_PERIOD,
    HEIGHT,
    PIPE_WIDTH,
    WIDTH,
    Look,
)
from continual_ple.games.flappy_screen import Box, Scene

NO_BIRD = -BIRD_HEIGHT  # px, its top


def _overlap(size: int, length: int) -> npt.NDArray[np.intp]:
    """Return (size, length): how much of each small pixel, in parts of 1/length, is in each pixel it is made of."""
    edges, pixels = np.arange(size + 1) * length, np.arange(length) * size
    overlap = np.minimum(edges[1:, None], pixels + size) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(overlap, 0))


class Reduction:
    """How the screen is reduced to a size.

    Attributes:
        size: Height and width of the small screen.
        ground_row: First small row that shows ground.
        regular: Whether pixels and small pixels meet in few enough ways that every end of a pipe has its like.
    """

    def __init__(self, size: int) -> None:
        # Whole numbers, and then times whole numbers over 512, a power of two: at the size of observations, sums of
        # weighted pixels are exact in float32, in any order of adding, so that no number of threads changes one.
        self.size = size
        self.ground_row = FLOOR_Y * size // HEIGHT
        # Rows and columns after which pixels and small pixels meet in the same way again.
        self._rows, self._columns = HEIGHT // math.gcd(size, HEIGHT), WIDTH // math.gcd(size, WIDTH)
        self._first_row = -(-END_ROWS // self._rows) * self._rows
        last_row, last_column = self._first_row + self._rows + END_ROWS, 2 * self._columns + PIPE_WIDTH
        self.regular = last_row <= HEIGHT and last_column <= WIDTH
        self._down = (_overlap(size, HEIGHT) / HEIGHT).astype(np.float32)
        self._across = np.ascontiguousarray(_overlap(size, WIDTH).T // math.gcd(size, WIDTH), np.float32)

    def box(self, box: Box) -> Box:
        """Return the small pixels that show some of a part of the screen, on it or not."""
        top, left = box.top * self.size // HEIGHT, box.left * self.size // WIDTH
        return Box(top, -(-box.bottom * self.size // HEIGHT), left, -(-box.right * self.size // WIDTH))

    def screen_box(self, box: Box) -> Box:
        """Return the part of the screen that small pixels show some of."""
        top, left = box.top * HEIGHT // self.size, box.left * WIDTH // self.size
        return Box(top, -(-box.bottom * HEIGHT // self.size), left, -(-box.right * WIDTH // self.size))

    def like(self, row: int, left: int) -> tuple[int, int]:
        """Return where the end of a pipe is all on the screen, and meets small pixels as it does at (row, left)."""
        return row % self._rows + self._first_row, left % self._columns + self._columns

    def reduce(self, pixels: Image, box: Box) -> Image:
        """Return the small pixels of `box`, given the grey `pixels` of its part of the screen."""
        top, bottom, left, right = self.screen_box(box)
        sums = pixels @ self._across[left:right, box.left : box.right]
        sums = self._down[box.top : box.bottom, top:bottom] @ sums
        return np.rint(sums / self._columns).astype(np.uint8)

    def show(self, scene: Scene, box: Box) -> Image:
        """Return the small pixels of `box`, which must lie on the screen."""
        return self.reduce(flappy_screen.compose(scene, self.screen_box(box), grey=True), box)


@cache
def _reduction(size: int) -> Reduction:
    return Reduction(size)


@cache
def _uneven(size: int, sky: int) -> list[list[int]]:
    """Return the number of small pixels above and left of each that show anything else than flat sky."""
    grey = flappy_screen.sky(sky, True)
    differs = grey != grey[0, 0]
    differs[FLOOR_Y:] = True  # the ground; the night's bushes, which it hides, have the grey of the sky
    uneven = _overlap(size, HEIGHT) @ differs @ _overlap(size, WIDTH).T > 0
    counts: list[list[int]] = np.pad(uneven.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0))).tolist()
    return counts


def _shows_flat_sky(size: int, sky: int, box: Box) -> bool:
    counts, (top, bottom, left, right) = _uneven(size, sky), box
    return counts[bottom][right] - counts[bottom][left] == counts[top][right] - counts[top][left]


# Nobody may write to what the following four return: it is pasted again and again.


@lru_cache(maxsize=256)
def _background(size: int, sky: int, shift: int) -> Image:
    """Return sky and ground, the ground moved by `shift` pixels."""
    scene = Scene(Look(sky, 0, 0), (), 0, NO_BIRD, 0, shift)
    return _reduction(size).show(scene, Box(0, size, 0, size))


@lru_cache(maxsize=8192)
def _body(size: int, sky: int, pipe: int, left: int, shift: int, upper: bool) -> Image:
    """Return the columns of a pipe that fills the screen, down to the first row that shows ground."""
    reduction = _reduction(size)
    scene = Scene(Look(sky, 0, pipe), ((left, HEIGHT if upper else 0),), 0, NO_BIRD, 0, shift)
    columns = reduction.box(Box(0, FLOOR_Y, max(left, 0), min(left + PIPE_WIDTH, WIDTH)))
    return reduction.show(scene, columns)


@lru_cache(maxsize=32_768)
def _end(size: int, sky: int, pipe: int, row: int, left: int, upper: bool) -> Image:
    """Return the end of a pipe in front of flat sky, where the gap begins or ends at `row`."""
    reduction = _reduction(size)
    top = row - END_ROWS if upper else row
    small = reduction.box(Box(top, top + END_ROWS, left, left + PIPE_WIDTH))
    box = reduction.screen_box(small)
    pixels = np.full((box.bottom - box.top, box.right - box.left), flappy_screen.sky(sky, True)[0, 0])
    flappy_screen.paste(pixels, box, flappy_screen.pipe(pipe, upper, True), row - HEIGHT if upper else row, left)
    return reduction.reduce(pixels, small)


@lru_cache(maxsize=16_384)
def _bird(size: int, look: Look, top: int, wing: int) -> Image:
    """Return a bird in front of the background."""
    reduction = _reduction(size)
    box = reduction.box(Box(max(top, 0), top + BIRD_HEIGHT, BIRD_X, BIRD_X + BIRD_WIDTH))
    return reduction.show(Scene(look, (), 0, top, wing, 0), box)


def _is_usual(scene: Scene, reduction: Reduction) -> bool:
    """Return whether the screen is made of parts that come again: always in play, at the size of observations."""
    lefts = sorted(left for left, _ in scene.pipes)
    return (
        reduction.regular
        and all(later - sooner >= 2 * PIPE_WIDTH for sooner, later in itertools.pairwise(lefts))
        and all(0 <= gap_start <= FLOOR_Y - scene.gap for _, gap_start in scene.pipes)
        and -BIRD_HEIGHT < scene.bird_y < FLOOR_Y
    )


def _add_pipes(image: Image, reduction: Reduction, scene: Scene, left: int, gap_start: int) -> Box:
    """Paste a pair of pipes and return the small pixels between them that show nothing of either."""
    size, sky, pipe, shift = reduction.size, scene.look.sky, scene.look.pipe, scene.scrolled % GROUND_PERIOD
    gap_end = gap_start + scene.gap
    upper = reduction.box(Box(gap_start - END_ROWS, gap_start, left, left + PIPE_WIDTH))
    lower = reduction.box(Box(gap_end, gap_end + END_ROWS, left, left + PIPE_WIDTH))
    first, last = max(upper.left, 0), min(upper.right, size)
    if upper.top > 0:
        image[: upper.top, first:last] = _body(size, sky, pipe, left, 0, True)[: upper.top]
    below = _body(size, sky, pipe, left, shift, False)
    image[lower.bottom : len(below), first:last] = below[lower.bottom :]
    for end, row, is_upper in (upper, gap_start, True), (lower, gap_end, False):
        box = Box(max(end.top, 0), end.bottom, first, last)
        if end.top >= 0 and _shows_flat_sky(size, sky, box):
            part = _end(size, sky, pipe, *reduction.like(row, left), is_upper)
            image[end.top : end.bottom, first:last] = part[:, first - end.left : last - end.left]
        else:
            image[box.top : box.bottom, first:last] = reduction.show(scene, box)
    return Box(upper.bottom, lower.top, first, last)


def _add_bird(image: Image, reduction: Reduction, scene: Scene, gaps: list[Box]) -> None:
    box = reduction.box(Box(max(scene.bird_y, 0), scene.bird_y + BIRD_HEIGHT, BIRD_X, BIRD_X + BIRD_WIDTH))
    alone = box.bottom <= reduction.ground_row and all(
        gap.right <= box.left or box.right <= gap.left or (gap.top <= box.top and box.bottom <= gap.bottom)
        for gap in gaps
    )
    if alone:
        bird = _bird(reduction.size, scene.look, scene.bird_y, scene.wing)
    else:
        bird = reduction.show(scene, box)
    image[box.top : box.bottom, box.left : box.right] = bird


def thumbnail(scene: Scene, size: int) -> Image:
    """Return the grey screen, resized by area, as a new (size, size) uint8 image.

    The same as `shrink(luma(draw(scene)), size)` but for the rounding of exact halves: one grey level at most.
    """
    reduction = _reduction(size)
    if not _is_usual(scene, reduction):
        return shrink(luma(flappy_screen.draw(scene)), size)
    image = _background(size, scene.look.sky, scene.scrolled % GROUND_PERIOD).copy()
    in_sight = [(left, gap_start) for left, gap_start in scene.pipes if -PIPE_WIDTH < left < WIDTH]
    gaps = [_add_pipes(image, reduction, scene, left, gap_start) for left, gap_start in in_sight]
    _add_bird(image, reduction, scene, gaps)
    return image
