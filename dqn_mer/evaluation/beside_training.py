"""Evaluation beside training: in a separate process on another core, or in line where there can be none.

Weights go in, rows come out under the frame they belong to, in order. Training never waits for a result unless
`MAX_WAITING` evaluations are behind. The worker (`dqn_mer.evaluation.worker_process`) has separate environments, a
separate network and one thread; nothing it does reaches training, and it ends with its parent, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import cloudpickle
import torch
from torch import Tensor

from continual_ple.learnable import UnlearnableError
from dqn_mer.evaluation.inline import EvaluationPlan, Finished, InlineEvaluation
from dqn_mer.evaluation.worker_process import Cause, kind_and_message, serve, weights_of
from dqn_mer.networks.device import processor
from dqn_mer.storage.lasting_output import LastingStream

MAX_WAITING = 3
"""Evaluations that may wait for the worker; weights of the Nature CNN take 7 MB each."""
MAX_DEATHS = 3
"""Times that a worker may die over one evaluation before the run gives up."""
ENDING_S = 5
"""Seconds that a worker has to end by itself once its connection has."""
NAME = "dqn-mer evaluation"
"""Name of the worker's process."""
UNGUARDED = 77
"""Exit code of a worker that began to train because it imported a script that does."""


class EvaluationError(RuntimeError):
    """The evaluation itself failed."""


class NoWorkerError(Exception):
    """No worker can evaluate this run; the message is the cause, in one line."""


def print_to_stderr(line: str) -> None:
    """Print a line on standard error, if somebody reads it, in one piece: the runs of a pool share the stream."""
    if sys.stderr is not None:
        LastingStream(sys.stderr).write(f"{line}\n")


class WorkerEvaluation:
    """Evaluates in a separate process, always on a CPU.

    A worker that dies is replaced, and its evaluation repeated. Where no worker can start, or none can make the
    environments, everything is evaluated in this process instead, with the same results, and one line reports why.

    Args:
        plan: What to evaluate; a worker needs a task that cloudpickle can pickle.
        say: Function that prints the line.
    """

    def __init__(self, plan: EvaluationPlan, say: Callable[[str], None] = print_to_stderr) -> None:
        self._plan, self._say = plan, say
        self._waiting: deque[tuple[int, bytes]] = deque()  # the first is with the worker
        self._done: Finished = []
        self._inline: InlineEvaluation | None = None
        self._ready = self._busy = False
        self._deaths = 0
        try:
            self._pickled = _pickled(plan)
            self._start()
        except NoWorkerError as cause:
            self._fall_back(cause)

    def _start(self) -> None:
        method = multiprocessing.get_start_method(allow_none=True)
        if method not in (None, *multiprocessing.get_all_start_methods()):
            # A new process takes its parent's method before anything else, and ends if it does not know it.
            raise NoWorkerError(f"the start method of this process is {method!r}, which multiprocessing does not know")
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self._pickled), name=NAME, daemon=True)
        try:
            with _blocked_ctrl_c():
                self.process.start()
        except (AssertionError, OSError) as error:  # a daemon, as the workers of a Pool are, may have no children
            self._connection.close()
            raise NoWorkerError(f"{error}") from None
        finally:
            theirs.close()  # so that the death of the worker is the end of the connection
        self._ready = self._busy = False

    def submit(self, frame: int, weights: Tensor) -> None:
        """Ask for an evaluation of ``weights``, the vector of a `FlatWeights`, as those at ``frame``."""
        self._waiting.append((frame, weights.detach().cpu().numpy().tobytes()))
        self._hand_over()

    def finished(self, wait: bool = False) -> Finished:
        """Return, once each, the evaluations that are done.

        Args:
            wait: Whether to wait for all evaluations that were submitted; otherwise only while more than `MAX_WAITING`
                wait.

        Raises:
            EvaluationError: if an evaluation failed, or workers keep dying over it.
            UnlearnableError: if a user's environment hands out what cannot be learned from.
        """
        while self._waiting and (wait or len(self._waiting) > MAX_WAITING or self._connection.poll()):
            try:
                self._receive()
            except NoWorkerError as cause:
                self._stop()
                self._fall_back(cause)
        done, self._done = self._done, []
        return done

    def waiting(self) -> list[tuple[int, bytes]]:
        """Return frames and weights (float32) whose evaluations `finished` has not returned yet."""
        return list(self._waiting)

    def _receive(self) -> None:
        """Take in the worker's next message: that it is ready, that it cannot be, or rows."""
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._replace()
            return
        if isinstance(answer, Cause):
            raise NoWorkerError(answer.text)
        if isinstance(answer, UnlearnableError):
            raise answer
        if isinstance(answer, str):
            raise EvaluationError(f"evaluation at frame {self._waiting[0][0]} failed:\n{answer}")
        if answer is not None:
            self._done.append((self._waiting.popleft()[0], answer))
            self._deaths = 0
        self._ready, self._busy = True, False
        self._hand_over()

    def _hand_over(self) -> None:
        """Give the worker its next job if it has none; it is then reading, so that sending does not block."""
        if self._inline is not None:
            self._evaluate_here()
            return
        if self._busy or not self._waiting or not self._ready:
            return
        self._busy = True
        with suppress(OSError):  # the end of the connection is noticed when its message is read
            self._connection.send_bytes(self._waiting[0][1])

    def _replace(self) -> None:
        """Start another worker for one that is dead.

        Raises:
            NoWorkerError: if it ended by itself before it was ready, as another one would.
            EvaluationError: if too many have died over this evaluation.
        """
        self._stop()
        code = self.process.exitcode or 0
        if code == UNGUARDED:
            raise NoWorkerError("the worker imports the script that trains, whose calls must stand under "
                                "`if __name__ == '__main__':`")  # fmt: skip
        if code > 0 and not self._ready:
            raise NoWorkerError(f"the worker ended with exit code {code} before it was ready")
        self._deaths += 1
        if self._deaths >= MAX_DEATHS:
            raise EvaluationError(f"evaluation at frame {self._waiting[0][0]}: {self._deaths} workers died over it")
        self._start()

    def _fall_back(self, cause: NoWorkerError) -> None:
        self._say(f"evaluating in line, since no worker can: {cause}")
        self._inline = InlineEvaluation(self._plan, torch.device("cpu"))
        self._evaluate_here()

    def _evaluate_here(self) -> None:
        """Evaluate all that waits as the worker would: on the CPU, with one thread."""
        assert self._inline is not None
        with processor(1):
            while self._waiting:
                frame, data = self._waiting[0]
                self._inline.submit(frame, weights_of(data))
                self._waiting.popleft()
        self._done += self._inline.finished()

    def _stop(self) -> None:
        self._connection.close()
        if self.process.pid is not None:
            self.process.join(ENDING_S)  # one that ends by itself still has its exit code to set
            self.process.kill()
            self.process.join()

    def close(self) -> None:
        """End the worker, or close the environments."""
        if self._inline is not None:
            self._inline.close()
            return
        self.process.kill()
        self._stop()


def leave_worker() -> None:
    """End this process if it is a worker that has begun to train, because it imports a script that does unguarded."""
    if multiprocessing.current_process().name == NAME:
        os._exit(UNGUARDED)


def _pickled(plan: EvaluationPlan) -> bytes:
    try:
        return bytes(cloudpickle.dumps(plan))
    except Exception as error:  # whatever the objects of a user's task raise
        raise NoWorkerError(kind_and_message(error)) from None


@contextmanager
def _blocked_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back, permanently in a process that is started meanwhile: it reaches both, and the parent decides."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
