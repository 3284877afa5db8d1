"""Every agent takes every control in a whole run, and goes on to the same end with all of them on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dqn_mer.commands.train import main as train_command
from dqn_mer.config.agent_registry import AGENTS
from dqn_mer.config.defaults import default_config
from dqn_mer.fast.dedup_convolution import DistinctStack
from dqn_mer.fast.mini_batch import ExplicitMiniBatchUpdate
from dqn_mer.training.loop import TrainingLoop
from dqn_mer.training.trainer import RunResult, train
from tests.helpers.chain import chain_task
from tests.helpers.mer_problems import needs_numba
from tests.helpers.resuming import flags, train_and_digest, what_is_left
from tests.training.test_trainer import LEARNING, quiet, rows_of, tiny_run

SHORT = {
    "game": "flappy_bird", "settings": (100, 90), "frames": 140, "frames_per_setting": 70, "warmup_frames": 20,
    "target_sync_frames": 30, "eval_every": 70, "eval_frame_limit": 5, "log_every": 40, "meter_every": 0,
    "hidden_sizes": (8,),
}  # fmt: skip
BY_EPISODES = {"target_sync_frames": None, "target_sync_episodes": 1}
PERFORMED = 120  # updates of a short run
CONTROLS: dict[str, dict[str, Any]] = {
    "by-episodes": BY_EPISODES,
    "clipped": {"clip_rewards": True},
    "three-updates": {"updates_per_frame": 3},
    "every-fourth-frame": {"update_every": 4},
    "no-newest": {"newest": False},
    "skipped": {"frame_skip": 3},
    "momentum": {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": True},
}
UPDATES = {"three-updates": 360, "every-fourth-frame": 30}
ALL_STATE = {
    **BY_EPISODES, "clip_rewards": True, "updates_per_frame": 2, "update_every": 3, "frame_skip": 2,
    "interleave_frames": 23, "optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9,
}  # fmt: skip


def takes(agent: str, control: str) -> bool:
    return not (agent == "dqn-mer" and control == "no-newest")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunResult]:
    """Return a short run of each agent without any control."""
    folder = tmp_path_factory.mktemp("plain")
    return {agent: tiny_run(folder / agent, agent=agent, **SHORT) for agent in LEARNING}


@pytest.mark.parametrize(
    ("agent", "control"), [(agent, control) for control in CONTROLS for agent in LEARNING if takes(agent, control)]
)
def test_every_agent_learns_under_every_control(
    agent: str, control: str, plain: dict[str, RunResult], tmp_path: Path
) -> None:
    result = tiny_run(tmp_path / "run", agent=agent, **{**SHORT, **CONTROLS[control]})
    learner, without = result.agent, plain[agent]
    assert without.agent.updates == PERFORMED
    if control == "skipped":
        assert 0 < learner.updates < PERFORMED / 2
    else:
        assert learner.updates == UPDATES.get(control, PERFORMED)
    if control == "clipped":  # a loss is -5 points, the gradient of which is that of -1 at first
        assert [run.agent.memory.rewards.min() for run in (result, without)] == [-1.0, -5.0]
    else:
        assert result.summary["weights_sha256"] != without.summary["weights_sha256"]
    assert learner.target_syncs > 0 and learner.frames == 140
    if control == "by-episodes":
        assert learner.target_syncs == learner.episodes >= 1  # the border ends one at least
    losses = [row["train/loss"] for row in rows_of(tmp_path / "run" / "metrics.csv")]
    assert all(losses[1:])
    kept = result.summary["target_syncs"], result.summary["updates"]
    assert kept == (learner.target_syncs, learner.updates)


def test_only_what_is_learned_is_clipped(tmp_path: Path) -> None:
    config = default_config(
        agent="dqn-mer", observation="state", clip_rewards=True, frames=600, warmup_frames=20, hidden_sizes=(8,),
        eval_every=600, eval_episodes=1, eval_frame_limit=30, log_every=300, eval_worker=False, epsilon_end=1.0,
        run_dir=tmp_path / "run",
    )  # fmt: skip
    result = train(config, chain_task(prizes=(3.0,), frames_per_setting=600), console=quiet())
    rewards = result.agent.memory.rewards[:600]
    assert set(rewards.tolist()) == {0.0, 1.0}
    returns = [float(row["train/return"]) for row in rows_of(tmp_path / "run" / "metrics.csv")]
    episodes = result.agent.episodes
    assert max(returns) > 1.0 and 0 < int(rewards.sum()) <= episodes  # a raw return is 0 or 3
    assert set(result.summary["random_scores"].values()) <= {0.0, 3.0}


def stop_from(monkeypatch: pytest.MonkeyPatch, frame: int) -> None:
    """Send SIGTERM, once, as soon as so many frames are done: with skipped frames no run is at every frame."""
    step, waiting = TrainingLoop.step, [frame]

    def then_stop(loop: TrainingLoop) -> dict[str, Any]:
        if waiting and loop.frame >= waiting[0]:
            waiting.clear()
            os.kill(os.getpid(), signal.SIGTERM)
        return step(loop)

    monkeypatch.setattr(TrainingLoop, "step", then_stop)


def check_goes_on(words: dict[str, Any], frame: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that a run stopped from a frame on, and resumed, ends as one that was not."""
    expected = train_and_digest(flags(**words, run_dir=tmp_path / "whole"))
    assert expected[0] == 0
    stop_from(monkeypatch, frame)
    assert train_command(flags(**words, run_dir=tmp_path / "run")) == 143
    assert train_and_digest(["--resume", str(tmp_path / "run")]) == expected
    assert what_is_left(tmp_path / "run") == what_is_left(tmp_path / "whole")


