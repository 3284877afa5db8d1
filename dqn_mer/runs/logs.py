"""The logs of a run: tables as CSV, and the same numbers as TensorBoard events, all in the run folder.

Rows and points are written whole and at once: a killed run has them all. A resumed run cuts its logs back to where its
state was saved, and continues behind it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from dqn_mer.runs.charts import Layout
from dqn_mer.runs.event_files import NAME, SUMMARIES, EventFile, drop_events
from dqn_mer.storage.escapes import csv_text
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.growing_file import GrowingFile, check_plain_file
from dqn_mer.storage.run_reader import RunReader
from dqn_mer.storage.state import SavedState, State

FRAME = "frame"
"""First column of every table: how far the run was."""
FIRST_PARAMETERS = ("game", "agent", "seed", "observation")
"""Hyper-parameters that TensorBoard's HParams shows before all others; it shows five unasked."""
RGBA = 4
"""Matplotlib's pictures, as TensorBoard counts their channels."""


class LogFiles:
    """The open log files of a run.

    Args:
        run_dir: Run folder, made if missing; it is also TensorBoard's log folder.
        headings: Names of the columns behind `FRAME`, by table.
        saved: None for a new run, else what `get_state` returned: everything logged after it is dropped.
        last_frame: Last frame that was logged by then.
        check: Called with the size of each table before the first is cut; raises if what is kept is not good enough.

    Attributes:
        headings: Names of the columns behind `FRAME`, by table; of a resumed run those that it began with, which may be
            of another version.
        last_frame: Last frame of a point.

    Raises:
        FileExistsError: if the folder holds logs and ``saved`` is None.
        DamagedError: if the logs of a saved run are missing, shorter than they were, or no tables.
    """

    def __init__(
        self,
        run_dir: Path,
        headings: Mapping[str, Sequence[str]],
        saved: SavedState | None = None,
        last_frame: int = 0,
        check: Callable[[Mapping[str, int]], None] | None = None,
    ) -> None:
        self.headings, self.last_frame = dict(headings), last_frame
        self._last_step = last_frame  # that of a picture may be later than that of the last point
        self._earlier_events: dict[str, int] = {}
        run_dir.mkdir(parents=True, exist_ok=True)
        if saved is not None:
            self._reopen(run_dir, saved, check or (lambda sizes: None))
            return
        self._tables = {name: GrowingFile(run_dir / name) for name in headings}
        for name, heading in headings.items():
            self.add_rows(name, [[FRAME, *heading]])
        self._events = EventFile(run_dir)

    def _reopen(self, run_dir: Path, saved: SavedState, check: Callable[[Mapping[str, int]], None]) -> None:
        """Cut every log to its size in the saved state; TensorBoard's is continued in a separate file."""
        with saved, saved.part("tables") as tables, saved.part("events") as events:
            sizes = {name: tables.whole(name) for name in self.headings}
            self._earlier_events = {name: events.whole(name) for name in events if NAME.fullmatch(name)}
            if "last_step" in saved:  # not in those of earlier versions, which drew nothing while they trained
                self._last_step = max(self._last_step, saved.whole("last_step"))
        for name, size in {**sizes, **self._earlier_events}.items():
            check_plain_file(run_dir / name, size)  # all of them, before the first is cut
        for name in self.headings:
            first, *self.headings[name] = RunReader(run_dir).heading(name) or [""]
            if first != FRAME:
                raise DamagedError(f"{run_dir / name}: must have {FRAME} as its first column")
        check(sizes)
        for name, size in self._earlier_events.items():
            GrowingFile(run_dir / name, size).close()
        self._tables = {name: GrowingFile(run_dir / name, size) for name, size in sizes.items()}
        drop_events(run_dir, keep=self._earlier_events)
        self._events = EventFile(run_dir, purge_step=self._last_step + 1)

    def get_state(self) -> State:
        """Return how far the logs go, all of it safe on the disk."""
        events = {**self._earlier_events, self._events.file.path.name: self._events.file.sync()}
        tables = {name: file.sync() for name, file in self._tables.items()}
        return {"tables": tables, "events": events, "last_step": self._last_step}

    def add_rows(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Write rows with one call; None becomes an empty cell."""
        self._tables[table].write(csv_text(rows))

    def add_values(self, table: str, frame: int, values: Mapping[str, object]) -> None:
        """Write a row of values by column; a missing one leaves an empty cell, and one without a column is left out."""
        self.add_rows(table, [[frame, *(values.get(column) for column in self.headings[table])]])

    def add_points(self, frame: int, values: Mapping[str, float]) -> None:
        """Show numbers in TensorBoard, by tag."""
        self.last_frame = max(self.last_frame, frame)
        self._last_step = max(self._last_step, frame)
        for tag, value in values.items():
            self._events.add(SUMMARIES.scalar(tag, value), frame)

    def add_summary(self, summary: Any, frame: int = 0) -> None:
        """Show one of `SUMMARIES` in TensorBoard."""
        self._last_step = max(self._last_step, frame)
        self._events.add(summary, frame)

    def add_png(self, tag: str, png: bytes, frame: int) -> None:
        """Show a picture, a file in PNG, in TensorBoard."""
        width, height = Image.open(io.BytesIO(png)).size
        image = Summary.Image(height=height, width=width, colorspace=RGBA, encoded_image_string=png)
        self.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), frame)

    def add_layout(self, layout: Layout) -> None:
        """Show charts in TensorBoard's Custom Scalars."""
        categories = {
            category: {title: ["Multiline", [pattern]] for title, pattern in charts.items()}
            for category, charts in layout.items()
        }
        self.add_summary(SUMMARIES.custom_scalars(categories))

    def add_hparams(
        self,
        parameters: Mapping[str, object],
        metrics: Mapping[str, float | list[float]],
        others: Mapping[str, object],
        other_metrics: Sequence[str],
    ) -> None:
        """Show hyper-parameters beside the metrics, as ``final/<name>``, under TensorBoard's HParams tab.

        TensorBoard offers the columns of one run for all runs of a log folder, so that each run lists those of others.

        Args:
            parameters: Hyper-parameters; None is shown as empty.
            metrics: Metrics; those that are lists are left out.
            others: Every parameter that another run may have, with a value of its kind: a number or text.
            other_metrics: Names of all metrics that a run may have, in order.
        """
        final = {f"final/{name}": value for name, value in metrics.items() if not isinstance(value, list)}
        known = {name: value for name, value in parameters.items() if value is not None}
        columns = dict.fromkeys([*(f"final/{name}" for name in other_metrics), *final], 0.0)
        # SummaryWriter.add_hparams would make a second run, named by a time stamp.
        experiment, *_ = SUMMARIES.hparams({**others, **known}, columns)
        _, *session = SUMMARIES.hparams(known, final)
        for summary in (_with_first_parameters(experiment), *session):
            self.add_summary(summary)
        self.add_points(self.last_frame, final)

    def close(self) -> None:
        """Close everything; a second call does nothing."""
        for file in self._tables.values():
            file.close()
        self._events.close()


def _with_first_parameters(summary: Any) -> Any:
    """Return an experiment's summary that says that runs differ in `FIRST_PARAMETERS`, which puts these first."""
    (value,) = summary.value
    experiment = metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)
    for parameter in experiment.hparam_infos:
        parameter.differs = parameter.name in FIRST_PARAMETERS
    content = HParamsPluginData(experiment=experiment, version=metadata.PLUGIN_DATA_VERSION)
    value.metadata.plugin_data.content = content.SerializeToString()
    return summary


def drop_logs(run_dir: Path, tables: Collection[str]) -> None:
    """Remove the logs of a run that was stopped before its first save."""
    drop_events(run_dir)
    for name in tables:
        (run_dir / name).unlink(missing_ok=True)
