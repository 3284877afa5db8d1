"""The results of many runs: what is retained, by learner and memory size, with intervals over seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.console import Group
from rich.text import Text

from dqn_mer.analysis.statistics import Estimate, interquartile_estimate
from dqn_mer.analysis.terminal_tables import narrow_tables
from dqn_mer.supervised.execute import Outcome

METRICS = {
    "retained_accuracy": "RA",
    "learning_accuracy": "LA",
    "backward_transfer_interference": "BTI",
}


class Result(NamedTuple):
    """The runs of one learner with one memory size on one stream.

    Attributes:
        learner: Name of the learner.
        memory: Number of examples that it may keep; 0 for a learner without a memory.
        seeds: Number of runs.
        estimates: Interquartile means over seeds with 95% intervals, by metric, in percent.
    """

    learner: str
    memory: int
    seeds: int
    estimates: dict[str, Estimate]


LEGEND = (
    "Accuracy in percent, interquartile mean over seeds [95% bootstrap interval]. RA: on all tasks after the last "
    "(retained). LA: on each task right after it (learning). BTI: RA less LA."
)


def results(stream: str, outcomes: Sequence[Outcome]) -> list[Result]:
    """Return the results on a stream: by memory size from large to small, and then by what is retained."""
    groups: dict[tuple[str, int], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        spec = outcome.spec
        if spec.stream == stream:
            groups[spec.learner, spec.memory].append(outcome)
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


def results_tables(stream: str, outcomes: Sequence[Outcome]) -> Group:
    """Return the results on a stream for a terminal of 80 columns: a table for each memory size.

    Learners without a memory are in all of them. Those that retain most come first.
    """
    made = results(stream, outcomes)
    sizes = sorted({result.memory for result in made if result.memory}, reverse=True)
    return Group(*(_table(stream, size, [r for r in made if r.memory in (0, size)]) for size in sizes or [0]))


def _table(stream: str, memory: int, made: Sequence[Result]) -> Group:
    rows = [["learner", "seeds", *METRICS.values()]]
    for result in sorted(made, key=lambda r: -float(r.estimates["retained_accuracy"].value)):
        numbers = [estimate_cell(result.estimates[name], signed=name.startswith("backward")) for name in METRICS]
        rows.append([result.learner, str(result.seeds), *numbers])
    title = f"{stream}, memory of {memory:,} examples" if memory else stream
    return narrow_tables(Text(title), [[Text(cell) for cell in row] for row in rows])


def estimate_cell(estimate: Estimate, signed: bool = False) -> str:
    """Return an estimate as a cell, with its interval if there is one.

    >>> estimate_cell(Estimate(np.float64(1.25), np.float64(1.0), np.float64(2.0)), signed=True)
    '+1.2 [+1.0, +2.0]'
    """
    sign = "+" if signed else ""
    value, low, high = (f"{float(number):{sign}.1f}" for number in estimate)
    return value if np.isnan(estimate.low) else f"{value} [{low}, {high}]"
