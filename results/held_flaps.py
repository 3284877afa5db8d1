"""How many pipes Flappy Bird lets any play pass where actions are held: ``python results/held_flaps.py``.

A play that knows all pipes ahead is searched for exactly: of each episode, all states of the bird that some play
reaches alive, step by step. It prints the table of docs/environments.md, which takes some minutes.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from continual_ple.games.base import FirstDraws, GeneratorDraws
from continual_ple.games.flappy_bird import BIRD_HEIGHT, FLAP, FLOOR, HEIGHT, FlappyBird, Pipe
from dqn_mer.evaluation.evaluator import episode_seeds

FRAMES, PLAY_SEED = 2_000, 1_000_000
"""Frame limit and seed of the plays of the protocol."""


def pipes_of(game: FlappyBird, seed: int, frames: int) -> list[list[Pipe]]:
    """Return the pipes before each frame of an episode, which move by themselves whatever the bird does."""
    game.reset(GeneratorDraws(np.random.default_rng(seed)), FirstDraws())
    seen = []
    for _ in range(frames):
        seen.append([Pipe(pipe.x, pipe.gap_start) for pipe in game._pipes])
        game.step(1 - FLAP)
    return seen


def hit(game: FlappyBird, y: NDArray[np.int64], pipes: list[Pipe]) -> NDArray[np.bool_]:
    """Return which heights of the bird are lost among these pipes, ``(n,)``."""
    lost = (y >= FLOOR - BIRD_HEIGHT) | (y <= 0)
    game._y = -HEIGHT  # in no gap, so that it hits whatever it is level with
    for pipe in filter(game._hits, pipes):
        lost |= (y <= pipe.gap_start) | (y + BIRD_HEIGHT > pipe.gap_start + game.parameters["pipe_gap"])
    return lost


def most_pipes(gap: int, seed: int, frame_skip: int, frames: int = FRAMES) -> tuple[int, int]:
    """Return how many pipes the best play passes in an episode, and the frames that it lives."""
    game = FlappyBird(pipe_gap=gap)
    pipes = pipes_of(game, seed, frames)
    fastest, power = int(game.parameters["max_drop_speed"]), int(game.parameters["flap_power"])
    states, frame, passed = np.array([[256, 0, 1, 0]]), 0, 0  # y, velocity, whether a flap is pending, and thrusts
    while frame < frames:
        ahead, reached = pipes[frame : frame + frame_skip], []
        for flaps in (True, False):
            y, velocity, pending, thrusting = states.T.copy()
            alive = np.ones(len(y), bool)
            for each in ahead:
                if flaps:
                    velocity[:], pending[:] = 0, 1
                alive &= ~hit(game, y, each)
                velocity += (velocity < fastest) & (thrusting == 0)
                thrusting = pending & (1 - thrusting)
                velocity -= power * thrusting
                pending = thrusting.copy()
                y = y + velocity
            reached.append(np.stack([y, velocity, pending, thrusting], axis=1)[alive])
        states = np.unique(np.concatenate(reached), axis=0)
        if not len(states):
            break
        frame += len(ahead)
        passed += sum(game._passes(pipe) for each in ahead for pipe in each)
    return passed, frame


def main() -> None:
    """Print a row for each gap."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frame-skip", type=int, default=2)
    parser.add_argument("--episodes", type=int, default=50)
    options = parser.parse_args()
    for gap in FlappyBird.default_values:
        seeds = episode_seeds(PLAY_SEED, options.episodes)
        passed = np.array([most_pipes(int(gap), seed, options.frame_skip)[0] for seed in seeds])
        all_of_them = np.mean(passed == FlappyBird().score_ceiling(FRAMES))
        print(f"gap {gap}: {passed.mean():.1f} pipes, all of them in {all_of_them:.0%} of episodes", flush=True)


if __name__ == "__main__":
    main()
