"""Runs in several processes, each on one core. They share no lock: one that is killed takes no other run with it."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

from dqn_mer.runs.stopping import StopRequest
from dqn_mer.supervised.execute import RESUMING, Outcome, execute
from dqn_mer.supervised.options import RunSpec
from dqn_mer.supervised.progress import REFRESH_S, RunsProgress

CONTEXT = multiprocessing.get_context("spawn")


class _Worker:
    """A process that makes one run after the other."""

    def __init__(self, command: Sequence[str], places: Any) -> None:
        self.connection, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_work, args=(theirs, tuple(command), places))
        self.process.start()
        theirs.close()
        self.index = -1

    def begin(self, index: int, spec: RunSpec) -> None:
        """Have the process make a run; if it has died, `outcome` says so."""
        self.index = index
        with suppress(OSError):
            self.connection.send((index, spec))

    def outcome(self, spec: RunSpec) -> Outcome:
        """Return how the run ended."""
        try:
            outcome: Outcome = self.connection.recv()
            return outcome
        except (EOFError, OSError):
            self.process.join()
            return Outcome(spec, problem=f"its process was killed; {RESUMING}", exit_code=1)


def _work(connection: Connection, command: Sequence[str], places: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between runs: the terminal sends it to the parent as well
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            index, spec = connection.recv()
            connection.send(execute(spec, command, partial(places.__setitem__, index)))


def run_in_processes(
    specs: Sequence[RunSpec], command: Sequence[str], progress: RunsProgress
) -> Iterator[tuple[int, Outcome]]:
    """Yield the index and the outcome of each run as it ends, ``jobs`` at a time.

    Raises:
        KeyboardInterrupt: if a signal has ended the runs, after they were saved; its argument is the exit code.
    """
    waiting = deque(range(len(specs)))
    workers: list[_Worker] = []
    with StopRequest() as request:  # looked at between steps, so that no process is left half-started
        try:
            while waiting or workers:
                if request.signal_number:
                    raise KeyboardInterrupt(128 + request.signal_number)
                while waiting and len(workers) < specs[0].options.jobs:
                    workers.append(_Worker(command, progress.places))
                    workers[-1].begin(index := waiting.popleft(), specs[index])
                progress.update()
                ready = wait([worker.connection for worker in workers], REFRESH_S)
                for worker in [worker for worker in workers if worker.connection in ready]:
                    index = worker.index
                    outcome = worker.outcome(specs[index])
                    if waiting and worker.process.is_alive():
                        worker.begin(following := waiting.popleft(), specs[following])
                    else:
                        workers.remove(worker)
                        _end([worker])
                    yield index, outcome
                    if outcome.exit_code > 1:  # a signal, perhaps to this process alone of the workers
                        raise KeyboardInterrupt(outcome.exit_code)
        finally:
            _end(workers)


def _end(workers: Sequence[_Worker]) -> None:
    """End processes: those that are making a run save it first, the others have nothing to save."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.connection.close()  # what a process that has saved its run waits at
    for worker in workers:
        worker.process.join()
