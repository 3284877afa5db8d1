"""Runs of games and observations from outside the package, by the commands that a user types."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from rich.console import Console

from continual_ple import register_game, register_observation
from dqn_mer import train
from dqn_mer.__main__ import main
from dqn_mer.analysis.comparison import compare_runs
from dqn_mer.analysis.runs import load_run
from dqn_mer.commands.sweep import SweepOptions, plan
from dqn_mer.config.combinations import ODDS_OPTIONS
from dqn_mer.config.command_line import parse_config
from dqn_mer.config.config import ALLOWED, Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task, random_odds
from dqn_mer.runs.stopping import RunStopped
from tests.helpers.added import install, nothing_left
from tests.helpers.falling_stone import Colour, FallingStone, StateStack
from tests.helpers.resuming import ROOT, check_same, flags, stop_after, train_and_digest, what_is_left

SHORT = {
    "frames": 60,
    "frames_per_setting": 20,
    "warmup_frames": 20,
    "eval_every": 40,
    "meter_every": 0,
    "save_every": 20,
}


@pytest.fixture(autouse=True)
def taken_away() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return the folder, on the path, of an installed package that offers a game."""
    folder = tmp_path / "site"
    install(folder, "continual_ple.games", {"falling_stone": "tests.helpers.falling_stone:FallingStone"})
    sys.path.insert(0, str(folder))
    return folder


@pytest.mark.parametrize("observation", ["state", "pixels"])
def test_an_installed_game_trains_and_resumes_bit_identically(package: Path, tmp_path: Path, observation: str) -> None:
    shared: dict[str, Any] = {"game": "falling_stone", "observation": observation, "batch_size": 4, **SHORT}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    code, digest = train_and_digest(flags(**shared, run_dir=whole))
    assert code == 0
    left = what_is_left(whole)
    assert {row["setting"] for row in left["evaluations"]} == {"0-fall=1", "1-fall=2", "2-fall=3"}
    assert stop_after(45, flags(**shared, run_dir=stopped)) == 143
    check_same(stopped, (digest, left))


def test_an_installed_game_is_evaluated_watched_and_compared(package: Path, tmp_path: Path) -> None:
    run, clips = tmp_path / "run", tmp_path / "clips"
    assert main(["train", *flags(game="falling_stone", **SHORT, run_dir=run)]) == 0
    scores = tmp_path / "scores.json"
    assert main(["evaluate", str(run), "--settings", "0-fall=1,7", "--episodes", "2", "--json", str(scores)]) == 0
    content = json.loads(scores.read_text())
    assert [row["parameters"] for row in content["settings"]] == [{"fall": 1, "stride": 2}, {"fall": 7, "stride": 2}]
    words = ["watch", str(run), "--settings", "0-fall=1", "--frame-limit", "5", "--out", str(clips), "--format", "gif"]
    assert main(words) == 0
    assert sorted(path.suffix for path in clips.iterdir()) == [".gif", ".png"]
    (comparison,) = compare_runs([load_run(run)])
    assert (comparison.game, comparison.parameter) == ("falling_stone", "fall")


