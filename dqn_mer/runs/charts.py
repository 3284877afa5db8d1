"""The layout of TensorBoard's Custom Scalars: which tags share a chart.

TensorBoard gives every run a colour, and tells the tags of one chart apart by tiny markers alone. So the first page has
a chart for each setting, in which a curve is a run. All runs under one log folder are shown under the union of their
layouts: a chart names its tags in full, which hold the names of the settings, so that two games share none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Layout = Mapping[str, Mapping[str, str]]
"""Category -> title of a chart -> regular expression of its tags, which TensorBoard matches from their start."""


def exactly(*tags: str) -> str:
    r"""Return the regular expression of these tags and no others.

    >>> exactly("a/x (y)", "a/z")
    'a/x\\ \\(y\\)$|a/z$'
    """
    return "|".join(re.escape(tag) + "$" for tag in tags)


def layout_of(
    subject: str,
    names: Sequence[str],
    words: tuple[str, str],
    first: Mapping[str, str],
    overlays: Mapping[str, Sequence[str]],
) -> Layout:
    """Return a layout that opens with one chart a setting.

    It depends on nothing but the game and its settings, since TensorBoard merges the charts of all runs by their text.

    Args:
        subject: Name of the game or stream.
        names: Names of its settings or tasks.
        words: What the charts of the first category show, and of what: score on a setting, accuracy on a task.
        first: Tag of each chart of the first category, by title.
        overlays: Tags of each chart of the second category, by title.
    """
    what, thing = words
    ends = dict.fromkeys(re.sub(r"^\d+-", "", name) for name in (names[0], names[-1]))
    which = f"{len(names)}: {' to '.join(ends)}"
    return {
        f"{subject}: {what} on each {thing} ({which})": {title: exactly(tag) for title, tag in first.items()},
        f"{subject}: every {thing} in one chart ({which})": {title: exactly(*tags) for title, tags in overlays.items()},
    }
