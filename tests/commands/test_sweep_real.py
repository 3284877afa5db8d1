"""Sweeps of real runs: as a user would start, stop and go on with them."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from dqn_mer.__main__ import main
from dqn_mer.commands.sweep import SweepOptions, sweep
from tests.commands.test_sweep import ROOT, TINY


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dqn_mer", "sweep", *words]
    environment = {**os.environ, "RAY_worker_niceness": "0"}  # by Ray's default other work would starve the runs
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
def test_sweep_stop_go_on_and_compare_as_a_user_would(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    words = ["--games", "catcher,flappy_bird", "--agents", "dqn,dqn-mer", "--seeds", "0", "--jobs", "2"]
    words += ["--out", str(out), *TINY, "--frames", "3000"]
    sweeping = start(*words)
    while not any(frames_of(path) > 100 for path in out.rglob("metrics.csv")):
        assert sweeping.poll() is None
        time.sleep(0.05)
    sweeping.send_signal(signal.SIGTERM)
    output, _ = sweeping.communicate()
    assert sweeping.returncode == 143, output
    assert "stopped; the same command resumes it" in output and "Traceback" not in output
    for log in out.rglob("*.log"):  # nothing trains any more
        with log.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    sweeping = start(*words)
    output, _ = sweeping.communicate()
    assert sweeping.returncode == 0, output
    assert "failed" in output and " 0 failed" in output
    assert len(list(out.rglob("seed-0/summary.json"))) == 4
    assert main(["compare", str(out), "--out", str(tmp_path / "report")]) == 0
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["catcher", "flappy_bird"]


def frames_of(metrics: Path) -> int:
    last = metrics.read_text().splitlines()[-1:]
    return int(last[0].partition(",")[0]) if last and last[0][:1].isdigit() else 0


def test_one_real_run(tmp_path: Path) -> None:
    options = SweepOptions(agents=("dqn",), seeds="0", out=tmp_path)
    assert sweep(options, TINY, Console(file=io.StringIO())) == 0
    (summary,) = tmp_path.rglob("summary.json")
    assert json.loads(summary.read_text())["frames"] == 120


@pytest.mark.slow
def test_ray_runs_the_same_jobs(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    sweeping = start(
        "--agents", "dqn", "--seeds", "0-1", "--jobs", "2", "--engine", "ray", "--out", str(tmp_path), *TINY
    )
    output, _ = sweeping.communicate()
    assert sweeping.returncode == 0, output
    assert "2 runs: 2 trained, 0 were finished before, 0 failed" in output
    assert len(list(tmp_path.rglob("seed-*/summary.json"))) == 2
