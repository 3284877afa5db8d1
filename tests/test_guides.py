"""The guides in docs/ and the notebook: every block of code is run, on tiny runs."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import pytest
from gymnasium.utils.env_checker import check_env
from rich.console import Console

import dqn_mer
from continual_ple import GAMES
from dqn_mer.config.config import OF_EVERY_RUN
from tests.helpers.added import install, nothing_left
from tests.helpers.own_envs import tiny_config, train_tiny
from tests.helpers.pages import DOCS, blocks, entry_point
from tests.helpers.resuming import ROOT, TINY, check_same, flags, stop_after, train_and_digest, what_is_left


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Work in a scratch folder, with tiny runs for the pages, and forget at the end what was registered."""
    default_config = dqn_mer.default_config
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dqn_mer, "default_config", lambda **choices: default_config(**{**TINY, **choices}), False)
    with nothing_left():
        yield


def run_as_program(code: str, page: str) -> dict[str, Any]:
    """Run a block as ``python FILE`` does, and return its names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, page, "exec", dont_inherit=True), names)
    return names


def put_on_path(folder: Path, page: str, toml: str, code: str) -> str:
    """Install a package of a page's code with the entry point of the page, and return the entry point's name."""
    group, name, value = entry_point(toml)
    sys.path.insert(0, str(install(folder / "site", group, {name: f"added_package:{value}"}, code)))
    return name


def test_the_network_trains_and_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    ((_, code),) = blocks("own_network.md")
    monkeypatch.setattr(dqn_mer, "default_config", lambda **choices: tiny_config(frames=120, **choices), False)
    names = run_as_program(code, "own_network.md")
    assert names["config"].agent == "dqn-mer" and type(names["run"].agent.online.model[-1]) is names["Duelling"]
    assert dqn_mer.load_agent(names["run"].run_dir, names["task"]).frame == 120


def test_a_built_in_game_takes_a_network_too(tmp_path: Path) -> None:
    ((_, code),) = blocks("own_network.md")
    names = {"__name__": "read"}
    exec(code, names)
    (call,) = (text for text in (DOCS / "own_network.md").read_text().split("`") if text.startswith('own_task("'))
    task = eval(call, names)
    env = task.make_env(task.schedule.settings[1])
    env.reset(seed=0)
    assert env.unwrapped.game.parameters["fall_speed"] == 0.0908
    assert train_tiny(task, tmp_path, frames=60, eval_frame_limit=20).agent.updates == 40


def test_an_agent_of_another_library_is_filed_and_played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = next(code for language, code in blocks("experiments.md") if language == "python")
    tiny = {name: TINY[name] for name in OF_EVERY_RUN & TINY.keys()}
    monkeypatch.setattr(dqn_mer, "StreamRun", partial(dqn_mer.StreamRun, **{**tiny, "frames": 120}))
    monkeypatch.setattr(dqn_mer, "benchmark", partial(dqn_mer.benchmark, eval_frame_limit=20))
    names = run_as_program(code.replace("episodes=50", "episodes=1"), "experiments.md")
    (run_dir,) = tmp_path.glob("runs/*")
    assert names["env"].run_dir.samefile(run_dir) and dqn_mer.load_run(run_dir).config["agent"] == "sb3-dqn"


def test_an_installed_package_brings_the_agent(tmp_path: Path) -> None:
    (_, code), (_, toml), _ = blocks("own_agent.md")
    name = put_on_path(tmp_path, "own_agent.md", toml, code)
    words = flags(agent=name, agent_options="share=0.99", run_dir=tmp_path / "run")
    assert train_and_digest(words)[0] == 0
    assert dqn_mer.load_run(tmp_path / "run").config["agent_options"] == {"share": 0.99}
    with pytest.raises(ValueError, match=r"^agent_options\.share=2"):
        dqn_mer.default_config(agent=name, agent_options={"share": 2})


def test_the_game_trains_and_resumes_bit_identically(tmp_path: Path) -> None:
    (_, game), (_, training), _, _ = blocks("own_game.md")
    run_as_program(game, "own_game.md")
    run_as_program(training, "own_game.md")
    assert len(list(tmp_path.glob("runs/press-*/summary.json"))) == 1
    for name in ("Press", "Press-state"):
        check_env(gymnasium.make(f"ContinualPLE/{name}-v0").unwrapped)
    code, digest = train_and_digest(flags(game="press", run_dir=tmp_path / "whole"))
    assert code == 0 and stop_after(150, flags(game="press", run_dir=tmp_path / "stopped")) == 143
    check_same(tmp_path / "stopped", (digest, what_is_left(tmp_path / "whole")))


def test_the_game_scores_where_its_page_says_so() -> None:
    run_as_program(blocks("own_game.md")[0][1], "own_game.md")
    env = gymnasium.make("ContinualPLE/Press-state-v0")
    press, wait = 0, 1
    env.reset(seed=0)
    while env.unwrapped.game.state()[0] < 27:
        assert env.step(wait)[1:3] == (0, False)
    assert env.step(press)[1:3] == (1, False)
    assert env.step(press)[1:3] == (-1, True)


def test_an_installed_package_brings_the_game(tmp_path: Path) -> None:
    (_, game), _, (_, toml), _ = blocks("own_game.md")
    name = put_on_path(tmp_path, "own_game.md", toml, game)
    assert GAMES[name].__module__ == "added_package"


def test_the_observation_is_the_screen_in_colour() -> None:
    run_as_program(blocks("own_game.md")[3][1], "own_game.md")
    env = gymnasium.make("ContinualPLE/Catcher-v0", observation="colour")
    check_env(env.unwrapped)
    assert np.array_equal(env.reset(seed=0)[0].transpose(1, 2, 0), env.unwrapped.game.draw())


@pytest.fixture
def wandb_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Put a module in place of Weights & Biases that notes its calls; `test_trackers.py` has tests of the real one."""
    calls: list[tuple[str, dict[str, Any]]] = []
    wandb = types.ModuleType("wandb")
    wandb.init = lambda **options: calls.append(("init", options))
    wandb.finish = lambda: calls.append(("finish", {"finished": len(list(Path().glob("runs/*/summary.json")))}))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    return calls


