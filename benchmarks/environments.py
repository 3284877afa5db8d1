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
import tyro

import envs  # noqa: F401 - registers the games
from benchmarks.harness import interleave, report, spread
from dqn_mer.processor import processor


@dataclass
class Options:
    """Time steps of random play."""

    steps: int = 2_000
    """Steps per measurement."""
    repeats: int = 5
    """Measurements of each side."""


def stepper(env: gymnasium.Env, steps: int) -> Callable[[], None]:
    """Return a call that plays ``steps`` random steps, flapping seldom, as training does."""
    rng = np.random.default_rng(0)
    odds = [0.1, 0.9] if env.action_space.n == 2 else [1 / 3] * 3
    if env.unwrapped.spec and "FlappyBird-v0" == env.unwrapped.spec.id:
        odds = odds[::-1]  # in flappy-bird-gymnasium action 1 is the flap
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

    if not hasattr(np.random.RandomState, "random_integers"):
        raise RuntimeError("upstream's Flappy Bird needs numpy < 2.4 (RandomState.random_integers)")
    ple = PLE(
        {"catcher": Catcher, "flappy_bird": FlappyBird}[game](), display_screen=False, rng=np.random.RandomState(0)
    )
    ple.init()
    actions = ple.getActionSet()
    odds = [0.1, 0.9] if game == "flappy_bird" else [1 / 3] * 3
    chosen = [actions[i] for i in np.random.default_rng(0).choice(len(actions), size=steps, p=odds)]

    def play() -> None:
        for action in chosen:
            ple.act(action)
            cv2.resize(ple.getScreenGrayscale(), (84, 84), interpolation=cv2.INTER_AREA)
            if ple.game_over():
                ple.reset_game()

    return play


def main() -> None:
    """Measure every game, observation and peer."""
    options = tyro.cli(Options)
    with processor(1):
        sides: dict[str, Callable[[], None]] = {}
        for game, env_id in (("catcher", "Catcher"), ("flappy_bird", "FlappyBird")):
            for observation in ("pixels", "state"):
                env = gymnasium.make(f"ContinualPLE/{env_id}-v0", observation=observation)
                sides[f"ours, {game}, {observation}"] = stepper(env, options.steps)
            if importlib.util.find_spec("ple"):
                try:
                    sides[f"PLE, {game}, pixels"] = upstream_stepper(game, options.steps)
                except RuntimeError as error:
                    print(f"left out: {error}")
        if importlib.util.find_spec("flappy_bird_gymnasium"):
            import flappy_bird_gymnasium  # noqa: F401 - registers its game

            env = gymnasium.make("FlappyBird-v0", use_lidar=False)
            sides["flappy-bird-gymnasium, flappy_bird, state"] = stepper(env, options.steps)
        rows = []
        for name, seconds in interleave(sides, options.repeats).items():
            rates = [options.steps / value for value in seconds]
            middle, low, high = spread(rates)
            who, game, observation = name.split(", ")
            rows.append(
                {
                    "who": who,
                    "game": game,
                    "observation": observation,
                    "steps/s": round(middle),
                    "low-high": f"{low:.0f}-{high:.0f}",
                }
            )
        report("environments", rows)


if __name__ == "__main__":
    main()
