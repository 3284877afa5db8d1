"""The meter's figures from run folders with known numbers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqn_mer.__main__ import main
from dqn_mer.analysis.meter_figures import interference_curves, interference_matrices, read_interference
from dqn_mer.analysis.report import report_file_names
from tests.helpers.runs import compared, write_run

NAMES = ("0-pipe_gap=100", "1-pipe_gap=90")
KINDS = (("one", ""), ("two", "s"))
SCORES = [[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]


def write_interference(run: Path, rows: list[tuple[int, int, int, float]]) -> None:
    heading = ("frame", "setting", "other_setting", "pairs", "dot_mean", "cosine_mean")
    with (run / "interference.csv").open("w", newline="") as file:
        csv.writer(file).writerows([heading, *((f, NAMES[i], NAMES[j], 9, 7.0, cosine) for f, i, j, cosine in rows)])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder with three seeds of two agents; the cosines of seed s are those of seed 0 plus s / 10."""
    for seed in range(3):
        for agent, sign in (("dqn", 1), ("dqn-mer", -1)):
            run = write_run(tmp_path / "runs" / agent / f"seed-{seed}", SCORES, agent=agent, seed=seed)
            by_pair = [(25, 0, 0, 0.1), (60, 0, 0, 0.2), (60, 0, 1, -0.4), (60, 1, 1, 0.4)]
            by_pair += [(90, 0, 0, 0.4), (90, 0, 1, 0.0)] + ([(90, 1, 1, 0.6)] if agent == "dqn" else [])
            own = [(10 + seed, 0, 0, 9.9)]  # a frame at which no other run was measured
            write_interference(run, own + [(f, i, j, sign * (cosine + seed / 10)) for f, i, j, cosine in by_pair])
    return tmp_path / "runs"


def test_curves_are_means_within_and_between_settings(runs: Path) -> None:
    exhibit = interference_curves(compared(runs))
    assert exhibit is not None
    panels = exhibit.figure.axes  # a row for pairs of one setting, a row for pairs of two; a column for each group
    assert [panel.get_title(loc="left") for panel in panels[:2]] == ["dqn (n=3)", "dqn-mer (n=3)"]
    assert [panel.get_ylabel() for panel in panels[::2]] == [f"two examples\nof {n} setting{s}" for n, s in KINDS]
    assert len({panel.get_ylim() for panel in panels}) == 1  # so that all can be compared
    drawn = {line.get_label(): line for panel in panels[:2] for line in panel.lines}
    assert drawn["dqn (n=3)"].get_xdata().tolist() == [0.025, 0.06, 0.09]
    assert drawn["dqn (n=3)"].get_ydata() == pytest.approx([0.2, (0.3 + 0.5) / 2, (0.5 + 0.7) / 2])
    assert drawn["dqn-mer (n=3)"].get_ydata() == pytest.approx([-0.2, -(0.3 + 0.5) / 2, -0.5])  # one setting is left
    drawn = {line.get_label(): line for panel in panels[2:] for line in panel.lines}
    assert drawn["dqn (n=3)"].get_xdata().tolist() == [0.06, 0.09]  # before, memory held one setting
    assert drawn["dqn (n=3)"].get_ydata() == pytest.approx([-0.3, 0.1])
    (row,) = [r for r in exhibit.rows if (r["group"], r["pairs"], r["frame"]) == ("dqn", "of two settings", 60)]
    assert (row["runs"], row["cosine"], row["low"], row["high"]) == (3, -0.3, -0.4, -0.2)


def test_matrices_are_means_over_the_last_setting(runs: Path) -> None:
    exhibit = interference_matrices(compared(runs))
    assert exhibit is not None
    images = [np.asarray(panel.images[0].get_array()) for panel in exhibit.figure.axes if panel.images]
    np.testing.assert_allclose(images[0], [[0.4, -0.1], [-0.1, 0.6]])  # frames 60 and 90, seed 1
    np.testing.assert_allclose(images[1], [[-0.4, 0.1], [0.1, -0.5]])
    assert [row["cosine"] for row in exhibit.rows if row["group"] == "dqn"] == [0.4, -0.1, 0.6]


def test_cosines_have_two_digits_and_colours_centred_at_0(tmp_path: Path) -> None:
    write_interference(
        write_run(tmp_path / "run", SCORES, agent="dqn"), [(60, 0, 0, 0.5), (60, 0, 1, -0.1), (60, 1, 1, -1e-4)]
    )
    exhibit = interference_matrices(compared(tmp_path))
    assert exhibit is not None
    panel, bar = exhibit.figure.axes
    texts = [text.get_text() for text in panel.texts]
    assert texts == ["0.50", "\N{MINUS SIGN}0.10", "\N{MINUS SIGN}0.10", "0.00"]
    assert panel.images[0].get_clim() == (-0.5, 0.5) and panel.images[0].get_cmap().name == "PuOr_r"
    assert bar.get_ylim() == (-0.1, 0.5)
    assert panel.get_xticklabels()[0].get_text() == "100"
    assert exhibit.figure.get_supxlabel() == "pipe gap (px) of one example; outlined: both of one setting"
    assert [patch.get_center().tolist() for patch in panel.patches] == [[0.0, 0.0], [1.0, 1.0]]


