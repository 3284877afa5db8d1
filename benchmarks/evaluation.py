"""How many frames a second an agent is evaluated at: ``python -m benchmarks.evaluation``.

A run plays the same episodes on every setting in lockstep, five on each of six by default. The network is untrained, so
that its episodes are short; what a frame costs does not depend on that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.harness import cores, interleave, read_options, report, spread
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.evaluation.evaluator import Evaluator, GreedyPolicy
from dqn_mer.networks.q_network import build_network

SEED = 5


@dataclass
class Options:
    """Time evaluations of an untrained agent on all settings, frame by frame."""

    repeats: int = 7
    """Measurements of each side, in turn."""
    frames: int = 200
    """Frames of an episode, at most."""


def evaluation(config: Config, episodes: int, frames: int) -> tuple[Callable[[], object], int]:
    """Return a function that evaluates once, and how many frames it plays.

    Args:
        config: Configuration that names game and observation.
        episodes: Episodes on each setting.
        frames: Frames of an episode, at most.
    """
    task = game_task(config)
    settings = task.schedule.settings
    evaluator = Evaluator(lambda setting: task.agents_env(setting, frame_limit=frames), settings, episodes, SEED)
    space, actions = evaluator.envs[0][0].observation_space, evaluator.envs[0][0].action_space
    policy = GreedyPolicy(build_network(space.shape, int(actions.n), config.hidden_sizes, SEED), torch.device("cpu"))
    played = sum(int(result.lengths.sum()) for result in evaluator.run(policy))
    return lambda: evaluator.run(policy), played


def main() -> None:
    """Measure all sides."""
    options = read_options(Options)
    rows = []
    with cores(1):
        for game in ("catcher", "flappy_bird"):
            for observation in ("state", "pixels"):
                config = default_config(game=game, observation=observation)
                cases = {episodes: evaluation(config, episodes, options.frames) for episodes in (1, 5, 20)}
                times = interleave({str(episodes): call for episodes, (call, _) in cases.items()}, options.repeats)
                for episodes, (_, played) in cases.items():
                    middle_s, low_s, high_s = spread(times[str(episodes)])
                    rows.append({
                        "game": game, "observation": observation, "episodes of each setting": episodes,
                        "frames/s": played / middle_s, "low-high": f"{played / high_s:.0f}-{played / low_s:.0f}",
                    })  # fmt: skip
        report("evaluation", rows)


if __name__ == "__main__":
    main()
