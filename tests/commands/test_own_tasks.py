"""An environment of one's own on the command line: trained, resumed, evaluated, watched and swept by ``--task``."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dqn_mer.__main__ import main
from dqn_mer.commands import sweep_job
from dqn_mer.commands.sweep import plan, sweep
from dqn_mer.commands.sweep_job import run_job
from dqn_mer.commands.sweep_options import SweepOptions
from dqn_mer.config.command_line import parse_config
from dqn_mer.storage.snapshots import save_state
from dqn_mer.training.trainer import resume
from tests.commands.test_sweep import STAND_IN
from tests.helpers.own_envs import QUIET, kept_task
from tests.helpers.resuming import PYTHONPATH, stop_after, train_and_digest, what_is_left
from tests.helpers.task_modules import FLAGS, MODULE, TASK, working_in

SCRIPT = """import sys
from dqn_mer.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""
"""What pip installs as the console command."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with a module ``mine`` of tasks."""
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    (tmp_path / "mine.py").write_text(MODULE)
    with working_in(tmp_path):
        yield tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a finished run by command, not to be changed, and the digest of its last state."""
    run = tmp_path_factory.mktemp("whole") / "run"
    code, digest = train_and_digest(["--task", TASK, *FLAGS, "--run-dir", str(run)])
    assert code == 0
    return run, digest


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same run, stopped after 75 frames, not to be changed."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    assert stop_after(75, ["--task", TASK, *FLAGS, "--run-dir", str(run)]) == 143
    return run


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line with which a command refuses its flags."""
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error.removeprefix("error: ").rstrip("\n")


