"""Figures of scores from run folders with known numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from continual_ple.settings import schedule_of_values
from dqn_mer.analysis.labels import short_name
from dqn_mer.analysis.score_figures import compared_curves, score_by_difficulty, score_matrices
from tests.helpers.figures import check_no_overlap
from tests.helpers.runs import compared, write_run


def curves_of(panel: Axes) -> list[list[float]]:
    """Return the values of the curves of a panel, in the order in which they were drawn: seeds, mean, reference."""
    return [line.get_ydata().tolist() for line in panel.lines if len(line.get_xdata()) > 2]


def test_curves_and_bands_are_what_is_drawn(runs: Path) -> None:
    exhibit = compared_curves(compared(runs))
    grid = exhibit.figure.axes  # two settings in rows, two groups in columns
    assert [panel.get_title(loc="left") for panel in grid] == ["dqn (n=3)", "dqn-mer (n=3)", "", ""]
    assert [panel.get_ylabel() for panel in grid] == ["pipe gap\n100 px", "", "pipe gap\n90 px", ""]
    assert [panel.get_xlabel() for panel in grid] == ["", "", *["training frames (thousands)"] * 2]
    assert exhibit.figure.get_supylabel() == "pipes passed per episode"
    seeds, mean = [[0.0, 1.0 + s, 6.0 + s] for s in range(3)], [0.0, 2.0, 7.0]
    assert curves_of(grid[2]) == [*seeds, mean]
    assert curves_of(grid[3]) == [*([0.0, 11.0 + s, 16.0 + s] for s in range(3)), [0.0, 12.0, 17.0], mean]
    (band,) = grid[2].collections
    assert band.get_paths()[0].get_extents().bounds == pytest.approx((0.0, 0.0, 0.1, 8.0))  # seeds 0 and 2 are its ends
    assert [line.get_xdata()[0] for line in grid[0].lines if line.get_color() == "0.45"] == [0.05]  # the border
    key = [text.get_text() for text in exhibit.figure.legends[0].get_texts()]
    assert key == [
        "interquartile mean over seeds, 95% bootstrap interval", "one seed", "dqn, for comparison",
        "the setting changes", "trained on this setting",
    ]  # fmt: skip
    row = next(row for row in exhibit.rows if row["group"] == "dqn" and row["frame"] == 50)
    assert row == {
        "group": "dqn", "setting": "0-pipe_gap=100", "frame": 50, "runs": 3, "score": 5.0, "low": 4.0, "high": 6.0,
    }  # fmt: skip


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_a_group_has_its_own_panels_whatever_their_number(groups: int, tmp_path: Path) -> None:
    for batch_size in range(1, groups + 1):
        write_run(tmp_path / str(batch_size), [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], batch_size=batch_size)
    comparison = compared(tmp_path, by=("batch_size",))
    curves = compared_curves(comparison).figure
    assert len(curves.axes) == 2 * groups
    assert curves.get_figwidth() <= 7.0  # the width of a page
    for figure in (curves, score_matrices(comparison).figure):
        check_no_overlap(figure)


def test_groups_differ_in_dashes_marker_and_colour(runs: Path) -> None:
    from dqn_mer.analysis.drawing import style

    looks = [style(group) for group in compared(runs).groups]
    for part in ("color", "linestyle", "marker"):
        assert looks[0][part] != looks[1][part]


def ceilings_of(figure: Figure) -> list[float]:
    return [line.get_ydata()[0] for panel in figure.axes for line in panel.lines if line.get_linestyle() == ":"]


def test_the_ceiling_of_the_frame_limit_is_drawn_where_scores_come_near_it(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [[0.0, 0.0], [40.0, 9.0], [40.0, 9.0]])
    comparison = compared(tmp_path)
    exhibit = compared_curves(comparison)
    assert ceilings_of(exhibit.figure) == [52.0]  # pipes in 2,000 frames; on the second setting it is far away
    near, far = exhibit.figure.axes
    assert near.get_ylim()[1] > 52 and far.get_ylim()[1] < 20
    assert "ceiling of 2,000 frames" in [text.get_text() for text in exhibit.figure.legends[0].get_texts()]
    assert "Dotted: the highest mean score" in exhibit.caption


@pytest.mark.parametrize(
    "choices", [({}, {"eval_frame_limit": 1_000}), ({}, {"frame_skip": 2}), ({"frame_skip": 2},) * 2]
)
def test_no_ceiling_is_drawn_where_it_is_not_known(choices: tuple[dict[str, int], ...], tmp_path: Path) -> None:
    for seed, choice in enumerate(choices):
        write_run(tmp_path / str(seed), [[0.0, 0.0], [40.0, 9.0], [40.0, 9.0]], seed=seed, **choice)
    exhibit = compared_curves(compared(tmp_path))
    assert ceilings_of(exhibit.figure) == [] and "Dotted" not in exhibit.caption
    assert "Dotted" not in score_by_difficulty(compared(tmp_path)).caption


def test_numbers_have_one_number_of_digits_and_the_cell_just_trained_on_is_outlined(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [[0.0, 0.0], [10.0, 0.25], [100.0, 52.0]], settings=(100.0, 90.0))
    figure = score_matrices(compared(tmp_path)).figure
    panel = figure.axes[0]
    assert [text.get_text() for text in panel.texts] == ["10.0", "0.2", "100.0", "52.0"]
    assert [patch.get_center().tolist() for patch in panel.patches] == [[0.0, 0.0], [1.0, 1.0]]
    assert panel.images[0].get_clim() == (0.0, 100.0)


def test_matrices(runs: Path) -> None:
    exhibit = score_matrices(compared(runs))
    assert exhibit.caption.endswith("Above the diagonal: settings not met yet; below: settings to be remembered.")
    images = [panel.images[0].get_array() for panel in exhibit.figure.axes if panel.images]
    assert np.array_equal(images[0], [[5.0, 2.0], [3.0, 7.0]])
    assert np.array_equal(images[1], [[15.0, 12.0], [13.0, 17.0]])


def test_a_schedule_that_comes_back(tmp_path: Path) -> None:
    scores = [[0.0, 0.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    write_run(tmp_path / "a", scores, frames=(0, 50, 100, 150), settings=(100.0, 90.0, 100.0))
    comparison = compared(tmp_path)
    assert comparison.order == (0, 1, 0)
    exhibit = score_matrices(comparison)
    assert [row["trained_on"] for row in exhibit.rows[::2]] == ["0-pipe_gap=100", "1-pipe_gap=90", "0-pipe_gap=100"]
    assert "diagonal" not in exhibit.caption  # above it, gap 90 is met already in the last row
    assert [row["score"] for row in score_by_difficulty(comparison).rows] == [6.0, 5.0]  # gaps 90 and 100


def test_settings_that_training_did_not_reach_are_hollow(tmp_path: Path) -> None:
    write_run(tmp_path / "short", [[0.0, 0.0], [4.0, 1.0]], frames=(0, 50))  # ends before gap 90 is on
    comparison = compared(tmp_path)
    assert comparison.trained == {"0-pipe_gap=100"}
    exhibit = score_by_difficulty(comparison)
    assert [(row["pipe_gap"], row["trained_on"]) for row in exhibit.rows] == [(90.0, "no"), (100.0, "yes")]
    (panel,) = exhibit.figure.axes
    line, hollow = panel.lines
    assert line.get_markevery() == [False, True]
    assert hollow.get_markerfacecolor() == "white" and hollow.get_xdata().tolist() == [90.0]


def test_values_that_differ_late_have_different_names() -> None:
    values = (1_000_000.0, 1_000_001.0, 0.12345678, 0.12345679)
    settings = schedule_of_values("mass", values).settings
    assert [short_name("mass", setting) for setting in settings] == ["1000000", "1000001", "0.12345678", "0.12345679"]
