"""What is seen of a Matplotlib figure."""

from __future__ import annotations

from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def visible_panels(figure: Figure) -> list[Axes]:
    return [panel for panel in figure.axes if panel.get_visible()]


def check_no_overlap(figure: Figure) -> None:
    """Check that no panel or legend covers another one, or leaves the figure."""
    figure.draw_without_rendering()
    boxes = [part.get_tightbbox() for part in (*visible_panels(figure), *figure.legends)]
    assert all(not one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.y1 <= figure.bbox.y1 for box in boxes)
