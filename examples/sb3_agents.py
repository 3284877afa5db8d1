"""Train an agent of Stable-Baselines3 on the changing stream, and compare it with DQN-MER.

``python examples/sb3_agents.py DQN 0`` (or PPO, or QRDQN of sb3-contrib; then the seed) trains for some minutes and
writes a run folder in runs/; ``python -m dqn_mer compare runs --out report`` then shows it beside the others.
"""

import importlib
import inspect
import sys

import stable_baselines3

from dqn_mer import StreamRun, benchmark

NO_HYPERPARAMETERS = ("stats_window_size", "verbose")


def default_options(kind: type) -> dict[str, float]:
    """Return the library's own defaults of an algorithm that are numbers; switches as 0 or 1."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}
    names = [name for name in defaults if not name.startswith("_") and name not in NO_HYPERPARAMETERS]
    return {name: defaults[name] + 0 for name in names if isinstance(defaults[name], (int, float))}


def train(algorithm: str, seed: int, **choices: object) -> stable_baselines3.common.base_class.BaseAlgorithm:
    """Train with the library's own defaults, which are recorded, and return the trained agent."""
    library = stable_baselines3 if hasattr(stable_baselines3, algorithm) else importlib.import_module("sb3_contrib")
    kind = getattr(library, algorithm)
    name, options = f"sb3-{algorithm.lower()}", default_options(kind)
    env = StreamRun(name, observation="state", seed=seed, options=options, **choices)
    model = kind("MlpPolicy", env, seed=seed, device="cpu")
    env.policy = model
    model.learn(env.frames)
    env.finish()
    env.close()
    return model


if __name__ == "__main__":
    trained = train(sys.argv[1], int(sys.argv[2]), game="flappy_bird")
    for row in benchmark(trained, game="flappy_bird", observation="state", settings=(110.0, 100.0, 75.0)):
        print(f"{row['setting']}: {row['score_mean']:.1f}")  # 110: a gap that it never saw
