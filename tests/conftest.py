"""What all tests share."""

from pathlib import Path

import pytest
import torch
from rich.console import Console
from threadpoolctl import threadpool_limits

from dqn_mer.defaults import default_config
from dqn_mer.training import train

torch.set_num_threads(1)  # small tests: more threads would only wait for each other
threadpool_limits(1)


@pytest.fixture(scope="session")
def flappy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run of a few frames, not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = default_config(
        game="flappy_bird", observation="state", hidden_sizes=(8,), settings=(100.0, 80.0), frames=40, capacity=50,
        frames_per_setting=20, warmup_frames=10, eval_every=20, eval_episodes=1, eval_frame_limit=30,
        eval_worker=False, threads=1, run_dir=folder,
    )  # fmt: skip
    train(config, console=Console(quiet=True))
    return folder
