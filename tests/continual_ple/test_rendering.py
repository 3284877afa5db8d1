"""What is to be seen of the environments: pixels, `rgb_array`, a window."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from continual_ple import ArcadeEnv
from continual_ple.games.base import luma, shrink
from tests.continual_ple.test_arcade import EACH_GAME, EACH_ID


@EACH_GAME
def test_pixels_are_what_rgb_array_shows(game: str) -> None:
    """The newest frame exactly for Catcher; for Flappy Bird within one grey level (see `flappy_thumbnail`)."""
    env = ArcadeEnv(game, render_mode="rgb_array")
    tolerance = {"catcher": 0, "flappy_bird": 1}[game]
    observation, _ = env.reset(seed=3)
    previous = [observation[0]] * 4
    for index in range(150):
        shown = env.render()
        assert shown is not None and shown.dtype == np.uint8
        assert shown.shape == (env.game.height, env.game.width, 3)
        assert np.abs(shrink(luma(shown), 84).astype(int) - observation[-1]).max() <= tolerance
        np.testing.assert_array_equal(observation, previous)  # oldest first; at the reset the first frame repeated
        observation, _, terminated, _, _ = env.step(index % 11 % 2)
        previous = [*previous[1:], observation[-1]]
        if terminated:
            observation, _ = env.reset()
            previous = [observation[0]] * 4


@EACH_GAME
def test_frames_change(game: str) -> None:
    env = ArcadeEnv(game)
    env.reset(seed=0)
    frames = [env.step(1)[0][-1].tobytes() for _ in range(15)]
    assert len(set(frames)) > 10


def test_fixed_looks() -> None:
    def first_frames(fixed: bool) -> int:
        env = ArcadeEnv("flappy_bird", fixed_looks=fixed, render_mode="rgb_array")
        env.reset(seed=0)
        frames = []
        for _ in range(12):
            env.reset()
            frames.append(env.render()[0:200, 0:100].tobytes())
        return len(set(frames))

    assert first_frames(fixed=True) == 1 and first_frames(fixed=False) > 1


HEADLESS = """
import sys, gymnasium, continual_ple
for env_id in continual_ple.ENV_IDS.values():
    env = gymnasium.make(env_id, render_mode="rgb_array")
    env.reset(seed=0), env.step(0), env.render(), env.close()
assert "pygame" not in sys.modules
import pygame
mixer = sys.modules.get("pygame.mixer")  # none where libraries that it needs are missing, as in a small Debian
assert not pygame.display.get_init() and not (mixer and mixer.get_init()) and not pygame.get_init()
"""


def test_headless_needs_no_pygame_at_all() -> None:
    """In a process of its own, since other tests may have imported it: no window, no sound."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", HEADLESS], check=True, timeout=60)


@EACH_ID
def test_window(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gymnasium.make(env_id, render_mode="human")
    env.reset(seed=0)
    for _ in range(3):
        env.step(1)
    window = pygame.display.get_surface()
    game = env.unwrapped.game
    factor = window.get_width() // game.width
    shown = pygame.surfarray.array3d(window).swapaxes(0, 1)[::factor, ::factor]
    np.testing.assert_array_equal(shown, game.draw())
    mixer = sys.modules.get("pygame.mixer")
    assert window.get_height() == 512 and not (mixer and mixer.get_init())
    env.close()
    assert not pygame.display.get_init()
