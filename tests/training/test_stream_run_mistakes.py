"""What a run of another library's agent refuses: what cannot be evaluated, or not as it learned."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dqn_mer import StreamRun, benchmark, default_config
from dqn_mer.config.task import game_task
from tests.helpers.gliding import SHORT, SMALL, Gliding, glide, play


def test_a_run_that_cannot_begin_is_closed_without_another_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(plan: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("dqn_mer.training.stream_run.make_evaluator", fail)
    env = StreamRun("glider", log_dir=tmp_path, **SHORT)
    env.policy = glide
    with pytest.raises(OSError, match="no space left"):
        env.reset()
    env.close()


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="agent='dqn': is an agent of this package"):
        StreamRun("dqn", **SMALL)
    with pytest.raises(ValueError, match=r"learning_rate=0\.1: is for agents of this package; must be one of options"):
        StreamRun("glider", learning_rate=0.1, **SMALL)
    with pytest.raises(ValueError, match="zebra: unknown field"):
        StreamRun("glider", zebra=1, **SMALL)
    task = game_task(default_config(observation="state"))
    for make in (partial(StreamRun, "glider"), partial(benchmark, glide)):
        with pytest.raises(ValueError, match=r"^cycles=2: the task has its own schedule; must be left out$"):
            make(task=task, cycles=2, run_dir=tmp_path / "run")
    assert StreamRun("glider", task, preset="quick").task.schedule is task.schedule
    with pytest.raises(ValueError, match="episodes=0: must be a whole number from 1"):
        benchmark(glide, episodes=0)
    env = StreamRun("glider", run_dir=tmp_path / "run", **SMALL)
    with pytest.raises(ValueError, match="policy=None: must be a function"):
        env.reset()
    env.policy = lambda observations: 0
    with pytest.raises(ValueError, match=r"policy: gave actions of shape \(\); must be \(1,\)"):
        env.reset()
    assert not (tmp_path / "run").exists()  # nothing half-written
    env.policy = glide
    play(env, 50)
    with pytest.raises(ValueError, match="frame=50: must be 120, the last of the run"):
        env.finish()
    env.close()
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize("frame", [0, 40, 60, 120])
def test_a_run_whose_evaluation_failed_is_not_continued_without_it(frame: int, tmp_path: Path) -> None:
    """Its matrix would have the evaluation before it, and a finished run nothing in the place of the last one."""
    env = StreamRun("glider", run_dir=tmp_path / "run", **SMALL)
    env.policy = lambda observations: {}[frame] if env.frame == frame and env.run_dir else glide(observations)
    with pytest.raises(KeyError), env:  # which is not hidden by what is missing at the end
        play(env, 120)
    assert env.frame == frame and not (tmp_path / "run" / "summary.json").exists()
    env.policy = glide
    for go_on in (env.reset, partial(env.step, 1), env.finish):
        with pytest.raises(ValueError, match=f"^policy: failed when evaluated at frame {frame}; make another StreamRu"):
            go_on()


class Remembering(Gliding):
    """A recurrent policy, as sb3-contrib's RecurrentPPO is."""

    def predict(self, observation: NDArray[Any], deterministic: bool = False) -> tuple[NDArray[np.int64], Any]:
        return glide(observation), (np.zeros((1, len(observation), 8)),)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Remembering(), "policy: predict gave a memory of the episode; must be a policy without one"),
        (lambda seen: np.full(len(seen), 0.9), r"policy: gave action 0\.9; must be a whole number"),
        (lambda seen: np.full(len(seen), np.nan), "policy: gave action nan; must be a whole number"),
        (lambda seen: np.full(len(seen), "flap"), "policy: gave actions of <U4; must be whole numbers"),
    ],
)
def test_a_policy_that_would_be_played_otherwise_is_refused(policy: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{expected}$"):
        benchmark(policy, episodes=1, **SMALL)
    env = StreamRun("glider", run_dir=tmp_path / "run", **SMALL)
    env.policy = policy
    with pytest.raises(ValueError, match=f"^{expected}$"):
        env.reset()
    env.close()
    assert not (tmp_path / "run").exists()
