"""Sweeps on Slurm: what is submitted, what a warned job does, and how jobs that are killed or refused are reported."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dqn_mer.__main__ import main
from dqn_mer.commands.sweep import SweepOptions, sweep
from tests.commands.test_sweep import ROOT, TINY
from tests.commands.test_sweep_real import frames_of
from tests.helpers.slurm import install, process_of

STAND_IN = """
import os, signal, sys, time
from pathlib import Path
from dqn_mer.config.command_line import parse_config
words = sys.argv[1:]
print("called with", *words[:2])
if words[0] == "--resume":
    run_dir = Path(words[1])
else:
    config = parse_config(words)
    run_dir = config.run_dir
    run_dir.mkdir(parents=True)
    if config.seed == 13:
        sys.exit("no luck")
    if config.seed >= 20:
        from dqn_mer.storage.snapshots import save_state
        def stop(number, frame):
            save_state(run_dir, 60, {}, {})
            sys.exit(128 + number)
        signal.signal(signal.SIGTERM, stop)
        parent = os.getppid()
        (run_dir / "started").touch()
        while os.getppid() == parent:  # Slurm would end both
            time.sleep(0.05)
        sys.exit("the job is gone")
(run_dir / "summary.json").write_text("{}")
"""
JOB = """
import sys
from dqn_mer.commands import sweep_job
sweep_job.TRAINER = [sys.executable, {stand_in!r}]
from submitit.core.submission import submitit_main
submitit_main()
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return what the stand-in for Slurm knows; what it still runs is ended with the test."""
    submitit = pytest.importorskip("submitit")
    state = tmp_path / "state"
    state.mkdir()
    path = os.pathsep.join([str(install(tmp_path / "bin")), os.environ["PATH"]])
    paths = [str(ROOT), str(ROOT / "envs"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("SLURM_STAND_IN", str(state))
    monkeypatch.setattr(submitit.Job, "_results_timeout_s", 0)
    yield state
    submitit.SlurmJob.watcher.clear()
    for process in state.glob("*.process"):
        os.kill(int(process.read_text()), signal.SIGKILL)


@pytest.fixture
def stand_in(tmp_path: Path, cluster: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let jobs on the cluster train with a quick stand-in for the trainer; return what the cluster knows."""
    import submitit

    (tmp_path / "stand_in.py").write_text(STAND_IN)
    (tmp_path / "job.py").write_text(JOB.format(stand_in=str(tmp_path / "stand_in.py")))
    words = [sys.executable, "-u", str(tmp_path / "job.py")]
    command = property(lambda executor: shlex.join([*words, str(executor.folder)]))
    monkeypatch.setattr(submitit.SlurmExecutor, "_submitit_command_str", command)
    return cluster


def swept(out: Path, seeds: str, jobs: int = 2, **slurm: str) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=300)
    options = SweepOptions(
        out=out, agents=("dqn",), seeds=seeds, jobs=jobs, engine="slurm", slurm={"time": "240", **slurm}
    )
    return sweep(options, TINY, console), console.file.getvalue()


def wait_until(condition: Callable[[], object]) -> None:
    for _ in range(6_000):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError


def when(condition: Callable[[], object], act: Callable[[], None]) -> threading.Thread:
    """Let something be done as soon as a condition holds, while this thread waits for jobs."""

    def wait() -> None:
        wait_until(condition)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def run_of(out: Path, seed: int) -> Path:
    return out / "catcher" / "dqn" / f"seed-{seed}"


