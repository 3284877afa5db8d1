import csv
import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from dqn_mer.analysis import learning_curves, scores

NAMES = ["0-pipe_gap=100", "1-pipe_gap=95", "2-pipe_gap=90"]
FRAMES = np.array([0, 50, 100, 150, 200, 250, 300])
SCORES = np.arange(21.0).reshape(7, 3)


def dashed(panel: object) -> list[float]:
    return [line.get_xdata()[0] for line in panel.lines if line.get_linestyle() == "--"]


def shaded(panel: object) -> list[tuple[float, float]]:
    patches = panel.patches
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in patches]


def visible_panels(figure: Figure) -> list[object]:
    return [panel for panel in figure.axes if panel.get_visible()]


def test_learning_curves_mark_borders_and_trained_segments() -> None:
    figure = learning_curves.learning_curves(FRAMES, SCORES, NAMES, [0, 1, 0], 100, "Flappy Bird", "dqn-mer, seed 1")
    panels = visible_panels(figure)
    assert [panel.get_title(loc="left") for panel in panels] == NAMES
    assert all(dashed(panel) == pytest.approx([0.1, 0.2]) for panel in panels)
    assert np.allclose(shaded(panels[0]), [(0.0, 0.1), (0.2, 0.3)])
    assert np.allclose(shaded(panels[1]), [(0.1, 0.2)])
    assert shaded(panels[2]) == []
    curve = panels[1].lines[-1]
    assert np.allclose(curve.get_xdata(), FRAMES / 1000) and np.allclose(curve.get_ydata(), SCORES[:, 1])
    assert figure.get_suptitle() == "Flappy Bird" and "dqn-mer, seed 1" in figure.get_supxlabel()


def test_learning_curves_of_a_run_that_stopped_early() -> None:
    figure = learning_curves.learning_curves([50, 130], SCORES[:2], NAMES, [0, 1, 2], 100, "")
    panels = visible_panels(figure)
    assert dashed(panels[0]) == pytest.approx([0.1])
    assert np.allclose(shaded(panels[1]), [(0.1, 0.13)]) and shaded(panels[2]) == []


def test_the_last_segment_goes_on_to_the_end() -> None:
    panels = visible_panels(learning_curves.learning_curves(FRAMES, SCORES, NAMES, [0, 2], 100, ""))
    assert dashed(panels[0]) == pytest.approx([0.1])
    assert np.allclose(shaded(panels[0]), [(0.0, 0.1)]) and np.allclose(shaded(panels[2]), [(0.1, 0.3)])


@pytest.mark.parametrize("settings", [1, 2, 5, 6, 13])
def test_learning_curves_draw_any_number_of_settings(settings: int) -> None:
    scores = np.zeros((1, settings))
    names = [str(setting) for setting in range(settings)]
    figure = learning_curves.learning_curves([2000], scores, names, range(settings), 25_000, "flat", "one evaluation")
    figure.savefig(io.BytesIO(), dpi=30)
    assert len(visible_panels(figure)) == settings


def test_small_scores_look_small_and_negative_ones_show() -> None:
    figure = learning_curves.learning_curves([1, 2], [[100.0, 1.0], [0.0, -2.0]], NAMES[:2], [0, 1], 1, "")
    first, second = figure.axes
    assert first.get_ylim() == pytest.approx((0, 108))
    assert second.get_ylim() == pytest.approx((-2, 25 + 0.08 * 27))


