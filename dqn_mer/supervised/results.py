"""The results of many runs: what is retained, by learner and memory size, with intervals over seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from dqn_mer.analysis.statistics import Estimate, interquartile_estimate
from dqn_mer.supervised.execute import Outcome

METRICS = {
    "retained_accuracy": "RA",
    "learning_accuracy": "LA",
    "backward_transfer_interference": "BTI",
}
WITHOUT_MEMORY = ("online", "ewc")
"""Learners that ignore the size of the memory."""


class Result(NamedTuple):
    """The runs of one learner with one memory size on one stream.

    Attributes:
        learner: Name of the learner.
        memory: Number of examples that it may keep; 0 for a learner without a memory of this kind.
        seeds: Number of runs.
        estimates: Interquartile means over seeds with 95% intervals, by metric, in percent.
    """

    learner: str
    memory: int
    seeds: int
    estimates: dict[str, Estimate]


LEGEND = (
    "Accuracy in percent, interquartile mean over seeds [95% interval]. RA: on all tasks after the last (retained). "
    "LA: on each task right after it (learning). BTI: RA less LA."
)


def results(stream: str, outcomes: Sequence[Outcome]) -> list[Result]:
    """Return the results on a stream: by memory size from large to small, and then by what is retained."""
    groups: dict[tuple[str, int], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        spec = outcome.spec
        if spec.stream == stream:
            groups[spec.learner, 0 if spec.learner in WITHOUT_MEMORY else spec.memory].append(outcome)
    made = [
        Result(
            learner,
            memory,
            len(group),
            {name: interquartile_estimate([outcome.metrics[name] for outcome in group]) for name in METRICS},
        )
        for (learner, memory), group in groups.items()
    ]
    several = len({result.memory for result in made if result.memory}) > 1
    made.sort(key=lambda r: (-r.memory if several else 0, -float(r.estimates["retained_accuracy"].value)))
    return made


def results_table(stream: str, outcomes: Sequence[Outcome]) -> Table:
    """Return the results on a stream as a table for the terminal."""
    table = Table(
        title=Text(stream),
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,  # so that it fits a terminal of 80 columns
    )
    for heading in ("memory", "learner", "seeds"):
        table.add_column(heading, justify="left" if heading == "learner" else "right", no_wrap=True)
    for heading in METRICS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results(stream, outcomes):
        cells = [shown(result.estimates[name], signed=name.startswith("backward")) for name in METRICS]
        memory = f"{result.memory:,}" if result.memory else "none"
        table.add_row(memory, result.learner, str(result.seeds), *cells)
    return table


def shown(estimate: Estimate, signed: bool = False) -> str:
    """Return an estimate as a cell, with its interval if there is one.

    >>> shown(Estimate(np.float64(1.25), np.float64(1.0), np.float64(2.0)), signed=True)
    '+1.2 [+1.0, +2.0]'
    """
    sign = "+" if signed else ""
    value, low, high = (f"{float(number):{sign}.1f}" for number in estimate)
    return value if np.isnan(estimate.low) else f"{value} [{low}, {high}]"
