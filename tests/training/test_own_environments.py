"""Environments of the user's own: the example trains, evaluates, reports and is watched like a game; so do others."""

from __future__ import annotations

import csv
import functools
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from continual_ple import saved_state
from continual_ple.tasks import Task, own_task
from dqn_mer import compare, load_run, watch
from dqn_mer.commands.play import PlayOptions, play
from dqn_mer.config.config import Config
from dqn_mer.config.task import game_task
from dqn_mer.evaluation.agent_options import EvaluateOptions, ExportOptions, PlayerFields
from dqn_mer.evaluation.evaluator import Evaluator, RandomPolicy
from dqn_mer.evaluation.export import export_agent
from dqn_mer.evaluation.saved_agent import evaluate_checkpoint, load_agent
from dqn_mer.training.trainer import train
from tests.helpers.examples import load_example
from tests.helpers.own_envs import LIMIT, QUIET, Count, WithoutRenderMode, box, count_task, play_tiny, train_tiny

TINY = {
    "frames": 160, "warmup_frames": 20, "capacity": 100, "eval_every": 40, "eval_episodes": 2, "eval_frame_limit": 30,
    "hidden_sizes": (8,), "threads": 1, "log_every": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def cartpole() -> ModuleType:
    return load_example("cartpole")


def test_the_example_as_a_whole(cartpole: ModuleType, tmp_path: Path) -> None:
    task = cartpole.pole_task(frames_per_setting=40)
    config = cartpole.pole_config(log_dir=tmp_path, eval_worker=False, **TINY)
    result = train(config, task, console=QUIET)
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
    watch(result.run_dir, task, settings=[0.5, 3], out=tmp_path / "clips", format="gif", frame_limit=4)
    assert len(list((tmp_path / "clips").glob("*.gif"))) == 2
    heavier = own_task("CartPole-v1", "gravity", [9.8, 12.0])
    with pytest.raises(ValueError, match=r"^task: must vary length, as when the agent was trained, varies gravity$"):
        load_agent(PlayerFields(result.run_dir), heavier)
    with pytest.raises(
        ValueError, match="cart_pole is no game of ours; evaluate and watch take its --task MODULE:NAME"
    ):
        load_agent(PlayerFields(result.run_dir))
    with pytest.raises(ValueError, match=r"known by its name; an agent of an environment of your own is not exported"):
        export_agent(ExportOptions(result.run_dir, tmp_path / "mine"), QUIET)
    assert not (tmp_path / "mine").exists()
    with pytest.raises(ValueError, match=r"against=.*: plays an environment of your own; must play catcher"):
        play(PlayOptions("catcher", against=result.run_dir), QUIET)


def test_values_are_trained_on_for_as_long_as_each_says(tmp_path: Path) -> None:
    task = own_task("CartPole-v1", "gravity", [9.8, 20.0, 5.0], frames_per_setting=[60, 20, 40])
    run_dir = train_tiny(task, tmp_path, frames=None, eval_every=1_000).run_dir
    assert json.loads((run_dir / "config.json").read_text())["schedule"]["frames_per_setting"] == [60, 20, 40]
    with open(run_dir / "matrix.csv") as file:
        assert len(list(csv.reader(file))) == 4
    assert load_run(run_dir).frames.tolist() == [0, 60, 80, 120]
    assert load_agent(PlayerFields(run_dir / "checkpoints" / "frame-000000080"), task).trained_on_last.startswith("1-")
    compare(run_dir, tmp_path / "report")
    assert "20 to 60 between changes" in (tmp_path / "report" / "CartPole-v1" / "report.md").read_text()


def test_the_schedule_is_the_tasks_and_may_interleave(cartpole: ModuleType, tmp_path: Path) -> None:
    task = own_task("CartPole-v1", "length", [0.5, 1.5], 40, interleave_frames=5, apply=cartpole.set_length)
    assert [int(index) for index in task.schedule.indices_at(np.array([0, 4, 5, 9, 10]))] == [0, 0, 1, 1, 0]
    config = cartpole.pole_config(run_dir=tmp_path / "run", eval_worker=False, interleave_frames=5, **TINY)
    with pytest.raises(ValueError, match=r"^interleave_frames=5: the task has its own schedule; must be left at 0$"):
        train(config, task, console=QUIET)
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


def test_names_of_games_make_folders(cartpole: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"game='a/b': must be one of .* one line, no slash"):
        cartpole.pole_config(game="a/b")


def reusing(shape: tuple[int, ...] = (1,), dtype: type = np.float32) -> Count:
    """Return an environment that returns its own buffer each time, changed in place."""
    buffer = np.zeros(shape, dtype)

    def show(count: int) -> np.ndarray:
        buffer[...] = count
        return buffer

    return Count(box=spaces.Box(0, 255, shape, dtype), show=show)


CASES: dict[str, Any] = {
    "plain": Count,
    "a class without render_mode": WithoutRenderMode,
    "one buffer": reusing,
    "one buffer of images": functools.partial(reusing, (3, 40, 40), np.uint8),
    "actions from 1": functools.partial(Count, start=1),
    "actions from -3": functools.partial(Count, start=-3),
    "float64": box(-np.inf, np.inf, (2,), np.float64),
    "float16": box(-1, 30, (2,), np.float16),
    "uint8": box(0, 255, (3,), np.uint8),
    "int64": box(-(2**62), 2**62, (3,), np.int64),
    "bool": functools.partial(Count, box=spaces.Box(0, 1, (1,), bool), show=lambda n: np.full(1, n % 2 == 1)),
    "no axis": box(0, 20, (), np.float32),
    "an episode of its own": functools.partial(Count, info={"episode": {"mine": 7}, "score": "none", "setting": 3}),
    "its own frame count": functools.partial(Count, info={"frames_played": 4}),
    "reward of shape (1,)": functools.partial(Count, reward=lambda reward: np.full(1, reward)),
    "reward of numpy": functools.partial(Count, reward=np.float32),
    "outside its box": box(0, 1, (1,), np.float32),
    "image of floats": functools.partial(
        Count, box=spaces.Box(0, 1, (1, 40, 40), np.float32), show=lambda n: np.full((1, 40, 40), n / 20, np.float32)
    ),
    "channels last": box(0, 255, (40, 44, 3), np.uint8),
    "small image": box(0, 255, (7, 6, 3), np.uint8),
    "grey image of two axes": box(0, 255, (40, 40), np.uint8),
    "matrix": box(-np.inf, np.inf, (5, 4), np.float64),
    "a list": functools.partial(Count, show=lambda count: [float(count)]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*WARN")
@pytest.mark.parametrize("case", CASES)
def test_ordinary_environments_are_learned_rightly(case: str, tmp_path: Path) -> None:
    task = count_task(CASES[case], frames=30)
    loop = play_tiny(task, tmp_path, meter_every=20)
    memory = loop.agent.memory
    batch = memory.read(np.arange(len(memory)))
    assert len(memory) == 60 and loop.agent.updates == 40
    assert (batch.observations != batch.next_observations).reshape(60, -1).any(axis=1).all()
    assert set(batch.actions) == {0, 1}
    np.testing.assert_array_equal(batch.rewards, batch.actions)  # one action scores
    assert batch.observations.dtype in (np.float32, np.uint8)
    rows = list(csv.DictReader((tmp_path / "evaluations.csv").read_text().splitlines()))
    assert [float(row["length_mean"]) for row in rows] == [LIMIT] * 6
    assert all(0 <= float(row["score_mean"]) <= LIMIT for row in rows)
    (folder,) = (tmp_path / "checkpoints").glob("*60")
    assert load_agent(PlayerFields(folder), task).frame == 60


def test_hand_made_tasks_are_guarded_as_well(tmp_path: Path) -> None:
    made: list[Count] = []

    def make_env(setting: Any, frame_limit: int | None = None, render_mode: str | None = None) -> Count:
        made.append(reusing())
        return made[-1]

    schedule = count_task().schedule
    task = Task(make_env, schedule, "speed", np.array([0.5, 0.5]))
    memory = play_tiny(task, tmp_path, 30).agent.memory
    batch = memory.read(np.arange(len(memory)))
    assert (batch.next_observations - batch.observations == 1).all()


def test_actions_start_where_the_environment_says_everywhere(tmp_path: Path) -> None:
    made: list[Count] = []

    def make(render_mode: str | None = None) -> Count:
        made.append(Count(render_mode, start=5))
        return made[-1]

    task = count_task(make)
    result = train_tiny(task, tmp_path, frames=60)
    evaluate_checkpoint(EvaluateOptions(result.run_dir, episodes=1), QUIET, task)
    watch(str(result.run_dir), task, out=str(tmp_path / "clips"), format="gif", frame_limit=4)
    evaluator = Evaluator(task.make_env, task.schedule.settings, 2, seed=0)
    evaluator.run(RandomPolicy(task.action_probabilities, np.random.default_rng(0)))
    play_tiny(task, tmp_path / "random", agent="random")
    taken = [action for env in made for action in env.taken]
    assert set(taken) == {5, 6} and all(type(action) is int for action in taken)


def test_the_smaller_limit_holds_wherever_an_agent_plays(tmp_path: Path) -> None:
    task = own_task("MountainCar-v0", "gravity", [0.0025, 0.003], 60)
    result = train_tiny(task, tmp_path, frames=40, eval_frame_limit=2_000)
    assert set(result.summary["final_scores"].values()) == {-200.0}
    for asked, limit in ((None, 200), (2_000, 200), (70, 70)):
        content = evaluate_checkpoint(EvaluateOptions(result.run_dir, frame_limit=asked, episodes=1), QUIET, task)
        assert content["frame_limit"] == limit
        assert [row["length_mean_frames"] for row in content["settings"]] == [limit, limit]
    counting = count_task()
    assert saved_state.frame_limit(counting.make_env(counting.schedule.settings[0])) is None
    games = game_task(Config(observation="state"))
    for asked, limit in ((None, 10_000), (20_000, 10_000), (2_000, 2_000)):
        assert saved_state.frame_limit(games.make_env(games.schedule.settings[0], frame_limit=asked)) == limit


@pytest.mark.parametrize(
    ("make", "config", "name", "observation"),
    [
        ("CartPole-v1", {}, "CartPole-v1", "state"),
        ("CartPole-v1", {"game": "CartPole-v1", "observation": "pixels"}, "CartPole-v1", "state"),
        (Count, {}, "Count", "state"),
        (Count, {"game": "flappy_bird"}, "Count", "state"),
        (Count, {"game": "mine"}, "mine", "state"),
        (CASES["channels last"], {"observation": "state"}, "Count", "pixels"),
        (lambda: Count(), {}, "own-environment", "state"),
    ],
)
def test_a_run_is_filed_under_its_own_name(
    make: Any, config: dict[str, Any], name: str, observation: str, tmp_path: Path
) -> None:
    task = own_task(make, "gravity" if make == "CartPole-v1" else "speed", [1.0], 25)
    run_dir = train_tiny(task, tmp_path, frames=5, meter_every=0, **config).run_dir
    assert run_dir.name.startswith(f"{name}-{observation}-dqn-seed0-")
    kept = json.loads((run_dir / "config.json").read_text())["config"]
    assert (kept["game"], kept["observation"]) == (name, observation)


def test_no_name_of_ours_is_taken() -> None:
    def catcher() -> Count:
        return Count()

    assert count_task(catcher).name == "own-catcher" and count_task(catcher).is_own
    assert not game_task(Config()).is_own
