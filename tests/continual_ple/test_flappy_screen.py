"""The fast small screen against the plain one, and the pictures themselves."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_ple import ArcadeEnv
from continual_ple.games import flappy_art, flappy_screen, flappy_thumbnail
from continual_ple.games.base import FirstDraws, luma, shrink
from continual_ple.games.catalogue import make_game
from continual_ple.games.flappy_art import BIRDS, PIPES, SKIES, Look

LOOKS = [Look(*indices) for indices in itertools.product(range(len(SKIES)), range(len(BIRDS)), range(len(PIPES)))]


@st.composite
def scenes(draw: st.DrawFn) -> flappy_screen.Scene:
    gap = draw(st.integers(40, 300))
    starts = st.integers(gap // 4, max(int(0.79 * 0.6 * 512 - gap / 2), gap // 4))
    as_in_play = st.integers(-80, 64).map(lambda left: [left, left + 144, left + 305])
    lefts = draw(as_in_play | st.lists(st.integers(-120, 700), max_size=3))
    pipes = [(left, draw(starts)) for left in lefts]
    return flappy_screen.Scene(
        look=draw(st.sampled_from(LOOKS)),
        pipes=tuple(pipes),
        gap=gap,
        bird_y=draw(st.integers(-60, 420)),
        wing=draw(st.integers(0, 2)),
        scrolled=draw(st.integers(0, 60)),
    )


def check_small_screen(scene: flappy_screen.Scene, size: int = 84) -> None:
    """Up to one grey level, where a mean lies so near a half that the order of additions decides its rounding."""
    fast = flappy_thumbnail.thumbnail(scene, size).astype(int)
    plain = shrink(luma(flappy_screen.draw(scene)), size).astype(int)
    assert np.abs(fast - plain).max() <= 1
    assert (fast == plain).mean() > 0.98


@given(scenes())
def test_small_screen_is_the_large_one_reduced(scene: flappy_screen.Scene) -> None:
    check_small_screen(scene)


@pytest.mark.parametrize("size", [32, 64, 83, 96])
def test_small_screen_of_any_size_is_the_large_one_reduced(size: int) -> None:
    for left in range(-60, 60, 7):
        pipes = ((left, 60), (left + 144, 100), (left + 305, 180))
        check_small_screen(flappy_screen.Scene(Look(left % 2, 0, 1), pipes, 100, 200 + left, 1, 8), size)


def test_play_never_takes_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flappy_screen, "draw", lambda scene: pytest.fail("drew the whole screen"))
    env, rng = ArcadeEnv("flappy_bird"), np.random.default_rng(0)
    env.reset(seed=0)
    passed = 0
    for _ in range(1_000):
        y, _, _, top, bottom, *_ = env.game.state()
        _, reward, terminated, _, _ = env.step(0 if y + 12 > (top + bottom) / 2 + rng.integers(16) else 1)
        passed += reward > 0
        if terminated:
            env.reset()
    assert passed > 5


@pytest.mark.parametrize("left", [*range(-54, 3), *range(230, 291)])
def test_a_pipe_leaves_and_enters_the_small_screen_by_every_pixel(left: int) -> None:
    check_small_screen(flappy_screen.Scene(Look(0, 0, 0), ((left, 100),), 100, 200, 0, 0))


@pytest.mark.parametrize("sky", range(len(SKIES)))
@pytest.mark.parametrize("gap_end", range(370, 393))  # 392: of a gap of 300, the largest
def test_the_ground_hides_the_end_of_a_pipe(sky: int, gap_end: int) -> None:
    check_small_screen(flappy_screen.Scene(Look(sky, 0, 0), ((100, 92),), gap_end - 92, 200, 0, 0))


@given(scenes(), st.data())
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
    image, mask = flappy_art.pipe(0)
    assert image.shape == (512, 52, 3) and mask.shape == (512, 52)
    assert mask[:24].all() and mask[:, 2:-2].all() and not mask[24:, [0, 1, -2, -1]].any()


def test_the_gap_is_where_the_dynamics_have_it() -> None:
    scene = flappy_screen.Scene(Look(0, 0, 0), ((100, 100),), 90, 300, 0, 0)
    sky = (flappy_screen.draw(scene) == flappy_art.sky(0)).all(axis=2)[:404, 100:152]
    assert sky[100:190].all() and not sky[:100, 2:-2].any() and not sky[190:, 2:-2].any()
    assert not sky[76:100].any() and not sky[190:214].any()


def test_the_upper_pipe_is_the_lower_one_turned() -> None:
    screen = flappy_screen.draw(flappy_screen.Scene(Look(0, 0, 0), ((100, 150),), 100, 300, 0, 0))
    np.testing.assert_array_equal(screen[:150, 102:150], screen[250:400, 102:150][::-1, ::-1])


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
    flapping = flappy_screen.draw(scene._replace(wing=1))
    scrolling = flappy_screen.draw(scene._replace(scrolled=4))
    assert (still != flapping)[200:224, 57:91].any() and (still == flapping)[404:].all()
    assert (still != scrolling)[404:].any() and (still == scrolling)[:404].all()
    np.testing.assert_array_equal(still[404:, 4:], scrolling[404:, :-4])


def test_wing_and_ground_move_as_upstreams_do() -> None:
    """The wing every 15 frames, over up, level and down; the ground by 4 px to 48, then back, across episodes."""
    game = make_game("flappy_bird", {}, "native", "nearest")
    game.reset(FirstDraws(), FirstDraws())
    wings, grounds = [], []
    for frame in range(60):
        wings.append(game._scene().wing)
        grounds.append(game._scene().scrolled)
        game.step(int(frame % 16 > 0))
    assert wings == [0] * 14 + [1] * 15 + [2] * 15 + [0] * 15 + [1]
    assert grounds == [4 * (frame % 13) for frame in range(60)]
    game.reset(FirstDraws(), FirstDraws())
    assert (game._scene().wing, game._scene().scrolled) == (0, 4 * (60 % 13))


def test_a_state_saved_before_the_ground_went_on_is_taken() -> None:
    game, copy = (make_game("flappy_bird", {}, "native", "nearest") for _ in range(2))
    for _ in range(2):
        game.reset(FirstDraws(), FirstDraws())
        for _ in range(5):
            game.step(1)
    state = game.get_state()
    copy.set_state(state, FirstDraws())
    assert copy.get_state() == state and state["frames_before"] == 5
    np.testing.assert_array_equal(copy.draw(), game.draw())
    older = {name: value for name, value in state.items() if name != "frames_before"}
    copy.set_state(older, FirstDraws())
    assert copy.get_state() == older
