"""Whole runs with held actions: what they count, where they are evaluated, and how their agents are evaluated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from continual_ple.frame_skip import FrameSkip
from dqn_mer.config.config import Config
from dqn_mer.evaluation.agent_options import EvaluateOptions
from dqn_mer.evaluation.saved_agent import evaluate_checkpoint
from dqn_mer.training.loop import TrainingLoop
from dqn_mer.training.trainer import train
from tests.helpers.chain import chain_task
from tests.training.test_trainer import quiet, rows_of, tiny_run


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list that takes the frame of each evaluation, and that of the agent when it was asked for."""
    frames: list[tuple[int, int]] = []
    evaluate: Callable[[TrainingLoop, int], None] = TrainingLoop._evaluate

    def note(loop: TrainingLoop, frame: int) -> None:
        frames.append((frame, loop.agent.frames))
        evaluate(loop, frame)

    monkeypatch.setattr(TrainingLoop, "_evaluate", note)
    return frames


@pytest.mark.parametrize("game", ["catcher", "flappy_bird"])
def test_a_run_counts_frames_and_is_evaluated_where_it_should(
    game: str, evaluated: list[tuple[int, int]], tmp_path: Path
) -> None:
    result = tiny_run(
        tmp_path / "run", game=game, frame_skip=3, frames=200, frames_per_setting=100, eval_every=20, log_every=25,
        settings=(0.06, 0.09) if game == "catcher" else (100, 90), eval_frame_limit=6,
    )  # fmt: skip
    agent = result.agent
    assert agent.frames == agent.memory.frames == 200
    assert agent.target_syncs == 200 // 60
    assert 200 / 3 <= agent.memory.seen < 200 / 2  # a few steps were cut short
    after_warmup = int((agent.memory.born[: agent.memory.seen] > 50).sum())
    assert agent.updates == after_warmup
    assert {100, 200} <= set(agent.memory.born.tolist())  # the border and the end are ends of steps
    assert [frame for frame, _ in evaluated] == list(range(0, 201, 20))
    assert all(of_agent <= frame < of_agent + 3 for frame, of_agent in evaluated)  # as it is at that frame
    assert any(of_agent < frame for frame, of_agent in evaluated)
    rows = rows_of(tmp_path / "run" / "evaluations.csv")
    assert sorted({int(row["frame"]) for row in rows}) == list(range(0, 201, 20))
    logged = [int(row["frame"]) for row in rows_of(tmp_path / "run" / "metrics.csv")]
    assert [frame // 25 for frame in logged] == list(range(1, 9)) and logged[3] == 100 and logged[7] == 200
    settings = [row["setting/index"] for row in rows_of(tmp_path / "run" / "metrics.csv")]
    assert settings == ["0"] * 4 + ["1"] * 4
    assert result.summary["frames"] == 200


def test_the_end_of_a_segment_is_evaluated_and_saved_in_the_middle_of_a_turn(tmp_path: Path) -> None:
    tiny_run(
        tmp_path / "run", frame_skip=7, frames=200, frames_per_setting=100, settings=(0.06, 0.09), interleave_frames=30,
        eval_every=1_000, eval_frame_limit=6,
    )  # fmt: skip
    evaluated = {int(row["frame"]) for row in rows_of(tmp_path / "run" / "evaluations.csv")}
    assert evaluated == {0, 100, 200}
    saved = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert saved == ["frame-000000100", "frame-000000200"]


def test_evaluation_periods_change_nothing_that_is_learned(tmp_path: Path) -> None:
    runs = [
        tiny_run(
            tmp_path / str(every),
            frame_skip=3,
            frames=150,
            frames_per_setting=75,
            settings=(0.06, 0.09),
            eval_every=every,
            log_every=log,
            eval_frame_limit=6,
        )
        for every, log in ((150, 50), (7, 11))
    ]
    assert len({run.summary["weights_sha256"] for run in runs}) == 1


def test_a_saved_agent_is_evaluated_with_its_skip(tmp_path: Path) -> None:
    tiny_run(tmp_path / "run", frame_skip=3, frames=60, frames_per_setting=60, settings=(0.06,), eval_every=60)
    played = evaluate_checkpoint(EvaluateOptions(tmp_path / "run", episodes=1, frame_limit=20), quiet())
    skips = []
    step = FrameSkip.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FrameSkip, "step", lambda env, action: skips.append(env.frame_skip) or step(env, action))
        again = evaluate_checkpoint(EvaluateOptions(tmp_path / "run", episodes=1, frame_limit=20), quiet())
    assert again == played and skips == [3] * 7 and played["frame_skip"] == 3
    assert played["settings"][0]["length_mean_frames"] == 20


def test_an_environment_of_ones_own_is_skipped_too(tmp_path: Path) -> None:
    config = Config(
        agent="dqn", observation="state", hidden_sizes=(8,), warmup_frames=20, eval_every=200, eval_episodes=1,
        eval_frame_limit=30, eval_worker=False, frame_skip=2, frames=200, run_dir=tmp_path / "run",
    )  # fmt: skip
    result = train(config, chain_task(frames_per_setting=200), console=quiet())
    assert result.agent.frames == 200 and result.agent.memory.seen < 120
    task = chain_task(frames_per_setting=200)
    played = evaluate_checkpoint(EvaluateOptions(tmp_path / "run", episodes=1), quiet(), task)
    assert played["settings"][0]["length_mean_frames"] in (5, 30)
