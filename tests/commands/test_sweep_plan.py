"""Plans of sweeps: which runs they have, with which flags, and which mistakes they refuse before anything starts."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from continual_ple.game_schedules import default_schedule
from dqn_mer.__main__ import main
from dqn_mer.commands import sweep_job
from dqn_mer.commands.sweep import SweepOptions, plan
from dqn_mer.config.command_line import parse_config
from dqn_mer.config.defaults import default_config
from tests.helpers.sweeps import TINY


def test_plan_is_every_combination_with_its_own_flags(tmp_path: Path) -> None:
    options = SweepOptions(("catcher", "flappy_bird"), ("dqn", "dqn-mer"), "0-1,5", tmp_path, jobs=2, threads=7)
    jobs = plan(options, [*TINY, "--batch-size", "8"])
    assert len({job.run_dir for job in jobs}) == len(jobs) == 12
    assert [job.name for job in jobs[:4]] == [
        "catcher/dqn/seed-0", "catcher/dqn-mer/seed-0", "flappy_bird/dqn/seed-0", "flappy_bird/dqn-mer/seed-0",
    ]  # fmt: skip
    config = parse_config(jobs[-1].flags)
    assert (config.game, config.agent, config.seed, config.batch_size) == ("flappy_bird", "dqn-mer", 5, 8)
    assert (config.run_dir, config.threads, jobs[-1].frames) == (jobs[-1].run_dir, 3, 120)
    suits, suits_dqn = (
        default_config(game="flappy_bird", observation="state", agent=name).learning_rate for name in ("dqn-mer", "dqn")
    )
    assert config.learning_rate == suits != suits_dqn
    assert not list(tmp_path.iterdir())


def test_a_dry_run_prints_the_commands_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a sweep"
    words = ["sweep", "--agents", "dqn", "--seeds", "0-1", "--out", str(out), "--dry-run", *TINY]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [shlex.split(line)[:4] for line in lines] == [["python", "-m", "dqn_mer", "train"]] * 2
    assert [parse_config(shlex.split(line)[4:]).run_dir for line in lines] == [
        out / "catcher" / "dqn" / f"seed-{seed}" for seed in (0, 1)
    ]
    assert not list(tmp_path.iterdir())
    (out / "catcher" / "dqn" / "seed-0").mkdir(parents=True)
    (out / "catcher" / "dqn" / "seed-0" / "summary.json").write_text("{}")
    assert main(words) == 0  # one is finished, and the other was not started
    (line,) = capsys.readouterr().out.splitlines()
    assert "--seed 1" in line and len(list(out.glob("catcher/dqn/*"))) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs/x"], "error: flags: 'runs/x' not understood; --help lists all"),
        (["--learning-rate", "1e-3", "1e-4"], "error: learning_rate: '1e-4' is left over; must be one value, a number"),
        (["--learning-rate"], "error: --learning-rate: no value given; must be a number"),
    ],
)
def test_a_stray_word_is_reported_as_what_the_user_wrote(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not as a second value of a flag that a sweep adds."""
    assert main(["sweep", *words, "--out", str(tmp_path / "sweep")]) == 2
    assert capsys.readouterr().err.startswith(said)
    assert not list(tmp_path.iterdir())


def test_a_dry_run_prints_no_command_that_would_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "--agents", "dqn", "--seeds", "0-2", "--out", str(tmp_path), "--dry-run", *TINY]
    runs = [tmp_path / "catcher" / "dqn" / f"seed-{seed}" for seed in range(3)]
    config = plan(SweepOptions(agents=("dqn",), seeds="0", out=tmp_path), TINY)[0].flags
    for run in runs[:2]:
        run.mkdir(parents=True)
    described = {"config": parse_config(config).to_json(), "schedule": default_schedule("catcher", 60).to_json()}
    (runs[0] / "config.json").write_text(json.dumps(described))  # killed before its first frame
    assert main(words) == 1
    said = capsys.readouterr()
    first, second = (shlex.split(line)[4:] for line in said.out.splitlines())
    assert first == ["--resume", str(runs[0])]
    assert parse_config(second).run_dir == runs[2]
    assert said.err.startswith(f"failed: catcher/dqn/seed-1: {runs[1]}/config.json: cannot be read: ")
    assert said.err.endswith(f"; nothing in {runs[1]} can be resumed: move the folder away\n")
    (runs[0] / "metrics.csv").write_text("frame,a\n20,1\n")
    assert main(words) == 1
    assert "though frames were played; nothing in " in capsys.readouterr().err


def test_a_task_may_have_any_name_that_train_takes(tmp_path: Path) -> None:
    options = SweepOptions(task="examples.cartpole:pole_task", agents=("dqn",), seeds="0", out=tmp_path)
    for name in ("Cart Pole", "Kärtchen (1): schräg"):
        for _ in ("new", "there already"):
            (job,) = plan(options, ["--game", name])
            assert job.run_dir == tmp_path / name / "dqn" / "seed-0" and not job.finished
            job.run_dir.mkdir(parents=True, exist_ok=True)


