"""Train on an environment behind wrappers, with a network of one's own: ``python examples/own_network.py``, a minute.

A run that was stopped is resumed by ``resume(RUN_FOLDER, car_task())``.
"""

import gymnasium
from gymnasium.wrappers import FrameStackObservation, TransformReward
from torch import nn

from continual_ple import Task, own_task
from dqn_mer import default_config, train


def make_car(render_mode: str | None = None) -> gymnasium.Env:
    """Return a car on a hill that sees its last four places and speeds."""
    env = gymnasium.make("MountainCar-v0", render_mode=render_mode)
    env = TransformReward(env, lambda reward: reward / 100)
    return FrameStackObservation(env, 4)


def make_network(observation_shape: tuple[int, ...], num_actions: int) -> nn.Module:
    """Return a network from ``(n, 4, 2)`` observations, which are scaled to [0, 1], to ``(n, num_actions)`` values."""
    frames, features = observation_shape
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(frames * features, 64),
        nn.Tanh(),
        nn.Linear(64, 64),
        nn.Tanh(),
        nn.Linear(64, num_actions),
    )


def car_task(frames_per_setting: int = 5_000) -> Task:
    """Return the car under gravity that grows; ``gravity`` is an attribute of the unwrapped environment."""
    return own_task(make_car, "gravity", [0.0020, 0.0025, 0.0030], frames_per_setting, network=make_network)


if __name__ == "__main__":  # evaluation runs in a separate process, which reads this file again
    train(default_config(observation="state", agent="dqn-mer", batch_size=8), car_task())
