"""How far many runs are: a bar for all of them, and one for each that is in progress."""

from __future__ import annotations

import time
from collections.abc import MutableSequence, Sequence
from contextlib import AbstractContextManager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

REFRESH_S = 0.2


class RunsProgress(AbstractContextManager["RunsProgress"]):
    """Shows on a terminal how far the runs are, from the number of examples that each has learned.

    Args:
        names: Name of each run.
        lengths: Number of examples of each run.
        places: Examples that each run has learned, kept up to date by whoever makes the runs.
        console: Console to draw on.
    """

    def __init__(
        self, names: Sequence[str], lengths: Sequence[int], places: MutableSequence[int], console: Console
    ) -> None:
        self.places = places
        self._open = dict(zip(range(len(names)), names, strict=True))
        self._lengths = list(lengths)
        self._finished_examples = 0
        self._next_s = 0.0
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
            redirect_stdout=False,  # which Numba, compiling, would keep to the end of the process
            disable=not console.is_terminal,
        )
        self._bars: dict[int, TaskID] = {}
        self._whole = self._progress.add_task("", total=sum(lengths))

    def __enter__(self) -> RunsProgress:
        """Draw the bars."""
        self._draw()
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bars away."""
        self._progress.stop()

    def learned(self, index: int, place: int) -> None:
        """Take in that a run of this process has learned ``place`` examples, and draw now and then."""
        self.places[index] = place
        self.update()

    def ended(self, index: int, skipped: bool) -> None:
        """Take in that a run has ended, or was finished before, so that nothing of it is left to wait for."""
        del self._open[index]
        done = 0 if skipped else self.places[index]
        self._lengths[index] = done
        self._finished_examples += done
        if index in self._bars:
            self._progress.remove_task(self._bars.pop(index))
        self._draw()

    def update(self) -> None:
        """Draw what has changed, if it is time."""
        if time.perf_counter() >= self._next_s:
            self._draw()

    def _draw(self) -> None:
        for index, name in self._open.items():
            if self.places[index] and index not in self._bars:
                self._bars[index] = self._progress.add_task(name, total=self._lengths[index])
        for index, bar in self._bars.items():
            self._progress.update(bar, completed=self.places[index])
        learned = self._finished_examples + sum(self.places[index] for index in self._bars)
        count = f"{len(self._lengths) - len(self._open)} of {len(self._lengths)} runs"
        self._progress.update(self._whole, description=count, completed=learned, total=sum(self._lengths))
        self._progress.refresh()
        self._next_s = time.perf_counter() + REFRESH_S
