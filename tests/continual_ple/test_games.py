"""Single rules of the games, worked by hand, and the checks of their parameters."""

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_ple.games.base import FirstDraws, Game, GeneratorDraws, round_half_away
from continual_ple.games.catalogue import GAMES, game_class, make_game
from continual_ple.games.catcher import Catcher
from continual_ple.games.flappy_bird import FlappyBird
from continual_ple.games.parameters import Parameter
from continual_ple.messages import shown

PARAMETERS = [(name, parameter) for name, game in GAMES.items() for parameter in game.parameter_table]
LEFT, RIGHT, NOOP = range(3)


class ListedDraws:
    """Gives out listed numbers, the last of them for ever."""

    def __init__(self, *values: int) -> None:
        self.values = list(values)

    def choose(self, options: Sequence[int]) -> int:
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        assert value in options
        return value


def started(game: Game, seed: int = 0) -> Game:
    game.reset(GeneratorDraws(np.random.default_rng(seed)), FirstDraws())
    return game


@pytest.mark.parametrize("kind", GAMES.values())
def test_defaults_are_upstreams(kind: type[Game]) -> None:
    expected = {
        "catcher": {"width": 64, "height": 64, "fall_speed": 0.0608, "paddle_speed": 1.344, "lives": 3},
        "flappy_bird": {"pipe_gap": 100, "gravity": 1, "flap_power": 9, "max_drop_speed": 10, "pipe_speed": 4},
    }
    assert kind.check_parameters({}) == expected[kind.name]
    for parameter in kind.parameter_table:
        assert parameter.help and parameter.unit


def test_defaults_grow_with_the_screen() -> None:
    assert Catcher(height=128).parameters["fall_speed"] == pytest.approx(2 * 0.0608)
    assert Catcher(width=128).parameters["paddle_speed"] == pytest.approx(2 * 1.344)
    assert Catcher(height=128, fall_speed=0.05).parameters["fall_speed"] == 0.05


@pytest.mark.parametrize("game,parameter", PARAMETERS, ids=lambda value: getattr(value, "name", value))
@given(data=st.data())
def test_bad_values_are_one_line(game: str, parameter: Parameter, data: st.DataObject) -> None:
    nothing = [math.nan, math.inf, -math.inf, True, False, None, "", "100", [1], 1j, 10**400, -(10**5000), np.True_]
    below, above = st.floats(max_value=parameter.low, exclude_max=True), st.floats(parameter.high, exclude_min=True)
    value = data.draw(st.sampled_from(nothing) | below | above | st.text())
    with pytest.raises(ValueError) as caught:
        make_game(game, {parameter.name: value})
    message = str(caught.value)
    assert message.startswith(f"{parameter.name}={shown(value)}: must be ") and "\n" not in message
    assert f"{parameter.low:g} to {parameter.high:g}" in message


@pytest.mark.parametrize("game,parameter", PARAMETERS, ids=lambda value: getattr(value, "name", value))
@given(data=st.data())
def test_good_values_play(game: str, parameter: Parameter, data: st.DataObject) -> None:
    """Every value allowed plays without error, stays on the screen that it has, and keeps its state finite."""
    number = st.integers if parameter.whole else st.floats
    low, high = (int(parameter.low), int(parameter.high)) if parameter.whole else (parameter.low, parameter.high)
    value = data.draw(number(low, high))
    size = {"width": 512, "height": value} if parameter.name == "height" else {}
    playing = started(make_game(game, {parameter.name: value} | size))
    random = np.random.default_rng(1)
    for _ in range(30):
        playing.step(int(random.integers(len(playing.actions))))
        if playing.lost:
            started(playing)
    assert np.isfinite(playing.state()).all()
    assert playing.draw().shape == (playing.height, playing.width, 3)
    assert playing.thumbnail(84).shape == (84, 84)


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), np.int64(1), 1])
def test_numpy_numbers_are_numbers(value: Any) -> None:
    checked = Catcher(fall_speed=value).parameters["fall_speed"]
    assert checked == value and type(checked) is float


