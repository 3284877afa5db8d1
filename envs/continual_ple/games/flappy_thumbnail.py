"""Flappy Bird's screen small and grey at once, as an agent sees it.

Reducing the whole 512×288 screen takes 0.2 ms, longer than everything else in a step. But area reduction is linear, so
it can be done in two passes, rows first, and sky, ground, pipes and their lips are reduced once and reused. Only the
bird is put together afresh at full size each frame, and pipes where they overlap; only the columns of bird and pipes
are reduced in width.
"""

import itertools
import math
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from continual_ple.games import flappy_art, flappy_screen
from continual_ple.games.base import Image, luma
from continual_ple.games.flappy_art import (
    BIRD_HEIGHT,
    BIRD_WIDTH,
    BIRD_X,
    FLOOR_Y,
    HEIGHT,
    LIP_HEIGHT,
    LIP_OVERHANG,
    PIPE_WIDTH,
    WIDTH,
)
from continual_ple.games.flappy_screen import Box, Scene

LIP_ROWS = LIP_HEIGHT + flappy_art.LIP_SHADOW  # what differs from a pipe's body, next to the gap


@cache
def _pipe_body(index: int) -> npt.NDArray[np.float32]:
    return np.asarray(luma(flappy_art.pipe_body(index)[None])[0], np.float32)


def _overlap(size: int, length: int) -> npt.NDArray[np.intp]:
    """Return (size, length): how much of each small pixel, in parts of 1/length, is in each pixel it is made of."""
    edges, pixels = np.arange(size + 1) * length, np.arange(length) * size
    overlap = np.minimum(edges[1:, None], pixels + size) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(overlap, 0))