def test_pyplot_is_never_touched() -> None:
    code = "import sys, dqn_mer.analysis.learning_curves; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def write_evaluations(run_dir: Path, rows: Sequence[tuple[object, ...]]) -> None:
    with (run_dir / "evaluations.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("frame", "setting_index", "score_mean"), *rows])


def test_save_learning_curves(tmp_path: Path) -> None:
    rows = [(frame, j, SCORES[i, j]) for i, frame in enumerate(FRAMES) for j in range(3)]
    write_evaluations(tmp_path, rows[::-1])
    frames, read = scores.read_evaluations(tmp_path / "evaluations.csv", 3)
    assert frames.tolist() == FRAMES.tolist() and np.array_equal(read, SCORES)
    path = learning_curves.save_learning_curves(tmp_path, NAMES, [0, 1, 2], 100, "title", "caption")
    assert path == tmp_path / "learning_curves.png" and matplotlib.image.imread(path).shape[0] > 400
    assert sorted(file.name for file in tmp_path.iterdir()) == ["evaluations.csv", "learning_curves.png"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no evaluation"),
        ([(1, 0, 1.0)], "each of 2 settings once"),
        ([(1, 0, 1.0), (1, 0, 2.0)], "each of 2 settings once"),
        ([(1, 0, 1.0), (1, 1, 1.0), (1, 1, 2.0)], "each of 2 settings once"),
        ([(1, 0, 1.0), (1, 2, 2.0)], "each of 2 settings once"),
    ],
)
def test_incomplete_evaluations(tmp_path: Path, rows: list[tuple[object, ...]], message: str) -> None:
    write_evaluations(tmp_path, rows)
    with pytest.raises(ValueError, match=message):
        scores.read_evaluations(tmp_path / "evaluations.csv", 2)


def test_score_matrix_takes_the_last_evaluation_inside_each_segment() -> None:
    assert scores.score_matrix(FRAMES, SCORES, [100, 200, 300]).tolist() == SCORES[[2, 4, 6]].tolist()
    # Nothing at 120 or 290 itself: the evaluations at 100 and 250 stand for these segments.
    assert scores.score_matrix(FRAMES, SCORES, [120, 290]).tolist() == SCORES[[2, 5]].tolist()


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ([100, 120], r"segment 1 \(frames 100 to 120\)"),
        ([0], "strictly increase"),
        ([100, 100], "strictly increase"),
        ([], "strictly increase"),
    ],
)
def test_score_matrix_refuses_a_segment_without_evaluation(ends: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scores.score_matrix(FRAMES, SCORES, ends)


def test_score_matrix_before_the_first_evaluation() -> None:
    with pytest.raises(ValueError, match="segment 0"):
        scores.score_matrix([50], [[1.0]], [40])


def test_write_matrix(tmp_path: Path) -> None:
    scores.write_matrix(tmp_path / "matrix.csv", [[1.0, 0.1], [2.5, 3.0]], NAMES[:2], ["a", "b, again"])
    text = (tmp_path / "matrix.csv").read_text()
    assert text == 'trained_on,0-pipe_gap=100,1-pipe_gap=95\na,1.0,0.1\n"b, again",2.5,3.0\n'
    with pytest.raises(ValueError, match="does not fit 1 segments, 2 settings"):
        scores.write_matrix(tmp_path / "matrix.csv", [[1.0, 0.1], [2.5, 3.0]], NAMES[:2], ["a"])
    assert (tmp_path / "matrix.csv").read_text() == text


def test_summary_table() -> None:
    metrics: dict[str, float | list[float]] = {"learning_accuracy": 2.0, "forgetting": [0.0, 1.25]}
    table = scores.summary_table([[1.0, 0.1], [2.5, 3.0]], ["[a]", "b"], ["[a]", "b"], [0, 1], metrics)
    console = Console(file=io.StringIO(), width=100, force_terminal=True, _environ={"TERM": "xterm"})
    console.print(table)
    text = console.file.getvalue()
    assert "[a]" in text and "learning accuracy: 2.00" in text and "forgetting: 0.00 1.25" in text
    assert "\x1b[1m1.0" in text and "\x1b[1m3.0" in text and "\x1b[1m2.5" not in text
    with pytest.raises(ValueError, match="order names 1 segments"):
        scores.summary_table([[1.0], [2.0]], ["a"], ["a", "b"], [0], {})


@pytest.mark.parametrize(
    ("scores", "frames_per_setting", "message"),
    [(SCORES[:, :2], 100, "2 settings, but there are 3 names"), (SCORES, 0, "frames_per_setting must be at least 1")],
)
def test_bad_curves(scores: np.ndarray, frames_per_setting: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learning_curves.learning_curves(FRAMES, scores, NAMES, [0], frames_per_setting, "")
