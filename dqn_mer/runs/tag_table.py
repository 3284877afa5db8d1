"""The table of a run's tags, for the documentation."""

from __future__ import annotations

from collections.abc import Mapping


def tag_table(tags: Mapping[str, str]) -> str:
    """Return tags with their meanings as a table in Markdown."""
    return "| tag | meaning |\n|---|---|\n" + "".join(f"| `{tag}` | {meaning} |\n" for tag, meaning in tags.items())