class Reduction:
    """The parts of a small screen that do not change, for one size.

    Attributes:
        size: Height and width of the small screen.
        weights: (size, 512) share of each screen row in each small row.
        above_floor: (size, 1) share of each small row that is above the ground.
        ground_row: First small row that shows ground.
        ground: (size - ground_row, 312) the ground, reduced in height.
        shares: Parts into which a small column divides its width.
        across: (288, size) number of these that each screen column has in each small column.
    """

    def __init__(self, size: int) -> None:
        # Whole numbers over 512, a power of two, and then times whole numbers: at the size of observations, sums of
        # weighted pixels are exact in float32, in any order of adding, so that no number of threads changes one.
        self.size = size
        self.weights = (_overlap(size, HEIGHT) / HEIGHT).astype(np.float32)
        divisor = math.gcd(size, WIDTH)
        self.shares = WIDTH // divisor
        self.across = np.ascontiguousarray(_overlap(size, WIDTH).T // divisor, np.float32)
        self.above_floor = self.weights[:, :FLOOR_Y].sum(axis=1, keepdims=True)
        self.ground_row = int(FLOOR_Y * size / HEIGHT)
        self.ground = self.weights[self.ground_row :, FLOOR_Y:] @ flappy_screen.ground(True)
        self._skies: dict[int, npt.NDArray[np.float32]] = {}
        self._backgrounds: dict[tuple[int, int], Image] = {}

    def sky(self, index: int) -> npt.NDArray[np.float32]:
        """Return a new (size, 288) array of the sky above the ground, reduced in height."""
        if index not in self._skies:
            self._skies[index] = self.weights[:, :FLOOR_Y] @ flappy_screen.sky(index, True)[:FLOOR_Y]
        return self._skies[index].copy()

    def background(self, sky: int, shift: int) -> Image:
        """Return a new (size, size) image of the sky, and the ground moved by `shift` pixels."""
        if (sky, shift) not in self._backgrounds:
            columns = self.sky(sky)
            columns[self.ground_row :] += self.ground[:, shift : shift + WIDTH]
            image = np.empty((self.size, self.size), np.uint8)
            self.reduce_width(columns, 0, WIDTH, image)
            self._backgrounds[sky, shift] = image
        return self._backgrounds[sky, shift].copy()

    def reduce_width(self, columns: npt.NDArray[np.float32], left: int, right: int, image: Image) -> None:
        """Reduce `columns`, (size, 288), into the columns of `image` that show some of the screen's [left, right)."""
        first, last = max(left, 0) * self.size // WIDTH, -(-min(right, WIDTH) * self.size // WIDTH)
        start, stop = first * WIDTH // self.size, -(-last * WIDTH // self.size)
        sums = columns[:, start:stop] @ self.across[start:stop, first:last]
        image[:, first:last] = np.rint(sums / self.shares)

    def small_rows(self, top: int, bottom: int) -> tuple[int, int]:
        """Return the first small row that shows some of the screen rows [top, bottom), and one more than the last."""
        return top * self.size // HEIGHT, -(-bottom * self.size // HEIGHT)

    def recompose(self, columns: npt.NDArray[np.float32], scene: Scene, box: Box) -> None:
        """Put a part of the screen together at full size and reduce it in height into `columns`."""
        first, last = self.small_rows(max(box.top, 0), min(box.bottom, HEIGHT))
        top, bottom = first * HEIGHT // self.size, min(-(-last * HEIGHT // self.size), HEIGHT)
        left, right = max(box.left, 0), min(box.right, WIDTH)
        pixels = flappy_screen.compose(scene, Box(top, bottom, left, right), grey=True)
        columns[first:last, left:right] = self.weights[first:last, top:bottom] @ pixels


@lru_cache(maxsize=4)
def _reduction(size: int) -> Reduction:
    return Reduction(size)


def _add_pipe(columns: npt.NDArray[np.float32], reduction: Reduction, scene: Scene, left: int, gap_start: int) -> None:
    """Put the bodies of a pair of pipes, which are the same in every row, into `columns`."""
    start, stop = left + LIP_OVERHANG, left + PIPE_WIDTH - LIP_OVERHANG
    body = _pipe_body(scene.look.pipe)[max(-start, 0) : max(WIDTH - start, 0)]
    start, stop = max(start, 0), max(min(stop, WIDTH), 0)  # a lip can be in sight alone: it is wider than the body
    upper, lower = reduction.small_rows(gap_start, gap_start + scene.gap)
    columns[:upper, start:stop] = body
    columns[lower:, start:stop] = reduction.above_floor[lower:] * body


class Lip(NamedTuple):
    """The rows at one end of a pipe, reduced in height, wherever it is on the screen.

    Attributes:
        first: First small row.
        pipe: (rows, 52) what the pipe gives to each small pixel.
        sky: (patterns, rows, 288) what the sky gives, for each different way in which a column of the pipe covers it.
        patterns: (52,) which one each column has.
    """

    first: int
    pipe: npt.NDArray[np.float32]
    sky: npt.NDArray[np.float32]
    patterns: npt.NDArray[np.intp]


@lru_cache(maxsize=1024)
def _lip(size: int, sky: int, pipe: int, gap_start: int, gap: int, upper: bool) -> Lip | None:
    """Return one end of a pair of pipes, or None where the ground covers some of it."""
    reduction = _reduction(size)
    start = gap_start - LIP_ROWS if upper else gap_start + gap
    first, last = reduction.small_rows(start, start + LIP_ROWS)
    top, bottom = first * HEIGHT // size, -(-last * HEIGHT // size)
    if bottom > FLOOR_Y or top < 0:
        return None
    image, mask = (part[top:bottom] for part in flappy_screen.pipe(pipe, gap_start, gap, True))
    weights, behind = reduction.weights[first:last, top:bottom], flappy_screen.sky(sky, True)[top:bottom]
    differs = np.any(mask[:, 1:] != mask[:, :-1], axis=0)
    patterns = np.append(0, np.cumsum(differs))
    parts = [weights @ (behind * ~mask[:, [place]]) for place in np.append(0, np.flatnonzero(differs) + 1)]
    return Lip(first, weights @ (image * mask), np.stack(parts), patterns)


def _add_lip(columns: npt.NDArray[np.float32], lip: Lip, left: int) -> None:
    """Put one end of a pair of pipes into `columns`."""
    inside = slice(max(-left, 0), min(WIDTH - left, PIPE_WIDTH))
    places = np.arange(left + inside.start, left + inside.stop)
    seen = lip.pipe[:, inside] + lip.sky[lip.patterns[inside], :, places].T
    columns[lip.first : lip.first + len(seen), places[0] : places[-1] + 1] = seen


def thumbnail(scene: Scene, size: int) -> Image:
    """Return the grey screen, resized by area, as a new (size, size) uint8 image.

    The same as `shrink(luma(draw(scene)), size)` but for the rounding of exact halves: one grey level at most.
    """
    reduction = _reduction(size)
    columns = reduction.sky(scene.look.sky)
    in_sight = [(left, gap_start) for left, gap_start in scene.pipes if -PIPE_WIDTH < left < WIDTH]
    for left, gap_start in in_sight:
        _add_pipe(columns, reduction, scene, left, gap_start)
    shift = scene.scrolled % flappy_art.GROUND_PERIOD
    columns[reduction.ground_row :] += reduction.ground[:, shift : shift + WIDTH]
    apart = all(later - sooner >= PIPE_WIDTH for sooner, later in itertools.pairwise(sorted(at for at, _ in in_sight)))
    for left, gap_start in in_sight:
        for upper, top in (True, gap_start - LIP_ROWS), (False, gap_start + scene.gap):
            lip = _lip(size, scene.look.sky, scene.look.pipe, gap_start, scene.gap, upper) if apart else None
            if lip is None:
                reduction.recompose(columns, scene, Box(top, top + LIP_ROWS, left, left + PIPE_WIDTH))
            else:
                _add_lip(columns, lip, left)
    bird = Box(scene.bird_y, scene.bird_y + BIRD_HEIGHT, BIRD_X, BIRD_X + BIRD_WIDTH)
    if bird.bottom > 0:
        reduction.recompose(columns, scene, bird)
    image = reduction.background(scene.look.sky, shift)
    for left, width in [(BIRD_X, BIRD_WIDTH), *((left, PIPE_WIDTH) for left, _ in in_sight)]:
        reduction.reduce_width(columns, left, left + width, image)
    return image
