"""Resume a stopped run: ``python train.py --resume RUN``."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import BaseFileLock

from continual_ple.settings import Schedule
from continual_ple.tasks import Task
from dqn_mer.config.agent_registry import find_agent, known_agent
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.supervised_runs import is_no_training_run, is_supervised
from dqn_mer.config.task import is_own
from dqn_mer.runs.folder import check_is_run, describe_run, lock_run, versions
from dqn_mer.runs.stopping import RunStopped, how_to_resume
from dqn_mer.storage.escapes import one_line, shown
from dqn_mer.storage.json_files import write_json
from dqn_mer.storage.run_reader import CONFIG, RESUME, SUMMARY, TABLE_BYTES, TABLES, RunReader
from dqn_mer.storage.snapshots import find_state
from dqn_mer.storage.state import SavedState, State, StateError

LOOP = "course"
"""Name of the training loop's state in a snapshot, since the first version."""

PIXEL_FEATURES = 64 * 7 * 7
"""Features that the convolutions make of 84 x 84 pixels."""


@dataclass(frozen=True)
class Stopped:
    """A run to resume; this process alone has its folder.

    Attributes:
        run_dir: Folder of the run.
        lock: Lock on the folder.
        config: Configuration of the run.
        schedule: Schedule of the run.
        threads: PyTorch CPU threads that the run was started with, since another number rounds otherwise; 0 if unknown.
        state: State to start from; None if the run was stopped before its first frame.
        notes: Lines to print for the user.
    """

    run_dir: Path
    lock: BaseFileLock
    config: Config
    schedule: Schedule
    threads: int
    state: SavedState | None
    notes: tuple[str, ...]


def open_run(options: ResumeOptions, task: Task | None = None) -> Stopped:
    """Find the state to resume from; nothing in the run folder is changed.

    Args:
        options: Options that name the folder.
        task: Task of the run; needed only for tasks of your own.

    Raises:
        ValueError: if the folder is no run's, another process trains in it, no state is complete, or the task is
            missing or another one.
        RunStopped: if the run is finished.
    """
    run_dir = options.resume
    check_is_run(run_dir)
    reader = RunReader(run_dir)
    _check_unfinished(reader)  # of which nothing is locked, since it may be on a disk that cannot be written
    reader.check_writable()  # before the first write, which is that of the lock
    lock = lock_run(run_dir)
    try:
        _check_unfinished(reader)
        return _stopped_run(options, lock, task)
    except BaseException:
        lock.release()
        raise


def _check_unfinished(reader: RunReader) -> None:
    if reader.has(SUMMARY):
        raise RunStopped(f"{reader.folder}: this run is finished, there is nothing to resume", 0)


def _stopped_run(options: ResumeOptions, lock: BaseFileLock, task: Task | None) -> Stopped:
    run_dir = options.resume
    snapshot = find_state(run_dir)
    described = snapshot.header if snapshot else description_without_state(run_dir)
    if is_supervised(described):
        raise ValueError(is_no_training_run(run_dir))
    try:
        config = Config.from_json(described["config"])
        schedule = Schedule.from_json(described["schedule"])
        threads = described["threads"] if snapshot else 0
        if type(threads) is not int or not 0 <= threads <= 1_024:
            raise ValueError(f"threads={shown(threads)}: must be a whole number from 0 to 1,024")
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        source = snapshot.folder if snapshot else run_dir / CONFIG
        raise StateError(f"{source}: bad description: {one_line(error)}") from None
    _check_task(run_dir, config, schedule, task)
    config = replace(config, task=options.task or config.task)
    if snapshot is not None and (task is None or task.network is None):
        _check_network(config, snapshot.state, PIXEL_FEATURES if task is None and config.observation == "pixels" else 1)
    given = {name: getattr(options, name) for name in ("save_every", "save_minutes")}
    config = replace(config, **{name: value for name, value in given.items() if value is not None})
    if snapshot is None:
        return Stopped(run_dir, lock, config, schedule, 0, None, ("no state was saved yet: starting from frame 0",))
    notes = [f"passed over: {line}" for line in snapshot.passed_over]
    notes += [f"resuming from {snapshot.folder}", *_changed_versions(described.get("versions"))]
    return Stopped(run_dir, lock, config, schedule, threads, SavedState(snapshot.state), tuple(notes))


