"""Where the runs of a sweep are started: on this machine or on a cluster of Ray or Slurm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from dqn_mer.commands.sweep_job import Job, JobOutcome, allow_jobs, run_job, stop_jobs
from dqn_mer.commands.sweep_slurm import check_cluster, run_on_slurm

RunAll = Callable[[Sequence[Job]], list[JobOutcome]]


def engine_of(name: str, at_once: int, out: Path, slurm: Mapping[str, str]) -> RunAll:
    """Return the function from jobs to outcomes that runs ``at_once`` of them at a time.

    Args:
        name: ``local``, ``ray`` for a Ray cluster (both through joblib), or ``slurm`` for a Slurm cluster.
        at_once: Runs at a time.
        out: Folder of the sweep.
        slurm: Options of sbatch for each Slurm job.

    Raises:
        ImportError: if what is asked for is missing.
    """
    if name == "slurm":
        check_cluster()
        return partial(run_on_slurm, out=out, at_once=at_once, options=slurm)

    import joblib

    if name == "ray":
        try:
            from ray.util import joblib as ray_jobs
        except ImportError:
            raise ImportError("engine='ray': needs Ray: pip install 'dqn-mer[ray]'") from None
        cast(Any, ray_jobs).register_ray()  # Ray lacks types here
    backend = "ray" if name == "ray" else "threading"  # a thread only waits for its run's own process

    def run_all(jobs: Sequence[Job]) -> list[JobOutcome]:
        allow_jobs()
        calls = (joblib.delayed(run_job)(job) for job in jobs)
        with joblib.parallel_config(backend=backend):
            try:
                outcomes: list[JobOutcome] = joblib.Parallel(at_once, batch_size=1, pre_dispatch=at_once)(calls)
            except BaseException:
                stop_jobs()
                raise
        return outcomes

    return run_all
