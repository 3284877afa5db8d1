"""What all tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from threadpoolctl import threadpool_limits

from dqn_mer.config.defaults import default_config
from dqn_mer.training.loop import TrainingLoop
from dqn_mer.training.trainer import train
from tests.helpers.profiles import load_profile
from tests.helpers.resuming import At, flags, stop_after, train_and_digest, what_is_left
from tests.helpers.runs import write_run

load_profile()
torch.set_num_threads(1)  # small tests: more threads would only wait for each other
threadpool_limits(1)


@pytest.fixture(scope="session", autouse=True)
def no_gpu() -> Iterator[None]:
    """Let `--device auto` and `cuda` mean the same on every machine; what is for a GPU asks for it by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        patch.setattr(torch.backends.mps, "is_available", lambda: False)
        yield


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


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder with three seeds of two agents; scores of seed s are those of seed 0 plus s."""
    for seed in range(3):
        for agent, base in (("dqn", 0.0), ("dqn-mer", 10.0)):
            scores = [[0.0, 0.0], [base + 4 + seed, base + 1 + seed], [base + 2 + seed, base + 6 + seed]]
            write_run(tmp_path / "runs" / agent / f"seed-{seed}", scores, agent=agent, seed=seed)
    return tmp_path / "runs"


@pytest.fixture
def at_frame(monkeypatch: pytest.MonkeyPatch) -> At:
    """Return what lets something happen, once, when so many frames are done."""
    step = TrainingLoop.step

    def arrange(frame: int, event: Callable[[TrainingLoop], None]) -> None:
        waiting = [event]

        def with_event(loop: TrainingLoop) -> dict[str, Any]:
            if loop.frame == frame and waiting:
                waiting.pop()(loop)
            return step(loop)

        monkeypatch.setattr(TrainingLoop, "step", with_event)

    return arrange


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """Return the digest, and what is left, of a tiny run that nothing disturbs."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    return train_and_digest(flags(run_dir=run_dir))[1], what_is_left(run_dir)


@pytest.fixture(scope="session")
def stopped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was stopped at frame 151, for tests to copy."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    assert stop_after(150, flags(run_dir=run)) == 143
    return run
