"""The logs of a supervised run: the files of an RL run that ``compare`` reads, and TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, fields
from pathlib import Path

from dqn_mer.analysis.interference import InterferenceRow
from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.runs.event_files import NAME, SUMMARIES, EventFile, drop_events
from dqn_mer.storage.files import GrowingFile, check_plain_file
from dqn_mer.storage.state import SavedState, State

EVALUATIONS, INTERFERENCE, METRICS = TABLES = ("evaluations.csv", "interference.csv", "metrics.csv")
TAGS = {
    "accuracy/<task>": "Share of the task's test images that are classified correctly, in percent.",
    "accuracy/mean": "Mean of accuracy over all tasks, met or not.",
    "continual/learning_accuracy": "Mean, over the tasks that are over, of accuracy on each right after it (LA).",
    "continual/retained_accuracy": "Mean, over the tasks that are over, of accuracy now (RA).",
    "continual/backward_transfer_interference": "RA less LA (BTI): negative where later tasks harmed earlier ones.",
    "memory/stored": "Examples that the learner keeps.",
    "gradients/dot_within": "Dot product of two examples' loss gradients, same task, mean: positive is transfer.",
    "gradients/dot_between": "Dot product of two examples' loss gradients, different tasks, mean.",
    "gradients/cosine_within": "Cosine between two examples' loss gradients, same task, mean, -1 to 1.",
    "gradients/cosine_between": "Cosine between two examples' loss gradients, different tasks, mean, -1 to 1.",
    "speed/examples_per_s": "Examples of the stream per second since the last row, tests and saves included.",
}
"""Every tag with its meaning."""
CHARTS = {
    "Accuracy on every task": r"accuracy/(?!mean$)",
    "LA, RA and BTI so far": r"continual/",
    "Cosine between gradients": r"gradients/cosine_",
}
COLUMNS = tuple(tag for tag in TAGS if "<" not in tag)


class RunLogs(AbstractContextManager["RunLogs"]):
    """Logs a run; every row is written whole and at once, so that a killed run has them all.

    In every method ``place`` is how many examples of the stream are learned.

    Args:
        run_dir: The run folder.
        tasks: Names of all tasks.
        saved: None for a new run, else what `get_state` gave; everything logged after it is dropped.

    Raises:
        FileExistsError: if the folder holds logs and ``saved`` is None.
        DamagedError: if the logs of a saved run are missing or shorter than they were.
    """

    def __init__(self, run_dir: Path, tasks: Sequence[str], saved: SavedState | None = None) -> None:
        self.tasks = list(tasks)
        self._earlier: dict[str, int] = {}
        sizes: dict[str, int] | dict[str, None] = dict.fromkeys(TABLES)
        last = None
        if saved is not None:
            with saved, saved.part("tables") as tables, saved.part("events") as events:
                last = saved.whole("place")
                sizes = {name: tables.whole(name) for name in TABLES}
                self._earlier = {name: events.whole(name) for name in events if NAME.fullmatch(name)}
            for name, size in {**sizes, **self._earlier}.items():
                check_plain_file(run_dir / name, size)  # all of them, before the first is cut
            for name, size in self._earlier.items():
                GrowingFile(run_dir / name, size).close()
            drop_events(run_dir, keep=self._earlier)
        self._tables = {name: GrowingFile(run_dir / name, sizes[name]) for name in TABLES}
        self._events = EventFile(run_dir, None if last is None else last + 1)
        self._place = last or 0
        if saved is None:
            self._append(EVALUATIONS, [["frame", *(field.name for field in fields(EvaluationRow))]])
            self._append(INTERFERENCE, [["frame", *(field.name for field in fields(InterferenceRow))]])
            self._append(METRICS, [["frame", *COLUMNS]])
            charts = {title: ["Multiline", [pattern]] for title, pattern in CHARTS.items()}
            self._events.add(SUMMARIES.custom_scalars({"All tasks": charts}), 0)

    def get_state(self) -> State:
        """Return how far the logs go, all of it safe on the disk."""
        events = {**self._earlier, self._events.file.path.name: self._events.file.sync()}
        return {
            "place": self._place,
            "tables": {name: file.sync() for name, file in self._tables.items()},
            "events": events,
        }

    def text(self, markdown: str) -> None:
        """Show the configuration under TensorBoard's Text tab."""
        self._events.add(SUMMARIES.text("config", markdown), 0)

    def evaluation(self, place: int, rows: Sequence[EvaluationRow]) -> None:
        """Write a test on all tasks, a row each."""
        self._append(EVALUATIONS, [[place, *astuple(row)] for row in rows])
        self._scalars(place, {f"accuracy/{row.setting}": row.score_mean for row in rows})

    def values(self, place: int, values: Mapping[str, float]) -> None:
        """Write a row of `COLUMNS`; missing values leave empty cells."""
        self._append(METRICS, [[place, *(values.get(tag) for tag in COLUMNS)]])
        self._scalars(place, values)

    def interference(self, place: int, rows: Sequence[InterferenceRow]) -> None:
        """Write a measurement of the meter, a row for each two tasks."""
        self._append(INTERFERENCE, [[place, *astuple(row)] for row in rows])

    def hparams(self, parameters: Mapping[str, object], metrics: Mapping[str, float | list[float]]) -> None:
        """Show the hyper-parameters beside the final metrics under TensorBoard's HParams tab."""
        shown = {name: value if type(value) in (int, float) else str(value) for name, value in parameters.items()}
        final = {f"final/{name}": value for name, value in metrics.items() if not isinstance(value, list)}
        for summary in SUMMARIES.hparams(shown, final):
            self._events.add(summary, 0)
        self._scalars(self._place, final)

    def close(self) -> None:
        """Close everything; a second call does nothing."""
        for file in (*self._tables.values(), self._events.file):
            file.close()

    def __exit__(self, *error: object) -> None:
        """Close the logs, after an error too."""
        self.close()

    def _append(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._tables[name].write(text.getvalue().encode())

    def _scalars(self, place: int, values: Mapping[str, float]) -> None:
        self._place = max(self._place, place)
        for tag, value in values.items():
            self._events.add(SUMMARIES.scalar(tag, value), place)


def drop_logs(run_dir: Path) -> None:
    """Remove the logs of a run that was stopped before its first save."""
    drop_events(run_dir)
    for name in TABLES:
        (run_dir / name).unlink(missing_ok=True)