def test_whole_numbers_must_be_whole() -> None:
    assert FlappyBird(pipe_gap=90.0).parameters["pipe_gap"] == 90
    with pytest.raises(ValueError, match=r"^pipe_gap=90\.5: must be a whole number from 40 to 300 \(px\)$"):
        FlappyBird(pipe_gap=90.5)


def test_unknown_names_are_one_line() -> None:
    with pytest.raises(ValueError, match=r"^gravity=1: must be one of the parameters of catcher: width, height, .*$"):
        make_game("catcher", {"gravity": 1})
    with pytest.raises(ValueError, match=r"^'a\\n'=1: must be one of the parameters of catcher: .*$"):
        make_game("catcher", {"a\n": 1})
    with pytest.raises(
        ValueError,
        match=r"^game='pong': must be one of catcher, flappy_bird, or one that an installed package offers as",
    ):
        game_class("pong")
    with pytest.raises(ValueError, match=r"^rounding='up': must be one of nearest, truncate$"):
        make_game("catcher", {}, rounding="up")
    with pytest.raises(ValueError, match=r"^backend='gym': must be one of native, ple$"):
        make_game("catcher", {}, backend="gym")


def test_screen_must_have_room_for_a_pellet() -> None:
    with pytest.raises(ValueError, match=r"^width=32: must be more than 124 \(px\) at height=512"):
        Catcher(width=32, height=512)


@pytest.mark.parametrize(
    ("value", "whole"), [(0.5, 1), (-0.5, -1), (1.49, 1), (-1.49, -1), (25.5, 26), (3.0, 3), (-57.6, -58)]
)
def test_rounds_halves_away_from_zero(value: float, whole: int) -> None:
    assert round_half_away(value) == whole


def test_catcher_frame_by_frame() -> None:
    """A pellet straight over the paddle: it falls 2 px a frame from -8 and is caught when the two overlap."""
    game = Catcher()
    game.reset(ListedDraws(24, 8, 48, 4, 40), FirstDraws())
    assert game.state().tolist() == [26, 0, 24, -8]  # 32 - 6.5 = 25.5 rounds to 26
    rewards = [game.step(NOOP) for _ in range(34)]
    # Paddle rows 57 to 59. Pellet rows start at y - 2: -8 + 2n - 2 > 53 first at n = 32, judged in the frame after it.
    assert rewards == [0.0] * 32 + [1.0] + [0.0]
    assert game.score == 1
    assert game.state().tolist() == [26, 0, 48, 0]  # respawned at -4 and moved twice


def test_catcher_loses_with_its_last_life() -> None:
    game = Catcher(lives=1, fall_speed=2.0)
    game.reset(ListedDraws(8, 4, 8, 4), FirstDraws())
    # Pellet at -4, 63 and 129: judged a miss in the frame after it has left.
    assert [(game.step(RIGHT), game.lost) for _ in range(3)] == [(0.0, False), (0.0, False), (-6.0, True)]
    assert game.score == 0


def test_paddle_stops_dead_at_the_walls() -> None:
    game = started(Catcher())
    for _ in range(40):
        game.step(LEFT)
    assert game.state()[:2].tolist() == [0, 0]
    for _ in range(60):
        game.step(RIGHT)
    assert game.state()[:2].tolist() == [64 - 13, 0]  # the wall test takes the centre for the left edge


def test_truncation_falls_slower_on_the_screen() -> None:
    """Above the screen 3 px a frame, on it 2: toward zero is down for negative positions (2.03 px exactly)."""
    game = Catcher(rounding="truncate")
    game.reset(ListedDraws(8, 12), FirstDraws())
    heights = []
    for _ in range(7):
        game.step(NOOP)
        heights.append(game.state()[3])
    assert heights == [-9, -6, -3, 0, 2, 4, 6]


def test_flap_takes_its_thrust_in_one_frame() -> None:
    game = FlappyBird()
    game.reset(ListedDraws(100), FirstDraws())
    velocities = []
    for action in (1, 1, 0, 0, 1, 1):
        game.step(action)
        velocities.append(game.state()[1])
    # The pending flap (1 - 9); no gravity in the frame after a thrust; a flap (1 - 9) from 0; the next only stops it.
    assert velocities == [-8, -8, -8, 0, 1, 2]


