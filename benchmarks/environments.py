"""Steps per second of our environments and of others where they are installed: ``python -m benchmarks.environments``.

Peers: upstream PLE (its own getScreenGrayscale, then an area resize to 84x84, no stacking) and flappy-bird-gymnasium.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import cores, interleave, read_options, report, spread
from continual_ple import ENV_IDS
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import random_odds


@dataclass
class Options:
    """Time steps of random play."""

    steps: int = 2_000
    """Steps per measurement."""
    repeats: int = 5
    """Measurements of each side."""


def stepper(env: gymnasium.Env, steps: int, odds: NDArray[np.float64]) -> Callable[[], None]:
    """Return a call that plays ``steps`` random steps with these odds of its actions."""
    rng = np.random.default_rng(0)
    actions = rng.choice(len(odds), size=steps, p=odds).tolist()
    env.reset(seed=0)

    def play() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return play


def upstream_stepper(game: str, steps: int) -> Callable[[], None]:
    """Return the same for upstream PLE driven as its users drive it."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    import cv2
    from ple import PLE
    from ple.games.catcher import Catcher
    from ple.games.flappybird import FlappyBird

    kinds = {"catcher": Catcher, "flappy_bird": FlappyBird}
    ple = PLE(kinds[game](), display_screen=False, rng=np.random.RandomState(0))
    ple.init()
    actions = ple.getActionSet()
    odds = random_odds(default_config(game=game))
    chosen = [actions[i] for i in np.random.default_rng(0).choice(len(actions), size=steps, p=odds)]

    def play() -> None:
        for action in chosen:
            ple.act(action)
            cv2.resize(ple.getScreenGrayscale(), (84, 84), interpolation=cv2.INTER_AREA)
            if ple.game_over():
                ple.reset_game()

    return play


def sides_of(game: str, steps: int) -> dict[tuple[str, str], Callable[[], None]]:
    """Return everybody's call for one game, by who and observation."""
    env_id, odds = ENV_IDS[game], random_odds(default_config(game=game))  # flapping seldom, as training does
    sides = {
        ("ours", observation): stepper(gymnasium.make(env_id, observation=observation), steps, odds)
        for observation in ("pixels", "state")
    }
    if importlib.util.find_spec("ple"):
        sides["PLE", "pixels"] = upstream_stepper(game, steps)
    if game == "flappy_bird" and importlib.util.find_spec("flappy_bird_gymnasium"):
        sides["flappy-bird-gymnasium", "state"] = stepper(
            gymnasium.make("flappy_bird_gymnasium:FlappyBird-v0", use_lidar=False),
            steps,
            odds[::-1],  # there action 1 is the flap
        )
    return sides


def main() -> None:
    """Measure every game, observation and peer; one game after the other, since upstream's share one window."""
    options = read_options(Options)
    rows = []
    with cores(1):
        for game in ENV_IDS:
            for (who, observation), seconds in interleave(sides_of(game, options.steps), options.repeats).items():
                middle, low, high = spread([options.steps / value for value in seconds])
                row = {"who": who, "game": game, "observation": observation, "steps/s": round(middle)}
                rows.append({**row, "low-high": f"{low:.0f}-{high:.0f}"})
        report("environments", rows)


if __name__ == "__main__":
    main()