def test_a_run_is_mirrored_from_its_start_to_its_end(wandb_calls: list[tuple[str, dict[str, Any]]]) -> None:
    run_as_program(blocks("wandb.md")[0][1], "wandb.md")
    (_, begin), end = wandb_calls
    assert begin["sync_tensorboard"] and json.loads(json.dumps(begin["config"]))["game"] == "flappy_bird"
    assert end == ("finish", {"finished": 1})


def test_a_resumed_run_is_mirrored(wandb_calls: list[tuple[str, dict[str, Any]]], stopped_run: Path) -> None:
    _, (_, code) = blocks("wandb.md")
    shutil.copytree(stopped_run, "runs/NAME")
    run_as_program(code, "wandb.md")
    assert wandb_calls[0][1]["id"] == "RUN_ID" and wandb_calls[1] == ("finish", {"finished": 1})


TINY_SWEEP = " ".join(flags()).replace(" --threads 1", "")


def start_script(folder: Path, script: str, task: int) -> subprocess.Popen[str]:
    """Start a batch script as one task of a Slurm array, in a folder with a space in its name."""
    place = folder / "shared folder"
    place.mkdir(exist_ok=True)
    (place / "job.sh").write_text(script)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "envs"))),
        "SLURM_ARRAY_TASK_ID": str(task),
    }
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(["bash", "job.sh"], cwd=place, env=environment, **streams)


def test_the_job_of_a_seed_is_saved_by_a_signal_and_finished_by_the_next_job(tmp_path: Path) -> None:
    _, (_, script), _, _ = blocks("slurm.md")
    assert "#SBATCH --array=0-9\n" in script
    runs = tmp_path / "shared folder/runs/sweep/catcher"
    seldom = "--frames 6000 --save-every 500 --eval-every 2000 --meter-every 0 --log-every 100"
    for page, tiny in (("--agents dqn,dqn-mer", "--agents dqn"), ("--observation state", f"{TINY_SWEEP} {seldom}")):
        assert page in script
        script = script.replace(page, tiny)
    job = start_script(tmp_path, script, 3)
    while not list((runs / "dqn/seed-3/resume").glob("frame-*[1-9]*")):
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    job.send_signal(signal.SIGUSR1)
    output, _ = job.communicate()
    assert job.returncode == 128 + signal.SIGUSR1 and not (runs / "dqn/seed-3/summary.json").exists(), output
    job = start_script(tmp_path, script, 3)
    output, _ = job.communicate()
    assert job.returncode == 0, output
    assert json.loads((runs / "dqn/seed-3/summary.json").read_text())["frames"] == 6_000
    assert "--resume" in (runs / "dqn/seed-3.log").read_text()


def test_the_job_of_a_line_trains_its_run(tmp_path: Path) -> None:
    _, _, (_, submit), (_, script) = blocks("slurm.md")
    (tmp_path / "sbatch").write_text('#!/bin/bash\necho "$@" > submitted\n')
    (tmp_path / "sbatch").chmod(0o755)
    done = start_script(tmp_path, submit.replace("--observation state", TINY_SWEEP), 0)
    assert done.communicate() == ("", None) and done.returncode == 0
    assert (tmp_path / "shared folder/submitted").read_text() == "--array=1-20 run.sh\n"
    job = start_script(tmp_path, script, 4)
    output, _ = job.communicate()
    assert job.returncode == 0, output
    assert [path.parent.name for path in tmp_path.glob("*/runs/sweep/catcher/dqn-mer/*/summary.json")] == ["seed-1"]


def test_of_a_finished_sweep_no_job_is_submitted(tmp_path: Path) -> None:
    _, _, (_, submit), _ = blocks("slurm.md")
    (tmp_path / "sbatch").write_text('#!/bin/bash\necho "$@" > submitted\n')
    (tmp_path / "sbatch").chmod(0o755)
    for agent, seed in itertools.product(("dqn", "dqn-mer"), range(10)):
        run = tmp_path / "shared folder/runs/sweep/catcher" / agent / f"seed-{seed}"
        run.mkdir(parents=True)
        (run / "summary.json").write_text("{}")
    output, _ = start_script(tmp_path, submit.replace("--observation state", TINY_SWEEP), 0).communicate()
    assert output == "" and sorted(path.name for path in (tmp_path / "shared folder").iterdir()) == [
        "job.sh", "runs", "runs.txt",
    ]  # fmt: skip


def test_the_notebook_plots_two_runs(tmp_path: Path) -> None:
    for agent in ("dqn", "dqn-mer"):
        config = tiny_config(agent=agent, observation="state", frames=120, frames_per_setting=60, run_dir=Path(agent))
        dqn_mer.train(config, console=Console(quiet=True))
    cells = json.loads((ROOT / "examples" / "two_runs.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    exec(code[0], names)
    assert all((ROOT / "examples" / folder / "matrix.csv").is_file() for folder in names["RUNS"].values())
    names["RUNS"] = {agent: tmp_path / agent for agent in names["RUNS"]}
    for cell in code[1:]:
        exec(cell, names)
    run = dqn_mer.load_run("dqn-mer")
    pd.testing.assert_frame_equal(names["evaluations"]["dqn-mer"], run.table("evaluations"), check_dtype=False)
    assert np.allclose(names["matrices"]["dqn-mer"].to_numpy(), run.matrix)
    names["plt"].close("all")