def test_velocity_outlives_the_episode_but_not_the_game() -> None:
    game = started(FlappyBird())
    while not game.lost:
        game.step(1)
    falling = game.state()[1]
    assert falling == 10
    started(game).step(1)
    assert game.state()[1] == falling - 9  # no gravity: it already falls at full speed


@pytest.mark.parametrize(("y", "velocity"), [(-49.0, -49), (-48.0, -49), (-47.0, -19)])
def test_a_flap_far_above_the_screen_is_none(y: float, velocity: float) -> None:
    game = started(FlappyBird(flap_power=20))
    game.step(1)
    state = {**game.get_state(), "y": y, "velocity": -50.0, "flapping": False, "thrusting": False}
    game.set_state(state, ListedDraws(100))
    game.step(0)
    assert game.lost and game.state()[1] == velocity  # gravity alone, or a flap from 0


@pytest.mark.parametrize("pipe_speed", [1.0, 2.5, 4.0, 7.3, 12.0])
def test_each_pipe_counts_once_at_any_speed(pipe_speed: float) -> None:
    game = FlappyBird(pipe_speed=pipe_speed, pipe_gap=300)
    game.reset(ListedDraws(80), FirstDraws())
    passed, frames = 0, int(950 / pipe_speed)
    for _ in range(frames):
        passed += int(game.step(0 if game.state()[0] > 240 else 1))
    assert not game.lost
    # At x = 83 after 257, 401 and 545 px; after 392 px the first returns to 397.6, so 707, 851 and 995 px follow.
    assert game.score == passed == 5


@pytest.mark.parametrize("name", GAMES)
def test_looks_never_disturb_play(name: str) -> None:
    traces = []
    for looks in (FirstDraws(), GeneratorDraws(np.random.default_rng(9))):
        game, random = make_game(name, {}), np.random.default_rng(3)
        draws, trace = GeneratorDraws(np.random.default_rng(4)), []
        game.reset(draws, looks)
        for _ in range(600):
            trace.append((game.step(int(random.integers(len(game.actions)))), game.lost, *game.state()))
            if game.lost:
                game.reset(draws, looks)
        traces.append(trace)
    assert traces[0] == traces[1]


@pytest.mark.parametrize("name", GAMES)
def test_consecutive_default_settings_differ_in_play(name: str) -> None:
    """Not only in what the state says: under the same seeds and random play, rewards fall in other frames."""
    traces = []
    for value in GAMES[name].default_values:
        game = make_game(name, {GAMES[name].varied_parameter: value})
        rewards = []
        for seed in range(150):
            random = np.random.default_rng(seed)
            game.reset(GeneratorDraws(np.random.default_rng(seed)), FirstDraws())
            odds = [0.06, 0.94] if name == "flappy_bird" else [1 / 3] * 3
            actions = random.choice(len(odds), size=120, p=odds).tolist()
            rewards += [game.step(action) for action in actions if not game.lost]
        traces.append(rewards)
    for easier, harder in itertools.pairwise(traces):
        assert easier != harder


def test_default_fall_speeds_are_2_to_7_pixels() -> None:
    for value, pixels in zip(Catcher.default_values, range(2, 8), strict=True):
        game = Catcher(fall_speed=value)
        game.reset(ListedDraws(8, 4), FirstDraws())
        before = game.state()[3]
        game.step(NOOP)
        assert game.state()[3] - before == pixels


@pytest.mark.parametrize("name", GAMES)
def test_state_survives_json(name: str) -> None:
    game, copy = started(make_game(name, {})), make_game(name, {})
    for index in range(45):
        game.step(int(index % 9 > 0))
    copy.set_state(json.loads(json.dumps(game.get_state())), GeneratorDraws(np.random.default_rng(5)))
    game.set_state(game.get_state(), GeneratorDraws(np.random.default_rng(5)))
    for index in range(400):
        assert game.step(index % 2) == copy.step(index % 2)
        assert game.get_state() == copy.get_state()
        np.testing.assert_array_equal(game.draw(), copy.draw())
        if game.lost:
            break
