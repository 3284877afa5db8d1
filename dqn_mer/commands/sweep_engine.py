"""Where the runs of a sweep are started: on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from dqn_mer.commands.sweep_job import Job, Outcome, allow_jobs, run_job, stop_jobs

RunAll = Callable[[Sequence[Job]], list[Outcome]]


def engine_of(name: str, at_once: int) -> RunAll:
    """Return the function from jobs to outcomes that runs ``at_once`` of them at a time, through joblib.

    Args:
        name: ``local``, or ``ray`` for a Ray cluster.
        at_once: Runs at a time.

    Raises:
        ImportError: if Ray is asked for and missing.
    """
    import joblib

    if name == "ray":
        try:
            from ray.util import joblib as ray_jobs
        except ImportError:
            raise ImportError("engine='ray': needs Ray: pip install 'dqn-mer[ray]'") from None
        cast(Any, ray_jobs).register_ray()  # Ray lacks types here
    backend = "ray" if name == "ray" else "threading"  # a thread only waits for its run's own process

    def run_all(jobs: Sequence[Job]) -> list[Outcome]:
        allow_jobs()
        calls = (joblib.delayed(run_job)(job) for job in jobs)
        with joblib.parallel_config(backend=backend):
            try:
                outcomes: list[Outcome] = joblib.Parallel(at_once, batch_size=1, pre_dispatch=at_once)(calls)
            except BaseException:
                stop_jobs()
                raise
        return outcomes

    return run_all
