"""What held flaps can reach in Flappy Bird, against the game itself, all of whose plays are tried."""

from __future__ import annotations

import numpy as np
import pytest
from held_flaps import most_pipes

from continual_ple.games.base import FirstDraws, GeneratorDraws
from continual_ple.games.flappy_bird import FlappyBird


def last_frame_alive(frame_skip: int, seed: int, frames: int, all_plays: bool) -> int:
    """Return the frame up to which some play of held actions lives, of all or of a few, at a gap of 75 px."""
    game = FlappyBird(pipe_gap=75)
    game.reset(GeneratorDraws(np.random.default_rng(seed)), FirstDraws())
    alive, frame = [game.get_state()], 0
    while alive and frame < frames:
        following = {}
        for state in alive:
            for action in range(2):
                game.set_state(state, FirstDraws())  # which only a pipe that comes back draws from, far ahead
                for _ in range(frame_skip):
                    game.step(action)
                if not game.lost:
                    after = game.get_state()
                    place = after["y"], after["velocity"], after["flapping"], after["thrusting"]
                    following[place if all_plays else (after["y"] // 8, after["velocity"] // 8)] = after
        alive = list(following.values())
        frame += frame_skip if alive else 0
    return frame


@pytest.mark.parametrize(("frame_skip", "pipes", "frame"), [(1, 2, 102), (2, 1, 96), (3, 2, 102)])
def test_the_search_finds_what_the_game_allows(frame_skip: int, pipes: int, frame: int) -> None:
    """With an even number of frames there are pipes that no play passes."""
    assert last_frame_alive(frame_skip, seed=3, frames=102, all_plays=frame_skip == 2) == frame
    assert most_pipes(75, 3, frame_skip, frames=102) == (pipes, frame)


def test_a_flap_held_for_an_even_number_of_frames_leaves_no_speed() -> None:
    game = FlappyBird()
    game.reset(FirstDraws(), FirstDraws())
    still = game.get_state() | {"velocity": 0.0, "flapping": False, "thrusting": False}
    ends = []
    for pressed in range(1, 5):
        game.set_state(still, FirstDraws())
        for _ in range(pressed):
            game.step(0)
        ends.append((still["y"] - game.state()[0], game.state()[1]))
    assert ends == [(8, -8), (8, 0), (16, -8), (16, 0)]