def test_small_cosines_have_three_digits(tmp_path: Path) -> None:
    write_interference(write_run(tmp_path / "run", SCORES, agent="dqn"), [(60, 0, 0, 0.05), (60, 1, 1, -0.004)])
    exhibit = interference_matrices(compared(tmp_path))
    assert exhibit is not None
    assert [text.get_text() for text in exhibit.figure.axes[0].texts] == ["0.050", "", "", "\N{MINUS SIGN}0.004"]


@pytest.mark.parametrize("largest", [0.175, 0.1, 0.93, 0.0031, 0.00012, 0.0])
def test_the_bar_of_colours_has_as_many_digits_as_the_cells(largest: float, tmp_path: Path) -> None:
    cosines = [(60, 0, 0, largest), (60, 0, 1, 0.0), (60, 1, 1, -largest / 3)]
    write_interference(write_run(tmp_path / "run", SCORES, agent="dqn"), cosines)
    exhibit = interference_matrices(compared(tmp_path))
    assert exhibit is not None
    panel, bar = exhibit.figure.axes
    digits = len(panel.texts[0].get_text().partition(".")[2])
    marks = {label.get_text().replace("\N{MINUS SIGN}", "-"): place for label, place in zip(
        bar.get_yticklabels(), bar.get_yticks(), strict=True)}  # fmt: skip
    assert all(len(mark.partition(".")[2]) == digits and float(mark) == place for mark, place in marks.items())
    assert len(marks) == len(bar.get_yticks()) and 0.0 in marks.values()  # no two alike


def test_a_cell_without_pairs_is_empty(tmp_path: Path) -> None:
    write_interference(write_run(tmp_path / "run", SCORES, agent="dqn"), [(60, 1, 1, 0.25)])
    exhibit = interference_matrices(compared(tmp_path))
    assert exhibit is not None
    assert sorted(text.get_text() for text in exhibit.figure.axes[0].texts) == ["", "", "", "0.25"]


def test_without_measurements_there_is_nothing_to_show(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SCORES, agent="dqn")
    assert interference_curves(compared(tmp_path)) is interference_matrices(compared(tmp_path)) is None
    write_interference(run, [])
    assert interference_curves(compared(tmp_path)) is interference_matrices(compared(tmp_path)) is None


def test_a_run_that_ends_in_its_first_segment_is_shown_over_no_more_frames_than_it_has(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SCORES[:2], frames=(0, 40), agent="dqn")
    write_interference(run, [(20, 0, 0, 0.5)])
    exhibit = interference_matrices(compared(tmp_path))
    assert exhibit is not None and "over the last 40 frames" in exhibit.caption


def test_runs_without_a_pair_in_common_are_left_out(tmp_path: Path) -> None:
    """As if one seed had examples of one setting alone in its memory, and the other one of each."""
    for seed, pair in enumerate([(0, 0), (0, 1)]):
        write_interference(write_run(tmp_path / f"seed-{seed}", SCORES, agent="dqn", seed=seed), [(60, *pair, 0.5)])
    assert interference_curves(compared(tmp_path)) is interference_matrices(compared(tmp_path)) is None
    write_interference(write_run(tmp_path / "other", SCORES, agent="dqn-mer"), [(60, 1, 1, 0.25)])
    for make in (interference_curves, interference_matrices):
        exhibit = make(compared(tmp_path))
        assert exhibit is not None and {row["group"] for row in exhibit.rows} == {"dqn-mer"}
        assert make is interference_curves or "on the same pairs: dqn." in exhibit.caption


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "interference.csv").write_text("frame,setting,other_setting,cosine_mean\n5,a,b,0.5\n")
    with pytest.raises(ValueError, match=r"interference.csv: cannot be read: ValueError") as caught:
        read_interference(tmp_path / "interference.csv", NAMES)
    assert "\n" not in str(caught.value)


def test_they_are_part_of_the_report(runs: Path, tmp_path: Path) -> None:
    assert main(["compare", str(runs), "--out", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "flappy_bird" / "report.md").read_text()
    assert "Left out" not in page
    for name in ("interference", "interference_matrices"):
        assert f"({name}.png)" in page
        with Image.open(tmp_path / "report" / "flappy_bird" / f"{name}.png") as picture:
            assert picture.size[0] > 300
        assert (tmp_path / "report" / "flappy_bird" / f"{name}.csv").read_text().count("\n") > 5


def test_a_group_without_measurements_is_named_on_the_page(runs: Path, tmp_path: Path) -> None:
    (runs / "dqn" / "seed-1" / "interference.csv").unlink()
    assert main(["compare", str(runs), "--out", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "flappy_bird" / "report.md").read_text()
    why = "since not all of their runs were measured at the same frames, or on the same pairs"
    assert page.count(f"Left out, {why}: dqn.") == 2


def test_an_overwritten_report_leaves_no_figure_that_the_new_one_lacks(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report" / "flappy_bird"
    command = ["compare", str(runs), "--out", str(tmp_path / "report"), "--overwrite"]
    assert main(command) == 0
    assert {path.name for path in folder.iterdir()} == report_file_names()
    (folder / "my_curves.png").write_text("mine")
    for path in runs.rglob("interference.csv"):
        path.unlink()
    assert main(command) == 0
    left = {path.name for path in folder.iterdir()}
    assert left == {name for name in report_file_names() if "interference" not in name} | {"my_curves.png"}
