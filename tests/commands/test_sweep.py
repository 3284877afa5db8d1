"""Sweeps: what they start, skip, go on with and report. Most tests put a quick stand-in for the trainer."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from continual_ple.game_schedules import default_schedule
from dqn_mer.__main__ import main
from dqn_mer.commands import sweep_job
from dqn_mer.commands.sweep import SweepOptions, plan, sweep, until_stopped
from dqn_mer.commands.sweep_job import Job, run_job
from dqn_mer.commands.sweep_progress import SweepDisplay, frames_done
from dqn_mer.config.command_line import parse_config
from dqn_mer.runs.folder import lock_run
from dqn_mer.storage.snapshots import save_state
from tests.helpers.sweeps import TINY

ROOT = Path(__file__).parents[2]
STAND_IN = """
import json, os, sys
from pathlib import Path
from dqn_mer.config.command_line import parse_config
words = sys.argv[1:]
print("called with", *words[:2], os.environ["OMP_NUM_THREADS"])
if words[0] == "--resume":
    run_dir = Path(words[1])
else:
    config = parse_config(words)
    run_dir = config.run_dir
    run_dir.mkdir(parents=True)
    (run_dir / "config.json").write_text(json.dumps({"config": config.to_json()}))
    if config.seed == 13:
        sys.exit("no luck")
(run_dir / "summary.json").write_text("{}")
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(sweep_job, "TRAINER", [sys.executable, str(tmp_path / "stand_in.py")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "envs")]))


def swept(out: Path, **options: object) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=300)
    code = sweep(SweepOptions(out=out, **options), TINY, console)
    return code, console.file.getvalue()


def job(out: Path) -> Job:
    return plan(SweepOptions(out=out, agents=("dqn",), seeds="0"), TINY)[0]


