"""Where no worker can evaluate, this process does: the same rows, and one line with the true cause."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from continual_ple.tasks import Task, own_task
from dqn_mer.config.defaults import default_config
from dqn_mer.evaluation import beside_training
from dqn_mer.evaluation.beside_training import NAME, UNGUARDED, WorkerEvaluation
from dqn_mer.evaluation.inline import EvaluationPlan, InlineEvaluation
from dqn_mer.networks.q_network import network_spec
from dqn_mer.training.trainer import RunResult, train
from tests.evaluation.test_beside_training import make_plan, weights
from tests.training.test_trainer import quiet, rows_of

ROOT = Path(__file__).parents[2]
TINY = {
    "observation": "state", "hidden_sizes": (8,), "frames": 120, "warmup_frames": 20, "capacity": 80, "eval_every": 40,
    "eval_episodes": 2, "eval_frame_limit": 30, "log_every": 20, "meter_every": 0, "threads": 1,
}  # fmt: skip
PREFIX = "evaluating in line, since no worker can: "
SCRIPT = """
    import sys
    from pathlib import Path
    from rich.console import Console
    from dqn_mer.config.config import Config
    from dqn_mer.training.trainer import train

    def run(folder):
        config = Config(
            observation="state", hidden_sizes=(8,), frames=120, frames_per_setting=60, settings=(0.06, 0.09),
            warmup_frames=20, capacity=80, eval_every=40, eval_episodes=1, eval_frame_limit=30, log_every=20,
            meter_every=0, threads=1, run_dir=Path(folder),
        )
        return train(config, console=Console(quiet=True)).summary["weights_sha256"]
"""


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(WorkerEvaluation.__init__, "__defaults__", (lines.append,))
    return lines


@pytest.fixture
def registered() -> Iterator[str]:
    """Register an environment in this process alone, as a notebook or a main guard does."""
    name = "OnlyHere-v0"
    gymnasium.register(name, entry_point=CartPoleEnv, max_episode_steps=200)
    yield name
    del gymnasium.registry[name]


def run(task: Task, folder: Path, **choices: Any) -> RunResult:
    config = default_config(**{**TINY, "game": "cart_pole", "run_dir": folder, **choices})
    return train(config, task, console=quiet())


def results_of(folder: Path) -> tuple[str, list[dict[str, str]]]:
    """Return the digest of a run's weights and its evaluations, which no choice of process may change."""
    summary = json.loads((folder / "summary.json").read_text())
    return summary["weights_sha256"], rows_of(folder / "evaluations.csv")


def test_an_environment_that_only_this_process_knows(registered: str, tmp_path: Path, complaints: list[str]) -> None:
    task = own_task(registered, "length", [0.5, 1.0], 60)
    run(task, tmp_path / "worker")
    assert complaints == [f"{PREFIX}UnlearnableError: Environment `OnlyHere` doesn't exist."]
    run(task, tmp_path / "inline", eval_worker=False)
    assert results_of(tmp_path / "worker") == results_of(tmp_path / "inline")
    assert len(complaints) == 1


