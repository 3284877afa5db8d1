"""How this process uses the CPU: threads, and denormal numbers."""

from __future__ import annotations

import os

import torch
from threadpoolctl import threadpool_limits


def default_threads(observation: str) -> int:
    """Return the threads that suit an observation: one for vectors, where more only wait, all cores for pixels."""
    return 1 if observation == "state" else os.cpu_count() or 1


def prepare_processor(threads: int) -> None:
    """Set the threads of PyTorch, one for NumPy and SciPy, and have this process treat denormals as zero.

    NumPy does only the small products of one example here, for which its BLAS would wake and wait for its threads:
    on two busy cores that made an update of an MLP take 18 ms instead of 0.5. Adam's moments of weights that get no
    gradient decay into denormals, on which a CPU is many times slower. New threads inherit it, so it is set first.
    """
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    threadpool_limits(1, user_api="blas")
