"""How the time of a sweep falls with cores: ``python -m benchmarks.sweep``.

The same runs take one core one at a time, two cores one at a time, and two cores two at a time. The efficiency is the
time of the first, over the time and the number of cores: 1 if two cores halve the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import cores, interleave, read_options, report, spread


@dataclass
class Options:
    """Time sweeps of short runs on Catcher's state."""

    repeats: int = 3
    """Measurements of each side, in turn."""
    runs: int = 4
    """Runs of each sweep, which differ in their seed."""
    frames: int = 10_000
    """Frames of each run."""
    agent: str = "dqn-mer"
    """Agent to train."""


def sweep(options: Options, jobs: int, on_cores: int) -> Callable[[], None]:
    """Return a function that runs a sweep with ``jobs`` parallel jobs on ``on_cores`` cores."""

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder, cores(on_cores):  # which the sweep inherits
            words = ["--agents", options.agent, "--seeds", f"0-{options.runs - 1}", "--jobs", str(jobs)]
            words += ["--out", str(Path(folder) / "sweep"), "--observation", "state"]
            words += ["--frames", str(options.frames), "--frames-per-setting", str(max(1, options.frames // 6))]
            command = [sys.executable, "-m", "dqn_mer", "sweep", *words]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return run


def main() -> None:
    """Measure all sides."""
    options = read_options(Options)
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("error: needs Linux and two cores that this process may use")
    kinds = {"1 job, 1 core": (1, 1), "1 job, 2 cores": (1, 2), "2 jobs, 2 cores": (2, 2)}
    times = interleave({name: sweep(options, *kind) for name, kind in kinds.items()}, options.repeats)
    alone_s, *_ = spread(times["1 job, 1 core"])
    rows = []
    for name, (jobs, on_cores) in kinds.items():
        middle_s, low_s, high_s = spread(times[name])
        rows.append({
            "agent": options.agent, "runs": options.runs, "frames": options.frames, "jobs": jobs, "cores": on_cores,
            "seconds": middle_s, "low-high": f"{low_s:.1f}-{high_s:.1f}", "efficiency": alone_s / middle_s / on_cores,
        })  # fmt: skip
    report("sweep", rows)


if __name__ == "__main__":
    main()