def test_a_daemon_may_have_no_children(tmp_path: Path, complaints: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker of a Pool is one."""
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    worker = WorkerEvaluation(make_plan())
    inline = InlineEvaluation(make_plan(), torch.device("cpu"))
    for frame in (1, 2):
        worker.submit(frame, weights(frame))
        inline.submit(frame, weights(frame))
    assert worker.waiting() == []
    assert worker.finished() == inline.finished() and worker.finished(wait=True) == []
    worker.close()
    inline.close()
    assert complaints == [f"{PREFIX}daemonic processes are not allowed to have children"]


def test_a_line_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else those of two processes that share an unbuffered stream can mix."""
    pieces: list[str] = []
    monkeypatch.setattr("sys.stderr", SimpleNamespace(write=pieces.append))
    beside_training.print_to_stderr("why")
    assert pieces == ["why\n"]


def test_a_task_that_cannot_be_pickled(complaints: list[str]) -> None:
    plan, lock = make_plan(), threading.Lock()
    make_env = plan.task.make_env

    def locked(*args: Any, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        with lock:
            return make_env(*args, **kwargs)

    object.__setattr__(plan.task, "make_env", locked)
    worker = WorkerEvaluation(plan)
    worker.submit(1, weights(1))
    assert [frame for frame, _ in worker.finished()] == [1]
    worker.close()
    assert complaints == [f"{PREFIX}TypeError: cannot pickle '_thread.lock' object"]


def test_processes_that_cannot_be_had(complaints: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    worker = WorkerEvaluation(make_plan())
    worker.submit(1, weights(1))
    assert len(worker.finished()) == 1
    worker.close()
    assert complaints == [f"{PREFIX}[Errno 11] Resource temporarily unavailable"]


def test_a_start_method_that_no_new_process_knows(complaints: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the workers of joblib."""
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none: "loky")
    worker = WorkerEvaluation(make_plan())
    worker.close()
    assert complaints == [f"{PREFIX}the start method of this process is 'loky', which multiprocessing does not know"]


def broken(setting: Any, frame_limit: int | None = None, render_mode: str | None = None) -> Any:
    if multiprocessing.current_process().name == NAME:
        os._exit(3)  # as an import that fails in the worker ends it
    return gymnasium.make("CartPole-v1", max_episode_steps=frame_limit)


def test_a_worker_that_ends_before_it_is_ready_is_not_replaced(complaints: list[str]) -> None:
    task = own_task("CartPole-v1", "length", [0.5], 60)
    object.__setattr__(task, "make_env", broken)
    worker = WorkerEvaluation(EvaluationPlan(task, network_spec((4,), 2, (8,)), 1, 20, seed=3))
    shape = sum(parameter.numel() for parameter in worker_network())
    worker.submit(1, torch.zeros(shape))
    assert [frame for frame, _ in worker.finished(wait=True)] == [1]
    worker.close()
    assert complaints == [f"{PREFIX}the worker ended with exit code 3 before it was ready"]


def worker_network() -> Iterator[torch.nn.Parameter]:
    from dqn_mer.networks.q_network import build_network

    return build_network((4,), 2, (8,), 0).parameters()


def test_a_worker_that_imports_a_script_does_not_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every unguarded script would train twice."""
    left: list[int] = []
    monkeypatch.setattr(beside_training.os, "_exit", left.append)
    beside_training.leave_worker()
    assert left == []
    monkeypatch.setattr(multiprocessing.current_process(), "name", NAME)
    beside_training.leave_worker()
    assert left == [UNGUARDED]


def outcome_of(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(SCRIPT) + textwrap.dedent(script))
    return subprocess.run(
        [sys.executable, str(path)], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "envs")))},
    )  # fmt: skip


def test_a_script_without_a_guard_trains_once(tmp_path: Path) -> None:
    done = outcome_of('print(run("run"))', tmp_path)
    assert done.returncode == 0, done.stderr
    line = "the worker imports the script that trains, whose calls must stand under `if __name__ == '__main__':`"
    assert done.stderr == f"{PREFIX}{line}\n"
    assert done.stdout.count("\n") == 1 and (tmp_path / "run" / "summary.json").is_file()


POOLS = {
    "fork": "with multiprocessing.get_context('fork').Pool(2) as pool: print(*pool.map(run, ['a', 'b']))",
    "spawn": "with multiprocessing.get_context('spawn').Pool(2) as pool: print(*pool.map(run, ['a', 'b']))",
    "forkserver": "with multiprocessing.get_context('forkserver').Pool(2) as pool: print(*pool.map(run, ['a', 'b']))",
    "joblib": "print(*joblib.Parallel(2)(joblib.delayed(run)(name) for name in 'ab'))",
    "executor": "with ProcessPoolExecutor(2) as pool: print(*pool.map(run, 'ab'))",
    "thread": "with ThreadPoolExecutor(1) as pool: print(*pool.map(run, 'ab'))",
    "start method": "multiprocessing.set_start_method('forkserver', force=True)\n    print(run('a'), run('b'))",
}


DAEMON = "daemonic processes are not allowed to have children"
CAUSES = {
    "fork": DAEMON,
    "spawn": DAEMON,
    "forkserver": DAEMON,
    "joblib": "the start method of this process is 'loky', which multiprocessing does not know",
}


@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
def test_runs_in_the_workers_of_any_pool(pool: str, tmp_path: Path) -> None:
    imports = "import joblib, multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor\n"
    done = outcome_of(f"{imports}if __name__ == '__main__':\n    print(run('whole'))\n    {POOLS[pool]}\n", tmp_path)
    assert done.returncode == 0, done.stderr
    digests = done.stdout.split()
    assert len(digests) == 3 and len(set(digests)) == 1
    assert results_of(tmp_path / "a") == results_of(tmp_path / "whole")
    assert results_of(tmp_path / "b") == results_of(tmp_path / "whole")
    assert done.stderr.splitlines() == [PREFIX + CAUSES[pool]] * 2 if pool in CAUSES else done.stderr == ""