def test_an_array_of_jobs_runs_what_is_not_finished(tmp_path: Path, stand_in: Path) -> None:
    out = tmp_path / "my sweep"
    code, output = swept(out, "12-14", partition="gpu", gres="gpu:1", **{"cpus-per-task": "3", "mem": "8G"})
    assert code == 1 and "3 runs: 2 trained, 0 were finished before, 1 failed" in output
    assert f"failed: catcher/dqn/seed-13: exit code 1, log {run_of(out, 13)}.log\n  no luck\n" in output
    script = (stand_in / "7.sh").read_text().splitlines()
    wanted = (
        "array=0-2%2", "cpus-per-task=3", "gres=gpu:1", "job-name=dqn-mer", "mem=8G", "open-mode=append",
        "partition=gpu", "signal=USR1@120", "time=240",
    )  # fmt: skip
    assert {f"#SBATCH --{option}" for option in wanted} | {"#SBATCH --requeue"} <= set(script)
    assert "export SUBMITIT_PREEMPT_SIGNAL=USR1" in script
    code, output = swept(out, "12-14")
    assert code == 1 and "3 runs: 0 trained, 2 were finished before, 1 failed" in output
    assert "--array" not in (stand_in / "8.sh").read_text()  # one run is left
    code, output = swept(out, "12,14")
    assert code == 0 and "2 runs: 0 trained, 2 were finished before, 0 failed" in output
    assert len(list(out.glob("slurm-*"))) == 2  # those with a failed run
    assert not (stand_in / "9.sh").exists()


def test_for_a_damaged_run_no_job_is_submitted(tmp_path: Path, stand_in: Path) -> None:
    out = tmp_path / "sweep"
    run_of(out, 12).mkdir(parents=True)
    (run_of(out, 12) / "config.json").write_text("{")
    code, output = swept(out, "12,14")
    assert code == 1 and "2 runs: 1 trained, 0 were finished before, 1 failed" in output
    assert "failed: catcher/dqn/seed-12: exit code 1" in output and "seed-12/config.json: cannot be read" in output
    assert "--array" not in (stand_in / "7.sh").read_text() and not list(out.glob("slurm-*"))
    assert [path.name for path in run_of(out, 12).iterdir()] == ["config.json"]


def test_a_job_that_is_warned_saves_its_run_and_another_resumes_it(tmp_path: Path, stand_in: Path) -> None:
    out = tmp_path / "sweep"
    warning = when((run_of(out, 20) / "started").exists, lambda: os.kill(process_of(stand_in, "7"), signal.SIGUSR1))
    code, output = swept(out, "20")
    warning.join()
    assert code == 0 and "[1/1] catcher/dqn/seed-20: finished" in output and "1 trained" in output
    assert not list(out.glob("slurm-*"))
    lines = run_of(out, 20).with_name("seed-20.log").read_text().splitlines()
    assert [line for line in lines if line.startswith("called") or "exit code" in line] == [
        "called with --game catcher", "sweep: stopped, to be resumed: exit code 143",
        f"called with --resume {run_of(out, 20)}", "sweep: exit code 0",
    ]  # fmt: skip


def test_a_sweep_that_is_stopped_cancels_its_jobs_which_save_their_runs(tmp_path: Path, stand_in: Path) -> None:
    out = tmp_path / "sweep"

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR2, stop)
    interruption = when(lambda: len(list(out.rglob("started"))) == 2, lambda: os.kill(os.getpid(), signal.SIGUSR2))
    try:
        with pytest.raises(KeyboardInterrupt):
            swept(out, "20-22")
    finally:
        signal.signal(signal.SIGUSR2, before)
        interruption.join()
    wait_until(lambda: len(list(out.rglob("resume/frame-*"))) == 2)
    for job in ("7_0", "7_1"):  # they wait to be killed
        os.kill(process_of(stand_in, job), signal.SIGKILL)
    code, output = swept(out, "20,21")
    assert code == 0 and "2 runs: 2 trained" in output
    assert not run_of(out, 22).exists()


def test_a_job_that_is_killed_is_a_failed_run(tmp_path: Path, stand_in: Path) -> None:
    out = tmp_path / "sweep"
    end = when((run_of(out, 20) / "started").exists, lambda: os.kill(process_of(stand_in, "7_0"), signal.SIGKILL))
    code, output = swept(out, "20,12")
    end.join()
    assert code == 1 and "2 runs: 1 trained, 0 were finished before, 1 failed" in output
    assert "failed: catcher/dqn/seed-20: exit code 1" in output and "\n  Slurm job 7_0: 'FAILED', log " in output


