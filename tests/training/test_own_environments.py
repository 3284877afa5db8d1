"""Environments of one's own: the example trains, evaluates, reports and is watched like a game."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rich.console import Console

from dqn_mer.commands.cli import train_command
from dqn_mer.commands.watch import WatchOptions, watch
from dqn_mer.config.task import own_task
from dqn_mer.evaluation.saved_agent import AgentFields, EvaluateOptions, evaluate_checkpoint, load_agent
from dqn_mer.training.trainer import train_on

QUIET = Console(quiet=True)
TINY = {
    "frames": 160, "warmup_frames": 20, "capacity": 100, "eval_every": 40, "eval_episodes": 2, "eval_frame_limit": 30,
    "hidden_sizes": (8,), "threads": 1, "log_every": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def cartpole() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "cartpole.py"
    spec = importlib.util.spec_from_file_location("cartpole_example", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_as_a_whole(cartpole: ModuleType, tmp_path: Path) -> None:
    task = cartpole.pole_task(frames_per_setting=40)
    config = cartpole.pole_config(log_dir=tmp_path, eval_worker=False, **TINY)
    result = train_on(task, config, console=QUIET)
    assert result.agent.updates == 140
    assert result.run_dir.name.startswith("cart_pole-state-dqn-mer-seed0-")
    names = ["0-length=0.5", "1-length=1.5", "2-length=3"]
    assert list(result.summary["final_scores"]) == names
    assert all(score > 0 for score in result.summary["random_scores"].values())  # no points: the return counts
    assert json.loads((result.run_dir / "config.json").read_text())["config"]["game"] == "cart_pole"
    for name in ("matrix.csv", "learning_curves.png", "summary.json"):
        assert (result.run_dir / name).is_file()

    content = evaluate_checkpoint(EvaluateOptions(result.run_dir, settings="0.5,2", episodes=3), QUIET, task)
    assert [row["parameters"] for row in content["settings"]] == [{"length": 0.5}, {"length": 2.0}]
    assert content["trained_on_last"] == names[0]
    watch(WatchOptions(result.run_dir, out=tmp_path / "clips", format="gif", frame_limit=4), QUIET, task)
    assert len(list((tmp_path / "clips").glob("*.gif"))) == 3
    with pytest.raises(ValueError, match="cart_pole is no game of ours; evaluate it from Python"):
        load_agent(AgentFields(result.run_dir))


def test_the_schedule_is_the_tasks_and_may_interleave(cartpole: ModuleType, tmp_path: Path) -> None:
    task = own_task("CartPole-v1", "length", [0.5, 1.5], 40, interleave_frames=5, apply=cartpole.set_length)
    assert [int(index) for index in task.schedule.indices_at(np.array([0, 4, 5, 9, 10]))] == [0, 0, 1, 1, 0]
    config = cartpole.pole_config(run_dir=tmp_path / "run", eval_worker=False, interleave_frames=5, **TINY)
    with pytest.raises(ValueError, match=r"^interleave_frames=5: the task has its own schedule; must be left at 0$"):
        train_on(task, config, console=QUIET)
    assert not (tmp_path / "run").exists()


def test_every_environment_plays_under_its_setting(cartpole: ModuleType) -> None:
    task = cartpole.pole_task(frames_per_setting=3)
    for setting in task.schedule.settings:
        env = task.make_env(setting, frame_limit=7)
        assert env.spec.max_episode_steps == 7
        env.reset(seed=0)
        assert env.unwrapped.polemass_length == pytest.approx(0.1 * setting.parameters["length"])
    env = task.training_env()
    lengths = []
    env.reset(seed=0)
    for _ in range(12):
        lengths.append((env.unwrapped.length, env.unwrapped.polemass_length))
        *_, terminated, truncated, _ = env.step(0)
        if terminated or truncated:
            env.reset()
    assert lengths == [(v, pytest.approx(0.1 * v)) for v in (0.5, 1.5, 3.0, 0.5) for _ in range(3)]


def test_attributes_are_the_default_way_to_vary() -> None:
    task = own_task("MountainCar-v0", "gravity", [0.0025, 0.003])
    assert task.make_env(task.schedule.settings[1]).unwrapped.gravity == 0.003
    np.testing.assert_allclose(task.action_probabilities, [1 / 3] * 3)


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="Pendulum-v1: must have Discrete actions"):
        own_task("Pendulum-v1", "g", [9.0, 10.0])
    with pytest.raises(AttributeError, match="CartPoleEnv has no configure\\(\\) and no attribute zebra"):
        own_task("CartPole-v1", "zebra", [1.0])
    assert train_command(["--game", "cart_pole", "--log-dir", str(tmp_path)]) == 2
    assert "game='cart_pole': must be one of catcher, flappy_bird" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_names_of_games_make_folders(cartpole: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"game='a/b': must be one of .* one line, no slash"):
        cartpole.pole_config(game="a/b")
