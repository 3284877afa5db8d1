"""What the tests of stopping and resuming share: tiny runs as a user would start them, and all that they leave."""

from __future__ import annotations

import csv
import hashlib
import json
import multiprocessing
import multiprocessing.process
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dqn_mer.commands.train import main as train_command
from dqn_mer.commands.train import make_trainer
from dqn_mer.runs.stopping import RunStopped
from dqn_mer.storage.snapshots import without_arrays
from dqn_mer.storage.state import State
from dqn_mer.training.loop import TrainingLoop

At = Callable[[int, Callable[[TrainingLoop], None]], None]
"""What the fixture `at_frame` gives."""

ROOT = Path(__file__).parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "envs")])
"""Where another process finds both packages."""
WALL_TIME_COLUMNS = ("speed/frames_per_s",)
TINY = {
    "observation": "state", "frames": 300, "frames_per_setting": 120, "warmup_frames": 40, "capacity": 150,
    "target_sync_frames": 50, "eval_every": 70, "eval_episodes": 1, "eval_frame_limit": 30, "hidden_sizes": (8,),
    "log_every": 30, "meter_every": 90, "threads": 1, "device": "cpu", "eval_worker": False, "save_every": 60,
}  # fmt: skip


def flags(**choices: Any) -> list[str]:
    """Return a tiny run's flags, with some others."""
    words = []
    for name, value in {**TINY, **choices}.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return words


def train_and_digest(words: Sequence[str]) -> tuple[int, str]:
    """Do in this process what train.py does; returns the exit code and a hash of all that the run's state holds."""
    try:
        with make_trainer(words) as trainer:
            trainer.run(["python", "train.py", *words])
            return 0, digest(trainer.loop.get_state())
    except RunStopped as stopped:
        print(stopped, file=sys.stderr)
        return stopped.exit_code, ""


def train_in_a_fork(words: Sequence[str], log: Path) -> multiprocessing.process.BaseProcess:
    """Start `train_and_digest` in a process of its own, which takes no time to import anything.

    What it prints goes to ``log``, and then its result.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.helpers.resuming"])
    process = context.Process(target=_train_into, args=(list(words), log))
    process.start()
    return process


def _train_into(words: list[str], log: Path) -> None:
    with log.open("a", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        print(*train_and_digest(words))


def digest(state: State) -> str:
    """Return a hash of a run's state, without what depends on the time it took."""
    arrays: dict[str, np.ndarray] = {}
    state = {name: part for name, part in state.items() if name != "tracker"}
    plain = without_arrays(state, "", arrays)
    statistics = next(layer for name, layer in plain["env"].items() if "RecordEpisodeStatistics" in name)
    del statistics["time_queue"]
    hasher = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(arrays):
        hasher.update(name.encode() + arrays[name].tobytes())
    return hasher.hexdigest()


def start(*words: str, **options: Any) -> subprocess.Popen[str]:
    """Start train.py as a user would."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "train.py", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        **options,
    )


def outcome(run: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process; returns its exit code and what it said on standard error."""
    _, said = run.communicate(timeout=600)
    return run.returncode, said


def table(path: Path) -> list[dict[str, str]]:
    """Return a CSV file's rows without what depends on the time it took."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name not in WALL_TIME_COLUMNS} for row in rows]


def curves(run_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the points of every TensorBoard scalar, in the order in which they were written."""
    events = EventAccumulator(str(run_dir), size_guidance={"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag not in WALL_TIME_COLUMNS]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def what_is_left(run_dir: Path) -> dict[str, Any]:
    """Return all that a finished run leaves and that does not depend on the time it took."""
    checkpoints = sorted(run_dir.glob("checkpoints/frame-*/weights.safetensors"))
    return {
        "files": sorted(p.name for p in run_dir.iterdir() if not p.name.startswith("events.")),
        "metrics": table(run_dir / "metrics.csv"),
        "evaluations": table(run_dir / "evaluations.csv"),
        "interference": table(run_dir / "interference.csv"),
        "matrix": table(run_dir / "matrix.csv"),
        "checkpoints": {p.parent.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in checkpoints},
        "curves": curves(run_dir),
    }


def stop_after(frame: int, words: Sequence[str]) -> int:
    """Train in this process as the flags say, until a SIGTERM comes after ``frame`` frames; returns the exit code."""
    step = TrainingLoop.step

    def then_stop(loop: TrainingLoop) -> dict[str, Any]:
        if loop.frame >= frame:  # with skipped frames no run is at every frame
            os.kill(os.getpid(), signal.SIGTERM)
        return step(loop)

    with mock.patch.object(TrainingLoop, "step", then_stop):
        return train_command(words)


def stop(number: int) -> Callable[[TrainingLoop], None]:
    return lambda loop: os.kill(os.getpid(), number)


def check_same(run_dir: Path, whole: tuple[str, dict[str, Any]]) -> None:
    """Resume, and compare with the run that nothing disturbed."""
    assert train_and_digest(["--resume", str(run_dir)]) == (0, whole[0])
    left = what_is_left(run_dir)
    assert left == whole[1]