def test_train_py_takes_an_installed_game_and_a_worker_evaluates_it(package: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = flags(game="falling_stone", eval_worker=True, **SHORT, run_dir=run)
    path = os.pathsep.join([str(package), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "error", "train.py", *words],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len((run / "evaluations.csv").read_text().splitlines()) == 1 + 3 * 4


def test_a_sweep_takes_an_installed_game(package: Path, tmp_path: Path) -> None:
    options = SweepOptions(games=("falling_stone",), agents=("dqn",), seeds="0", out=tmp_path / "sweep")
    assert [(job.name, job.frames) for job in plan(options, [])] == [("falling_stone/dqn/seed-0", 75_000)]


def test_the_help_lists_an_installed_game_and_what_can_be_varied(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_config(["--game", "falling_stone", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "one of catcher, flappy_bird, falling_stone; default: catcher" in shown
    assert "falling_stone has fall (1 to 8 px/frame), stride (1 to 4 px/frame)." in shown


def test_a_broken_package_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sys.path.insert(0, str(install(tmp_path / "site", "continual_ple.games", {"broken": "nowhere_at_all:Game"})))
    assert main(["train", "--game", "broken", "--run-dir", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == (
        "error: game='broken': the entry point broken = nowhere_at_all:Game in continual_ple.games of the package "
        "added-package cannot be used: ModuleNotFoundError: No module named 'nowhere_at_all'\n"
    )
    assert not (tmp_path / "run").exists()


def test_upstream_is_refused_for_an_added_game(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--game", "falling_stone", "--backend", "ple", "--run-dir", str(tmp_path / "run")]
    assert main(words) == 2
    expected = "error: backend='ple': has only catcher, flappy_bird; must be native for falling_stone\n"
    assert capsys.readouterr().err == expected
    assert not (tmp_path / "run").exists()


def test_a_run_folders_names_import_nothing_but_entry_points(
    flappy_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = install(tmp_path / "site", "console_scripts", {"added_package": "added_package:x"}, "raise SystemExit(3)")
    sys.path.insert(0, str(package))
    (described,) = flappy_run.glob("checkpoints/*40/checkpoint.json")
    for field in ("game", "observation"):
        agent = tmp_path / field
        agent.mkdir()
        for path in described.parent.iterdir():
            (agent / path.name).write_bytes(path.read_bytes())
        content = json.loads(described.read_text())
        content["config"][field] = "added_package"
        (agent / described.name).write_text(json.dumps(content))
        (agent / "SHA256SUMS").unlink()
        assert main(["evaluate", str(agent)]) == 2
        assert "added_package" in capsys.readouterr().err
    assert "added_package" not in sys.modules


def test_a_registered_game_trains_from_python_and_is_compared_where_it_is_not_known(tmp_path: Path) -> None:
    tiny: dict[str, Any] = {"hidden_sizes": (8,), "capacity": 50, "eval_episodes": 1, "eval_frame_limit": 20, **SHORT}
    with nothing_left():
        register_game(FallingStone)
        register_observation(StateStack)
        config = default_config(
            game="falling_stone", observation="state_stack", eval_worker=False, **tiny, run_dir=tmp_path / "run"
        )
        result = train(config, console=Console(quiet=True))
    (comparison,) = compare_runs([load_run(result.run_dir)])
    assert (comparison.game, comparison.parameter) == ("falling_stone", "fall")
    with pytest.raises(
        ValueError, match=r"^game='falling_stone': must be one of catcher, flappy_bird, or one that an installed"
    ):
        game_task(config)


def test_a_task_takes_the_classes_that_it_needs_to_another_process() -> None:
    """Even those that no other process can import, such as those of the script that trains."""
    register_game(type("Mine", (FallingStone,), {"name": "mine", "__module__": "__main__"}))
    register_observation(type("Mine", (StateStack,), {"name": "mine", "__module__": "__main__"}))
    task = game_task(default_config(game="mine", observation="mine"))
    code = (
        "import cloudpickle, sys; task = cloudpickle.load(sys.stdin.buffer); "
        "env = task.make_env(task.schedule.settings[0]); print(env.reset(seed=0)[0].shape)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], input=cloudpickle.dumps(task), capture_output=True, env=environment
    )
    assert (done.stdout, done.stderr) == (b"(12,)\n", b"")


@pytest.mark.parametrize("kind", [StateStack, Colour])
def test_an_added_observation_trains_and_resumes_bit_identically(kind: Any, tmp_path: Path) -> None:
    register_observation(kind)
    register_game(FallingStone)
    shared: dict[str, Any] = {"game": "falling_stone", "observation": kind.name, "frame_skip": 2, **SHORT}
    code, digest = train_and_digest(flags(**shared, run_dir=tmp_path / "whole"))
    assert code == 0
    assert stop_after(44, flags(**shared, run_dir=tmp_path / "stopped")) == 143
    check_same(tmp_path / "stopped", (digest, what_is_left(tmp_path / "whole")))
    described = json.loads(next((tmp_path / "whole/checkpoints").glob("*/checkpoint.json")).read_text())
    shape = [12] if kind is StateStack else [3, 48, 36]
    assert (described["config"]["observation"], described["network"]["observation_shape"]) == (kind.name, shape)
    assert load_run(tmp_path / "whole").config["observation"] == kind.name


def test_defaults_and_rules_follow_from_what_an_observation_is_like() -> None:
    register_observation(StateStack)
    register_observation(Colour)
    assert default_config(game="flappy_bird", observation="state_stack").hidden_sizes == (128, 128)
    seen = default_config(game="flappy_bird", observation="pixels")
    assert default_config(game="flappy_bird", observation="colour") == dataclasses.replace(seen, observation="colour")
    assert default_config(observation="colour", input_scaling="centred").input_scaling == "centred"
    with pytest.raises(
        ValueError, match=r"^input_scaling='centred': only pixels are scaled, and observation=state_stack"
    ):
        Config(observation="state_stack", input_scaling="centred")
    with pytest.raises(
        ValueError, match=r"^observation='image': must be one of pixels, state, state_stack, colour, or one that"
    ):
        Config(observation="image")


def test_random_odds_are_the_games() -> None:
    register_game(FallingStone)
    assert random_odds(Config(game="falling_stone")).tolist() == [0.4, 0.4, 0.2]
    assert random_odds(Config()).tolist() == [1 / 3] * 3
    np.testing.assert_array_equal(random_odds(Config(game="flappy_bird", flap_probability=0.3)), [0.3, 1 - 0.3])
    register_game(type("Flapper", (FallingStone,), {"name": "flapper", "random_odds": "flap_probability"}))
    assert random_odds(Config(game="flapper", flap_probability=0.5)).tolist() == [0.5, 0.25, 0.25]
    with pytest.raises(
        ValueError, match=r"^flap_probability=0.5: only flappy_bird, flapper has it, and game=catcher; "
    ):
        Config(flap_probability=0.5)
    register_game(type("Odd", (FallingStone,), {"name": "odd", "random_odds": "nothing"}))
    with pytest.raises(
        ValueError, match=r"^random_odds='nothing' of odd: must be numbers, or one of flap_probability$"
    ):
        game_task(Config(game="odd"))
    assert set(ODDS_OPTIONS) <= set(ALLOWED)


def test_an_observation_of_another_dtype_than_its_space_stops_a_run_in_one_line(tmp_path: Path) -> None:
    class Halves(Colour):
        name = "halves"

        def observe(self) -> Any:
            return super().observe().astype(np.float16)

    register_observation(Halves)
    config = default_config(observation="halves", eval_worker=False, log_dir=tmp_path, **SHORT)
    with pytest.raises(RunStopped, match=r"^frame 0: Halves.observe: must return uint8 of shape .*; nothing was saved"):
        train(config, console=Console(quiet=True))
