"""Train agents of Stable-Baselines3 on the changing stream, from state, with the library's own defaults.

``python results/foreign.py OUT --seeds 0-4`` runs what is missing, seed by seed over all algorithms and games; a run
that was stopped is set aside and started anew. QR-DQN is sb3-contrib's. ``python results/protocol.py keep OUT`` keeps
the small files.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from dqn_mer.config.seed_lists import read_seeds

ALGORITHMS = ("DQN", "PPO", "QRDQN")
GAMES = ("catcher", "flappy_bird")
EXAMPLE = Path(__file__).parents[1] / "examples" / "sb3_agents.py"

Job = tuple[str, str, int, Path]
"""Algorithm, game, seed and folder."""


def jobs(out: Path, seeds: list[int]) -> list[Job]:
    """Return every run that is not finished."""
    planned = [
        (algorithm, game, seed, out / "foreign" / game / f"sb3-{algorithm.lower()}" / f"seed-{seed}")
        for seed in seeds
        for game in GAMES
        for algorithm in ALGORITHMS
    ]
    return [job for job in planned if not (job[-1] / "summary.json").exists()]


def run(job: Job) -> None:
    """Train one agent as examples/sb3_agents.py does."""
    algorithm, game, seed, folder = job
    spec = importlib.util.spec_from_file_location("sb3_agents", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    if folder.exists():
        folder.rename(folder.with_name(f"{folder.name}.stopped-{int(time.time())}"))
    example.train(algorithm, seed, game=game, run_dir=folder)
    print(f"done: {folder}", flush=True)


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(options.jobs) as processes:
        list(processes.map(run, jobs(options.out, read_seeds(options.seeds))))


if __name__ == "__main__":
    main()
