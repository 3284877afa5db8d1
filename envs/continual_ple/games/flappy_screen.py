"""Flappy Bird's screen at full size, in colour or grey, whole or a part of it."""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from continual_ple.games import flappy_art
from continual_ple.games.base import Image, luma
from continual_ple.games.flappy_art import BIRD_X, FLOOR_Y, HEIGHT, PIPE_WIDTH, WIDTH


class Scene(NamedTuple):
    """What is visible on the screen, in whole pixels.

    Attributes:
        look: Sky and colours.
        pipes: Left edge and gap start of each pair of pipes.
        gap: Height of the gaps.
        bird_y: Top of the bird.
        wing: Where the wing is: up (0), level (1) or down (2).
        scrolled: Pixels the ground has moved.
    """

    look: flappy_art.Look
    pipes: tuple[tuple[int, int], ...]
    gap: int
    bird_y: int
    wing: int
    scrolled: int


class Box(NamedTuple):
    """A rectangle of the screen; `bottom` and `right` are outside."""

    top: int
    bottom: int
    left: int
    right: int


WHOLE_SCREEN = Box(0, HEIGHT, 0, WIDTH)


@cache
def sky(index: int, grey: bool) -> Image:
    """Return a background, (512, 288), or (512, 288, 3) in colour; not to be written to."""
    return luma(flappy_art.sky(index)) if grey else flappy_art.sky(index)


@cache
def ground(grey: bool) -> Image:
    """Return the ground, (108, 312), or (108, 312, 3) in colour; not to be written to."""
    return luma(flappy_art.ground()) if grey else flappy_art.ground()


@cache
def pipe(index: int, upper: bool, grey: bool) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Return a pipe as high as the screen, its end towards the gap, and its mask; not to be written to.

    As in upstream, the upper pipe is the lower one turned by 180 degrees.
    """
    image, mask = flappy_art.pipe(index)
    if upper:
        image, mask = image[::-1, ::-1], mask[::-1, ::-1]
    return (luma(np.ascontiguousarray(image)), mask) if grey else (image, mask[..., None])


@cache
def _bird(index: int, wing_position: int, grey: bool) -> tuple[Image, npt.NDArray[np.bool_]]:
    image, mask = flappy_art.bird(index, wing_position)
    return (luma(image), mask) if grey else (image, mask[..., None])


def paste(image: Image, box: Box, sprite: tuple[Image, npt.NDArray[np.bool_]], top: int, left: int) -> None:
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
        scene: What is visible.
        box: Part of the screen.
        grey: Whether to draw grey (height, width) rather than RGB (height, width, 3). The sprites have no
            half-transparent pixels, so drawing in grey is the same as making the coloured picture grey.
    """
    top, bottom, left, right = box
    image = sky(scene.look.sky, grey)[top:bottom, left:right].copy()
    for pipe_left, gap_start in scene.pipes:
        if left - PIPE_WIDTH < pipe_left < right:
            paste(image, box, pipe(scene.look.pipe, True, grey), gap_start - HEIGHT, pipe_left)
            paste(image, box, pipe(scene.look.pipe, False, grey), gap_start + scene.gap, pipe_left)
    if bottom > FLOOR_Y:
        start, shift = max(top, FLOOR_Y), scene.scrolled % flappy_art.GROUND_PERIOD
        image[start - top :] = ground(grey)[start - FLOOR_Y : bottom - FLOOR_Y, left + shift : right + shift]
    paste(image, box, _bird(scene.look.bird, scene.wing, grey), scene.bird_y, BIRD_X)
    return image


def draw(scene: Scene) -> Image:
    """Return the screen as a new RGB image (512, 288, 3) uint8."""
    return compose(scene, WHOLE_SCREEN, grey=False)
