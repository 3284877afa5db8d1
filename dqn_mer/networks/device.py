"""How a run uses the CPU: threads, and denormal numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from threadpoolctl import threadpool_limits


def usable_cores() -> int:
    """Return the cores that this process may use, which a cluster or a container may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def processor(threads: int) -> Iterator[None]:
    """Give PyTorch so many threads and NumPy one, and treat denormals as zero; all is put back at the end.

    NumPy does only the small products of one example here, for which its BLAS would wake and wait for its threads:
    on two busy cores that made an update of an MLP take 18 ms instead of 0.5. Adam's moments of weights that get no
    gradient decay into denormals, on which a CPU is many times slower. New threads inherit it, so it is set first.
    """
    threads_before, flushed_before = torch.get_num_threads(), denormals_are_zero()
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_flush_denormal(flushed_before)


def denormals_are_zero() -> bool:
    """Whether this thread treats denormal numbers as zero."""
    return bool(np.array([1e-40], np.float32)[0] * np.float32(1) == 0)
