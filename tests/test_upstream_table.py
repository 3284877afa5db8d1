"""The table of our agents on upstream's games: what a second call adds, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import upstream
from evidence import table
from evidence_pages import upstream_table


def rows(observation: str, seed: int, ours: float) -> list[dict[str, object]]:
    """Return two settings' rows of a run."""
    return [
        {"game": "catcher", "observation": observation, "agent": "dqn", "seed": seed, "setting": setting, "ours": ours}
        for setting in ("0", "1")
    ]


def test_the_rows_of_other_runs_stay(tmp_path: Path) -> None:
    path = tmp_path / "upstream.csv"
    for observation, seed, ours in (("state", 0, 1.0), ("pixels", 0, 2.0), ("pixels", 1, 3.0), ("pixels", 0, 4.0)):
        upstream.add_rows(path, rows(observation, seed, ours))
    found = [(row["observation"], row["seed"], row["setting"], row["ours"]) for row in table(path)]
    assert found == [
        ("state", "0", "0", "1.0"), ("state", "0", "1", "1.0"), ("pixels", "1", "0", "3.0"),
        ("pixels", "1", "1", "3.0"), ("pixels", "0", "0", "4.0"), ("pixels", "0", "1", "4.0"),
    ]  # fmt: skip


def test_the_page_counts_the_intervals_around_0(tmp_path: Path) -> None:
    path = tmp_path / "upstream.csv"
    gaps = [(0.1, -0.2, 0.4), (-3.0, -6.0, 0.0), (2.0, 0.5, 3.5)]
    upstream.add_rows(path, [
        {"game": "catcher", "observation": "pixels", "agent": "dqn", "seed": 7, "setting": f"{place}-fall_speed=1",
         "episodes": 50, "ours": 10 + gap, "PLE": 10, "difference": gap, "low": low, "high": high}
        for place, (gap, low, high) in enumerate(gaps)
    ])  # fmt: skip
    page = upstream_table(path)
    assert "| Catcher | pixels | `dqn` | 7 | 1-fall_speed=1 | 50 | 7.0 | 10.0 | -3.0 [-6.0, 0.0] |" in page
    assert page.endswith("\n\n2 of the 3 intervals contain 0.\n")
