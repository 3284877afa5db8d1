"""The upstream package behind our interface, and ours against it, live and step for step."""

import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from benchmarks import looks
from continual_ple import ENV_IDS, ArcadeEnv
from continual_ple.frame_skip import FRAMES_PLAYED, FrameSkip
from continual_ple.games.base import FirstDraws, Game, GeneratorDraws, luma, shrink
from continual_ple.games.catalogue import make_game
from continual_ple.games.flappy_art import SKIES
from tests.helpers.same_play import check_same_play


def installed_rounding() -> str:
    from continual_ple.upstream.stand_ins import installed_rounding

    return installed_rounding()


@pytest.fixture
def ple() -> None:
    """The package itself: on no registry, so most machines lack it; a broken install must not pass for that."""
    if importlib.util.find_spec("ple") is None:
        pytest.skip("ple is not installed")


def test_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "ple"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ple", None)
    with pytest.raises(ImportError, match=r"^backend='ple' needs .* pip install -e .*$"):
        gymnasium.make("ContinualPLE/Catcher-v0", backend="ple", rounding=installed_rounding())


def skilled(game: Game, random: np.random.Generator) -> int:
    """Play well enough to see all of the game, with a random action now and then."""
    state = game.state()
    if random.random() < 0.1:
        return int(random.integers(len(game.actions)))
    if game.name == "catcher":
        gap = state[2] - state[0] - 4
        return 2 if abs(gap) < 3 else int(gap > 0)
    return int(state[0] + 24 < state[4] - 12)


CHANGED: list[tuple[str, dict[str, Any]]] = [
    ("catcher", {}),
    ("catcher", {"fall_speed": 0.2108, "paddle_speed": 2.5, "lives": 1}),
    ("catcher", {"width": 96, "height": 80}),
    ("catcher", {"width": 128, "height": 128}),
    ("catcher", {"width": 84, "height": 84}),
    ("catcher", {"width": 50, "height": 121}),
    ("catcher", {"width": 288, "height": 77}),
    ("flappy_bird", {}),
    ("flappy_bird", {"pipe_gap": 75}),
    ("flappy_bird", {"pipe_gap": 140, "gravity": 0.7, "flap_power": 8.5, "max_drop_speed": 12}),
    ("flappy_bird", {"pipe_gap": 282, "gravity": 0.3, "flap_power": 19}),  # out of the screen by more than its height
]


@pytest.mark.usefixtures("ple")
@pytest.mark.parametrize(("name", "parameters"), CHANGED)
@pytest.mark.parametrize("play", ["skilled", "random"])
def test_ours_plays_as_upstream(name: str, parameters: dict[str, Any], play: str) -> None:
    ours, theirs = (make_game(name, parameters, backend, installed_rounding()) for backend in ("native", "ple"))
    draws = [GeneratorDraws(np.random.default_rng(7)) for _ in range(2)]
    random = np.random.default_rng(8)
    for game, source in zip((ours, theirs), draws, strict=True):
        game.reset(source, FirstDraws())
    for _ in range(1200):
        action = skilled(ours, random) if play == "skilled" else int(random.integers(len(ours.actions)))
        assert ours.step(action) == theirs.step(action)
        assert (ours.lost, ours.score) == (theirs.lost, theirs.score)
        np.testing.assert_allclose(ours.state(), theirs.state(), rtol=0, atol=1e-9)
        if name == "catcher":
            np.testing.assert_array_equal(ours.draw(), theirs.draw())
            np.testing.assert_array_equal(ours.thumbnail(84), theirs.thumbnail(84))
        if ours.lost:
            for game, source in zip((ours, theirs), draws, strict=True):
                game.reset(source, FirstDraws())
            np.testing.assert_array_equal(ours.state(), theirs.state())


@pytest.mark.usefixtures("ple")
def test_flappy_bird_looks_as_upstream() -> None:
    """Both skies, three birds, two pipes, random and skilled play: each small pixel is near upstream's."""
    pairs = looks.all_pairs(states=9)
    assert len(pairs) == 216
    for sky in SKIES:
        chosen = [pair for pair in pairs if pair.sky == sky]
        apart = looks.difference(chosen)
        assert apart.mean() < 2 and apart.mean(axis=(1, 2)).max() < 4 and np.percentile(apart, 99) < 40
        ours, theirs = (looks.describe([pair[side] for pair in chosen]) for side in (1, 2))
        for what, tolerance in {"sky": 0, "mean grey": 1, "distinct patches, %": 5, "distinct greys": 10}.items():
            assert abs(ours[what] - theirs[what]) <= tolerance, what


@pytest.mark.usefixtures("ple")
@pytest.mark.parametrize("env_id", ENV_IDS.values())
@pytest.mark.parametrize("observation", ["pixels", "state"])
def test_environments_agree(env_id: str, observation: str) -> None:
    """The whole environment: same seeds, several episodes; of Flappy Bird's art, only the shape is compared here."""
    options: dict[str, Any] = {"observation": observation, "rounding": installed_rounding()}
    ours, theirs = (gymnasium.make(env_id, backend=backend, **options) for backend in ("native", "ple"))
    comparable = observation == "state" or "Catcher" in env_id
    first, second = ours.reset(seed=11), theirs.reset(seed=11)
    random = np.random.default_rng(12)
    for _ in range(400):
        if comparable:
            np.testing.assert_array_equal(first[0], second[0])
        assert first[0].shape == second[0].shape
        action = random.integers(ours.action_space.n)
        first, second = ours.step(action), theirs.step(action)
        if first[2]:
            first, second = ours.reset(), theirs.reset()
    pygame = sys.modules["pygame"]
    assert not pygame.display.get_init() and not pygame.mixer.get_init()


