"""Evaluation beside training: in a process of its own on another core, or in line where there is none to spare.

Weights go in, rows come out under the frame they belong to, in order. Training never waits for a result unless
`MAX_WAITING` evaluations are behind. The worker has its own environments, network and one thread; nothing it does
reaches training, and it ends with its parent, however that ends.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import torch
from torch import Tensor

from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.config.task import Task
from dqn_mer.evaluation.evaluator import Evaluator, GreedyPolicy
from dqn_mer.networks.device import processor
from dqn_mer.networks.q_network import FlatWeights, network_from_spec

MAX_WAITING = 3
"""Evaluations that may wait for the worker; weights of the Nature CNN take 7 MB each."""
MAX_DEATHS = 3
"""Times that a worker may die over one evaluation before the run gives up."""

Finished = list[tuple[int, list[EvaluationRow]]]
"""Frames with their rows, one for each setting, in the order of submission."""


class EvaluationError(RuntimeError):
    """The evaluation itself failed."""


class EvaluationPlan(NamedTuple):
    """What is evaluated, so that any process can do it.

    Attributes:
        task: whose settings are played.
        network: as `network_spec` describes it.
        episodes: per setting and evaluation.
        frame_limit: of an episode.
        seed: of the episodes.
    """

    task: Task
    network: dict[str, Any]
    episodes: int
    frame_limit: int
    seed: int


class InlineEvaluation:
    """Evaluates when it is asked, in this process, on a network of its own."""

    def __init__(self, plan: EvaluationPlan, device: torch.device) -> None:
        model = network_from_spec(plan.network).to(device)
        self.weights = FlatWeights(model)
        self.policy = GreedyPolicy(model, device)
        self.evaluator = Evaluator(
            lambda setting: plan.task.agents_env(setting, frame_limit=plan.frame_limit),
            plan.task.schedule.settings,
            plan.episodes,
            plan.seed,
        )
        self._finished: Finished = []

    def submit(self, frame: int, weights: Tensor) -> None:
        """Evaluate ``weights``, the vector of a `FlatWeights`, as those at ``frame``."""
        self.weights.load(weights)
        with processor(1):  # as the worker, so that scores do not depend on which of the two it is
            self._finished.append((frame, [result.row() for result in self.evaluator.run(self.policy)]))

    def finished(self, wait: bool = False) -> Finished:
        """Return, once each, the evaluations that are done."""
        done, self._finished = self._finished, []
        return done

    def waiting(self) -> list[tuple[int, bytes]]:
        """Return frames and weights (float32) that are not evaluated yet: none, ever."""
        return []

    def close(self) -> None:
        """Close the environments."""
        self.evaluator.close()


class WorkerEvaluation:
    """Evaluates in a process of its own, always on a CPU.

    A worker that dies is replaced, and its evaluation done again.

    Args:
        plan: what to evaluate; its task must be picklable by cloudpickle.
    """

    def __init__(self, plan: EvaluationPlan) -> None:
        self._plan = cloudpickle.dumps(plan)
        self._waiting: deque[tuple[int, bytes]] = deque()  # the first is with the worker
        self._busy = False
        self._deaths = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self._plan), name="evaluation", daemon=True)
        with _blocked_ctrl_c():
            self.process.start()
        theirs.close()  # so that the death of the worker is the end of the connection
        self._busy = False

    def submit(self, frame: int, weights: Tensor) -> None:
        """Ask for an evaluation of ``weights``, the vector of a `FlatWeights`, as those at ``frame``."""
        self._waiting.append((frame, weights.detach().cpu().numpy().tobytes()))
        self._hand_over()

    def finished(self, wait: bool = False) -> Finished:
        """Return, once each, the evaluations that are done.

        Args:
            wait: for all that was submitted; otherwise only while more than `MAX_WAITING` wait.

        Raises:
            EvaluationError: if an evaluation failed, or workers keep dying over it.
        """
        done: Finished = []
        while self._waiting and (wait or len(self._waiting) > MAX_WAITING or self._connection.poll()):
            try:
                answer = self._connection.recv()
            except (EOFError, OSError):
                self._replace()
                continue
            if isinstance(answer, str):
                raise EvaluationError(f"evaluation at frame {self._waiting[0][0]} failed:\n{answer}")
            done.append((self._waiting.popleft()[0], answer))
            self._busy, self._deaths = False, 0
            self._hand_over()
        return done

    def waiting(self) -> list[tuple[int, bytes]]:
        """Return frames and weights (float32) whose evaluations `finished` has not returned yet."""
        return list(self._waiting)

    def _hand_over(self) -> None:
        """Give the worker its next job if it has none; it is then reading, so that sending does not block."""
        if self._busy or not self._waiting:
            return
        self._busy = True
        try:
            self._connection.send_bytes(self._waiting[0][1])
        except OSError:
            self._replace()

    def _replace(self) -> None:
        self._deaths += 1
        if self._deaths >= MAX_DEATHS:
            raise EvaluationError(
                f"evaluation at frame {self._waiting[0][0]}: {self._deaths} workers died over it (a script that trains "
                "needs its calls under `if __name__ == '__main__':`, since workers import it; or eval_worker=False)"
            )
        self._stop()
        self._start()
        self._hand_over()

    def _stop(self) -> None:
        self._connection.close()
        self.process.kill()
        self.process.join()

    def close(self) -> None:
        """End the worker."""
        self._stop()


@contextmanager
def _blocked_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back, for good in a process that is started meanwhile: it reaches both, and the parent decides."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, pickled: bytes) -> None:
    """Evaluate what comes through ``connection`` until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked from the start
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with processor(1):
        _answer(connection, pickled)


def _answer(connection: Connection, pickled: bytes) -> None:
    plan: EvaluationPlan = cloudpickle.loads(pickled)
    inline = InlineEvaluation(plan, torch.device("cpu"))
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        try:
            inline.submit(0, torch.from_numpy(np.frombuffer(data, np.float32).copy()))
            answer: Sequence[EvaluationRow] | str = inline.finished()[0][1]
        except Exception:
            answer = traceback.format_exc()
        connection.send(answer)


def _end_with_parent() -> None:
    """Leave at once when the parent is gone, even amid an evaluation."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
