"""The numbers that a run logs while it trains and says at its end, by hand."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from continual_ple import NonStationary
from continual_ple.tasks import STATISTICS
from dqn_mer.agents.exploration import Exploration
from dqn_mer.agents.memory import FifoMemory
from dqn_mer.config.defaults import default_config
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.config.task import game_task
from dqn_mer.evaluation.inline import InlineEvaluation
from dqn_mer.storage.state import SavedState
from dqn_mer.training.recorder import RecentEpisodes, memory_numbers
from dqn_mer.training.summary import summarise_scores
from dqn_mer.training.tracker import Tracker
from tests.agents.test_controls import make_agent, transition
from tests.helpers.chain import chain_task
from tests.helpers.runs import write_run
from tests.training.test_trainer import rows_of, tiny_run


def test_ended_episodes_are_averaged_once_and_come_back_from_a_state() -> None:
    episodes, again = RecentEpisodes(), RecentEpisodes()
    assert episodes.take() == {} and episodes.last_score is None
    for score, returned, length in ((3, -2.0, 10), (4, 5.0, 20)):
        episodes.add({"score": score, STATISTICS: {"r": returned, "l": length}})
    again.set_state(SavedState(copy.deepcopy(episodes.get_state())))
    for each in (episodes, again):
        assert each.take() == {"train/score": 3.5, "train/return": 1.5, "train/episode_length": 15.0}
        assert each.take() == {} and each.last_score == 4.0


def test_the_memory_by_hand() -> None:
    """Steps of 1, 2, 1 and 3 frames end at 1, 3, 4 and 7; the last three are kept. A setting has 3 frames."""
    agent = make_agent()
    agent.memory = FifoMemory(3, (2,), np.dtype(np.float32))
    for number, frames in enumerate((1, 2, 1, 3)):
        agent.memory.add(transition(number), frames)
    values = memory_numbers(chain_task((1.0, 2.0, 3.0), frames_per_setting=3), agent)
    ages = np.array([4, 3, 0])
    assert values == pytest.approx(
        {
            "memory/fill": 1.0,
            "memory/megabytes": agent.memory.nbytes / 1e6,
            "memory/age_mean_frames": ages.mean(),
            "memory/age_std_frames": ages.std(),
            **{f"memory/share/{index}-prize={index + 1}": 1 / 3 for index in range(3)},  # frames 2, 3 and 6 from 0
        }
    )


def test_a_run_explores_by_its_frames_and_has_seeds_of_its_own_for_play_and_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    seeds: list[int | None] = []
    plans: list[int] = []
    settings: list[tuple[int, int]] = []
    reset, make = NonStationary.reset, InlineEvaluation.__init__

    def note_reset(env: NonStationary, *, seed: int | None = None, options: Any = None) -> Any:
        seeds.append(seed)
        return reset(env, seed=seed, options=options)

    def note_plan(evaluation: InlineEvaluation, plan: Any, device: Any) -> None:
        plans.append(plan.seed)
        make(evaluation, plan, device)

    monkeypatch.setattr(Exploration, "random_action", lambda exploration, frame: asked.append(frame) or 0)
    monkeypatch.setattr(NonStationary, "reset", note_reset)
    monkeypatch.setattr(Tracker, "log_setting", lambda tracker, frame, index, value: settings.append((frame, index)))
    monkeypatch.setattr(InlineEvaluation, "__init__", note_plan)
    result = tiny_run(
        tmp_path / "run", frame_skip=3, frames=80, frames_per_setting=40, settings=(0.06, 0.09), eval_every=20,
        log_every=20, epsilon_end=0.0, epsilon_decay_frames=160, seed=3,
    )  # fmt: skip
    memory, streams = result.agent.memory, spawn_streams(3)
    assert asked == [0, *memory.born[: memory.seen - 1].tolist()]
    rows = rows_of(tmp_path / "run" / "metrics.csv")
    assert [float(row["train/epsilon"]) for row in rows] == [1 - int(row["frame"]) / 160 for row in rows]
    assert result.agent.episodes == len(seeds) - 1 == 1  # the border ended one
    assert seeds[0] == streams.environment and set(seeds[1:]) == {None}
    assert plans == [streams.evaluation]
    assert settings == [(0, 0), (41, 1)]  # frame 41 is the first under the second setting


def test_a_summary_has_the_last_and_the_best_scores_and_those_of_random_play(tmp_path: Path) -> None:
    config = default_config(game="flappy_bird", observation="state", settings=(100.0, 90.0), frames_per_setting=50)
    run = write_run(tmp_path / "run", [[0.0, 0.0], [9.0, 7.0], [5.0, 1.0], [3.0, 4.0]], frames=(0, 25, 50, 100))
    summary, *_ = summarise_scores(run, config, game_task(config), 100, [1.0, 0.5])
    names = ["0-pipe_gap=100", "1-pipe_gap=90"]
    for kind, scores in (("final", [3.0, 4.0]), ("best", [9.0, 7.0]), ("random", [1.0, 0.5])):
        assert summary[f"{kind}_scores"] == dict(zip(names, scores, strict=True))
    assert summary["metrics"]["learning_accuracy"] == 4.5 and summary["metrics"]["retained_accuracy"] == 3.5
