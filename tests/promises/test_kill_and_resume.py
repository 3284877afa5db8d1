"""A run that is killed at random moments, and resumed each time, ends as the run that was left alone, bit for bit."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.resuming import flags, train_in_a_fork, what_is_left

STATE = {"frames": 6_000, "frames_per_setting": 2_400, "eval_every": 800, "capacity": 700, "save_every": 30}
PIXELS = {
    "observation": "pixels", "frames": 480, "frames_per_setting": 200, "eval_every": 120, "eval_frame_limit": 10,
    "capacity": 120, "save_every": 8, "meter_every": 0,
}  # fmt: skip


def result_of(log: Path) -> str:
    """Return the exit code and the hash of the whole state that a run printed at its end."""
    return log.read_text().splitlines()[-1]


def states(run_dir: Path) -> set[str]:
    """Return the names of the saved states, and of one that is being written."""
    return {path.name for path in run_dir.glob("resume/*")}


def killed_and_resumed(run_dir: Path, log: Path, kills: int, **choices: Any) -> list[str]:
    """Train, with SIGKILLs on the way; returns how far the run was at each."""
    chance, lines = random.Random(kills), []
    words = flags(**choices, run_dir=run_dir)
    while len(lines) < kills:
        before = states(run_dir)
        run = train_in_a_fork(words, log)
        if chance.random() < 0.8:  # else while it is being built, or plays for the first time
            while run.is_alive() and states(run_dir) <= before:
                time.sleep(0.002)
        time.sleep(chance.random() * 0.15)
        run.kill()
        run.join()
        if run.exitcode == 0:
            return lines  # it was faster than the kill
        assert run.exitcode == -signal.SIGKILL, log.read_text()
        lines.append(f"killed; states on the disk: {', '.join(sorted(states(run_dir))) or 'none'}")
        if (run_dir / "config.json").exists():
            words = ["--resume", str(run_dir)]
    train_in_a_fork(words, log).join()
    return lines


def check(tmp_path: Path, kills: int, **choices: Any) -> list[str]:
    """Compare a run that is killed with one that is not; returns lines to print."""
    names = ("whole", "killed")
    logs = [tmp_path / f"{name}.log" for name in names]
    train_in_a_fork(flags(**choices, run_dir=tmp_path / "whole"), logs[0]).join()
    lines = killed_and_resumed(tmp_path / "killed", logs[1], kills, **choices)
    results = [result_of(log) for log in logs]
    assert results[0].startswith("0 ") and results[0] == results[1], [log.read_text() for log in logs]
    whole, killed = (what_is_left(tmp_path / name) for name in names)
    for name in whole:
        assert killed[name] == whole[name], name
    lines += [f"killed {len(lines)} times, identical: state {results[1].split()[1]}"]
    return [*lines, f"and {len(whole['metrics'])} rows and {sum(map(len, whole['curves'].values()))} points"]


def test_three_kills(tmp_path: Path) -> None:
    check(tmp_path, 3, **{**STATE, "frames": 600, "frames_per_setting": 240, "eval_every": 200})


@pytest.mark.slow
@pytest.mark.parametrize("eval_worker", [False, True], ids=["inline", "worker"])
@pytest.mark.parametrize("sizes", [STATE, PIXELS], ids=["state", "pixels"])
@pytest.mark.parametrize("game", ["catcher", "flappy_bird"])
def test_twenty_kills(game: str, sizes: dict[str, Any], eval_worker: bool, tmp_path: Path) -> None:
    lines = check(tmp_path, 20, **sizes, game=game, eval_worker=eval_worker)
    print(*lines, sep="\n")
    assert "killed 20 times" in lines[-2]
