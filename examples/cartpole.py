"""Train DQN-MER on CartPole while its pole gets longer, in about a minute.

On the command line, in the repository: ``python train.py --task examples.cartpole:pole_task --learning-rate 3e-4``.
From Python, with other options: ``python examples/cartpole.py``. The same lines train any Gymnasium environment
with Box observations and Discrete actions.
"""

from collections.abc import Mapping
from typing import Any

from continual_ple import Task, own_task
from dqn_mer import Config, default_config, evaluate, train


def set_length(env: Any, parameters: Mapping[str, float]) -> None:
    """Give CartPole's pole a length; without this, ``length`` would be set as an attribute and nothing else."""
    env.length = parameters["length"]
    env.polemass_length = env.masspole * env.length


def pole_task(frames_per_setting: int = 10_000) -> Task:
    """Return CartPole with a pole that gets longer and then as short as at first."""
    return own_task("CartPole-v1", "length", [0.5, 1.5, 3.0, 0.5], frames_per_setting, apply=set_length)


def pole_config(**choices: Any) -> Config:
    """Return a configuration that learns it; ``game`` is the name under which the run is filed."""
    chosen: dict[str, Any] = {
        "game": "cart_pole",
        "observation": "state",
        "learning_rate": 3e-4,
        "epsilon_decay_frames": 5_000,
        "eval_every": 2_500,
        "eval_frame_limit": 500,
        **choices,
    }
    return default_config(**chosen)


if __name__ == "__main__":
    run = train(pole_config(), pole_task())
    for row in evaluate(run.run_dir, pole_task(), settings="0.5,2")["settings"]:  # 2: a length that it never saw
        print(f"{row['setting']}: {row['score_mean']:.1f}")
