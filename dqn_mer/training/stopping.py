"""How a run ends early: asked to by a signal, or by an error, always with a line that says how to go on."""

from __future__ import annotations

import shlex
import signal
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any


class RunStopped(Exception):
    """A run ended before its last frame.

    Attributes:
        exit_code: for the shell: 128 + the number of a signal, 1 after an error.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StopRequest(AbstractContextManager["StopRequest"]):
    """Takes the first Ctrl-C or SIGTERM as a request to stop after this frame; a second one acts at once.

    Attributes:
        signal_number: that of the request, 0 while there is none.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        """Listen; outside the main thread Python allows none to."""
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._note) for one in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        """Put the handlers back that were there."""
        for one, before in self._before.items():
            signal.signal(one, before)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self.__exit__()

    def stopped(self, frame: int, advice: str) -> RunStopped:
        """Return the error to raise once the run is saved."""
        name = "Ctrl-C" if self.signal_number == signal.SIGINT else signal.Signals(self.signal_number).name
        return RunStopped(f"stopped by {name} at frame {frame:,}; {advice}", 128 + self.signal_number)


def how_to_go_on(run_dir: Path, own: bool = False) -> str:
    """Return in words what resumes a run: a command, or Python if its task is the user's ``own``."""
    if own:
        return f"resume from Python with: resume_on(task, {str(run_dir)!r})"
    return f"go on with: python train.py --resume {shlex.quote(str(run_dir))}"


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error is NumPy's or PyTorch's way of saying so."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error))
