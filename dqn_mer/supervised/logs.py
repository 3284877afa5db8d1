"""The logs of a supervised run: the files of an RL run that ``compare`` reads, and TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, fields
from pathlib import Path

from dqn_mer.analysis import metric_table
from dqn_mer.analysis.gradient_agreement import InterferenceRow
from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.runs.charts import layout_of
from dqn_mer.runs.event_files import SUMMARIES
from dqn_mer.runs.logs import LogFiles
from dqn_mer.runs.tag_table import tag_table
from dqn_mer.storage.state import SavedState, State

EVALUATIONS, INTERFERENCE, METRICS = ("evaluations.csv", "interference.csv", "metrics.csv")
TAGS = {
    "accuracy/mean": "Mean of accuracy over all tasks, met or not.",
    "continual/learning_accuracy": "Mean, over the tasks that are over, of accuracy on each right after it (LA).",
    "continual/retained_accuracy": "Mean, over the tasks that are over, of accuracy now (RA).",
    "continual/backward_transfer_interference": "RA less LA (BTI): negative where later tasks harmed earlier ones.",
    "memory/stored": "Examples that the learner keeps.",
    "gradients/dot_within": "Dot product of two examples' loss gradients, same task, mean: positive is transfer.",
    "gradients/dot_between": "Dot product of two examples' loss gradients, different tasks, mean.",
    "gradients/cosine_within": "Cosine between two examples' loss gradients, same task, mean, -1 to 1.",
    "gradients/cosine_between": "Cosine between two examples' loss gradients, different tasks, mean, -1 to 1.",
    "speed/examples_per_s": "Examples of the stream per second since this process began, tests and saves included.",
}
"""The columns of metrics.csv, in order, with their meanings."""
SHOWN = {
    "accuracy/<task>": "Share of the task's test images that are classified correctly, in percent.",
    "final/<metric>": "At the end of the run: a continual-learning metric of summary.json (also under HParams).",
    "config": "Text: the configuration of the run.",
}
"""Tags that only TensorBoard shows, with their meanings; <task> and <metric> stand for names."""
HEADINGS = {
    EVALUATIONS: [field.name for field in fields(EvaluationRow)],
    INTERFERENCE: [field.name for field in fields(InterferenceRow)],
    METRICS: list(TAGS),
}
"""Columns of each table."""


def tags_as_markdown() -> str:
    """Return the table of all tags for docs/supervised.md."""
    return tag_table({**SHOWN, **TAGS})


class RunLogs(AbstractContextManager["RunLogs"]):
    """Logs a run; every row is written whole and at once, so that a killed run has them all.

    In every method ``place`` is the number of examples of the stream that are learned.

    Args:
        run_dir: The run folder.
        stream: Name of the stream, for the titles of charts.
        tasks: Names of all tasks.
        saved: None for a new run, else what `get_state` returned; everything logged after it is dropped.

    Raises:
        FileExistsError: if the folder holds logs and ``saved`` is None.
        DamagedError: if the logs of a saved run are missing or shorter than they were.
    """

    def __init__(self, run_dir: Path, stream: str, tasks: Sequence[str], saved: SavedState | None = None) -> None:
        self.tasks = list(tasks)
        place = 0 if saved is None else saved.whole("place")
        self._files = LogFiles(run_dir, HEADINGS, saved, place)
        if saved is None:
            each = {name: f"accuracy/{name}" for name in tasks}
            overlays = {
                "accuracy on every task": list(each.values()),
                "LA, RA and BTI so far": [tag for tag in TAGS if tag.startswith("continual/")],
            }
            self._files.add_layout(layout_of(stream, tasks, ("accuracy", "task"), each, overlays))

    def get_state(self) -> State:
        """Return how far the logs go, all of it safe on the disk."""
        return {"place": self._files.last_frame, **self._files.get_state()}

    def text(self, markdown: str) -> None:
        """Show the configuration under TensorBoard's Text tab."""
        self._files.add_summary(SUMMARIES.text("config", markdown))

    def evaluation(self, place: int, rows: Sequence[EvaluationRow]) -> None:
        """Write a test on all tasks, a row each."""
        self._files.add_rows(EVALUATIONS, [[place, *astuple(row)] for row in rows])
        self._files.add_points(place, {f"accuracy/{row.setting}": row.score_mean for row in rows})

    def values(self, place: int, values: Mapping[str, float]) -> None:
        """Write a row of metrics.csv; missing values leave empty cells."""
        self._files.add_values(METRICS, place, values)
        self._files.add_points(place, values)

    def interference(self, place: int, rows: Sequence[InterferenceRow]) -> None:
        """Write a measurement of the meter, a row for each two tasks."""
        self._files.add_rows(INTERFERENCE, [[place, *astuple(row)] for row in rows])

    def hparams(self, parameters: Mapping[str, object], metrics: Mapping[str, float | list[float]]) -> None:
        """Show the hyper-parameters beside the final metrics under TensorBoard's HParams tab.

        Those that the learner does not read, which are numbers and None here, are left empty.
        """
        read = {name: value for name, value in parameters.items() if value is not None}
        shown = {name: value if type(value) in (int, float) else str(value) for name, value in read.items()}
        unread = {name: 0 for name in parameters if name not in read}
        self._files.add_hparams(shown, metrics, unread, [metric.name for metric in metric_table.METRICS])

    def close(self) -> None:
        """Close everything; a second call does nothing."""
        self._files.close()

    def __exit__(self, *error: object) -> None:
        """Close the logs, after an error too."""
        self.close()
