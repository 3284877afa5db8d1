"""The fast small screen against the plain one, and the pictures themselves."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_ple.games import flappy_art, flappy_screen, flappy_thumbnail
from continual_ple.games.base import luma, shrink
from continual_ple.games.flappy_art import BIRDS, PIPES, SKIES, Look

LOOKS = [Look(*indices) for indices in itertools.product(range(len(SKIES)), range(len(BIRDS)), range(len(PIPES)))]


@st.composite
def scenes(draw: st.DrawFn) -> flappy_screen.Scene:
    gap = draw(st.integers(40, 300))
    starts = st.integers(gap // 4, max(int(0.79 * 0.6 * 512 - gap / 2), gap // 4))
    pipes = [(left, draw(starts)) for left in draw(st.lists(st.integers(-120, 700), max_size=3))]
    return flappy_screen.Scene(
        look=draw(st.sampled_from(LOOKS)),
        pipes=tuple(pipes),
        gap=gap,
        bird_y=draw(st.integers(-60, 420)),
        frames=draw(st.integers(0, 10_000)),
        scrolled=draw(st.integers(0, 40_000)),
    )


def check_small_screen(scene: flappy_screen.Scene) -> None:
    """Up to one grey level, where a mean lies so near a half that the order of additions decides its rounding."""
    fast = flappy_thumbnail.thumbnail(scene, 84).astype(int)
    plain = shrink(luma(flappy_screen.draw(scene)), 84).astype(int)
    assert np.abs(fast - plain).max() <= 1
    assert (fast == plain).mean() > 0.98


@given(scenes())
@settings(deadline=None)
def test_small_screen_is_the_large_one_reduced(scene: flappy_screen.Scene) -> None:
    check_small_screen(scene)


@pytest.mark.parametrize("left", [*range(-54, 3), *range(230, 291)])
def test_a_pipe_leaves_and_enters_the_small_screen_by_every_pixel(left: int) -> None:
    check_small_screen(flappy_screen.Scene(Look(0, 0, 0), ((left, 100),), 100, 200, 0, 0))


@given(scenes(), st.data())
@settings(deadline=None)
def test_a_part_is_cut_from_the_whole_in_colour_and_grey(scene: flappy_screen.Scene, data: st.DataObject) -> None:
    top, bottom = sorted(data.draw(st.tuples(st.integers(0, 512), st.integers(0, 512))))
    left, right = sorted(data.draw(st.tuples(st.integers(0, 288), st.integers(0, 288))))
    whole = flappy_screen.draw(scene)
    box = flappy_screen.Box(top, bottom, left, right)
    np.testing.assert_array_equal(flappy_screen.compose(scene, box, grey=False), whole[top:bottom, left:right])
    np.testing.assert_array_equal(flappy_screen.compose(scene, box, grey=True), luma(whole)[top:bottom, left:right])


def test_sprites_have_the_size_of_the_dynamics() -> None:
    for index, wing in itertools.product(range(len(BIRDS)), range(3)):
        image, mask = flappy_art.bird(index, wing)
        assert image.shape == (24, 34, 3) and mask.shape == (24, 34)
        assert mask.any(axis=0).all() and mask.any(axis=1).sum() >= 23
    image, mask = flappy_art.pipe(0, 100, 90)
    assert image.shape == (512, 52, 3)
    assert mask[:, 20].sum() == 512 - 90 and not mask[100:190].any() and mask[99].all() and mask[190].all()


@pytest.mark.parametrize("part", [0, 1, 2], ids=["sky", "bird", "pipes"])
def test_every_look_looks_different(part: int) -> None:
    options = (SKIES, BIRDS, PIPES)[part]
    pictures = []
    for index in range(len(options)):
        look = Look(*(index if position == part else 0 for position in range(3)))
        pictures.append(flappy_screen.draw(flappy_screen.Scene(look, ((100, 150),), 100, 200, 0, 0)))
    for one, other in itertools.combinations(pictures, 2):
        assert (one != other).any()


def test_the_wing_flaps_and_the_ground_scrolls() -> None:
    scene = flappy_screen.Scene(Look(0, 0, 0), (), 100, 200, 0, 0)
    still = flappy_screen.draw(scene)
    flapping = flappy_screen.draw(scene._replace(frames=flappy_screen.FRAMES_PER_WING_POSITION))
    scrolling = flappy_screen.draw(scene._replace(scrolled=4))
    assert (still != flapping)[200:224, 57:91].any() and (still == flapping)[404:].all()
    assert (still != scrolling)[404:].any() and (still == scrolling)[:404].all()
    np.testing.assert_array_equal(still[404:, 4:], scrolling[404:, :-4])
