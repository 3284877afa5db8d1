"""Whole runs: every agent learns what needs bootstrapping, and a run leaves all that it promises."""

from __future__ import annotations

import csv
import dataclasses
import json
import random
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from dqn_mer.config.agent_registry import agents
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.evaluation.checkpoint import load_checkpoint, weights_digest
from dqn_mer.training.trainer import RunResult, train
from tests.helpers.chain import DISCOUNT, LENGTH, chain_task, optimal_q

LEARNING = [kind.name for kind in agents() if kind.learns]
TINY = {
    "frames": 400,
    "frames_per_setting": 200,
    "warmup_frames": 50,
    "target_sync_frames": 60,
    "capacity": 300,
    "eval_every": 200,
    "eval_episodes": 1,
    "eval_frame_limit": 60,
    "epsilon_decay_frames": 200,
    "log_every": 50,
    "threads": 1,
    "eval_worker": False,
}


def quiet() -> Console:
    return Console(quiet=True)


def tiny_run(folder: Path, **choices: object) -> RunResult:
    config = default_config(**{**TINY, "observation": "state", "hidden_sizes": (16,), **choices, "run_dir": folder})
    return train(config, console=quiet())


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


OPTIONS: dict[str, dict[str, Any]] = {
    "dqn-mer": {"optimizer": "sgd", "learning_rate": 0.05},
    "efficient-mer": {"learning_rate": 4e-3, "reptile_every_updates": 10, "reptile_rate": 0.5},
    "hare-tortoise": {"learning_rate": 2e-3, "tortoise_rate": 0.02, "hare_reset_updates": 500},
}
CASES = {
    **{agent: {"agent": agent, **OPTIONS.get(agent, {"learning_rate": 2e-3})} for agent in LEARNING},
    "layer-norm": {"agent": "dqn", "layer_norm": True, "weight_decay": 0.01, "learning_rate": 2e-3},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_every_agent_finds_q_star(options: dict[str, Any], tmp_path: Path) -> None:
    config = Config(
        observation="state",
        hidden_sizes=(32,),
        discount=DISCOUNT,
        capacity=2_000,
        warmup_frames=200,
        target_sync_frames=100,
        epsilon_end=0.3,
        epsilon_decay_frames=2_000,
        eval_every=2_500,
        eval_episodes=1,
        eval_frame_limit=30,
        run_dir=tmp_path / "run",
        **options,
    )
    result = train(config, chain_task(), console=quiet())
    with torch.no_grad():
        q = result.agent.online.model(torch.eye(LENGTH)[:-1]).numpy()
    least_advantage = float(np.diff(optimal_q(), axis=1).min())
    assert np.abs(q - optimal_q()).max() < least_advantage
    assert list(result.summary["final_scores"].values()) == [1.0]


def test_truncation_is_not_stored_as_termination(tmp_path: Path) -> None:
    """A random walk of 10 frames seldom reaches the end of the chain: most episodes are truncated."""
    config = Config(
        agent="dqn-mer", observation="state", hidden_sizes=(32,), discount=DISCOUNT, optimizer="sgd",
        learning_rate=0.05, warmup_frames=100, target_sync_frames=100, epsilon_start=1.0, epsilon_end=1.0,
        capacity=2_000, eval_every=5_000, eval_episodes=1, eval_frame_limit=10, run_dir=tmp_path / "run",
    )  # fmt: skip
    result = train(config, chain_task(), console=quiet())
    stored = result.agent.memory
    np.testing.assert_array_equal(stored.terminated, stored.rewards == 1.0)  # only the prize ends an episode
    assert 0 < stored.terminated.mean() < 0.05


@pytest.mark.parametrize("game", ["catcher", "flappy_bird"])
@pytest.mark.parametrize("agent", LEARNING)
def test_a_run_learns_and_leaves_what_it_promises(game: str, agent: str, tmp_path: Path) -> None:
    result = tiny_run(tmp_path / "run", game=game, agent=agent)
    assert result.agent.updates == 350
    assert result.agent.target_syncs == 6
    untrained = tiny_run(tmp_path / "untrained", game=game, agent=agent, warmup_frames=400).agent
    assert untrained.updates == 0
    assert weights_digest(untrained.online.model) != weights_digest(result.agent.online.model)
    assert torch.equal(untrained.online.vector, untrained.target.vector)
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir() if not path.name.startswith("events.")} == {
        "config.json", "metrics.csv", "evaluations.csv", "interference.csv", "matrix.csv", "summary.json",
        "learning_curves.png",
        "checkpoints",
    }  # fmt: skip
    assert any(path.name.startswith("events.out.tfevents") for path in run.iterdir())
    evaluated = [(int(row["frame"]), int(row["setting_index"])) for row in rows_of(run / "evaluations.csv")]
    assert evaluated == [(frame, setting) for frame in (0, 200, 400) for setting in range(6)]
    metrics = rows_of(run / "metrics.csv")
    assert [int(row["frame"]) for row in metrics] == list(range(50, 401, 50))
    assert all(float(row["train/update_norm"]) > 0 for row in metrics[1:])
    assert [row["setting/index"] for row in metrics] == ["0"] * 4 + ["1"] * 4
    assert [row["trained_on"] for row in rows_of(run / "matrix.csv")] == [
        row["setting"] for row in rows_of(run / "evaluations.csv")[:2]
    ]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["weights_sha256"] == weights_digest(load_checkpoint(run).model)
    assert (run / "learning_curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("game", ["catcher", "flappy_bird"])
@pytest.mark.parametrize("agent", LEARNING)
def test_a_pixel_run_takes_updates(game: str, agent: str, tmp_path: Path) -> None:
    result = tiny_run(
        tmp_path / "run", game=game, agent=agent, observation="pixels", frames=60, frames_per_setting=30,
        warmup_frames=40, target_sync_frames=25, eval_every=60, eval_frame_limit=5, settings=(0.06, 0.09)
        if game == "catcher" else (100, 80),
    )  # fmt: skip
    assert (result.agent.updates, result.agent.target_syncs) == (20, 2)
    assert not torch.equal(result.agent.online.vector, result.agent.target.vector)


def test_same_seed_same_weights_whatever_the_evaluation_period(tmp_path: Path) -> None:
    digests = [
        tiny_run(tmp_path / str(number), eval_every=every, eval_episodes=episodes, seed=seed).summary["weights_sha256"]
        for number, (every, episodes, seed) in enumerate([(200, 1, 3), (200, 1, 3), (70, 3, 3), (200, 1, 4)])
    ]
    assert digests[0] == digests[1] == digests[2] != digests[3]


def test_evaluation_learns_nothing_and_stores_nothing(tmp_path: Path) -> None:
    often = tiny_run(tmp_path / "often", eval_every=10).agent
    seldom = tiny_run(tmp_path / "seldom", eval_every=400).agent
    assert often.memory.seen == seldom.memory.seen == often.frames == 400
    np.testing.assert_array_equal(often.memory.born, seldom.memory.born)
    np.testing.assert_array_equal(often.memory.rewards, seldom.memory.rewards)
    assert often.draws.rng_state == seldom.draws.rng_state


def test_training_leaves_the_global_generators_alone(tmp_path: Path) -> None:
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    tiny_run(tmp_path / "run")
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_command_is_the_one_that_was_typed() -> None:
    words = [
        "-c",
        "import dqn_mer.runs.folder as r, shlex; print(shlex.join(r.command_line()))",
        "train",
        "--seed",
        "0",
    ]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    assert shlex.split(done.stdout) == ["python", *words]


def test_the_run_explains_itself(tmp_path: Path) -> None:
    config = default_config(observation="state", **TINY, run_dir=tmp_path / "run")
    train(config, arguments=["python", "train.py", "--seed", "0"], console=quiet())
    explained = json.loads((tmp_path / "run" / "config.json").read_text())
    assert Config.from_json(explained["config"]) == config
    assert explained["command"] == "python train.py --seed 0"
    assert {"python", "torch", "gymnasium", "numpy"} <= set(explained["versions"])
    assert explained["schedule"]["frames_per_setting"] == 200


def test_cycles_come_back_to_an_old_setting(tmp_path: Path) -> None:
    run = tmp_path / "run"
    tiny_run(run, settings=(0.06, 0.09), cycles=2, frames=None, frames_per_setting=50, eval_every=100)
    assert [row["trained_on"][:1] for row in rows_of(run / "matrix.csv")] == ["0", "1", "0", "1"]


def test_interleaved_settings_take_turns_and_are_reported_on_as_ever(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = tiny_run(run, settings=(0.06, 0.09), frames=None, interleave_frames=25)
    metrics = rows_of(run / "metrics.csv")
    assert [row["setting/index"] for row in metrics] == ["1"] * 8  # every 50th frame is the last of a second turn
    assert [float(row["memory/share/0-fall_speed=0.06"]) for row in metrics[:6]] == [0.5] * 6  # until memory is full
    assert [row["trained_on"] for row in rows_of(run / "matrix.csv")] == ["all", "all"]
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == ["frame-000000200", "frame-000000400"]
    assert {"retained_accuracy", "area_under_curve"} <= set(result.summary["metrics"])
    assert "learning_accuracy" not in result.summary["metrics"]


def test_training_goes_on_in_the_last_setting(tmp_path: Path) -> None:
    run = tmp_path / "run"
    tiny_run(run, settings=(0.06, 0.09), frames=250, frames_per_setting=50)
    assert [row["setting/index"] for row in rows_of(run / "metrics.csv")] == ["0", "1", "1", "1", "1"]
    assert len(rows_of(run / "matrix.csv")) == 2


def test_an_existing_run_folder_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match=r"run_dir=.*exists already"):
        tiny_run(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_named_folders_do_not_collide(tmp_path: Path) -> None:
    config = default_config(observation="state", **{**TINY, "frames": 10, "eval_every": 10}, log_dir=tmp_path)
    folders = {train(dataclasses.replace(config), console=quiet()).run_dir for _ in range(2)}
    assert len(folders) == 2
