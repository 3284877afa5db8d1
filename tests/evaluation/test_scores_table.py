"""The table that `evaluate` prints."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dqn_mer.evaluation.scores_table import scores_table

NAMES = [f"a-setting-with-a-long-name-of-which-only-the-end-differs-{place}" for place in (1, 2)]


@pytest.mark.parametrize("width", [80, 60, 40])
def test_names_and_numbers_are_whole_on_a_narrow_terminal(width: int) -> None:
    numbers = {"score_mean": 12345.6, "score_interval_95": [12000.1, 12999.9], "score_best": 13000.0}
    rows = [{"setting": name, **numbers, "return_mean": -12345.7, "length_mean_frames": 54321.0} for name in NAMES]
    content = {"interleaved": False, "trained_on_last": "last", "frame": 1, "episodes": 2, "settings": rows}
    output = io.StringIO()
    Console(file=output, width=width).print(scores_table(content))
    rows_shown = [line.split("│")[1:-1] for line in output.getvalue().splitlines() if "│" in line]
    columns = ["".join(cell.replace(" ", "") for cell in column) for column in zip(*rows_shown, strict=True)]
    assert columns == ["".join(NAMES), "12345.6" * 2, "12000.1to12999.9" * 2, "13000" * 2, "-12345.7" * 2, "54321" * 2]
