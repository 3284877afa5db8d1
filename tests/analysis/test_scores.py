import csv
import dataclasses
import io
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from rich.console import Console, RenderableType

from continual_ple.settings import Schedule, Setting
from dqn_mer.analysis import learning_curves, scores
from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.runs import Run
from dqn_mer.analysis.score_figures import compared_curves, score_matrices
from dqn_mer.config.defaults import default_config
from tests.helpers.figures import visible_panels

NAMES = ["0-pipe_gap=100", "1-pipe_gap=95", "2-pipe_gap=90"]
FRAMES = np.array([0, 50, 100, 150, 200, 250, 300])
SCORES = np.arange(21.0).reshape(7, 3)


def dashed(panel: object) -> list[float]:
    return [line.get_xdata()[0] for line in panel.lines if line.get_linestyle() == "--"]


def shaded(panel: object) -> list[tuple[float, float]]:
    patches = panel.patches
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in patches]


def alone(
    values: object, order: Sequence[int] = (0, 1, 2), length: int = 100, frames: object = FRAMES, reached: int = 99
) -> Run:
    """Return a run with these evaluations, of shape (n, settings), which reached ``reached`` of its segments."""
    curves = np.asarray(values, dtype=np.float64)
    settings = tuple(Setting(f"{i}-pipe_gap={100 - i}", {"pipe_gap": 100 - i}) for i in range(curves.shape[1]))
    matrix = np.zeros((min(reached, len(order)), len(settings)))
    config = default_config(game="flappy_bird").to_json()
    schedule = Schedule(settings, tuple(order), length)
    return Run(Path("run"), config, None, schedule, np.asarray(frames), curves, matrix, {})


def drawn(run: Run) -> list[Axes]:
    """Return the panels of a run's learning curves."""
    group = Group("dqn-mer", (run,), 0)
    figure = compared_curves(Comparison("flappy_bird", (group,), "dqn-mer", run.frames, ())).figure
    figure.savefig(io.BytesIO(), dpi=30)
    return visible_panels(figure)


def test_learning_curves_mark_borders_and_trained_segments() -> None:
    panels = drawn(alone(SCORES[:, :2], [0, 1, 0]))
    assert [panel.get_title(loc="left") for panel in panels] == ["pipe gap 100 px", "pipe gap 99 px"]
    assert all(dashed(panel) == pytest.approx([0.1, 0.2]) for panel in panels)
    assert np.allclose(shaded(panels[0]), [(0.0, 0.1), (0.2, 0.3)])
    assert np.allclose(shaded(panels[1]), [(0.1, 0.2)])
    curve = next(line for line in panels[1].lines if line.get_label() == "dqn-mer (n=1)")
    assert np.allclose(curve.get_xdata(), FRAMES / 1000) and np.allclose(curve.get_ydata(), SCORES[:, 1])


def test_what_trained_on_all_settings_all_the_time_has_no_bars_borders_or_outlines() -> None:
    run = alone(SCORES)
    run = dataclasses.replace(run, schedule=dataclasses.replace(run.schedule, interleave_frames=10))
    assert all(not dashed(panel) and not shaded(panel) for panel in drawn(run))
    comparison = Comparison("flappy_bird", (Group("dqn-mer", (run,), 0),), "dqn-mer", run.frames, ())
    curves, matrices = compared_curves(comparison), score_matrices(comparison)
    (key,) = curves.figure.legends
    assert [text.get_text() for text in key.texts] == ["one seed"]
    assert not any(word in curves.caption for word in ("Bar", "Dashed"))
    assert not any(word in matrices.caption for word in ("Outlined", "diagonal"))


def test_learning_curves_of_a_run_that_stopped_early() -> None:
    panels = drawn(alone(SCORES[:2], frames=[50, 130], reached=2))
    assert dashed(panels[0]) == pytest.approx([0.1])
    assert np.allclose(shaded(panels[1]), [(0.1, 0.13)]) and shaded(panels[2]) == []


def test_the_last_segment_lasts_to_the_end() -> None:
    panels = drawn(alone(SCORES[:, :2], [0, 1]))
    assert dashed(panels[0]) == pytest.approx([0.1])
    assert np.allclose(shaded(panels[0]), [(0.0, 0.1)]) and np.allclose(shaded(panels[1]), [(0.1, 0.3)])


@pytest.mark.parametrize("settings", [1, 2, 5, 6, 13])
def test_learning_curves_draw_any_number_of_settings(settings: int) -> None:
    assert len(drawn(alone(np.zeros((1, settings)), range(settings), 25_000, [2000]))) == settings


def test_small_scores_look_small_and_negative_ones_show() -> None:
    first, second = drawn(alone([[100.0, 1.0], [0.0, -2.0]], [0, 1], 1, [1, 2]))
    assert first.get_ylim()[0] <= 0 and 100 < first.get_ylim()[1] < 120
    assert second.get_ylim()[0] <= -2 and 25 < second.get_ylim()[1] < 33


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
    picture = learning_curves.save_learning_curves(dataclasses.replace(alone(SCORES), path=tmp_path))
    path = tmp_path / "learning_curves.png"
    assert path.read_bytes() == picture and matplotlib.image.imread(path).shape[0] > 400
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


def printed(table: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, _environ={"TERM": "xterm"})
    console.print(table)
    return console.file.getvalue()


def test_summary_table() -> None:
    metrics: dict[str, float | list[float]] = {"learning_accuracy": 2.0, "forgetting": [0.0, 1.26]}
    text = printed(scores.summary_table("R", [[1.0, 0.1], [2.5, 3.0]], ["[a]", "b"], ["[a]", "b"], [0, 1], metrics))
    assert "[a]" in text and "learning accuracy: 2.0\n" in text and "forgetting: 0.0 1.3" in text
    assert "\x1b[1m1.0" in text and "\x1b[1m3.0" in text and "\x1b[1m2.5" not in text
    with pytest.raises(ValueError, match="order names 1 segments"):
        scores.summary_table("R", [[1.0], [2.0]], ["a"], ["a", "b"], [0], {})


@pytest.mark.parametrize("settings", [1, 6, 20, 100])
def test_a_summary_table_of_any_number_of_settings_fits_80_columns_and_breaks_no_number(settings: int) -> None:
    names = [f"{value / 10_000:g}" for value in range(608, 608 + settings)]
    matrix = np.arange(settings**2, dtype=np.float64).reshape(settings, settings) / 10
    text = re.sub(r"\x1b\[[0-9;]*m", "", printed(scores.summary_table("R", matrix, names, names, range(settings), {})))
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    assert set(names) <= set(words) and {f"{value:.1f}" for value in matrix.flat} <= set(words)


def test_a_long_name_is_folded_and_words_stay_whole() -> None:
    text = printed(scores.summary_table("R", [[1.0], [2.0]], ["s" * 200], ["all, to 1,000", "x" * 200], [0, 0], {}))
    assert "all, to 1,000" in text and text.count("x") == 200
