"""A person's play: keys become actions, the rules are the agent's, and the scores are those that were played."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from continual_ple import ArcadeEnv, Controls, Game, register_game
from continual_ple.games.catcher import Catcher
from continual_ple.games.flappy_bird import FlappyBird
from continual_ple.window import Window
from dqn_mer.__main__ import main
from dqn_mer.commands.play import PlayOptions, play
from dqn_mer.commands.play_keyboard import Keyboard
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.evaluation.agent_options import EvaluateOptions
from dqn_mer.evaluation.evaluator import episode_seeds
from dqn_mer.evaluation.saved_agent import evaluate_checkpoint
from tests.helpers.added import nothing_left
from tests.helpers.falling_stone import FallingStone

pygame = pytest.importorskip("pygame")
QUIET = Console(quiet=True)


def key(code: int, down: bool = True) -> object:
    return pygame.event.Event(pygame.KEYDOWN if down else pygame.KEYUP, key=code)


def keyboard_of(game: type[Game]) -> Keyboard:
    assert game.controls is not None
    return Keyboard(game.actions, game.controls)


def test_a_press_flaps_once() -> None:
    keyboard = keyboard_of(FlappyBird)
    assert keyboard.take(key(pygame.K_SPACE))
    assert [keyboard.action(), keyboard.action()] == [0, 1]
    keyboard.take(key(pygame.K_SPACE, down=False))
    assert not keyboard.take(key(pygame.K_LEFT))
    assert keyboard.action() == 1


def test_moves_last_while_held_and_the_newest_wins() -> None:
    keyboard = keyboard_of(Catcher)
    keyboard.take(key(pygame.K_LEFT))
    assert [keyboard.action(), keyboard.action()] == [0, 0]
    keyboard.take(key(pygame.K_RIGHT))
    assert [keyboard.action(), keyboard.action()] == [1, 1]
    keyboard.take(key(pygame.K_RIGHT, down=False))
    assert keyboard.action() == 0
    keyboard.take(key(pygame.K_LEFT, down=False))
    assert keyboard.action() == 2
    keyboard.take(key(pygame.K_RIGHT))
    keyboard.take(key(pygame.K_RIGHT, down=False))
    assert [keyboard.action(), keyboard.action()] == [1, 2]  # a tap within one frame counts


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Take what windows show, on SDL's dummy driver; a person presses SPACE every 17th frame, and ESC at the end."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("dqn_mer.evaluation.on_screen.UNSEEN_DRIVERS", ())
    shown: list[np.ndarray] = []

    def show(window: Window, picture: np.ndarray) -> None:
        shown.append(picture)
        if len(shown) % 17 == 0:
            pygame.event.post(key(pygame.K_SPACE))
        if len(shown) % 150 == 0:
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    monkeypatch.setattr(Window, "show", show)
    return shown


def test_a_person_plays_the_game_by_keys(screen: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqn_mer.commands.play.DEAF_FRAMES", 1)
    played = play(PlayOptions("flappy_bird", setting="120", frame_limit=40), QUIET)
    # The same presses by hand: the first starts the game, in the 17th picture.
    task = game_task(default_config(game="flappy_bird", observation="state", settings=(120.0,)))
    env = task.make_env(task.schedule.settings[0], frame_limit=40)
    env.reset(seed=episode_seeds(1, 1)[0])
    for frame in range(1, 41):
        _, _, terminated, truncated, info = env.step(0 if frame % 17 == 0 else 1)
        if terminated or truncated:
            break
    assert played[0] == (info["score"], None)
    assert len(played) >= 2
    assert screen[0].shape[0] == 512


def test_an_agent_plays_beside_on_the_same_seed(screen: list[np.ndarray], flappy_run: Path) -> None:
    against = PlayOptions("flappy_bird", setting="1-pipe_gap=80", against=flappy_run, seed=5, frame_limit=100)
    played = play(against, QUIET)
    options = EvaluateOptions(flappy_run, settings="1-pipe_gap=80", episodes=2, seed=5, frame_limit=100)
    scores = evaluate_checkpoint(options, QUIET)["settings"][0]["scores"]
    assert played
    assert [theirs for _, theirs in played[:2]] == scores[: len(played)]
    beside = screen[0].shape[1]
    play(PlayOptions("flappy_bird"), QUIET)
    assert beside == 2 * screen[-1].shape[1]
    with pytest.raises(ValueError, match="plays flappy_bird; must play catcher"):
        play(PlayOptions("catcher", against=flappy_run), QUIET)


@pytest.mark.parametrize("variable", [None, "SDL_VIDEODRIVER"])
def test_without_a_screen_it_says_how_to_see_an_agent_play(
    variable: str | None, flappy_run: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "SDL_VIDEODRIVER", "SDL_VIDEO_DRIVER"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "offscreen")
    for words, path in (
        (["catcher"], "pretrained/catcher-state-dqn-mer"),
        (["flappy_bird", "--against", str(flappy_run)], str(flappy_run)),
    ):
        assert main(["play", *words]) == 2
        error = capfd.readouterr().err
        assert error.startswith("error: no window can be opened here: ") and error.count("\n") == 1
        assert error.endswith(f"; to see an agent play: python -m dqn_mer watch {path} --out FOLDER\n")
        assert ("SDL_VIDEODRIVER=offscreen" in error) == (variable is not None)


def test_a_game_from_outside_is_played_with_its_own_keys(
    screen: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dqn_mer.commands.play.DEAF_FRAMES", 1)
    with nothing_left():
        register_game(FallingStone)
        keyboard = keyboard_of(FallingStone)
        keyboard.take(key(pygame.K_a))
        assert [keyboard.action(), keyboard.action()] == [0, 0]
        keyboard.take(key(pygame.K_a, down=False))
        assert keyboard.action() == 2  # the action without a key
        played = play(PlayOptions("falling_stone", frame_limit=20), QUIET)
        # By hand: the first SPACE starts the game, in the 17th picture, and the next one, 17 frames on, is held.
        env = ArcadeEnv("falling_stone", observation="state")
        env.reset(seed=episode_seeds(1, 1)[0])
        for frame in range(1, 21):
            _, _, terminated, _, info = env.step(1 if frame >= 17 else 2)
            if terminated:
                break
    assert played[0] == (info["score"], None)
    assert len(played) >= 2


def test_a_game_that_nobody_can_play_is_refused_in_one_line() -> None:
    with nothing_left():
        register_game(type("Unplayed", (FallingStone,), {"name": "unplayed", "controls": None}))
        with pytest.raises(ValueError, match=r"^game='unplayed': has no keys to be played with$"):
            PlayOptions("unplayed")
        controls = Controls({"left": ("NOKEY",)}, help="")
        register_game(type("Misspelt", (FallingStone,), {"name": "misspelt", "controls": controls}))
        with pytest.raises(ValueError, match=r"^controls: left: pygame has no key K_NOKEY$"):
            play(PlayOptions("misspelt"), QUIET)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"setting": "zebra"}, "setting='zebra': must be one of 0-fall_speed="),
        ({"setting": "99"}, "fall_speed=99"),
        ({"game_parameters": {"zebra": 1.0}}, r"^game_parameters\.zebra=1\.0: must be one of the parameters of "),
    ],
)
def test_mistakes_are_told_before_a_window_opens(choices: dict, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        play(PlayOptions("catcher", **choices), QUIET)