@pytest.fixture
def window(ple: None) -> Iterator[None]:
    """Let upstream's own loop open its window, unseen, and close it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDL_VIDEODRIVER", "dummy")
        patch.setenv("SDL_AUDIODRIVER", "dummy")
        yield
        sys.modules["pygame"].quit()


@pytest.mark.usefixtures("window")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("frame_skip", [1, 2, 3])
@pytest.mark.parametrize(("name", "parameters"), [CHANGED[0], CHANGED[1], CHANGED[8]])
def test_held_actions_are_those_of_upstreams_own_loop(name: str, parameters: dict[str, Any], frame_skip: int) -> None:
    """``PLE.act`` with its keys and its event queue: rewards, ends, frames, states and screens of several episodes."""
    from continual_ple.upstream.base import load_upstream
    from continual_ple.upstream.stand_ins import UpstreamRandom

    parameters = {key: value for key, value in parameters.items() if key in ("fall_speed", "pipe_gap")}
    if name == "catcher":
        game = load_upstream("ple.games.catcher").Catcher(64, 64)
        game.fruit_fall_speed = parameters.get("fall_speed", game.fruit_fall_speed)
    else:
        game = load_upstream("ple.games.flappybird").FlappyBird(**parameters)
    game.rng = UpstreamRandom()
    upstream = load_upstream("ple").PLE(game, fps=30, frame_skip=frame_skip)
    keys = [*(game.actions[each] for each in {"catcher": ("left", "right")}.get(name, ("up",))), None]
    options = {"rounding": installed_rounding(), **parameters}
    envs = [
        FrameSkip(gymnasium.make(ENV_IDS[name], backend=backend, **options), frame_skip)
        for backend in ("native", "ple")
    ]
    observations = [env.reset(seed=9)[0] for env in envs]
    draws, looks = (gymnasium.utils.seeding.np_random(9)[0] for _ in range(2))
    game.rng.draws, game.rng.looks = GeneratorDraws(draws), GeneratorDraws(looks.spawn(1)[0])
    upstream.reset_game()
    random, stack, ends = np.random.default_rng(5), list(observations[1]), 0
    for _ in range(250):
        action = skilled(envs[0].unwrapped.game, random)
        before = upstream.getFrameNumber()
        reward = upstream.act(keys[action])
        stack = [*stack[1:], shrink(luma(np.ascontiguousarray(upstream.getScreenRGB().swapaxes(0, 1))), 84)]
        for env in envs:
            observation, *rest, _, info = env.step(action)
            assert [*rest, info[FRAMES_PLAYED]] == [reward, upstream.game_over(), upstream.getFrameNumber() - before]
            state = [game.getGameState()[column] for column in env.unwrapped.game.state_names]
            np.testing.assert_allclose(env.unwrapped.game.state(), state, rtol=0, atol=1e-9)
            if env is envs[1] or name == "catcher":  # our Flappy Bird has its own art
                np.testing.assert_array_equal(observation, np.stack(stack))
        if upstream.game_over():
            ends += 1
            stack = list([env.reset()[0] for env in envs][1])
            upstream.reset_game()
    assert ends or name == "catcher"


@pytest.mark.usefixtures("ple")
@pytest.mark.parametrize("env_id", ENV_IDS.values())
def test_obeys_gymnasium(env_id: str) -> None:
    check_env(gymnasium.make(env_id, backend="ple", rounding=installed_rounding()).unwrapped, skip_render_check=True)


@pytest.mark.usefixtures("ple")
@pytest.mark.parametrize("game", ENV_IDS)
def test_two_games_do_not_disturb_each_other(game: str) -> None:
    """Upstream shares one window and one event queue; here a second game changes nothing for the first."""

    def trace(company: bool) -> list[Any]:
        env = ArcadeEnv(game, backend="ple", rounding=installed_rounding())
        other = ArcadeEnv(game, backend="ple", rounding=installed_rounding())
        seen = [env.reset(seed=1)[0]]
        other.reset(seed=2)
        for index in range(120):
            if company and other.step(index % 2)[2]:
                other.reset()
            observation, _, terminated, _, _ = env.step(1 - index // 3 % 2)
            seen.append(env.reset()[0] if terminated else observation)
        return seen

    np.testing.assert_array_equal(trace(company=False), trace(company=True))


@pytest.mark.usefixtures("ple")
@pytest.mark.parametrize("game", ENV_IDS)
def test_goes_on_from_a_saved_state(game: str) -> None:
    env, copy = (ArcadeEnv(game, backend="ple", rounding=installed_rounding()) for _ in range(2))
    env.reset(seed=1)
    for index in range(40):
        env.step(int(index % 8 > 0))
    copy.set_state(env.get_state())
    check_same_play(env, copy, 150)


@pytest.mark.usefixtures("ple")
def test_refuses_what_upstream_cannot_do() -> None:
    rounding = installed_rounding()
    other = "truncate" if rounding == "nearest" else "nearest"
    with pytest.raises(ValueError, match=f"^rounding='{other}': backend='ple' rounds as the installed pygame"):
        make_game("catcher", {}, backend="ple", rounding=other)
    with pytest.raises(ValueError, match=r"^pipe_speed=5: must be 4 with backend='ple'"):
        make_game("flappy_bird", {"pipe_speed": 5}, backend="ple", rounding=rounding)
    with pytest.raises(ValueError, match=r"^pipe_gap=5: must be"):
        make_game("flappy_bird", {"pipe_gap": 5}, backend="ple", rounding=rounding)
