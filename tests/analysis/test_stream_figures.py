"""Comparisons of supervised runs: what they are called, and how many tasks stay readable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dqn_mer.__main__ import main
from dqn_mer.analysis.heat_maps import WIDEST
from dqn_mer.analysis.runs import load_run
from dqn_mer.analysis.score_figures import compared_curves, score_by_difficulty, score_matrices
from tests.helpers.figures import check_no_overlap, visible_panels
from tests.helpers.runs import compared, write_run, write_stream_run

PAGE = (7.0, 10.0)  # inches


def write_runs(folder: Path, tasks: int, seeds: int = 2) -> Path:
    for seed in range(seeds):
        for agent, capacity in (("online", None), ("er", 40), ("mer-7", 40)):
            write_stream_run(folder / agent / str(seed), tasks, agent, capacity, seed)
    return folder


def test_the_axes_say_what_a_stream_has(tmp_path: Path) -> None:
    comparison = compared(write_runs(tmp_path, tasks=3))
    curves = compared_curves(comparison)
    assert curves.figure.get_supylabel() == "accuracy (%)"
    lowest = curves.figure.axes[-3:]
    assert {panel.get_xlabel() for panel in lowest} == {"examples (thousands)"}
    assert [panel.get_ylabel() for panel in curves.figure.axes[::3]] == ["task 0", "task 1", "task 2"]
    key = [text.get_text() for text in curves.figure.legends[0].get_texts()]
    assert key[-2:] == ["the task changes", "trained on this task"]
    assert (curves.title, score_by_difficulty(comparison).title) == (
        "Accuracy on every task over training", "Accuracy by task",
    )  # fmt: skip
    (panel,) = score_by_difficulty(comparison).figure.axes
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("task", "accuracy (%)\nafter training")
    matrices = score_matrices(comparison)
    assert matrices.figure.get_supxlabel() == "evaluated on task; outlined: just trained on"
    assert matrices.figure.axes[-1].get_ylabel().startswith("accuracy (%)")


def test_the_page_speaks_of_tasks_examples_and_the_data(tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "runs", tasks=12)
    assert main(["compare", str(runs), "--out", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "rotations" / "report.md").read_text()
    first = page.splitlines()[2]
    assert first.startswith("Labelled images: a few digits, 600 examples, 50 between changes of the task (12: 00-rotat")
    assert "Learning accuracy: accuracy on a task right after training on it." in page
    for word in ("setting", "frame", "agent", "observation", "random play", "score on"):
        assert word not in page, word


def test_what_a_learner_does_not_read_is_not_in_its_name(tmp_path: Path) -> None:
    comparison = compared(write_runs(tmp_path, tasks=2), by=("agent", "capacity"))
    assert [group.label for group in comparison.groups] == ["er capacity=40", "mer-7 capacity=40", "online"]
    assert not [remark for remark in comparison.remarks if remark.startswith("Runs differ")]


def test_there_is_no_agent_to_play_unseen_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = write_runs(tmp_path / "runs", tasks=2, seeds=1)
    assert main(["compare", str(runs), "--unseen", "7", "--out", str(tmp_path / "report")]) == 2
    assert "error: unseen=7: must be for a game; rotations are supervised runs" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_what_an_agent_does_not_read_is_not_in_its_name(tmp_path: Path) -> None:
    for agent in ("dqn", "dqn-mer"):
        write_run(tmp_path / agent, [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], agent=agent, batch_size=16)
    labels = [group.label for group in compared(tmp_path, by=("agent", "across_batch_rate", "batch_size")).groups]
    rate = load_run(tmp_path / "dqn-mer").config["across_batch_rate"]
    assert labels == ["dqn batch_size=16", f"dqn-mer across_batch_rate={rate} batch_size=16"]


@pytest.mark.parametrize(
    ("tasks", "panels", "last"),
    [(11, 11, "task 10"), (20, 20, "task 19"), (50, 17, "tasks 48 to 49"), (100, 20, "tasks 95 to 99")],
)
def test_many_tasks_take_one_page(tasks: int, panels: int, last: str, tmp_path: Path) -> None:
    figure = compared_curves(compared(write_runs(tmp_path, tasks, seeds=1))).figure
    shown = visible_panels(figure)
    assert len(shown) == panels and shown[-1].get_title(loc="left") == last
    assert figure.get_size_inches()[0] <= PAGE[0] and figure.get_size_inches()[1] <= PAGE[1]
    check_no_overlap(figure)


@pytest.mark.parametrize("tasks", [20, 100])
def test_maps_of_many_tasks_are_no_wider_than_others(tasks: int, tmp_path: Path) -> None:
    figure = score_matrices(compared(write_runs(tmp_path, tasks, seeds=1))).figure
    assert figure.get_figwidth() <= 3 * (WIDEST + 0.1) + 1.5
    check_no_overlap(figure)
    assert len(figure.axes[0].patches) == (20 if tasks == 20 else 0)  # the outlines of more cells would hide them
    assert ("outlined" in figure.get_supxlabel()) == (tasks == 20)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [str(task) for task in range(0, tasks, tasks // 10)]


def test_tasks_that_share_a_panel_are_drawn_as_their_mean(tmp_path: Path) -> None:
    exhibit = compared_curves(compared(write_runs(tmp_path, tasks=40, seeds=3)))
    second = exhibit.figure.axes[1]  # tasks 2 and 3
    drawn = {line.get_label(): line for line in second.lines}
    assert set(drawn) == {"online (n=3)", "er (n=3)", "mer-7 (n=3)"}
    curve = np.asarray(drawn["er (n=3)"].get_ydata())
    assert curve[[0, 2, 3, 4, 40]].tolist() == [1.0, 1.0, 1 + 12 / 2, 1 + (12 + 13) / 2, 1 + (12 + 13) / 2]
    (bar, *_) = [patch for patch in second.patches if patch.get_width() > 0]
    assert bar.get_x() == pytest.approx(0.1) and len(second.patches) == 2
    row = next(r for r in exhibit.rows if (r["group"], r["setting"], r["frame"]) == ("er", "03-rotation=3", 200))
    assert (row["runs"], row["score"], row["low"], row["high"]) == (3, 14.0, 13.0, 15.0)
    assert "2 tasks in turn, their mean" in exhibit.caption
