"""Train an agent of Stable-Baselines3 on the changing stream, and compare it with DQN-MER.

``python examples/sb3_agents.py DQN 0`` (or PPO, or QRDQN of sb3-contrib; then the seed) trains for some minutes and
writes a run folder in runs/; ``python -m dqn_mer compare runs --out report`` then shows it beside the others.
"""

import importlib
import sys

import stable_baselines3

from dqn_mer import StreamRun, benchmark


def train(algorithm: str, seed: int, **choices: object) -> stable_baselines3.common.base_class.BaseAlgorithm:
    """Train with the library's own defaults, and return the trained agent."""
    env = StreamRun(f"sb3-{algorithm.lower()}", observation="state", seed=seed, **choices)
    library = stable_baselines3 if hasattr(stable_baselines3, algorithm) else importlib.import_module("sb3_contrib")
    model = getattr(library, algorithm)("MlpPolicy", env, seed=seed, device="cpu")
    env.policy = model
    model.learn(env.frames)
    env.finish()
    env.close()
    return model


if __name__ == "__main__":
    trained = train(sys.argv[1], int(sys.argv[2]), game="flappy_bird")
    for row in benchmark(trained, game="flappy_bird", observation="state", settings=(110.0, 100.0, 75.0)):
        print(f"{row['setting']}: {row['score_mean']:.1f}")  # 110: a gap that it never saw
