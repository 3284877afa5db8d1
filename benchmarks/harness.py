"""Compare several ways of doing one thing: interleaved, repeated, medians and spread, as a table and as CSV."""

from __future__ import annotations

import csv
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.table import Table

from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.flags import parse
from dqn_mer.networks.device import processor

T = TypeVar("T")
RESULTS = Path(__file__).parent.parent / "results" / "benchmarks"


def read_options(kind: type[T]) -> T:
    """Return the options that the command line gives, a dataclass; a mistake in a flag is one line and exit code 2."""
    try:
        return parse(kind, sys.argv[1:], prog="python -m benchmarks.NAME")
    except (UsageError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Keep this process to so many cores, where the system can, with as many PyTorch threads."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if allowed:
        os.sched_setaffinity(0, sorted(allowed)[:count])
    try:
        with processor(count):
            yield
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)


def interleave(sides: Mapping[str, Callable[[], Any]], repeats: int, inner: int = 1) -> dict[str, list[float]]:
    """Time every side ``repeats`` times in turn, so that a slow spell of the machine falls on all of them.

    Args:
        sides: what to time, by name; each is called ``inner`` times per measurement, after one round of warm-up.
        repeats: measurements of each side.
        inner: calls per measurement.

    Returns:
        Seconds per call, one entry per measurement, by name.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for measurement in range(repeats + 1):
        for name, call in sides.items():
            start_s = time.perf_counter()
            for _ in range(inner):
                call()
            if measurement:
                times[name].append((time.perf_counter() - start_s) / inner)
    return times


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return median, lowest and highest."""
    return median(values), min(values), max(values)


def report(name: str, rows: list[dict[str, Any]]) -> None:
    """Print ``rows`` as a table and write them to results/benchmarks/NAME.csv with threads and versions."""
    facts = {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__.partition("+")[0],
        "python": platform.python_version(),
    }
    table = Table(title=f"{name}, {facts['threads']} thread(s)")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=170).print(table)
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *facts], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **facts} for row in rows)
