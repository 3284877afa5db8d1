"""Progress of a sweep, read from its folders alone: the same wherever the runs are."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dqn_mer.commands.sweep_job import ENDED, Job, JobOutcome, log_tail
from dqn_mer.storage.escapes import say

REFRESH_S = 1.0
ROW_BYTES = 2**16
"""More than a row of metrics.csv has, which grows with the settings: 3 kB for a hundred of them."""


def frames_done(job: Job) -> int:
    """Return the frames that a run has logged, all of them if it is finished."""
    if job.finished:
        return job.frames
    for line in reversed(log_tail(job.run_dir / "metrics.csv", ROW_BYTES)):
        first = line.partition(",")[0]
        if first.isdigit():
            return min(int(first), job.frames)
    return 0


class SweepDisplay(AbstractContextManager["SweepDisplay"]):
    """Shows how far the sweep is: a bar for all and one for each run in progress; off a terminal, a line at each end.

    Args:
        jobs: All jobs of the sweep.
        console: Console to draw on.
    """

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.console = console
        self._open = [job for job in jobs if not job.finished]
        self._failed: dict[str, int] = {}
        self._total = len(jobs)
        self._started = time.time()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            expand=True,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._whole = self._progress.add_task("all frames", total=sum(job.frames for job in jobs))
        self._finished_frames = sum(job.frames for job in jobs if job.finished)

    def __enter__(self) -> SweepDisplay:
        """Start to watch."""
        done = self._total - len(self._open)
        self._say(f"{self._total} run{'s' * (self._total > 1)}, {done} finished before")
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Show the last state, and leave the terminal as it was."""
        self._stop.set()
        self._thread.join()
        self._progress.stop()

    def count(self, outcomes: Sequence[JobOutcome]) -> None:
        """Count runs as ended that could not even write their end into their logs."""
        self._failed = {outcome.name: outcome.exit_code for outcome in outcomes if outcome.exit_code}

    def _watch(self) -> None:
        while not self._stop.wait(REFRESH_S):
            self.update()
        self.update()

    def update(self) -> None:
        """Look at all runs that have not ended yet."""
        going_on = 0
        for job in tuple(self._open):
            frames, end = frames_done(job), self._end(job)
            if end is not None:
                self._open.remove(job)
                self._finished_frames += job.frames
                self._say(f"[{self._total - len(self._open)}/{self._total}] {job.name}: {end}")
                if job.name in self._bars:
                    self._progress.remove_task(self._bars.pop(job.name))
                continue
            going_on += frames
            if frames and job.name not in self._bars:
                self._bars[job.name] = self._progress.add_task(job.name, total=job.frames)
            if job.name in self._bars:
                self._progress.update(self._bars[job.name], completed=frames)
        self._progress.update(self._whole, completed=self._finished_frames + going_on)
        self._progress.refresh()

    def _end(self, job: Job) -> str | None:
        """Return how a run has ended since the sweep began, or None."""
        if job.finished:
            return "finished"
        tail = log_tail(job.log)
        if tail and tail[-1].startswith(ENDED) and job.log.stat().st_mtime >= self._started:
            return f"failed with exit code {tail[-1].removeprefix(ENDED)}"
        return f"failed with exit code {self._failed[job.name]}" if job.name in self._failed else None

    def _say(self, text: str) -> None:
        say(self.console, text)
