"""The table of our agents on upstream's games: what a second call adds, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import upstream
from evidence import table


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
