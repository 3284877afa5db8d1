"""Bring one run to its end, from whatever state its folder is in, and leave a folder that explains itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dqn_mer.networks.device import processor
from dqn_mer.runs.folder import check_may_train, describe_run, lock_run, versions
from dqn_mer.runs.logs import drop_logs
from dqn_mer.runs.stopping import NotFiniteError, RunStopped, StopRequest
from dqn_mer.storage.escapes import one_line, shown
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.json_files import write_json
from dqn_mer.storage.run_reader import CONFIG, LOCK, SUMMARY, RunReader
from dqn_mer.storage.snapshots import FoundState, drop_states, find_state, save_state, set_aside
from dqn_mer.storage.state import SavedState, StateError
from dqn_mer.supervised.data import DataSet, load_data
from dqn_mer.supervised.logs import HEADINGS
from dqn_mer.supervised.options import RunSpec
from dqn_mer.supervised.run import SupervisedRun
from dqn_mer.supervised.streams import Stream, StreamSizes, make_stream

RESUMING = "the same command resumes it"
Show = Callable[[int], None]
"""Shows the progress of a run: ``show(examples learned)``."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        spec: Specification of the run.
        metrics: Metrics in ``summary.json``; empty if the run is not finished.
        wall_s: Time that the run took over all its processes, in seconds.
        skipped: Whether the run was finished before.
        problem: Reason that stopped it, in one line; empty if it is finished.
        exit_code: Exit code for the shell: 0, 1 after an error, 128 + the number of a signal.
    """

    spec: RunSpec
    metrics: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    skipped: bool = False
    problem: str = ""
    exit_code: int = 0


@lru_cache(maxsize=1)
def load_cached(folder: Path | None) -> tuple[DataSet, str]:
    """Return the images of a folder and their digest, read once in a process."""
    data = load_data(folder)
    return data, data.digest


@lru_cache(maxsize=1)
def _stream(folder: Path | None, kind: str, sizes: StreamSizes, seed: int) -> Stream:
    return make_stream(kind, load_cached(folder)[0], sizes, seed)


def stream_of(spec: RunSpec) -> Stream:
    """Make the stream of a run; the runs of one seed share it.

    Raises:
        ValueError: if the data is too small for it.
    """
    options = spec.options
    sizes = StreamSizes(spec.tasks, spec.examples, options.tests, options.classes_per_task)
    return _stream(options.data, spec.stream, sizes, spec.seed)


def config_of(spec: RunSpec) -> dict[str, Any]:
    """Return the content of a run's config.json."""
    data, digest = load_cached(spec.options.data)
    return spec.to_json(data.name, digest)


def check_folder(spec: RunSpec) -> None:
    """Raise ValueError if the folder of a run cannot be made, or holds a run that is not this one.

    A damaged one stops no other run: `execute` reports it.
    """
    check_may_train("out", spec.options.out, spec.run_dir)
    try:
        before = _config_before(spec)
    except DamagedError:
        return
    if before is None:
        return
    for name, value in sorted(config_of(spec).items()):
        if before.get(name) != value:
            raise ValueError(
                f"{name}={value!r}: {spec.run_dir} was run with {shown(before.get(name))}; give another out"
            )


def _config_before(spec: RunSpec) -> dict[str, Any] | None:
    """Return the configuration in the folder of a run, None if there is none.

    Raises:
        DamagedError: if it cannot be read.
    """
    reader = RunReader(spec.run_dir)
    if not reader.has(CONFIG):
        return None
    config = reader.json(CONFIG).get("config")
    if not isinstance(config, dict):
        raise DamagedError(f"{spec.run_dir / CONFIG}: config={shown(config)}: must be an object")
    return config


def execute(spec: RunSpec, command: Sequence[str], show: Show) -> Outcome:
    """Bring a run to its end; an error or a signal that stops it is an outcome, not an exception."""
    with StopRequest() as request:
        outcome = _outcome(spec, command, show, request)
    if request.signal_number:  # which may have come too late to stop this run, but must stop those after it
        return replace(outcome, exit_code=128 + request.signal_number)
    return outcome


def _outcome(spec: RunSpec, command: Sequence[str], show: Show, request: StopRequest) -> Outcome:
    try:
        with processor(1):
            return _execute(spec, command, show, request)
    except RunStopped as stop:
        return Outcome(spec, problem=str(stop), exit_code=stop.exit_code)
    except NotFiniteError as error:
        return Outcome(
            spec, problem=f"learning diverged: {error} is not finite; try a lower learning rate", exit_code=1
        )
    except (DamagedError, StateError) as error:
        return Outcome(spec, problem=f"{error}; remove {spec.run_dir} to start it anew", exit_code=1)
    except (OSError, ValueError, MemoryError) as error:
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return Outcome(spec, problem=f"{where}{said}; {RESUMING}", exit_code=1)