def test_what_sbatch_refuses_is_one_line(tmp_path: Path, stand_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "--engine", "slurm", "--slurm", "time=60,partition=nowhere", "--agents", "dqn", "--seeds", "0"]
    assert main([*words, "--out", str(tmp_path / "sweep"), *TINY]) == 2
    assert capsys.readouterr().err == (
        "error: engine='slurm': jobs were refused: sbatch: error: invalid partition specified: nowhere\n"
    )
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "slurm.time='': must be a whole number from 5"),
        ("--slurm time=4:00:00", "slurm.time='4:00:00': must be a whole number from 5"),
        ("--slurm time=60,Mem=8G", "slurm='Mem': must be an option of sbatch that a sweep does not set itself"),
        ("--slurm time=60,open-mode=truncate", "slurm='open-mode': must be an option of sbatch"),
        ("--slurm time=60,mem", "slurm.mem='': must be text without blanks"),
        ("--slurm time=60,time=70", "slurm='time=60,time=70': must be NAME=VALUE,..., each name once"),
        ("--slurm time=60 --engine local", "slurm=time: only with engine=slurm"),
        ("--slurm time=60", "engine='slurm': needs Slurm, and no srun was found"),
    ],
)
def test_mistakes_take_one_line_and_submit_nothing(
    words: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["sweep", "--engine", "slurm", *words.split(), "--out", str(tmp_path / "sweep"), *TINY]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and expected in error
    assert not list(tmp_path.iterdir())


def test_slurm_without_accounting_is_refused(cluster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bin" / "sacct").write_text("#!/bin/sh\necho Slurm accounting storage is disabled >&2; exit 1\n")
    words = ["sweep", "--engine", "slurm", "--slurm", "time=60", "--out", str(tmp_path / "sweep"), *TINY]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "error: engine='slurm': needs Slurm's accounting, which knows how jobs ended, and sacct fails: "
        "'Slurm accounting storage is disabled'; submit the scripts of docs/slurm.md\n"
    )
    assert not (tmp_path / "sweep").exists() and not list(cluster.iterdir())


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"time": 240}, "slurm.time=240: must be text without blanks"),
        ({3: "240"}, "slurm=3: must be an option of sbatch"),
        ({"comment": "a\n#SBATCH --uid=0"}, r"slurm.comment='a\\n#SBATCH --uid=0': must be text without blanks"),
    ],
)
def test_what_cannot_stand_in_a_script_is_refused(option: dict[Any, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{expected}"):
        SweepOptions(out=tmp_path, engine="slurm", slurm=option)


def test_without_submitit_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)  # which makes its import fail
    assert main(["sweep", "--engine", "slurm", "--slurm", "time=60", "--out", str(tmp_path / "sweep"), *TINY]) == 2
    assert capsys.readouterr().err == "error: engine='slurm': needs submitit: pip install 'dqn-mer[slurm]'\n"


@pytest.mark.slow
def test_a_real_run_that_takes_longer_than_its_job_finishes(tmp_path: Path, cluster: Path) -> None:
    out = tmp_path / "sweep"

    def began() -> bool:
        return any(frames_of(path) > 100 for path in out.rglob("metrics.csv"))

    warning = when(began, lambda: os.kill(process_of(cluster, "7"), signal.SIGUSR1))
    options = SweepOptions(out=out, agents=("dqn",), seeds="0", engine="slurm", slurm={"time": "5"})
    assert sweep(options, [*TINY, "--frames", "20000"], Console(file=io.StringIO())) == 0
    warning.join()
    log = run_of(out, 0).with_name("seed-0.log").read_text()
    assert "sweep: stopped, to be resumed: exit code 143" in log and "train --resume" in log
    assert json.loads((run_of(out, 0) / "summary.json").read_text())["frames"] == 20_000
