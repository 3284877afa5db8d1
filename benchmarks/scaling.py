"""How the time of a training frame grows with what one may turn: ``python -m benchmarks.scaling``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.harness import cores, interleave, read_options, report, spread
from benchmarks.training import our_side_of
from dqn_mer.config.defaults import default_config

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
    rows = []
    for name, seconds in interleave(sides, options.repeats).items():
        middle, low, high = (1e3 * value / options.frames for value in spread(seconds))
        rows.append({"changed": axis, "value": name, "ms per frame": middle, "low-high": f"{low:.2f}-{high:.2f}"})
    return rows


def main() -> None:
    """Measure every axis."""
    options = read_options(Options)
    with cores(1):
        report("scaling", [row for axis, values in AXES.items() for row in measure(axis, values, options)])


if __name__ == "__main__":
    main()
