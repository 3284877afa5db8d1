"""The runs of a sweep as jobs of a Slurm cluster, through submitit.

Slurm warns a job by SIGUSR1 before its time is up or it is preempted. Then the run saves itself, and the job joins the
queue again and resumes it; so a run may take longer than a job. Any other end of a job leaves the last state that was
saved, from which the same sweep resumes.
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqn_mer.commands.sweep_job import Job, JobOutcome, ask_jobs_to_stop, run_job, stop_jobs, stop_was_asked
from dqn_mer.config.fields import bad_value
from dqn_mer.ranges import Range
from dqn_mer.storage.escapes import shown

if TYPE_CHECKING:
    import submitit

SIGNAL = "USR1"
"""What Slurm may also send to the trainer itself, which saves on it; submitit's own choice, USR2, would kill it."""
SIGNAL_DELAY_S = 120
"""Seconds between the warning and the end, for saving: 12 s were measured for the largest states on a busy machine."""
MOST_TIMEOUTS = 100
"""How often a job whose time was up joins the queue again: a run that takes more jobs than that is stuck."""
MINUTES = Range(5, 525_600, whole=True)
SET_HERE = frozenset(
    "array error job_name nodes no_requeue ntasks ntasks_per_node open_mode output requeue signal".split()
)


def check_slurm(options: Mapping[str, str]) -> None:
    """Check the options of sbatch, as far as sbatch does not.

    Raises:
        ValueError: if a name or value cannot stand in a script, the sweep sets the option, or there is no time limit.
    """
    for name, value in options.items():
        if not re.fullmatch("[a-z][a-z0-9_-]*", str(name)) or name.replace("-", "_") in SET_HERE:
            raise ValueError(f"slurm={name!r}: must be an option of sbatch that a sweep does not set itself")
        if not (isinstance(value, str) and re.fullmatch(r"\S{1,500}", value) and value.isprintable()):
            raise bad_value(f"slurm.{name}", value, "text without blanks")
    minutes = options.get("time", "")
    if not re.fullmatch(r"\d{1,9}", minutes, re.ASCII) or not MINUTES.allows(int(minutes)):
        raise ValueError(f"slurm.time={minutes!r}: must be {MINUTES.describe()}: the minutes that a job may take")


class SlurmRun:
    """What a Slurm job does: one run, from whatever state it is in.

    Args:
        job: Job of the sweep.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self) -> JobOutcome:
        """Bring the run to its end.

        SIGTERM comes before a job is killed, whether it is cancelled or preempted: the run is saved and the process
        waits, since a job that ended by itself would not be queued again after a preemption.
        """
        signal.signal(signal.SIGTERM, lambda number, frame: ask_jobs_to_stop())
        with ThreadPoolExecutor(1) as pool:  # so that this thread is free to handle signals
            outcome = pool.submit(run_job, self.job).result()
        while outcome.exit_code and stop_was_asked():
            signal.pause()
        return outcome

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Save and stop the run, and return what the next job does; submitit calls this on a warning."""
        from submitit.helpers import DelayedSubmission

        stop_jobs()
        return DelayedSubmission(self)


def run_on_slurm(jobs: Sequence[Job], out: Path, at_once: int, options: Mapping[str, str]) -> list[JobOutcome]:
    """Submit a job, or an array of jobs, for the runs that are not finished, and wait for all of them.

    Args:
        jobs: Runs of the sweep.
        out: Folder of the sweep, which every node must see.
        at_once: Largest number of jobs that run at a time.
        options: Options of sbatch, without dashes.

    Returns:
        How each run ended, in order.

    Raises:
        ValueError: if sbatch refuses the jobs.
    """
    outcomes = {job.name: JobOutcome(job.name, job.log, 0, skipped=True) for job in jobs if job.finished}
    outcomes |= {job.name: run_job(job) for job in jobs if job.damage}  # which fail at once
    waiting = [job for job in jobs if job.name not in outcomes]
    if waiting:
        out.mkdir(parents=True, exist_ok=True)
        # New, and nobody else may write to it: the results in it are unpickled.
        folder = Path(tempfile.mkdtemp(prefix="slurm-", dir=out.absolute()))
        submitted = _submit(waiting, folder, at_once, options)
        try:
            outcomes |= {job.name: _outcome(job, one) for job, one in zip(waiting, submitted, strict=True)}
        except BaseException:
            with suppress(OSError):
                subprocess.run(["scancel", submitted[0].job_id.partition("_")[0]], check=False)
            raise
        if not any(outcomes[job.name].exit_code for job in waiting):
            shutil.rmtree(folder, ignore_errors=True)
    return [outcomes[job.name] for job in jobs]


def check_cluster() -> None:
    """Raise ImportError, in one line, where no jobs can be submitted."""
    try:
        import submitit
    except ImportError:
        raise ImportError("engine='slurm': needs submitit: pip install 'dqn-mer[slurm]'") from None
    if submitit.SlurmExecutor.affinity() <= 0:
        raise ImportError(
            "engine='slurm': needs Slurm, and no srun was found; start the sweep on a node of the cluster"
        )
    try:
        subprocess.run(["sacct", "--noheader", "--jobs=1"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise ImportError(
            f"engine='slurm': needs Slurm's accounting, which knows how jobs ended, and sacct fails: {shown(said)}; "
            "submit the scripts of docs/slurm.md"
        ) from None


def _submit(
    jobs: Sequence[Job], folder: Path, at_once: int, options: Mapping[str, str]
) -> list[submitit.Job[JobOutcome]]:
    """Submit jobs, whose scripts, logs and pickles go into a folder; it is removed if sbatch refuses the jobs."""
    import submitit

    executor = submitit.SlurmExecutor(folder, MOST_TIMEOUTS)
    given: dict[str, Any] = {name.replace("-", "_"): value for name, value in options.items() if name != "time"}
    executor.update_parameters(
        job_name="dqn-mer",
        time=int(options["time"]),
        array_parallelism=at_once,
        setup=[f"export SUBMITIT_PREEMPT_SIGNAL={SIGNAL}"],
        additional_parameters={
            "cpus_per_task": jobs[0].threads,
            "requeue": True,
            "signal": f"{SIGNAL}@{SIGNAL_DELAY_S}",
            **given,
        },
    )
    try:
        with redirect_stderr(io.StringIO()):  # what sbatch prints is in the error
            submitted: list[submitit.Job[JobOutcome]] = executor.submit_array([SlurmRun(job) for job in jobs])
    except (OSError, RuntimeError) as error:  # submitit's own errors are of the latter kind
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # not empty
            folder.parent.rmdir()
        raise ValueError(f"engine='slurm': jobs were refused: {error}") from None
    return submitted


def _outcome(job: Job, submitted: submitit.Job[JobOutcome]) -> JobOutcome:
    """Wait for a job; one that was killed, or that broke, is a failure of its run."""
    from submitit.core.utils import UncompletedJobError

    try:
        outcome: JobOutcome = submitted.result()
    except UncompletedJobError:
        said = f"Slurm job {submitted.job_id}: {shown(submitted.state)}, log {submitted.paths.stderr}"
        return JobOutcome(job.name, job.log, 1, last_line=said)
    return outcome
