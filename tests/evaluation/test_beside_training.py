"""Evaluation in a process of its own: the same rows under the right frames, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.evaluation import beside_training as worker_module
from dqn_mer.evaluation.beside_training import EvaluationError, WorkerEvaluation
from dqn_mer.evaluation.inline import EvaluationPlan, InlineEvaluation
from dqn_mer.networks.q_network import build_network, network_spec
from dqn_mer.networks.weights import FlatWeights
from tests.training.test_trainer import TINY, quiet, rows_of, train


def make_plan(frame_limit: int = 60) -> EvaluationPlan:
    task = game_task(default_config(game="catcher", observation="state", settings=(0.06, 0.09)))
    return EvaluationPlan(task, network_spec((4,), 3, (8,)), episodes=2, frame_limit=frame_limit, seed=3)


def weights(seed: int) -> torch.Tensor:
    return FlatWeights(build_network((4,), 3, (8,), seed)).snapshot()


@pytest.fixture
def worker():
    made = WorkerEvaluation(make_plan())
    yield made
    made.close()


def test_rows_are_those_of_inline_evaluation_in_order(worker: WorkerEvaluation) -> None:
    inline = InlineEvaluation(make_plan(), torch.device("cpu"))
    for frame in range(6):  # more than may wait
        worker.submit(frame, weights(frame))
        inline.submit(frame, weights(frame))
    expected = inline.finished()
    assert worker.finished(wait=True) == expected
    assert worker.finished(wait=True) == []
    assert [frame for frame, _ in expected] == list(range(6))
    assert len({str(rows) for _, rows in expected}) > 1
    inline.close()


def test_a_killed_worker_is_replaced_and_nothing_is_lost(worker: WorkerEvaluation) -> None:
    worker.submit(1, weights(1))
    first = worker.finished(wait=True)
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.submit(2, weights(1))
    worker.submit(3, weights(2))
    os.kill(worker.process.pid, signal.SIGKILL)
    later = worker.finished(wait=True)
    assert [frame for frame, _ in later] == [2, 3]
    assert later[0][1] == first[0][1]


def test_ctrl_c_while_the_worker_starts_is_for_the_parent(worker: WorkerEvaluation) -> None:
    started = worker.process
    os.kill(started.pid, signal.SIGINT)
    worker.submit(100, weights(0))
    assert [frame for frame, _ in worker.finished(wait=True)] == [100]
    assert worker.process is started and signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_workers_that_keep_dying_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "MAX_DEATHS", 1)
    worker = WorkerEvaluation(make_plan())
    worker.process.kill()
    worker.process.join()
    with pytest.raises(EvaluationError, match="at frame 7: 1 workers died over it"):
        worker.submit(7, weights(1))
        worker.finished(wait=True)
    worker.close()


def test_an_error_in_the_worker_is_told(worker: WorkerEvaluation) -> None:
    worker.submit(7, torch.zeros(3))
    with pytest.raises(EvaluationError, match="evaluation at frame 7 failed"):
        worker.finished(wait=True)


def test_a_run_is_the_same_with_and_without_the_worker(tmp_path: Path) -> None:
    results = []
    for name, on in (("with", True), ("without", False)):
        config = default_config(observation="state", **{**TINY, "eval_worker": on}, run_dir=tmp_path / name)
        results.append(train(config, console=quiet()))
    assert results[0].summary["weights_sha256"] == results[1].summary["weights_sha256"]
    assert rows_of(tmp_path / "with" / "evaluations.csv") == rows_of(tmp_path / "without" / "evaluations.csv")


def children_of(pid: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            children.append(int(stat.parent.name))
    return children


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for the worker in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_is_left_when_the_run_is_ended(how: signal.Signals, tmp_path: Path) -> None:
    words = "train.py --observation state --warmup-frames 900000 --eval-every 500 --eval-frame-limit 100000 --run-dir"
    root = Path(__file__).parents[2]
    run = subprocess.Popen(
        [sys.executable, *words.split(), str(tmp_path / "run")],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: (tmp_path / "run" / "metrics.csv").exists() and bool(children_of(run.pid)))
        workers = children_of(run.pid)
        run.send_signal(how)
        assert wait_until(lambda: run.poll() is not None)
        assert wait_until(lambda: not any(alive(pid) for pid in workers))
    finally:
        run.kill()
        run.wait()
