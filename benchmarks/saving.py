"""Size of a run's saved state with a full memory of pixels, and the time to save it: ``python -m benchmarks.saving``.

The memory holds play of the game under random actions; the network and Adam's moments are those of the defaults.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from benchmarks.harness import read_options, report
from dqn_mer.config.config import ResumeOptions
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.training.resume import open_run
from dqn_mer.training.trainer import Trainer


@dataclass
class Options:
    """Fill the memory of a run with play, then save it a few times."""

    game: str = "flappy_bird"
    """The game."""
    capacity: int = 50_000
    """Transitions."""
    repeats: int = 5
    """Saves."""
    folder: Path | None = None
    """Where to save (none: the system's folder for temporary files)."""


def main() -> None:
    """Measure."""
    options = read_options(Options)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        report(f"saving-{options.game}", [measure(options, Path(scratch) / "run")])


def measure(options: Options, run_dir: Path) -> dict[str, Any]:
    """Play until the memory is full, with a few updates at the end; return size and times of its saves."""
    config = default_config(
        game=options.game, frames=options.capacity, warmup_frames=options.capacity - 3, save_every=0, save_minutes=0,
        capacity=options.capacity, meter_every=0, eval_every=options.capacity, eval_episodes=1, eval_frame_limit=1,
        eval_worker=False, epsilon_decay_frames=10**9, log_every=10**6, frames_per_setting=options.capacity,
        run_dir=run_dir,
    )  # fmt: skip
    seconds = []
    with Trainer(game_task(config), config, Console(quiet=True)) as trainer:
        trainer.begin([])
        while trainer.loop.frame < options.capacity:
            trainer.loop.step()
        for _ in range(options.repeats):
            shutil.rmtree(run_dir / "resume", ignore_errors=True)
            start_s = time.perf_counter()
            trainer.saves.save()
            seconds.append(time.perf_counter() - start_s)
        memory_mb = trainer.loop.agent.memory.nbytes / 1e6
    size = sum(path.stat().st_size for path in (run_dir / "resume").rglob("*") if path.is_file())
    start_s = time.perf_counter()
    stopped = open_run(ResumeOptions(run_dir))
    with Trainer(game_task(stopped.config, stopped.schedule), stopped.config, Console(quiet=True), stopped):
        loaded_s = time.perf_counter() - start_s
    return {
        "game": options.game, "transitions": options.capacity, "memory MB": round(memory_mb, 1),
        "state MB": round(size / 1e6, 1), "save s": round(median(seconds), 2), "slowest s": round(max(seconds), 2),
        "load s": round(loaded_s, 2),
    }  # fmt: skip


if __name__ == "__main__":
    main()
