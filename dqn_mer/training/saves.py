"""The saved states of a run: when one is due, its content, and the report on the last one."""

from __future__ import annotations

import time
from pathlib import Path

from dqn_mer.config.config import Config
from dqn_mer.evaluation.beside_training import print_to_stderr
from dqn_mer.periods import reaches_multiple
from dqn_mer.runs.folder import versions
from dqn_mer.runs.stopping import NotFiniteError, how_to_resume
from dqn_mer.storage.snapshots import save_state, set_aside, write_state
from dqn_mer.storage.state import SavedState, State
from dqn_mer.training.loop import TrainingLoop
from dqn_mer.training.resume import LOOP
from dqn_mer.training.state_trial import UnsavableError


class Saves:
    """Saves the state of a run in its folder.

    Args:
        run_dir: Folder of the run.
        loop: Loop of the run in progress.
        config: Configuration of the run.
        threads: PyTorch threads of the run, for the record: others round otherwise.
        resumable: Whether the state of the environment can be saved; if not, nothing is.
        own: Whether the task is the user's, so that only its own code can make it again.
        started_s: Time at which this process began with the run, by `time.perf_counter`.
    """

    def __init__(
        self,
        run_dir: Path,
        loop: TrainingLoop,
        config: Config,
        threads: int,
        resumable: bool,
        own: bool,
        started_s: float,
    ) -> None:
        self.run_dir, self.loop, self.config = run_dir, loop, config
        self.threads, self.resumable, self.own = threads, resumable, own
        self.frame: int | None = None  # of the last state
        self.saved_s = self.started_s = started_s
        self.wall_before_s = 0.0

    def resume(self, saved: SavedState) -> None:
        """Restore a saved state; the run folder is changed only if all of it fits."""
        with saved:
            self.wall_before_s = saved.number("wall_s", 0)
            loop = saved.part(LOOP)
        self.loop.resume(self.run_dir, loop)
        self.frame = self.loop.frame
        set_aside(self.run_dir, self.loop.frame)

    def wall_s(self) -> float:
        """Return the time that the run has taken in all its processes, in seconds."""
        return self.wall_before_s + time.perf_counter() - self.started_s

    def due(self) -> bool:
        """Return whether the state is to be saved at this frame."""
        frame, every, minutes = self.loop.frame, self.config.save_every, self.config.save_minutes
        if frame == self.frame:
            return False
        due = frame == 0 or reaches_multiple(self.frame or 0, frame, every)
        return due or (minutes > 0 and time.perf_counter() - self.saved_s >= 60 * minutes)

    def save(self) -> None:
        """Save the state of the run as it is now; if the environment's cannot be saved any more, say so, and stop."""
        self.loop.check_finite()
        try:
            state = self._state()
        except UnsavableError as error:
            self.resumable = False
            lost = f"this run cannot be saved any more: the environment's state cannot be saved: {error}"
            print_to_stderr(f"frame {self.loop.frame:,}: {lost}")
            return
        save_state(self.run_dir, self.loop.frame, self._header(), state)
        self.frame, self.saved_s = self.loop.frame, time.perf_counter()

    def set_diverged_aside(self, error: NotFiniteError) -> str:
        """Save the state for inspection, apart from the good ones; return the line for the user."""
        frame = self.loop.frame
        line = f"frame {frame:,}: {error} is not finite: learning has diverged (a smaller learning_rate may help)"
        folder = self.run_dir / "diverged" / f"frame-{frame:09d}"
        try:
            if self.resumable and not folder.exists():
                write_state(folder, self._header(), self._state())
        except UnsavableError as problem:
            return f"{line}; not saved for inspection: the environment's state cannot be saved: {problem}"
        except OSError as problem:
            return f"{line}; not saved for inspection: {problem.filename}: {problem.strerror}"
        return f"{line}; saved for inspection in {folder}; the last good state is that of frame {self.frame}"

    def how_to_resume(self) -> str:
        """Return in words how to resume the run from a state that was saved just now."""
        if self.resumable:
            return self._how_to_resume()
        return "nothing was saved" if self.frame is None else self._how_from_the_last()

    def last(self) -> str:
        """Return in words what the last state is, and how to resume the run from it."""
        if self.frame is None:
            return "nothing was saved" if not self.resumable else "nothing was saved yet"
        return self._how_from_the_last("fix the problem, then ")

    def _how_from_the_last(self, first: str = "") -> str:
        return f"saved at frame {self.frame:,}; {first}{self._how_to_resume()}"

    def _how_to_resume(self) -> str:
        return how_to_resume(self.run_dir, self.own, self.config.task)

    def _header(self) -> State:
        return {
            "config": self.config.to_json(),
            "schedule": self.loop.task.schedule.to_json(),
            "threads": self.threads,
            "versions": versions(),
        }

    def _state(self) -> State:
        return {"wall_s": self.wall_s(), LOOP: self.loop.get_state()}