def test_a_stopped_run_is_resumed_bit_identically_by_the_line_that_it_ends_with(
    whole: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, words = tmp_path / "a run", ["--task", TASK, *FLAGS]
    assert stop_after(75, [*words, "--run-dir", str(run)]) == 143
    said, error = capsys.readouterr()
    line = f"python -m dqn_mer train --resume '{run}' --task {TASK}"
    assert error == f"stopped by SIGTERM at frame 76; resume with: {line}\n"
    assert said.startswith(f"task {TASK}\ndqn-mer on WithState, state observations, seed 0\nloading PyTorch")
    described = json.loads((run / "config.json").read_text())["config"]
    assert (described["task"], described["game"]) == (TASK, "WithState")
    assert train_and_digest(shlex.split(line)[4:]) == (0, whole[1])
    assert what_is_left(run) == what_is_left(whole[0])


def test_a_run_is_resumed_by_command_or_from_python(
    whole: tuple[Path, str], stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(stopped, run)
    error = complaint(["train", "--resume", str(run)], capsys)
    how = f"resume with: python -m dqn_mer train --resume {run} --task {TASK}"
    assert error == f"{run}: WithState is no game of ours; if that task is yours, {how}"
    error = complaint(["train", "--resume", str(run), "--task", "examples.cartpole:pole_task"], capsys)
    assert error == f"task: must have the schedule of the run in {run}, has another one"
    error = complaint(["train", "--resume", str(run), "--task", "zebra:x"], capsys)
    assert error.startswith("task='zebra:x': there is no module zebra in ")
    resume(run, kept_task(), console=QUIET)
    assert what_is_left(run) == what_is_left(whole[0])


def test_it_is_evaluated_and_watched(
    whole: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = str(whole[0]), tmp_path / "scores.json"
    words = ["--task", TASK, "--settings", "1.5,2", "--episodes", "2", "--json", str(out)]
    assert main(["evaluate", run, *words]) == 0
    assert capsys.readouterr().out.startswith(f"task {TASK}\nevaluating {run}\nloading PyTorch")
    rows = json.loads(out.read_text())["settings"]
    assert [row["parameters"] for row in rows] == [{"speed": 1.5}, {"speed": 2.0}]
    clips = ["--out", str(tmp_path / "clips"), "--format", "gif", "--frame-limit", "4"]
    assert main(["watch", run, "--task", TASK, *clips]) == 0
    assert len(list((tmp_path / "clips").glob("*.gif"))) == 2


@pytest.mark.parametrize("command", ["evaluate", "watch"])
def test_a_saved_agent_is_played_on_nothing_else(
    command: str, whole: tuple[Path, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(whole[0])
    error = complaint([command, run], capsys)
    assert error == (
        f"{run}/checkpoints/frame-000000120: WithState is no game of ours; "
        f"evaluate and watch take --task {TASK}, as its folder says, if that is yours"
    )
    for reference, reason in {
        "mine": "must be MODULE:NAME",
        "mine:pole": "there is no pole in",
        "mine:fails": r"calling it raised RuntimeError: a bad \x1b[31mday",
    }.items():
        assert complaint([command, run, "--task", reference], capsys).startswith(f"task={reference!r}: {reason}")
    error = complaint([command, run, "--task", "mine:poles"], capsys)
    assert error == "task: must vary speed, as when the agent was trained, varies gravity"
    error = complaint([command, run, "--task", TASK, "--backend", "native"], capsys)
    assert error == "backend='native': a task of yours has its own environment"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--task mine", "task='mine': must be MODULE:NAME"),
        ("--task inner:x", "task='inner:x': importing the module inner raised ModuleNotFoundError: "),
        ("--task mine:fails", r"task='mine:fails': calling it raised RuntimeError: a bad \x1b[31mday"),
        ("--task mine:odd", "task='mine:odd': its environment cannot be made: "),
        ("--task mine:poles --cycles 2", "--cycles: not allowed with --task: "),
        ("--task mine:poles --game a/b", "game='a/b': must be one of "),
        ("--task mine:poles --gamma 1", "flags: '--gamma' '1' not understood; did you mean --discount?"),
        ("--task", "--task: no value given; must be text, or none"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    words: str, reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "inner.py").write_text("import zebra_package")
    for command in ("train", "sweep"):
        assert complaint([command, *words.split()], capsys).startswith(reason)
    assert {path.name for path in folder.iterdir()} <= {"mine.py", "inner.py", "__pycache__"}


def test_the_installed_command_finds_the_module_and_so_does_its_worker(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "dqn-mer").write_text(SCRIPT)
    words = [word for word in FLAGS if word != "--no-eval-worker"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "bin/dqn-mer", "train", "--task", "mine:poles", *words, "--run-dir", "run"],
        capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")  # no word on evaluating in line
    assert (folder / "run" / "summary.json").is_file()


def test_the_help_shows_what_suits_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for words in ([], ["--task", TASK]):
        with pytest.raises(SystemExit):
            main(["train", *words, "--help"])
        texts.append(" ".join(capsys.readouterr().out.split()))
    usual, own = texts
    assert own.startswith("usage:")
    for flag in ("--cycles", "--observation", "--flap-probability"):
        assert f" {flag} " in usual and f" {flag} " not in own
    assert "--task MODULE:NAME" in usual and "--task MODULE:NAME" in own
    assert "default: WithState)" in own and "(each from 1 to 8,192; default: 128,128)" in own


def swept(folder: Path, **options: Any) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=300)
    chosen = {"task": "mine:poles", "agents": ("dqn",), "seeds": "0-1", "out": folder / "sweep", **options}
    code = sweep(SweepOptions(**chosen), FLAGS, console)
    return code, console.file.getvalue()


def test_a_dry_run_of_a_sweep_holds_the_task(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "sweep",
        "--task",
        "mine:poles",
        "--agents",
        "dqn",
        "--seeds",
        "0-1",
        "--out",
        "sweep",
        "--dry-run",
        *FLAGS,
    ]
    assert main(words) == 0
    first, second = (shlex.split(line)[4:] for line in capsys.readouterr().out.splitlines())
    config = parse_config(first)
    run = folder / "sweep" / "CartPole-v1" / "dqn" / "seed-0"
    assert (config.task, config.game, config.run_dir) == ("mine:poles", "CartPole-v1", run)
    assert parse_config(second).seed == 1
    save_state(run, 60, {}, {})
    assert main([*words, "--game", "pole"]) == 0
    assert [parse_config(shlex.split(line)[4:]).game for line in capsys.readouterr().out.splitlines()] == ["pole"] * 2
    assert main(words) == 0
    resumed = capsys.readouterr().out.splitlines()[0]
    assert shlex.split(resumed)[4:] == ["--resume", str(run), "--task", "mine:poles"]


def test_a_sweep_trains_resumes_and_skips(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder / "sweep" / "CartPole-v1" / "dqn" / "seed-0"
    first = plan(SweepOptions(task="mine:poles", agents=("dqn",), seeds="0", out=folder / "sweep"), FLAGS)[0]
    assert stop_after(75, first.flags) == 143
    capsys.readouterr()
    code, said = swept(folder)
    assert code == 0 and "2 runs: 2 trained, 0 were finished before, 0 failed" in said
    log = run.with_name("seed-0.log").read_text()
    assert f"train --resume {run} --task mine:poles\n" in log and "resuming from" in log
    assert len(list(folder.glob("sweep/CartPole-v1/dqn/seed-*/summary.json"))) == 2
    code, said = swept(folder)
    assert code == 0 and "2 runs: 0 trained, 2 were finished before, 0 failed" in said

    words = ["sweep", "--task", "mine:poles", "--agents", "dqn", "--seeds", "0-1", "--out", "sweep", *FLAGS]
    assert complaint([*words, "--batch-size", "8"], capsys).startswith(f"batch_size=8: {run} was run with 4; ")
    other = ["sweep", "--task", "mine:TASK", *words[3:]]
    assert complaint(other, capsys) == f"task='mine:TASK': {run} was run with 'mine:poles'; give another out"
    described = json.loads((run / "config.json").read_text())
    described["schedule"]["frames_per_setting"] = 61
    (run / "config.json").write_text(json.dumps(described))
    error = complaint(words, capsys)
    assert error == f"task='mine:poles': {run} was run with another schedule; give another out"


def test_a_run_of_a_sweep_finds_the_module_wherever_it_starts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(sweep_job, "TRAINER", [sys.executable, str(folder / "elsewhere" / "stand_in.py")])
    job = plan(SweepOptions(task="mine:poles", agents=("dqn",), seeds="0", out=folder / "sweep"), FLAGS)[0]
    monkeypatch.chdir(folder / "elsewhere")
    assert run_job(job).exit_code == 0
    astray = replace(job, run_dir=folder / "astray" / "seed-0", folder=folder / "elsewhere")
    assert "there is no module mine in" in run_job(astray).last_line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--games catcher", "--games: not allowed with --task, which takes its place"),
        ("--game catcher", "--game: catcher is a game of ours; with --task it must be another name"),
        ("--settings 1,2", "--settings: not allowed with --task: a task of yours has its own schedule"),
        ("--seed 3", "--seed: a sweep sets it for each run; give --seeds instead"),
    ],
)
def test_what_no_sweep_of_a_task_takes(
    words: str, expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complaint(["sweep", "--task", "mine:poles", *words.split()], capsys) == expected