@pytest.mark.usefixtures("stand_in")
def test_a_failed_run_stops_no_other_and_finished_ones_are_skipped(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    code, output = swept(out, agents=("dqn",), seeds="12-14", jobs=2)
    log = out / "catcher" / "dqn" / "seed-13.log"
    assert code == 1
    assert "3 runs: 2 trained, 0 were finished before, 1 failed" in output
    assert f"failed: catcher/dqn/seed-13: exit code 1, log {log}\n  no luck\n" in output
    assert "[3/3]" in output and "catcher/dqn/seed-13: failed with exit code 1" in output
    first = (out / "catcher" / "dqn" / "seed-12.log").read_bytes()
    code, output = swept(out, agents=("dqn",), seeds="12-14", jobs=2)
    assert code == 1 and "3 runs: 0 trained, 2 were finished before, 1 failed" in output
    assert (out / "catcher" / "dqn" / "seed-12.log").read_bytes() == first
    assert log.read_text().count("no luck") == 2  # the log of the first try is kept


@pytest.mark.usefixtures("stand_in")
def test_a_run_that_cannot_start_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "sweep"
    log = out / "catcher" / "dqn" / "seed-13.log"
    log.mkdir(parents=True)
    code, output = swept(out, agents=("dqn",), seeds="12-14", jobs=2)
    assert code == 1 and "3 runs: 2 trained, 0 were finished before, 1 failed" in output
    assert f"failed: catcher/dqn/seed-13: exit code 1, log {log}\n  [Errno 21] Is a directory: '{log}'\n" in output
    assert "[3/3]" in output and "catcher/dqn/seed-13: failed with exit code 1" in output
    monkeypatch.setattr(sweep_job, "TRAINER", ["/no/such/program"])
    code, output = swept(out, agents=("dqn",), seeds="15")
    assert code == 1 and "[1/1] catcher/dqn/seed-15: failed with exit code 1" in output
    assert "No such file or directory: '/no/such/program'" in log.with_name("seed-15.log").read_text()


@pytest.mark.usefixtures("stand_in")
def test_a_sweep_after_a_stopped_one_runs(tmp_path: Path) -> None:
    sweep_job.stop_jobs()
    out = tmp_path / "my sweep"
    code, output = swept(out, agents=("dqn",), seeds="0")
    assert code == 0 and "1 run: 1 trained" in output
    assert f"compare '{out}' --out '{out}-report'\n" in output  # as a shell takes it


def test_windows_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as where there is none
    script = "import sys; sys.modules['fcntl'] = None; import dqn_mer.commands.sweep"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    assert main(["sweep", *TINY]) == 2
    assert capsys.readouterr().err.startswith("error: sweep: needs Linux or macOS")


@pytest.mark.usefixtures("stand_in")
def test_a_half_run_is_kept_under_another_name(tmp_path: Path) -> None:
    half = job(tmp_path)
    for number in (1, 2):
        half.run_dir.mkdir(parents=True)
        (half.run_dir / "metrics.csv").write_text(f"half {number}")
        assert run_job(half).exit_code == 0
        (half.run_dir / "summary.json").unlink()
        half.run_dir.rename(half.run_dir.with_name(f"done-{number}"))
    kept = [half.run_dir.with_name(f"seed-0.stopped-{number}") / "metrics.csv" for number in (1, 2)]
    assert [path.read_text() for path in kept] == ["half 1", "half 2"]


@pytest.mark.usefixtures("stand_in")
def test_a_run_that_can_go_on_does(tmp_path: Path) -> None:
    stopped = job(tmp_path)
    save_state(stopped.run_dir, 60, {}, {})
    assert run_job(stopped).exit_code == 0
    assert f"called with --resume {stopped.run_dir} 1\n" in stopped.log.read_text()
    assert stopped.finished and not list(tmp_path.rglob("*.stopped-*"))


@pytest.mark.usefixtures("stand_in")
def test_a_run_that_is_still_going_on_is_waited_for(tmp_path: Path) -> None:
    orphaned = job(tmp_path)
    orphaned.run_dir.mkdir(parents=True)
    summary = orphaned.run_dir / "summary.json"
    wait = f"import time, pathlib; time.sleep(1); pathlib.Path({str(summary)!r}).write_text('')"
    with orphaned.log.open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        orphan = subprocess.Popen([sys.executable, "-c", wait], stdout=log)
    outcome = run_job(orphaned)  # the lock is the orphan's alone now
    assert outcome.skipped and orphan.wait() == 0
    assert "called with" not in orphaned.log.read_text()


@pytest.mark.usefixtures("stand_in")
def test_a_run_that_somebody_else_has_started_is_left_alone(tmp_path: Path) -> None:
    started = job(tmp_path)
    started.run_dir.mkdir(parents=True)
    lock = lock_run(started.run_dir)  # as a line of a dry run holds it, before its first state is saved
    outcome = run_job(started)
    assert outcome.exit_code == 1
    assert outcome.last_line == f"{started.run_dir}: another process is training in this folder"
    assert "called with" not in started.log.read_text() and not list(tmp_path.rglob("*.stopped-*"))
    lock.release()
    assert run_job(started).exit_code == 0
    assert started.run_dir.with_name("seed-0.stopped-1").is_dir()


@pytest.mark.usefixtures("stand_in")
def test_a_run_finds_the_files_of_its_flags_wherever_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("schedule.json").write_text(json.dumps(default_schedule("catcher", 60).to_json()))
    flags = ["--observation", "state", "--schedule", "schedule.json"]
    (planned,) = plan(SweepOptions(agents=("dqn",), seeds="0", out=Path("sweep")), flags)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run_job(planned).exit_code == 0


def test_a_folder_with_other_flags_is_refused(tmp_path: Path) -> None:
    before = job(tmp_path)
    before.run_dir.mkdir(parents=True)
    config = parse_config([*before.flags, "--batch-size", "8", "--threads", "4"])
    (before.run_dir / "config.json").write_text(json.dumps({"config": config.to_json()}))
    with pytest.raises(ValueError, match=r"batch_size=16: .*seed-0 was run with 8; give another out"):
        job(tmp_path)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("content", "reason"),
    [('{"config": {"see', "cannot be read: Unterminated string"), ('{"config": {"seed": -1}}', "seed=-1: must be"),
     ("{}", "'config' is missing")],
)  # fmt: skip
def test_a_damaged_run_is_left_as_it_is_and_stops_no_other(
    content: str, reason: str, finished: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep"
    damaged = job(out).run_dir
    damaged.mkdir(parents=True)
    (damaged / "config.json").write_text(content)
    if finished:
        (damaged / "summary.json").write_text("{}")
    before = {path: path.read_bytes() for path in damaged.rglob("*")}
    words = ["sweep", "--agents", "dqn", "--seeds", "0-1", "--out", str(out), "--dry-run", *TINY]
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.out.count("\n") == 1 and "--seed 1" in said.out
    assert said.err.startswith("failed: catcher/dqn/seed-0: ") and reason in said.err and said.err.count("\n") == 1
    code, output = swept(out, agents=("dqn",), seeds="0-1")
    assert code == 1 and "2 runs: 1 trained, 0 were finished before, 1 failed" in output
    assert f"failed: catcher/dqn/seed-0: exit code 1, log {damaged}.log\n  {damaged}/config.json: " in output
    assert reason in output and "[2/2]" in output and f"train --resume {damaged}, which restores" in output
    assert {path: path.read_bytes() for path in damaged.rglob("*")} == before
    assert sorted(path.name for path in damaged.parent.iterdir()) == ["seed-0", "seed-0.log", "seed-1", "seed-1.log"]


def test_progress_is_read_from_the_folders(tmp_path: Path) -> None:
    running = job(tmp_path)
    assert frames_done(running) == 0
    running.run_dir.mkdir(parents=True)
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    display = SweepDisplay([running], console)
    for rows, frames in (("frame,a\n", 0), ("frame,a\n20,1\n40,2\n", 40)):
        (running.run_dir / "metrics.csv").write_text(rows)
        assert frames_done(running) == frames
    (running.run_dir / "metrics.csv").write_text("frame,a\n20,1\n40,2\n")
    with display:
        display.update()
    assert "40/120" in console.file.getvalue()
    (running.run_dir / "summary.json").write_text("{}")
    assert frames_done(running) == 120


def test_progress_is_read_from_rows_of_many_settings(tmp_path: Path) -> None:
    running = job(tmp_path)
    running.run_dir.mkdir(parents=True)
    rows = [f"{frame},{','.join(['0.0123456789012345'] * 150)}\n" for frame in (20, 40)]
    (running.run_dir / "metrics.csv").write_text("frame,...\n" + "".join(rows))
    assert frames_done(running) == 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_stops_a_sweep_and_a_second_one_does_not_disturb_it(number: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with until_stopped():
            with pytest.raises(KeyboardInterrupt) as stopped:
                os.kill(os.getpid(), number)
            assert stopped.value.args == (128 + number,)
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
