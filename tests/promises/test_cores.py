"""Results do not depend on the number of cores, nor on what OpenMP would use by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dqn_mer.evaluation.beside_training import EvaluationPlan, InlineEvaluation
from dqn_mer.networks.device import denormals_are_zero, processor, usable_cores
from dqn_mer.networks.q_network import network_spec
from tests.helpers.chain import LENGTH, chain_task

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--observation pixels --agent dqn --batch-size 6 --frames 30 --warmup-frames 20 --capacity 50 --eval-episodes 1 "
    "--eval-frame-limit 5 --no-eval-worker"
)
WAYS = {"one": (["taskset", "-c", "FIRST"], {}), "two": ([], {}), "eight": ([], {"OMP_NUM_THREADS": "8"})}


def core() -> str:
    """Return the number of a core that this process may use."""
    return str(min(os.sched_getaffinity(0)))


@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset")
def test_a_run_is_bit_identical_on_one_core_and_on_two(tmp_path: Path) -> None:
    """With two cores the second computes the targets; a batch of 6 is rounded otherwise by two threads than by one."""
    if usable_cores() < 2:
        pytest.skip("needs two cores")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    path = os.pathsep.join([str(ROOT), str(ROOT / "envs"), environment.get("PYTHONPATH", "")])
    processes = {}
    for name, (prefix, more) in WAYS.items():
        words = [word.replace("FIRST", core()) for word in prefix]
        processes[name] = subprocess.Popen(
            [*words, sys.executable, str(ROOT / "train.py"), *FLAGS.split(), f"--run-dir={tmp_path / name}"],
            stdout=subprocess.DEVNULL,
            env={**environment, "PYTHONPATH": path, **more},
        )
    assert {process.wait() for process in processes.values()} == {0}
    digests = {name: json.loads((tmp_path / name / "summary.json").read_text())["weights_sha256"] for name in WAYS}
    assert len(set(digests.values())) == 1, digests


def test_evaluation_in_line_takes_one_thread_as_the_worker_does() -> None:
    task = chain_task()
    plan = EvaluationPlan(task, network_spec((LENGTH,), 2, (8,)), episodes=1, frame_limit=5, seed=0)
    inline = InlineEvaluation(plan, torch.device("cpu"))
    seen = []

    def policy(observations: NDArray[np.float32]) -> NDArray[np.int64]:
        seen.append((torch.get_num_threads(), denormals_are_zero()))
        return np.zeros(len(observations), np.int64)

    inline.policy = policy
    with processor(2):
        inline.submit(0, inline.weights.vector)
        assert torch.get_num_threads() == 2
    inline.close()
    assert set(seen) == {(1, True)}
