"""What is shown of an evaluation: what is about to be played, and the scores of each setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from dqn_mer.storage.escapes import cell


def what_is_played(episodes: int, settings: int, frame_limit: int) -> str:
    """Return what is about to be played, which may take minutes.

    >>> what_is_played(1, 6, 2000)
    'playing 1 episode on each of 6 settings, at most 2,000 frames each'
    """
    where = "1 setting" if settings == 1 else f"each of {settings:,} settings"
    return f"playing {_counted(episodes)} on {where}, at most {frame_limit:,} frames each"


def _counted(episodes: int) -> str:
    return f"{episodes:,} episode{'s' * (episodes != 1)}"


def scores_table(content: Mapping[str, Any]) -> Table:
    """Return the table of what ``evaluate --json`` writes: a row for each setting."""
    trained = "all in turn" if content["interleaved"] else f"{content['trained_on_last']} last"
    title = f"frame {content['frame']:,}, trained on {trained}; {_counted(content['episodes'])}"
    table = Table(title=cell(title))
    for name in ("setting", "score mean", "95% interval", "best", "return", "frames"):
        # Where the terminal is narrow, names and numbers wrap instead of being cut.
        table.add_column(name, justify="left" if name == "setting" else "right", overflow="fold")
    for row in content["settings"]:
        low, high = row["score_interval_95"]
        table.add_row(
            cell(row["setting"]),
            f"{row['score_mean']:.1f}",
            f"{low:.1f} to {high:.1f}",
            f"{row['score_best']:g}",
            f"{row['return_mean']:.1f}",
            f"{row['length_mean_frames']:.0f}",
        )
    return table
