"""Flappy Bird's screen: in colour at full size, and small and grey at once.

Reducing the whole 512×288 screen takes 0.2 ms, longer than everything else in a step. But area reduction is linear, so
it can be done in two passes, rows first, and sky, pipes and their lips are reduced once and reused. Only the bird is
put together afresh at full size each frame, and pipes where they overlap.
"""

import itertools
from functools import cache, lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from envs import flappy_art
from envs.flappy_art import (
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
from envs.games import Image, luma

FRAMES_PER_WING_POSITION = 3
LIP_ROWS = LIP_HEIGHT + flappy_art.LIP_SHADOW  # what differs from a pipe's body, next to the gap


class Scene(NamedTuple):
    """What is to be seen, in whole pixels.

    Attributes:
        look: Sky and colours.
        pipes: Left edge and gap start of each pair of pipes.
        gap: Height of the gaps.
        bird_y: Top of the bird.
        frames: Frames since the reset, which move the wing.
        scrolled: Pixels the ground has moved.
    """

    look: flappy_art.Look
    pipes: tuple[tuple[int, int], ...]
    gap: int
    bird_y: int
    frames: int
    scrolled: int


class Box(NamedTuple):
    """A rectangle of the screen; `bottom` and `right` are outside."""

    top: int
    bottom: int
    left: int
    right: int


WHOLE_SCREEN = Box(0, HEIGHT, 0, WIDTH)


@cache
def _sky(index: int, grey: bool) -> Image:
    return luma(flappy_art.sky(index)) if grey else flappy_art.sky(index)


@cache
def _ground(grey: bool) -> Image:
    return luma(flappy_art.ground()) if grey else flappy_art.ground()


@lru_cache(maxsize=512)
def _pipe(index: int, gap_start: int, gap: int, grey: bool) -> tuple[Image, npt.NDArray[np.bool_]]:
    image, mask = flappy_art.pipe(index, gap_start, gap)
    return (luma(image), mask) if grey else (image, mask[..., None])


@cache
def _pipe_body(index: int) -> npt.NDArray[np.float32]:
    return np.asarray(luma(flappy_art.pipe_body(index)[None])[0], np.float32)


@cache
def _bird(index: int, wing_position: int, grey: bool) -> tuple[Image, npt.NDArray[np.bool_]]:
    image, mask = flappy_art.bird(index, wing_position)
    return (luma(image), mask) if grey else (image, mask[..., None])


def _paste(image: Image, box: Box, sprite: tuple[Image, npt.NDArray[np.bool_]], top: int, left: int) -> None:
    """Paint what falls inside `box` of a sprite at (top, left) of the screen onto the `image` of that box."""
    pixels, mask = sprite
    first_row, last_row = max(top, box.top), min(top + pixels.shape[0], box.bottom)
    first, last = max(left, box.left), min(left + pixels.shape[1], box.right)
    if first_row < last_row and first < last:
        part = slice(first_row - top, last_row - top), slice(first - left, last - left)
        target = image[first_row - box.top : last_row - box.top, first - box.left : last - box.left]
        np.copyto(target, pixels[part], where=mask[part])


def compose(scene: Scene, box: Box, grey: bool) -> Image:
    """Return what a part of the screen shows: sky, pipes, ground and bird, each over the last.

    Args:
        scene: What is to be seen.
        box: Part of the screen.
        grey: Whether to draw grey (height, width) rather than RGB (height, width, 3). The sprites have no
            half-transparent pixels, so drawing in grey is the same as making the coloured picture grey.
    """
    top, bottom, left, right = box
    image = _sky(scene.look.sky, grey)[top:bottom, left:right].copy()
    for pipe_left, gap_start in scene.pipes:
        if left - PIPE_WIDTH < pipe_left < right:
            _paste(image, box, _pipe(scene.look.pipe, gap_start, scene.gap, grey), 0, pipe_left)
    if bottom > FLOOR_Y:
        start, shift = max(top, FLOOR_Y), scene.scrolled % flappy_art.GROUND_PERIOD
        image[start - top :] = _ground(grey)[start - FLOOR_Y : bottom - FLOOR_Y, left + shift : right + shift]
    position = scene.frames // FRAMES_PER_WING_POSITION % len(flappy_art.FLAP_FRAMES)
    _paste(image, box, _bird(scene.look.bird, flappy_art.FLAP_FRAMES[position], grey), scene.bird_y, BIRD_X)
    return image


def draw(scene: Scene) -> Image:
    """Return the screen as a new RGB image (512, 288, 3) uint8."""
    return compose(scene, WHOLE_SCREEN, grey=False)


class Reduction:
    """The parts of a small screen that do not change, for one size.

    Attributes:
        size: Height and width of the small screen.
        weights: (size, 512) share of each screen row in each small row.
        above_floor: (size, 1) share of each small row that is above the ground.
        ground_row: First small row that shows ground.
        ground: (size - ground_row, 312) the ground, reduced in height.
    """

    def __init__(self, size: int) -> None:
        # Whole numbers over 512, a power of two: sums of weighted pixels are exact in float32, in any order of adding,
        # so that no number of threads changes an observation.
        edges, rows = np.arange(size + 1) * HEIGHT, np.arange(HEIGHT) * size
        overlap = np.minimum(edges[1:, None], rows + size) - np.maximum(edges[:-1, None], rows)
        self.size = size
        self.weights = (np.maximum(overlap, 0) / HEIGHT).astype(np.float32)
        self.above_floor = self.weights[:, :FLOOR_Y].sum(axis=1, keepdims=True)
        self.ground_row = int(FLOOR_Y * size / HEIGHT)
        self.ground = self.weights[self.ground_row :, FLOOR_Y:] @ _ground(True)
        self._skies: dict[int, npt.NDArray[np.float32]] = {}

    def sky(self, index: int) -> npt.NDArray[np.float32]:
        """Return a new (size, 288) array of the sky above the ground, reduced in height."""
        if index not in self._skies:
            self._skies[index] = self.weights[:, :FLOOR_Y] @ _sky(index, True)[:FLOOR_Y]
        return self._skies[index].copy()

    def small_rows(self, top: int, bottom: int) -> tuple[int, int]:
        """Return the first small row that shows some of the screen rows [top, bottom), and one more than the last."""
        return top * self.size // HEIGHT, -(-bottom * self.size // HEIGHT)

    def recompose(self, columns: npt.NDArray[np.float32], scene: Scene, box: Box) -> None:
        """Put a part of the screen together at full size and reduce it in height into `columns`."""
        first, last = self.small_rows(max(box.top, 0), min(box.bottom, HEIGHT))
        top, bottom = first * HEIGHT // self.size, min(-(-last * HEIGHT // self.size), HEIGHT)
        left, right = max(box.left, 0), min(box.right, WIDTH)
        pixels = compose(scene, Box(top, bottom, left, right), grey=True)
        columns[first:last, left:right] = self.weights[first:last, top:bottom] @ pixels


@lru_cache(maxsize=4)
def _reduction(size: int) -> Reduction:
    return Reduction(size)


def _add_pipe(columns: npt.NDArray[np.float32], reduction: Reduction, scene: Scene, left: int, gap_start: int) -> None:
    """Put the bodies of a pair of pipes, which are the same in every row, into `columns`."""
    start, stop = left + LIP_OVERHANG, left + PIPE_WIDTH - LIP_OVERHANG
    body = _pipe_body(scene.look.pipe)[max(-start, 0) : max(WIDTH - start, 0)]
    start, stop = max(start, 0), min(stop, WIDTH)
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
    image, mask = (part[top:bottom] for part in _pipe(pipe, gap_start, gap, True))
    weights, behind = reduction.weights[first:last, top:bottom], _sky(sky, True)[top:bottom]
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
    small = cv2.resize(columns, (size, size), interpolation=cv2.INTER_AREA)
    return np.rint(small).astype(np.uint8)
