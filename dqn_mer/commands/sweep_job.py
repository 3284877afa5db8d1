"""One run of a sweep: the ordinary trainer in a separate process, on any machine that sees the folder.

The process inherits the lock on its log, and so holds it even if the sweep is killed. Windows has no lock of this kind.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dqn_mer.runs.folder import lock_run
from dqn_mer.storage.files import DamagedError, open_log
from dqn_mer.storage.run_reader import LOCK, SUMMARY, RunReader

TRAINER = [sys.executable, "-m", "dqn_mer", "train"]
ENDED = "sweep: exit code "
STOPPED = "sweep: stopped, to be resumed: exit code "
_running: set[subprocess.Popen[bytes]] = set()
_stopping = threading.Event()


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        name: Name in the display.
        run_dir: Absolute path of the run folder.
        flags: All flags for `train`.
        frames: Frames of training.
        threads: CPU threads of the run.
        damage: What is wrong with its folder, in one line, if it cannot be known whose run it holds: it is then left as
            it is, and the job fails.
        task: Value of ``--task``, which a resumed run is given again.
        folder: Folder in which the sweep was started: on any machine the run finds the module of its task there, and
            the files that its flags name.
    """

    name: str
    run_dir: Path
    flags: tuple[str, ...]
    frames: int
    threads: int
    damage: str = ""
    task: str | None = None
    folder: Path = field(default_factory=Path.cwd)

    @property
    def log(self) -> Path:
        """Path of the log, which holds everything that the run prints."""
        return self.run_dir.with_name(self.run_dir.name + ".log")

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        try:
            return not self.damage and RunReader(self.run_dir).has(SUMMARY)
        except DamagedError:
            return False  # the process that is to train says what is wrong


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended.

    Attributes:
        name: Name of the job.
        log: Path of the log of the job.
        exit_code: 0 if the run is finished.
        skipped: Whether it was finished before.
        last_line: Last line that the run printed.
    """

    name: str
    log: Path
    exit_code: int
    skipped: bool = False
    last_line: str = ""


def check_system() -> None:
    """Raise ImportError, in one line, where runs cannot hold a lock on their logs."""
    if importlib.util.find_spec("fcntl") is None:
        raise ImportError("sweep: needs Linux or macOS; here, start runs one by one with `train`")


def run_job(job: Job) -> JobOutcome:
    """Bring a run to its end from whatever state it is in; a failure is an outcome, not an exception."""
    try:
        return _run_alone(job)
    except (OSError, ValueError) as error:
        with suppress(OSError, DamagedError), open_log(job.log) as log:
            log.write(f"{error}\n{ENDED}1\n".encode(errors="backslashreplace"))
        return JobOutcome(job.name, job.log, 1, last_line=str(error))


def _run_alone(job: Job) -> JobOutcome:
    """Bring a run to its end while holding the lock on its log."""
    import fcntl  # here, because Windows has none

    if job.damage:
        raise DamagedError(job.damage)
    if job.finished:
        return JobOutcome(job.name, job.log, 0, skipped=True)
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with open_log(job.log) as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # waits while a process that an earlier sweep left behind still trains it
        if job.finished:
            return JobOutcome(job.name, job.log, 0, skipped=True)
        words = _train_words(job)
        heading = f"sweep: {time.strftime('%Y-%m-%d %H:%M:%S')}: train {shlex.join(words)}\n"
        log.write(heading.encode(errors="backslashreplace"))
        log.flush()
        code = _train(words, job, log.fileno())
        log.write(f"{STOPPED if code and stop_was_asked() else ENDED}{code}\n".encode())
    return JobOutcome(job.name, job.log, code, last_line=_last_line(job.log) if code else "")


def allow_jobs() -> None:
    """Let runs start again after an earlier `stop_jobs`."""
    _stopping.clear()


def ask_jobs_to_stop() -> None:
    """Ask the runs of this process to save and stop, and start no more; fit for a handler of signals."""
    _stopping.set()
    for process in tuple(_running):
        process.terminate()


def stop_was_asked() -> bool:
    """Return whether the runs of this process were asked to stop."""
    return _stopping.is_set()


def stop_jobs() -> None:
    """Ask the runs of this process to save and stop, wait until they have, and start no more."""
    ask_jobs_to_stop()
    for process in tuple(_running):
        process.wait()


def log_tail(path: Path, size: int = 2_000) -> list[str]:
    """Return the last lines of a log, [] where there is none."""
    try:
        with RunReader(path.parent).open(path.name, sys.maxsize) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size).decode(errors="replace").splitlines()
    except (OSError, DamagedError):
        return []


def words_without_changes(job: Job) -> list[str]:
    """Return the flags that start the run, or those that resume it where there is its folder.

    Raises:
        ValueError: if there is a folder in which no run can be resumed, so that none can be started there either.
    """
    from dqn_mer.storage.snapshots import find_state  # imports all that trains, which the display has no use for
    from dqn_mer.training.resume import description_without_state

    if not os.path.lexists(job.run_dir):
        return list(job.flags)
    if find_state(job.run_dir) is None:
        description_without_state(job.run_dir)  # from which a run that was stopped before its first frame begins
    return _resume_words(job)


def _resume_words(job: Job) -> list[str]:
    return ["--resume", str(job.run_dir), *(["--task", job.task] if job.task is not None else [])]


def _train_words(job: Job) -> list[str]:
    """Return the flags that start or resume the run; a run of which nothing was saved is kept under a new name."""
    from dqn_mer.storage.snapshots import find_state
    from dqn_mer.storage.state import StateError

    with suppress(DamagedError, StateError):  # all that was saved is damaged
        if find_state(job.run_dir) is not None:
            return _resume_words(job)
    if os.path.lexists(job.run_dir):
        _move_aside(job.run_dir)
    return list(job.flags)


def _move_aside(run_dir: Path) -> None:
    """Give a run folder a new name; raises ValueError while another process trains in it."""
    names = (run_dir.with_name(f"{run_dir.name}.stopped-{number}") for number in range(1, 10_000))
    name = next(name for name in names if not os.path.lexists(name))
    reader = RunReader(run_dir)
    if not run_dir.is_dir() or not reader.has(LOCK):  # nothing ever trained in it
        run_dir.rename(name)
        return
    reader.check_writable()
    lock = lock_run(run_dir)
    try:
        run_dir.rename(name)
    finally:
        lock.release()


def _train(words: list[str], job: Job, output: int) -> int:
    """Train in a separate process session, which a Ctrl-C for the sweep does not reach; return its exit code."""
    if _stopping.is_set():
        return -signal.SIGTERM
    threads = str(job.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    if job.task is not None:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(job.folder), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [*TRAINER, *words],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=environment,
        cwd=job.folder if job.folder.is_dir() else None,
    )
    _running.add(process)
    try:
        if _stopping.is_set():  # since the check above
            process.terminate()
        return process.wait()
    except BaseException:  # in a separate thread nothing interrupts; as the only job, Ctrl-C does
        process.terminate()
        process.wait()
        raise
    finally:
        _running.discard(process)


def _last_line(log: Path) -> str:
    said = [line for line in log_tail(log) if line.strip() and not line.startswith("sweep: ")]
    return said[-1] if said else ""
