"""How a run ends early, by a signal or an error, always with a line that says how to resume."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ASK = ("SIGINT", "SIGTERM")
WARN = ("SIGHUP", "SIGUSR1")
"""Signals of a terminal that closes and of a scheduler whose time is nearly up; Windows has neither."""


class RunStopped(Exception):
    """A run ended before its last frame.

    Attributes:
        exit_code: Exit code for the shell: 128 + the number of a signal, 1 after an error.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NotFiniteError(ArithmeticError):
    """Learning has diverged: a weight, or the loss, is NaN or infinite."""


def listen(handler: Callable[[int, FrameType | None], Any]) -> Mapping[signal.Signals, Any]:
    """Let a function handle the signals that ask this process to stop, and return the previous handlers.

    SIGHUP and SIGUSR1 are taken only where they would end the process without a word: under ``nohup`` SIGHUP is ignored
    and stays so, and a script's own handler keeps its signal. Outside the main thread Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    ending = [signal.Signals[name] for name in ASK]
    ending += [signal.Signals[name] for name in WARN if hasattr(signal, name)]
    untouched = {one for one in ending if one.name in WARN and signal.getsignal(one) is not signal.SIG_DFL}
    return {one: signal.signal(one, handler) for one in ending if one not in untouched}


class StopRequest(AbstractContextManager["StopRequest"]):
    """Takes the first Ctrl-C, SIGTERM, SIGHUP or SIGUSR1 as a request to stop after this frame.

    A second Ctrl-C acts at once. Any other second signal changes nothing: schedulers, sweeps and closing terminals send
    several, and the run is already on its way to saving itself.

    Attributes:
        signal_number: Number of the first signal, 0 while there is none.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._before: Mapping[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        """Install the handlers."""
        self._before = listen(self._note)
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the previous handlers."""
        for one, before in self._before.items():
            signal.signal(one, before)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = self.signal_number or number
        signal.signal(signal.SIGINT, self._before[signal.SIGINT])

    def stopped(self, place: int, advice: str, unit: str = "frame") -> RunStopped:
        """Return the error to raise once the run is saved after so many of its units."""
        name = "Ctrl-C" if self.signal_number == signal.SIGINT else signal.Signals(self.signal_number).name
        return RunStopped(f"stopped by {name} at {unit} {place:,}; {advice}", 128 + self.signal_number)


@contextmanager
def until_stopped() -> Iterator[None]:
    """Let the signals that stop a run stop several runs within the context: as a KeyboardInterrupt of the exit code.

    A second one has no effect on the runs that are being stopped, unless it is Ctrl-C.
    """
    asked = False

    def stop(number: int, frame: object) -> None:
        nonlocal asked
        if asked and number != signal.SIGINT:
            return
        asked = True
        raise KeyboardInterrupt(128 + number)

    before = listen(stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
"""What errors of PyTorch say where memory runs out, on a GPU and on the CPU."""


def how_to_resume(run_dir: Path, own: bool = False, task: str | None = None) -> str:
    """Return in words how to resume a run: by a command, or in Python if only that can make its task.

    Args:
        run_dir: Folder of the run.
        own: Whether the task is the user's.
        task: What the command line calls it, ``MODULE:NAME``, if known.
    """
    if own and task is None:
        return f"resume from Python with: resume({str(run_dir)!r}, task)"
    given = ["--task", task] if task is not None else []
    return f"resume with: {shlex.join(['python', '-m', 'dqn_mer', 'train', '--resume', str(run_dir), *given])}"


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error is NumPy's or PyTorch's report that memory ran out.

    >>> is_out_of_memory(RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"))
    True
    >>> is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
    False
    """
    if isinstance(error, RuntimeError):
        return any(words in str(error) for words in OUT_OF_MEMORY)
    return isinstance(error, MemoryError)
