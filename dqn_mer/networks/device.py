"""How a run uses the machine: its device, threads, and denormal numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from threadpoolctl import threadpool_limits


def usable_cores() -> int:
    """Return the number of cores that this process may use, which a cluster or a container may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def processor(threads: int) -> Iterator[None]:
    """Give PyTorch this many threads, NumPy one, denormals as zero and float32 by default; all is put back at the end.

    NumPy does only the small products of one example here, for which its BLAS would wake and wait for its threads:
    on two busy cores that made an update of an MLP take 18 ms instead of 0.5. Adam's moments of weights that get no
    gradient decay into denormals, on which a CPU is many times slower. PyTorch's own threads inherit that where they
    are started, so it is set first; any other thread that computes calls `set_up_thread`.
    """
    threads_before, flushed_before = torch.get_num_threads(), denormals_are_zero()
    set_up_thread(threads, flush_denormal=True)
    try:
        with threadpool_limits(1, user_api="blas"), float32_by_default():
            yield
    finally:
        set_up_thread(threads_before, flushed_before)


@contextmanager
def float32_by_default() -> Iterator[None]:
    """Make tensors of float32 where no dtype is given, whatever the program has set; it is put back at the end."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def set_up_thread(threads: int, flush_denormal: bool) -> None:
    """Set how this thread computes; no other thread is affected.

    In a new thread PyTorch's matrix products use as many threads as there are cores, or as OMP_NUM_THREADS says,
    whatever their number is in the thread that started it; and another number rounds otherwise.
    """
    torch.set_flush_denormal(flush_denormal)
    torch.set_num_threads(threads)


def denormals_are_zero() -> bool:
    """Return whether this thread treats denormal numbers as zero."""
    return bool(np.array([1e-40], np.float32)[0] * np.float32(1) == 0)


def choose_device(name: str, images: bool) -> torch.device:
    """Return the device; ``auto`` takes CUDA for images if there is one, and else the CPU.

    One example of a small MLP takes a CPU less time than a GPU takes to start on it. MPS, which has no float64 and was
    never tried, is taken only when it is named.

    Raises:
        ValueError: if the device is missing.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        wanted = ("cuda", "cpu") if images else ("cpu",)
        name = next(kind for kind in wanted if present[kind])
    if not present[name]:
        raise ValueError(
            f"device={name!r}: not available here; must be one of {', '.join(k for k in present if present[k])}"
        )
    return torch.device(name)
