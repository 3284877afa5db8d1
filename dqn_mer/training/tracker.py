"""The numbers of a run: the same ones to TensorBoard and to CSV, both in the run folder."""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from continual_ple.settings import LARGEST_VALUE
from dqn_mer.analysis import metric_table
from dqn_mer.analysis.gradient_agreement import InterferenceRow
from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.analysis.scores import check_evaluations
from dqn_mer.config.config import ALLOWED, Config
from dqn_mer.runs.event_files import SUMMARIES
from dqn_mer.runs.logs import LogFiles, drop_logs
from dqn_mer.storage.escapes import printable
from dqn_mer.storage.run_reader import TABLES
from dqn_mer.storage.state import SavedState, State
from dqn_mer.training.tags import chart_layout, metric_columns

EVALUATION_COLUMNS = tuple(field.name for field in fields(EvaluationRow))
INTERFERENCE_COLUMNS = tuple(field.name for field in fields(InterferenceRow))
STRIP_GAP_PIXELS = 4
METRICS, EVALUATIONS, INTERFERENCE = TABLES


class Tracker(AbstractContextManager["Tracker"]):
    """Logs a run to TensorBoard and to metrics.csv, evaluations.csv and interference.csv.

    Rows and points are written whole and at once: a killed run has them all. In every method `frame` is training
    frames done.
    """

    def __init__(
        self,
        run_dir: Path,
        game: str,
        setting_names: Sequence[str],
        parameter_name: str,
        columns: Sequence[str],
        saved: SavedState | None = None,
    ) -> None:
        """Open the logs.

        Args:
            run_dir: The run folder, made if missing; it is also TensorBoard's log folder.
            game: Name of the game, for the titles of charts.
            setting_names: Names of all settings, in order.
            parameter_name: Name of the game parameter that the settings change.
            columns: Tags of metrics.csv, normally `metric_columns(...)`; the two of the setting are added if missing.
            saved: None for a new run, else what `get_state` returned: everything logged after it is dropped.

        Raises:
            FileExistsError: if the folder holds logs and `saved` is None.
            DamagedError: if the logs of a saved run are missing.
            ValueError: if a name or column is doubled or not allowed.
        """
        self.run_dir = run_dir
        _check_names(game, setting_names, parameter_name)
        self._value_tag, self._mean_tag = f"setting/{parameter_name}", f"eval_mean/{game}"
        self._columns = [*columns, *(tag for tag in ("setting/index", self._value_tag) if tag not in columns)]
        for tag in self._columns:
            if tag not in metric_columns(setting_names, parameter_name) or self._columns.count(tag) > 1:
                raise ValueError(f"columns must be different tags explained in LOGGED, got {tag!r}")
        self._tags = frozenset(self._columns)
        self._setting_names = list(setting_names)
        self._setting: dict[str, float] = {}
        headings = dict(zip(TABLES, (self._columns, EVALUATION_COLUMNS, INTERFERENCE_COLUMNS), strict=True))
        if saved is not None:
            self._files = self._reopened(run_dir, headings, saved)
            return
        self._files = LogFiles(run_dir, headings)
        self._files.add_layout(chart_layout(game, setting_names, parameter_name))

    def get_state(self) -> State:
        """Return how far the logs go, all of it safe on the disk."""
        setting = {tag: value for tag, value in self._setting.items() if not math.isnan(value)}
        return {"last_frame": self._files.last_frame, "setting": setting, **self._files.get_state()}

    def _reopened(self, run_dir: Path, headings: Mapping[str, Sequence[str]], saved: SavedState) -> LogFiles:
        last_frame = saved.whole("last_frame")
        with saved.part("setting") as setting:
            tags = ("setting/index", self._value_tag)
            span = -LARGEST_VALUE, LARGEST_VALUE
            self._setting = {tag: setting.number(tag, *span) if tag in setting else math.nan for tag in tags}

        def check(sizes: Mapping[str, int]) -> None:
            """Check the evaluations, which the end of the run needs."""
            check_evaluations(run_dir / EVALUATIONS, len(self._setting_names), sizes[EVALUATIONS])

        return LogFiles(run_dir, headings, saved, last_frame, check)

    def log(self, frame: int, values: Mapping[str, float]) -> None:
        """Write one row of scalars (tag -> value), with the setting in force; missing values leave empty cells.

        Raises:
            KeyError: if a tag is not one of the columns, where it would vanish from the CSV.
        """
        for tag in values:
            if tag not in self._tags:
                raise KeyError(f"unknown tag {tag!r}: not a column of metrics.csv")
        row = {**self._setting, **values}
        self._files.add_values(METRICS, frame, row)
        self._files.add_points(frame, row)

    def log_setting(self, frame: int, index: int, value: float) -> None:
        """Log the setting in force from `frame` on, at start, resume and change; it fills each later `log` row.

        Raises:
            ValueError: if `index` is not that of a setting.
        """
        if not 0 <= index < len(self._setting_names):
            raise ValueError(f"setting index must be from 0 to {len(self._setting_names) - 1}, got {index}")
        if self._setting and self._files.last_frame < frame - 1:
            self._files.add_points(frame - 1, self._setting)
        self._setting = {"setting/index": index, self._value_tag: value}
        self._files.add_points(frame, self._setting)

    def log_evaluation(self, frame: int, rows: Sequence[EvaluationRow]) -> None:
        """Write an evaluation of all settings, one row each.

        Raises:
            ValueError: if the rows are not one for each setting in order.
        """
        if [(row.setting_index, row.setting) for row in rows] != list(enumerate(self._setting_names)):
            raise ValueError(f"an evaluation needs a row for each setting in order, got {[r.setting for r in rows]}")
        self._files.add_rows(EVALUATIONS, [[frame, *astuple(row)] for row in rows])
        mean = float(np.mean([row.score_mean for row in rows]))
        values = {"eval_score/mean": mean, self._mean_tag: mean}
        for row in rows:
            values[f"eval_score/{row.setting}"] = row.score_mean
            values[f"eval_total_reward/{row.setting}"] = row.return_mean
            values[f"eval_total_frames/{row.setting}"] = row.length_mean
        self._files.add_points(frame, values)

    def log_interference(self, frame: int, rows: Sequence[InterferenceRow]) -> None:
        """Write a measurement of the meter, one row for each two settings."""
        self._files.add_rows(INTERFERENCE, [[frame, *astuple(row)] for row in rows])

    def log_text(self, config_markdown: str) -> None:
        """Show the configuration under TensorBoard's Text tab."""
        self._files.add_summary(SUMMARIES.text("config", config_markdown))

    def log_images(self, tag: str, frames: NDArray[np.uint8], frame: int = 0) -> None:
        """Show RGB `frames`, uint8 of shape (n, height, width, 3), side by side under the tag `frames/<setting>`.

        Raises:
            KeyError: if `tag` is another one.
            ValueError: if `frames` has another shape or type, or is empty.
        """
        if tag.removeprefix("frames/") not in self._setting_names:
            raise KeyError(f"unknown tag {tag!r}: not frames/<setting>")
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or frames.size == 0:
            raise ValueError(f"frames must be uint8 of shape (n, height, width, 3), got {frames.dtype} {frames.shape}")
        padded = np.pad(frames, ((0, 0), (0, 0), (0, STRIP_GAP_PIXELS), (0, 0)), constant_values=255)
        strip = np.concatenate(list(padded), axis=1)[:, :-STRIP_GAP_PIXELS]
        self._files.add_summary(SUMMARIES.image(tag, strip, dataformats="HWC"), frame)

    def log_learning_curves(self, frame: int, png: bytes) -> None:
        """Show the figure of the learning curves as it is at this frame."""
        self._files.add_png("learning_curves", png, frame)

    def log_hparams(self, hparams: Mapping[str, object], final_metrics: Mapping[str, float | list[float]]) -> None:
        """Show the hyper-parameters beside the metrics, as `final/<name>`, under TensorBoard's HParams tab.

        Hyper-parameters that are no numbers are shown as text, None as empty; metrics that are lists are left out.
        """
        shown = {k: v if v is None or type(v) in (int, float) else printable(v) for k, v in hparams.items()}
        others = {k: 0 if ALLOWED[k].kind in (int, float) else "" for k in Config().hyperparameters()}
        self._files.add_hparams(shown, final_metrics, others, [metric.name for metric in metric_table.METRICS])

    def close(self) -> None:
        """Close everything; a second call does nothing."""
        self._files.close()

    def __exit__(self, *error: object) -> None:
        """Close the logs, after an error too."""
        self.close()


def _check_names(game: str, setting_names: Sequence[str], parameter_name: str) -> None:
    """Raise ValueError for names that would clash or nest as tags."""
    if not game or "/" in game:
        raise ValueError(f"the game's name must hold no '/', and not be empty, got {game!r}")
    for name in setting_names:
        if name in ("", "mean") or "/" in name or setting_names.count(name) > 1:
            raise ValueError(f"setting names must differ, hold no '/', and not be empty or 'mean', got {name!r}")
    if not setting_names or parameter_name in ("", "index") or "/" in parameter_name:
        raise ValueError(f"need a setting's name and a parameter's (not 'index', no '/'), got {parameter_name!r}")


def drop_tracked(run_dir: Path) -> None:
    """Remove the logs of a run that was stopped before its first frame."""
    drop_logs(run_dir, TABLES)
