"""The examples of agents of other libraries on the changing stream."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

from dqn_mer import benchmark, load_run
from tests.helpers.examples import load_example
from tests.helpers.gliding import SHORT, SMALL


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_example("sb3_agents")


OPTIONS = {
    "DQN": {"learning_rate": 1e-4, "buffer_size": 1_000_000, "batch_size": 32, "target_update_interval": 10_000},
    "PPO": {"learning_rate": 3e-4, "n_steps": 2_048, "batch_size": 64, "normalize_advantage": 1},
    "QRDQN": {"learning_rate": 5e-5, "buffer_size": 1_000_000, "batch_size": 32, "exploration_final_eps": 0.01},
}
"""Some of the libraries' own defaults, as their documentation gives them."""


@pytest.mark.parametrize("algorithm", OPTIONS)
def test_agents_of_stable_baselines3(algorithm: str, example: ModuleType, tmp_path: Path) -> None:
    model = example.train(
        algorithm, 3, run_dir=tmp_path / "run", **{k: v for k, v in SMALL.items() if k != "observation"}
    )
    config = load_run(tmp_path / "run").config
    assert config["agent"] == f"sb3-{algorithm.lower()}"
    assert OPTIONS[algorithm].items() <= config["agent_options"].items() and "capacity" not in config
    assert not config["agent_options"].keys() & {"verbose", "stats_window_size", "seed"}
    assert len(benchmark(model, episodes=2, **SMALL)) == 2


def test_a_loop_in_one_file(tmp_path: Path) -> None:
    program = load_example("cleanrl_style_dqn")
    options = {**program.OPTIONS, "learning_starts": 50, "exploration_frames": 100}
    choices = {name: value for name, value in SHORT.items() if name != "observation"}
    networks = [program.train(3, options, run_dir=tmp_path / str(run), **choices) for run in range(2)]
    run = load_run(tmp_path / "0")
    assert run.config["agent"] == "cleanrl-dqn" and run.config["agent_options"] == options
    assert run.frames.tolist() == [0, 50, 100]
    for first, second in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(first, second)  # the seed decides
    torch.manual_seed(3)
    untrained = torch.nn.Linear(8, 128)
    assert not torch.equal(networks[0][0].weight, untrained.weight)