def _execute(spec: RunSpec, command: Sequence[str], show: Show, request: StopRequest) -> Outcome:
    run_dir, reader = spec.run_dir, RunReader(spec.run_dir)
    _config_before(spec)  # nothing is done with a damaged folder
    if reader.has(SUMMARY):
        return _finished(spec, skipped=True)
    run_dir.mkdir(parents=True, exist_ok=True)
    reader.check_writable()  # before the first write, which is that of the lock
    with lock_run(run_dir):
        if reader.has(SUMMARY):  # another process finished it meanwhile
            return _finished(spec, skipped=True)
        with SupervisedRun(spec, stream_of(spec)) as run:
            _Execution(run, run_dir, config_of(spec), command, request, show).run()
        drop_states(run_dir)
        with suppress(OSError):  # a finished run needs no lock; Windows does not remove an open file
            (run_dir / LOCK).unlink()
    return _finished(spec)


def _finished(spec: RunSpec, skipped: bool = False) -> Outcome:
    summary = RunReader(spec.run_dir).json(SUMMARY)
    try:
        return Outcome(spec, dict(summary["metrics"]), float(summary["wall_s"]), skipped)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{spec.run_dir / SUMMARY}: cannot be read: {one_line(error)}") from None


class _Execution:
    """A run in this process: where it starts, when it is saved, and how it stops."""

    def __init__(
        self,
        run: SupervisedRun,
        run_dir: Path,
        config: dict[str, Any],
        command: Sequence[str],
        request: StopRequest,
        show: Show,
    ) -> None:
        self.progress, self.run_dir, self.config, self.command = run, run_dir, config, command
        self.request, self.show = request, show
        self.started_s = self.saved_s = time.perf_counter()
        self.wall_before_s = 0.0
        self.first = 0

    def run(self) -> None:
        """Learn to the end of the stream, and write what a finished run leaves."""
        progress = self.progress
        stopped = find_state(self.run_dir)
        if stopped is None:
            self._begin()
        else:
            self._resume(stopped)
        self.first = progress.place
        total = progress.stream.total_examples
        while progress.place < total:
            if self.request.signal_number:
                self._save()
                raise self.request.stopped(progress.place, RESUMING, "example")
            progress.advance((progress.place - self.first) / max(time.perf_counter() - self.started_s, 1e-9))
            self.show(progress.place)
            if self._save_is_due() and progress.place < total:
                self._save()
        summary = progress.summarise(self.run_dir, self._wall_s())
        progress.logs.hparams(self.config, summary["metrics"])
        summary |= {"data": self.config["data"], "data_sha256": self.config["data_sha256"]}
        write_json(self.run_dir / SUMMARY, summary)  # the mark of a finished run: nothing comes after it

    def _begin(self) -> None:
        drop_logs(self.run_dir, HEADINGS)
        stream = self.progress.stream
        configuration: dict[str, Any] = {"config": self.config, "rates_source": self.progress.spec.rates_source}
        if stream.angles:
            configuration["angles"] = stream.angles
        description = describe_run(configuration, stream.schedule(), self.command)
        write_json(self.run_dir / CONFIG, description)
        self.progress.begin(self.run_dir, self.config)

    def _resume(self, stopped: FoundState) -> None:
        if stopped.header.get("config") != self.config:
            raise StateError(f"{stopped.folder}: config: is not that of this run")
        with SavedState(stopped.state) as saved:
            self.wall_before_s = saved.number("wall_s", 0)
            self.progress.resume(self.run_dir, saved.part("run"))
        set_aside(self.run_dir, self.progress.place)

    def _save_is_due(self) -> bool:
        options = self.progress.spec.options
        if options.save_every and self.progress.place % options.save_every == 0:
            return True
        return options.save_minutes > 0 and time.perf_counter() - self.saved_s >= 60 * options.save_minutes

    def _save(self) -> None:
        state = {"wall_s": self._wall_s(), "run": self.progress.get_state()}
        save_state(self.run_dir, self.progress.place, {"config": self.config, "versions": versions()}, state)
        self.saved_s = time.perf_counter()

    def _wall_s(self) -> float:
        return self.wall_before_s + time.perf_counter() - self.started_s