def test_a_run_with_another_content_of_the_schedule_file_is_refused(tmp_path: Path) -> None:
    file, options = tmp_path / "schedule.json", SweepOptions(agents=("dqn",), seeds="0-1", out=tmp_path / "sweep")
    flags = ["--observation", "state", "--schedule", str(file)]
    file.write_text(json.dumps(default_schedule("catcher", 60).to_json()))
    job = plan(options, flags)[0]
    described = {"config": parse_config(job.flags).to_json(), "schedule": default_schedule("catcher", 60).to_json()}
    job.run_dir.mkdir(parents=True)
    (job.run_dir / "config.json").write_text(json.dumps(described))
    assert plan(options, flags)[0].damage == ""
    file.write_text(json.dumps(default_schedule("catcher", 61).to_json()))
    with pytest.raises(ValueError, match=r"schedule='.*schedule.json': .*seed-0 was run with another schedule; give"):
        plan(options, flags)


def test_a_sweep_takes_every_seed_that_a_run_takes(tmp_path: Path) -> None:
    (job,) = plan(SweepOptions(agents=("dqn",), seeds=str(2**63 - 1), out=tmp_path), TINY)
    assert parse_config(job.flags).seed == 2**63 - 1
    for seeds in (str(2**63), f"0-{2**63}", "9" * 5_000):
        with pytest.raises(ValueError, match=r"^seeds='.*: each must be at most 9,223,372,036,854,775,807$"):
            SweepOptions(seeds=seeds)


def test_games_and_agents_named_twice_are_run_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = SweepOptions(("catcher", "flappy_bird", "catcher"), ("dqn", "dqn-mer", "dqn"), "0,0", tmp_path)
    assert [job.name for job in plan(options, TINY)] == [
        "catcher/dqn/seed-0", "catcher/dqn-mer/seed-0", "flappy_bird/dqn/seed-0", "flappy_bird/dqn-mer/seed-0",
    ]  # fmt: skip
    assert SweepOptions(agents=("dqn",) * 3, seeds="0-9999")  # as many runs as are allowed
    words = ["--agents", "dqn,dqn", "--seeds", "0", "--out", str(tmp_path / "sweep"), "--dry-run", *TINY]
    assert main(["sweep", *words]) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_flags_are_parsed_once_for_all_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[list[str]] = []
    monkeypatch.setattr(
        "dqn_mer.config.command_line.parse_config", lambda flags: parsed.append(flags) or parse_config(flags)
    )
    jobs = plan(SweepOptions(agents=("dqn", "dqn-mer"), seeds="3-9", out=tmp_path), TINY)
    assert len(parsed) == 2
    assert [parse_config(job.flags).seed for job in jobs[::2]] == list(range(3, 10))


@pytest.mark.parametrize(("jobs", "threads", "each"), [(2, 8, 4), (3, 8, 2), (16, 8, 1), (2, 0, 1)])
def test_threads_are_divided(tmp_path: Path, jobs: int, threads: int, each: int) -> None:
    options = SweepOptions(seeds="0", out=tmp_path, jobs=jobs, threads=threads)
    assert {job.threads for job in plan(options, TINY)} == {each}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--games pong", "games='pong': must be words of catcher, flappy_bird, with commas"),
        ("--agents dqn,mer", "agents='mer': must be words of dqn"),
        ("--agents ,", "agents=',': must be words with commas, none empty"),
        ("--agents=", "agents: empty; must hold at least one of dqn, "),
        ("--games catcher,,flappy_bird", "games='catcher,,flappy_bird': must be words with commas, none empty"),
        ("--seeds 0,,1", "seeds='0,,1': must be numbers and ranges"),
        ("--engine slurm --slurm time=60,,mem=8G", "slurm='time=60,,mem=8G': must be NAME=VALUE,..., each name once"),
        ("--seeds 3-1", "seeds='3-1': range 3-1 must rise"),
        ("--seeds x", "seeds='x': must be numbers and ranges"),
        ("--seeds 0-9998", "makes 19,998 runs; must be at most 10,000"),
        ("--jobs 0", "jobs=0: must be a whole number from 1"),
        ("--engine zebra", "engine='zebra': must be one of local, ray, slurm"),
        ("--engine ray", "jobs=1: must be at least 2 with engine=ray"),
        ("--seed 3", "--seed: a sweep sets it for each run; give --seeds instead"),
        ("--run-dir=x", "--run-dir: a sweep sets it for each run; give --out instead"),
        ("--batch-size x", "batch_size='x': must be"),
        ("--batchsize 3", "--batchsize"),
        ("--agents dqn,dqn-mer --across-batch-rate 0.1", "across_batch_rate=0.1"),
        ("--vary zebra --settings 1,2", "vary='zebra'"),
        ("--games flappy_bird --settings 1", "pipe_gap"),
        ("--device cuda", "device='cuda'"),
        ("--out file/sweep", "cannot be written"),
    ],
)
def test_mistakes_take_one_line_and_start_nothing(
    words: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sweep_job, "TRAINER", ["/nothing/may/start"])
    assert main(["sweep", *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and expected in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