@pytest.mark.parametrize(
    "agent", [agent if agent in ("dqn", "dqn-mer") else pytest.param(agent, marks=pytest.mark.slow) for agent in AGENTS]
)
def test_with_all_controls_on_every_agent_goes_on_to_the_same_end(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = {"newest": agent == "dqn-mer", "game": "flappy_bird" if agent == "dqn" else "catcher"}
    words = {**ALL_STATE, **newest, "agent": agent, "target_sync_frames": "none", "frames": 160}
    check_goes_on({**words, "frames_per_setting": 70, "eval_every": 50, "save_every": 30}, 97, tmp_path, monkeypatch)


@pytest.mark.parametrize("agent", [pytest.param("dqn", marks=pytest.mark.slow), "dqn-mer"])
def test_from_pixels_as_well(agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is large enough for draws to be made ahead."""
    words = {
        "agent": agent, "observation": "pixels", "input_scaling": "centred", "frame_skip": 3, "updates_per_frame": 2,
        "clip_rewards": True, "frames": 80, "frames_per_setting": 50, "eval_every": 100, "eval_frame_limit": 4,
        "meter_every": 60, "hidden_sizes": (128,),
    }  # fmt: skip
    check_goes_on(words, 55, tmp_path, monkeypatch)


@needs_numba
def test_centred_pixels_are_learned_from_fast(tmp_path: Path) -> None:
    result = tiny_run(
        tmp_path / "run", agent="dqn", observation="pixels", input_scaling="centred",
        **{**SHORT, "frames": 40, "frames_per_setting": 20, "eval_every": 40},
    )  # fmt: skip
    replay = result.agent.replay
    assert isinstance(replay, ExplicitMiniBatchUpdate) and isinstance(replay.network.convolutions, DistinctStack)
    assert replay.network.convolutions.table.tolist() == (np.arange(256, dtype=np.float32) / 255 - 0.5).tolist()
    assert result.agent.updates == 20
    assert result.agent.online.model[0].scaling == "centred"
    assert not torch.equal(result.agent.online.vector, result.agent.target.vector)