def restore_description(stopped: Stopped) -> str | None:
    """Write config.json of a run again if it is missing or damaged; return a line that says so, or None.

    What the state says of the run is enough to resume it, but nothing else shows a run without config.json.
    """
    try:
        described = RunReader(stopped.run_dir).json(CONFIG)
        Config.from_json(described["config"])
        Schedule.from_json(described["schedule"])
    except (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        description = describe_run({"config": stopped.config.to_json()}, stopped.schedule.to_json())
        write_json(stopped.run_dir / CONFIG, description)
        return f"written again from the saved state: {one_line(error)}"
    return None


def _check_task(run_dir: Path, config: Config, schedule: Schedule, task: Task | None) -> None:
    """Raise ValueError unless a run's agent and task are known: a game of ours, or the task that is given."""
    if known_agent(config.agent) is None:
        raise ValueError(f"{run_dir}: agent {config.agent} is not registered here; install its package, or register it")
    if task is None:
        if is_own(config):
            raise ValueError(f"{run_dir}: {config.game} is no game of ours; {_how_to_give(run_dir, config)}")
    elif task.schedule != schedule:
        raise ValueError(f"task: must have the schedule of the run in {run_dir}, has another one")


def _how_to_give(run_dir: Path, config: Config) -> str:
    """Return in words how to resume a run whose folder may be a stranger's, and says more than it should decide."""
    how = how_to_resume(run_dir, own=True, task=config.task)
    return f"give its --task MODULE:NAME, or {how}" if config.task is None else f"if that task is yours, {how}"


def _check_network(config: Config, state: State, features: int) -> None:
    """Raise StateError if the network would be larger than the one that was saved, before it is built.

    Args:
        config: Configuration of the run.
        state: State that was saved.
        features: Fewest inputs of its first dense layer.
    """
    weights = state
    for name in (LOOP, "agent", "online"):
        weights = weights.get(name, {}) if isinstance(weights, dict) else {}
    largest = math.prod(getattr(weights, "shape", (0,)))
    if not find_agent(config.agent).learns:
        return  # a network of random play has no hidden layers
    widths = (features, *config.hidden_sizes)
    if sum(above * below for above, below in itertools.pairwise(widths)) > largest:
        raise StateError(f"hidden_sizes={config.hidden_sizes}"[:200] + f": more than the {largest:,} weights saved")


def description_without_state(run_dir: Path) -> dict[str, Any]:
    """Return config.json of a run that was stopped before it had a state, and so before its first frame.

    Raises:
        DamagedError: if it is missing or damaged.
        StateError: if frames were played, so that there was a state.
    """
    reader = RunReader(run_dir)
    described = reader.json(CONFIG)
    if reader.has(TABLES[0]) and not is_supervised(described):
        with reader.open(TABLES[0], TABLE_BYTES) as metrics:
            if metrics.read(2**20).count(b"\n") > 1:
                raise StateError(f"{run_dir}: no state left in {RESUME}, though frames were played")
    return described


def _changed_versions(before: object) -> list[str]:
    """Return a line if other library versions would compute, whose results may differ in the last digits."""
    now = versions()
    if not isinstance(before, dict) or before == now:
        return []
    names = sorted(set(before) | set(now))
    changed = [f"{name} {before.get(name)} -> {now.get(name)}" for name in names if before.get(name) != now.get(name)]
    return [
        f"results may differ in the last digits from those of a run that was not stopped: {', '.join(changed)[:500]}"
    ]
