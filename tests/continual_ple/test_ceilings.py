"""The ceiling of a score against play that never fails."""

from __future__ import annotations

import numpy as np
import pytest

from continual_ple.games import catcher
from continual_ple.games.base import Game, GeneratorDraws
from continual_ple.games.catcher import Catcher
from continual_ple.games.flappy_bird import FlappyBird


class BirdThatHitsNothing(FlappyBird):
    """Flappy Bird whose bird flies through everything."""

    def step(self, action: int) -> float:
        """Play a frame with the bird in the middle of the screen."""
        self._y = 200.0
        return super().step(action)

    def _hits(self, pipe: object) -> bool:
        return False


class PaddleBelowEveryPellet(Catcher):
    """Catcher whose paddle is everywhere."""

    def _touching(self) -> bool:
        return self._at_paddle(self._pellet_y)


def played(game: Game, frames: int, seed: int) -> int:
    """Return the score of an episode of at most ``frames`` frames."""
    draws = GeneratorDraws(np.random.default_rng(seed))
    game.reset(draws, draws)
    for _ in range(frames):
        game.step(1)
        if game.lost:
            break
    return game.score


@pytest.mark.parametrize("speed", [1.0, 3.3, 4.0, 11.0])
def test_flappy_birds_is_what_a_bird_that_hits_nothing_scores(speed: float) -> None:
    game = BirdThatHitsNothing(pipe_speed=speed)
    for frames in (1, 40, 76, 77, 78, 500, 1_999):
        assert game.score_ceiling(frames) == played(game, frames, seed=0)


def test_flappy_birds_of_any_number_of_frames_is_known_at_once() -> None:
    assert FlappyBird().score_ceiling(0) == 0
    assert FlappyBird().score_ceiling(10**9) == pytest.approx(52.0 * 10**9 / 2_000, rel=0.03)


@pytest.mark.parametrize("rounding", ["nearest", "truncate"])
@pytest.mark.parametrize("speed", [0.0608, 0.1808, 0.2108])  # of the last, one of seven heights is out of reach
def test_catchers_is_the_mean_score_of_a_paddle_below_every_pellet(speed: float, rounding: str) -> None:
    game = PaddleBelowEveryPellet(fall_speed=speed, rounding=rounding)
    frames, episodes = 1_000, 200
    scores = [played(game, frames, seed) for seed in range(episodes)]
    error = np.std(scores) / np.sqrt(episodes)
    assert game.score_ceiling(frames) == pytest.approx(np.mean(scores), abs=3 * error)


def test_catchers_of_many_frames_is_what_working_out_each_of_them_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    for speed in Catcher.default_values:
        game = Catcher(fall_speed=speed)
        ceiling = game.score_ceiling(8_000)
        with monkeypatch.context() as patched:
            patched.setattr(catcher, "EXACT_FRAMES", 8_000)
            assert ceiling == pytest.approx(game.score_ceiling(8_000), abs=0.1)
    assert Catcher(fall_speed=0.0608).score_ceiling(10**9) == pytest.approx(10**9 / 36, rel=1e-3)  # 36 frames a pellet
    assert game.score_ceiling(0) == game.score_ceiling(1) == 0.0


def test_a_game_that_cannot_say_has_none() -> None:
    assert Game.score_ceiling(FlappyBird(), 2_000) is None
