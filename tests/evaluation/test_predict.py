"""A saved agent as other programs use it: Stable-Baselines3's ``predict``, and a repr of one line."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray

import dqn_mer
from continual_ple import own_task
from dqn_mer.evaluation.evaluator import GreedyPolicy, observation_rows
from tests.helpers.pages import blocks


def test_a_saved_agent_predicts_as_those_of_stable_baselines3_do(flappy_run: Path) -> None:
    agent = dqn_mer.load_agent(flappy_run)
    env = agent.task.agents_env(agent.task.schedule.settings[0])
    first, _ = env.reset(seed=0)
    action, state = agent.predict(first)
    assert isinstance(action, np.ndarray) and action.shape == () and state is None
    assert agent.action_space.contains(action)
    second = env.step(action)[0]
    rows = np.stack([first, second])
    actions, state = agent.predict(rows, state=None, episode_start=np.zeros(2, np.bool_), deterministic=True)
    assert state is None and actions.dtype == np.int64
    assert np.array_equal(actions, GreedyPolicy(agent.checkpoint.model, torch.device("cpu"))(rows))
    assert np.array_equal(agent.predict(rows.astype(np.float64))[0], actions)
    assert agent.predict(rows.tolist())[0].tolist() == actions.tolist()


def test_the_page_on_evaluation_predicts_and_benchmarks() -> None:
    (code,) = (code for _, code in blocks("evaluation.md") if "predict" in code)
    names: dict[str, Any] = {}
    exec(code, names)
    assert [row["setting"] for row in names["rows"]] == [s.name for s in names["agent"].task.schedule.settings]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"observation": np.zeros(7)}, r"observation: must be float32 of shape \(8,\), or rows of these, is float64"),
        ({"observation": np.zeros((2, 3, 8))}, r"of shape \(2, 3, 8\)"),
        ({"observation": np.full(8, "x")}, "observation: must be float32"),
        ({"deterministic": False}, "deterministic=False: must be True; a saved agent plays greedily"),
        ({"state": (1,)}, r"state=\(1,\): must be None"),
    ],
)
def test_what_it_cannot_do_is_one_line(arguments: dict[str, Any], complaint: str, flappy_run: Path) -> None:
    with pytest.raises(ValueError, match=complaint):
        dqn_mer.load_agent(flappy_run).predict(**{"observation": np.zeros(8), **arguments})


def test_floats_are_not_taken_for_pixels() -> None:
    pixels = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    assert observation_rows(pixels.sample(), pixels).shape == (1, 4, 84, 84)
    with pytest.raises(ValueError, match=r"observation: must be uint8 of shape \(4, 84, 84\)"):
        observation_rows(np.zeros((2, 4, 84, 84)), pixels)


def test_a_saved_agent_is_benchmarked_as_it_is_evaluated(flappy_run: Path) -> None:
    agent = dqn_mer.load_agent(flappy_run)
    played = dqn_mer.evaluate(flappy_run, episodes=3, frame_limit=40, seed=2)["settings"]
    rows = dqn_mer.benchmark(agent, agent.task, episodes=3, seed=2, eval_frame_limit=40)
    for row, expected in zip(rows, played, strict=True):
        assert {**row, "parameters": expected["parameters"]} == expected
    with pytest.raises(ValueError, match=r"observation: must be float32 of shape \(8,\), or rows of these, is float32"):
        dqn_mer.benchmark(agent, game="catcher", observation="state")


def test_a_benchmark_skips_the_frames_that_the_task_skips(flappy_run: Path) -> None:
    task = dataclasses.replace(dqn_mer.load_agent(flappy_run).task, frame_skip=3)
    seen: list[int] = []

    def play(observations: NDArray[Any]) -> NDArray[np.int64]:
        seen.append(len(observations))
        return np.zeros(len(observations), np.int64)

    def steps(**choices: Any) -> int:
        seen.clear()
        dqn_mer.benchmark(play, task, episodes=1, eval_frame_limit=30, **choices)
        return len(seen)

    assert steps() == 10 and steps(frame_skip=1) == 30


def test_public_objects_are_shown_in_one_line(flappy_run: Path, tmp_path: Path) -> None:
    agent, run = dqn_mer.load_agent(flappy_run), dqn_mer.load_run(flappy_run)
    comparisons = dqn_mer.compare(flappy_run, tmp_path / "report")
    task = own_task("CartPole-v1", "length", [0.5, 1.0], frames_per_setting=2_000)
    assert repr(task.schedule) == ("<Schedule: 2 settings from 0-length=0.5 to 1-length=1, 2 segments of 2,000 frames>")
    assert repr(task) == f"<Task: CartPole-v1, length in {task.schedule}, 2 actions>"
    assert str(flappy_run) in repr(agent) and "40 frames" in repr(agent)
    for thing in (agent, agent.checkpoint, agent.task, run, *comparisons, *comparisons[0].groups):
        assert len(repr(thing).replace(str(flappy_run), "")) < 200 and "\n" not in repr(thing)
