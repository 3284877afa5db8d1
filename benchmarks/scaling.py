"""How the time of a training frame grows with what one may turn: ``python -m benchmarks.scaling``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import cores, interleave, read_options, report, spread
from benchmarks.training import our_side_of
from dqn_mer.config.defaults import default_config
from dqn_mer.networks.device import processor

AXES: dict[str, tuple[Any, ...]] = {
    "batch_size": (4, 16, 64, 256),
    "num_batches": (1, 2, 4),
    "hidden_sizes": ((32, 32), (128, 128), (512, 512)),
    "settings": ((0.06,), tuple(0.06 + 0.01 * i for i in range(6)), tuple(0.06 + 0.001 * i for i in range(48))),
    "capacity": (1_000, 50_000, 1_000_000),
}


@dataclass
class Options:
    """Time dqn-mer on Catcher's state, one field changed at a time."""

    repeats: int = 5
    """Measurements of each side, in turn."""
    frames: int = 300
    """Frames per measurement."""
    pixel_frames: int = 100
    """Frames per measurement from pixels, with one and with two cores."""


def describe(value: Any) -> str:
    """Return a short name of a value."""
    if isinstance(value, tuple):
        return f"{len(value)} settings" if isinstance(value[0], float) else "-".join(map(str, value))
    return str(value)


def measure(axis: str, values: tuple[Any, ...], options: Options) -> list[dict[str, Any]]:
    """Return one row for each value of a field."""
    sides = {}
    for value in values:
        config = default_config(observation="state", warmup_frames=0, **{axis: value})
        train = our_side_of(config)
        sides[describe(value)] = lambda train=train: train(options.frames)
    return rows_of(axis, sides, options.frames, options.repeats)


def rows_of(axis: str, sides: dict[str, Callable[[], None]], frames: int, repeats: int) -> list[dict[str, Any]]:
    """Time each side, which trains for ``frames`` frames, and return their rows."""
    rows = []
    for name, seconds in interleave(sides, repeats).items():
        middle, low, high = (1e3 * value / frames for value in spread(seconds))
        rows.append({"changed": axis, "value": name, "ms per frame": middle, "low-high": f"{low:.2f}-{high:.2f}"})
    return rows


def measure_cores(options: Options) -> list[dict[str, Any]]:
    """Return a row for each agent from pixels on one core, and on two: the second computes the next update's targets.

    PyTorch has one thread in all of them, as ``--threads 1`` leaves it.
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(usable) < 2:
        return []
    rows = []
    for agent in ("dqn", "dqn-mer"):
        sides = {}
        for count in (1, 2):
            os.sched_setaffinity(0, usable[:count])  # the agent's own thread, begun in here, inherits it
            config = default_config(agent=agent, observation="pixels", warmup_frames=0)
            sides[f"{agent} on {count}"] = on_cores(usable[:count], our_side_of(config), options.pixel_frames)
        rows += rows_of("cores", sides, options.pixel_frames, options.repeats)
    os.sched_setaffinity(0, usable)
    return rows


def on_cores(usable: list[int], train: Callable[[int], None], frames: int) -> Callable[[], None]:
    """Return a call that trains for some frames on these cores."""

    def run() -> None:
        os.sched_setaffinity(0, usable)
        train(frames)

    return run


def main() -> None:
    """Measure every axis."""
    options = read_options(Options)
    with cores(1):
        rows = [row for axis, values in AXES.items() for row in measure(axis, values, options)]
    with processor(1):
        rows += measure_cores(options)
        report("scaling", rows)


if __name__ == "__main__":
    main()
