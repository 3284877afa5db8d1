"""The tables at the end of the command."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from dqn_mer.supervised.execute import Outcome
from dqn_mer.supervised.options import LEARNERS, plan
from dqn_mer.supervised.results import METRICS, estimate_cell, results, results_tables
from tests.helpers.stream_runs import make_options


def printed(images: Path, memories: tuple[int, ...], seeds: int, scale: float) -> tuple[str, set[str]]:
    """Return what a terminal of 80 columns shows of runs of every learner, and every cell that it must show."""
    options = make_options(images, Path("runs"), learner=tuple(LEARNERS), memory=memories, seeds=f"0-{seeds - 1}")
    outcomes = []
    for place, spec in enumerate(plan(options)):
        numbers = (0.937 * scale - place / 100, 0.5 * scale, -0.4371 * scale + place / 7)
        outcomes.append(Outcome(spec, dict(zip(METRICS, numbers, strict=True))))
    console = Console(file=io.StringIO(), width=80)
    console.print(results_tables("permutations", outcomes))
    cells = {
        estimate_cell(result.estimates[name], signed=name.startswith("backward"))
        for result in results("permutations", outcomes)
        for name in METRICS
    }
    return console.file.getvalue(), cells


@pytest.mark.parametrize("memories", [(40,), (5120, 500, 200)])
@pytest.mark.parametrize("seeds", [1, 2, 10])
@pytest.mark.parametrize("scale", [1.0, 100.0, 106.7])
def test_80_columns_hold_every_word_and_number(
    images: Path, memories: tuple[int, ...], seeds: int, scale: float
) -> None:
    text, cells = printed(images, memories, seeds, scale)
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    assert all(cell in text for cell in cells)
    for memory in memories:
        assert f"permutations, memory of {memory:,} examples\n" in text
    for learner in LEARNERS:
        lines = [line for line in text.splitlines() if line.split()[:1] == [learner]]
        assert len(lines) >= len(memories)  # those without a memory too
        assert lines[0].split()[1] == str(seeds)


def test_without_any_memory_there_is_one_table(images: Path) -> None:
    specs = plan(make_options(images, Path("runs"), learner=("online", "ewc")))
    console = Console(file=io.StringIO(), width=80)
    console.print(results_tables("permutations", [Outcome(spec, dict.fromkeys(METRICS, 1.0)) for spec in specs]))
    first, heading, *_ = console.file.getvalue().splitlines()
    assert (first, heading.split()) == ("permutations", ["learner", "seeds", "RA", "LA", "BTI"])
