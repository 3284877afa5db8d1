"""Comparisons of run folders with known numbers."""

from __future__ import annotations

import csv
import io
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from dqn_mer.__main__ import main
from dqn_mer.analysis.comparison import Comparison, compare_runs
from dqn_mer.analysis.report import comparison_table, metric_estimates
from dqn_mer.analysis.runs import Run, find_runs, load_run
from dqn_mer.analysis.score_figures import compared_curves, score_by_difficulty, score_matrices
from dqn_mer.commands.compare import CompareOptions, compare
from dqn_mer.config.defaults import default_config
from tests.helpers.runs import write_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder with three seeds of two agents; scores of seed s are those of seed 0 plus s."""
    for seed in range(3):
        for agent, base in (("dqn", 0.0), ("dqn-mer", 10.0)):
            scores = [[0.0, 0.0], [base + 4 + seed, base + 1 + seed], [base + 2 + seed, base + 6 + seed]]
            write_run(tmp_path / "runs" / agent / f"seed-{seed}", scores, agent=agent, seed=seed)
    return tmp_path / "runs"


def compared(folder: Path, **options: object) -> Comparison:
    (comparison,) = compare_runs([load_run(path) for path in find_runs([folder])[0]], **options)
    return comparison


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_mer_whose_reptile_does_nothing_is_named_as_what_it_is(tmp_path: Path) -> None:
    shared = {"learning_rate": 3e-4, "target_sync_frames": 100}
    scores = [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]
    kinds = {
        "dqn": {"agent": "dqn"},
        "mer": {"agent": "dqn-mer", "across_batch_rate": 0.3},
        "sequential": {"agent": "dqn-mer", "across_batch_rate": 1.0},
        "beta": {"agent": "dqn-mer", "across_batch_rate": 1.0, "within_batch_rate": 0.3},
    }
    for name, choices in kinds.items():
        scores = [[score + 1.0 for score in row] for row in scores]  # equal ones would be remarked on
        for seed in range(3):
            write_run(tmp_path / name / str(seed), scores, seed=seed, **shared, **choices)

    def runs_of(*names: str) -> list[Run]:
        return [load_run(path) for path in find_runs([tmp_path / name for name in names])[0]]

    (three,) = compare_runs(runs_of("dqn", "mer", "sequential"))
    assert [group.label for group in three.groups] == ["dqn", "dqn-mer", "dqn-mer (no Reptile)"]
    assert [len(group.runs) for group in three.groups] == [3, 3, 3]
    assert three.remarks == ()  # the labels say in what they differ
    (four,) = compare_runs(runs_of("dqn", "mer", "sequential", "beta"))
    assert [len(group.runs) for group in four.groups] == [3, 6, 3]  # a rate of one batch is still Reptile
    (remark,) = (remark for remark in four.remarks if "across_batch_rate" in remark)
    assert "dqn-mer: 0.3, 1.0" in remark or "dqn-mer: 1.0, 0.3" in remark
    (by_rate,) = compare_runs(runs_of("mer", "sequential"), by=("across_batch_rate",))
    assert [group.label for group in by_rate.groups] == ["across_batch_rate=0.3", "across_batch_rate=1.0"]
    (chosen,) = compare_runs(runs_of("dqn", "sequential"), baseline="dqn-mer (no Reptile)")
    assert chosen.groups[0].label == "dqn-mer (no Reptile)"


def test_the_report_holds_the_numbers_of_the_runs(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert main(["compare", str(runs), "--out", str(out)]) == 0
    folder = out / "flappy_bird"
    metrics = {(row["group"], row["metric"]): row for row in rows(folder / "metrics.csv")}
    # dqn, seed s: R = [[4 + s, 1 + s], [2 + s, 6 + s]]; the middle seed is 1, and a quarter of three runs is none
    expected = {
        "learning_accuracy": 6.0,  # ((4 + 6) + 2 s) / 2
        "retained_accuracy": 5.0,  # ((2 + 6) + 2 s) / 2
        "backward_transfer_interference": -1.0,
        "forgetting_mean": 1.0,  # (2 + 0) / 2
        "zero_shot_forward_transfer": 1.5,  # 1 + s - 0.5
        "area_under_curve": 3.0,  # seed 1, means over settings 0, 3.5, 5: (0 + 3.5) / 4 + (3.5 + 5) / 4
    }
    assert {name: float(metrics["dqn", name]["value"]) for name in expected} == pytest.approx(expected)
    assert float(metrics["dqn", "learning_accuracy"]["low"]) == 5.0
    assert float(metrics["dqn", "learning_accuracy"]["high"]) == 7.0
    better = metrics["dqn-mer", "retained_accuracy"]
    assert (better["baseline"], float(better["improvement_value"])) == ("dqn", 1.0)
    assert float(metrics["dqn-mer", "forgetting_mean"]["improvement_value"]) == 0.5
    assert metrics["dqn", "retained_accuracy"]["baseline"] == ""
    assert len(rows(folder / "runs.csv")) == 6
    last = [row for row in rows(folder / "curves.csv") if row["group"] == "dqn-mer" and row["frame"] == "100"]
    assert [float(row["score"]) for row in last] == [13.0, 17.0]
    page = (folder / "report.md").read_text()
    assert "| dqn | 3 | 6.0 [5.0, 7.0] | 5.0 [4.0, 6.0] |" in page
    assert "Beware" in page and "Runs differ in learning_rate: dqn: 0.0003; dqn-mer: 0.0006" in page
    for name in ("curves", "matrices", "difficulty"):
        assert f"({name}.png)" in page
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.size[0] > 300
        assert (folder / f"{name}.svg").read_text().startswith("<?xml")


def test_the_same_report_byte_for_byte_and_only_when_asked(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", str(runs), "--out", str(tmp_path / "report")]
    assert main(command) == 0
    files = {path: path.read_bytes() for path in (tmp_path / "report").rglob("*.*")}
    assert main(command) == 2
    assert "is not empty; must be a new folder, or give --overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert {path: path.read_bytes() for path in (tmp_path / "report").rglob("*.*")} == files


def test_a_game_that_is_no_longer_compared_leaves_the_report_and_what_else_is_there_stays(
    runs: Path, tmp_path: Path
) -> None:
    out, others = tmp_path / "report", tmp_path / "others"
    write_run(others / "catcher", [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], game="catcher", settings=(0.06, 0.09))
    assert main(["compare", str(runs), str(others), "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"catcher", "flappy_bird"}
    (out / "mine").mkdir()
    kept = [out / "notes.md", out / "mine" / "report.md", out / "mine" / "metrics.csv"]
    for path in kept:
        path.write_text("mine")
    assert main(["compare", str(runs), "--out", str(out), "--overwrite"]) == 0
    assert {path.name for path in out.iterdir()} == {"flappy_bird", "mine", "notes.md"}
    assert {path.read_text() for path in kept} == {"mine"}


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
        figure.draw_without_rendering()
        boxes = [part.get_tightbbox() for part in (*figure.axes, *figure.legends)]
        assert all(not one.overlaps(other) for one, other in combinations(boxes, 2))
        assert all(figure.bbox.x0 <= box.x0 and box.y1 <= figure.bbox.y1 for box in boxes)


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


def test_no_ceiling_is_drawn_where_it_is_not_known(tmp_path: Path) -> None:
    for seed, limit in enumerate((2_000, 1_000)):
        write_run(tmp_path / str(seed), [[0.0, 0.0], [40.0, 9.0], [40.0, 9.0]], seed=seed, eval_frame_limit=limit)
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


def test_tables_at_80_columns_break_no_word(runs: Path) -> None:
    for number in range(4):
        write_run(
            runs / f"more-{number}", [[0.0, 0.0], [100.0, 200.0], [300.0, 1.0]], agent="dqn", batch_size=20 + number
        )
    console = Console(file=io.StringIO(), width=80)
    console.print(comparison_table(compared(runs, by=("agent", "batch_size"))))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    words = {"interference", "batch_size=23", "retained", "5.0 [4.0, 6.0]", "15.0 [14.0, 16.0]", "1.00 [1.00, 1.00]"}
    assert all(word in text for word in words)


NEVER_FULL = ": the memory of 50,000 transitions was never full, so that both remembered the same."
UNTIL_60 = " up to frame 60: until the memory of 60 transitions is full, both remember the same."


@pytest.mark.parametrize(
    ("agent", "middle", "last", "choices", "expected"),
    [
        ("dqn-reservoir", 1.0, 2.0, {}, NEVER_FULL),
        ("dqn-reservoir", 1.0, 2.0, {"capacity": 60}, "."),  # equal by chance: the memories were not
        ("dqn-reservoir", 1.0, 2.5, {"capacity": 60}, UNTIL_60),
        ("dqn-reservoir", 1.5, 2.5, {"capacity": 60}, None),
        ("dqn-reservoir", 1.0, 2.5, {"capacity": 40}, None),  # full before the first evaluation after learning
        ("hare-tortoise", 1.0, 2.0, {}, "."),  # not the memory is what they differ in
        ("dqn-reservoir", 1.0, 2.0, {"batch_size": 8}, None),
    ],
)
def test_groups_with_equal_scores_are_explained(
    agent: str, middle: float, last: float, choices: dict[str, int], expected: str | None, tmp_path: Path
) -> None:
    batch_size = {"batch_size": choices.pop("batch_size", 16)}
    alike = {"learning_rate": 3e-4, "target_sync_frames": 100, **choices}  # whatever the tuned defaults are
    for seed in range(3):
        write_run(tmp_path / "a" / str(seed), [[0.0, seed], [1.0, 1.0], [2.0, 2.0]], agent="dqn", seed=seed, **alike)
        scores = [[0.0, seed], [1.0, middle], [2.0, last]]
        write_run(tmp_path / "b" / str(seed), scores, agent=agent, seed=seed, **alike, **batch_size)
    remarks = [remark for remark in compared(tmp_path).remarks if "equal" in remark]
    assert remarks == ([] if expected is None else [f"dqn and {agent} have equal scores on every seed{expected}"])


def test_groups_differ_in_dashes_marker_and_colour(runs: Path) -> None:
    from dqn_mer.analysis.drawing import style

    looks = [style(group) for group in compared(runs).groups]
    for part in ("color", "linestyle", "marker"):
        assert looks[0][part] != looks[1][part]


def test_matrices(runs: Path) -> None:
    exhibit = score_matrices(compared(runs))
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


def test_unfair_comparisons_are_pointed_out(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(runs / "other", [[0.0, 0.0]] * 3, agent="dqn", seed=2, batch_size=8, threads=2)
    (runs / "dqn-mer" / "seed-0" / "summary.json").unlink()
    remarks = compared(runs).remarks
    assert remarks == (
        "dqn has more than one run of seed 2; intervals take them as independent.",
        "dqn-mer has two runs only; its intervals are no more than the range of the two.",
        "Groups have different seeds (dqn: 0, 1, 2, 2; dqn-mer: 1, 2).",
        "Runs differ in batch_size: dqn: 16, 8; dqn-mer: 16",
        "Runs differ in learning_rate: dqn: 0.0003; dqn-mer: 0.0006",
    )
    assert main(["compare", str(runs), "--out", str(runs.parent / "report")]) == 0
    output = capsys.readouterr().out
    assert "left out: " + str(runs / "dqn-mer" / "seed-0") + ": not finished" in output
    assert all(f"beware: {remark}" in output for remark in remarks)


def test_options_that_an_agent_does_not_read_are_no_difference(runs: Path) -> None:
    path = runs / "dqn" / "seed-0" / "config.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps({**description, "config": {**description["config"], "across_batch_rate": 0.9}}))
    assert not [remark for remark in compared(runs).remarks if "across_batch_rate" in remark]
    write_run(runs / "other", [[0.0, 0.0]] * 3, agent="dqn-mer", seed=3, across_batch_rate=0.5)
    (remark,) = (remark for remark in compared(runs).remarks if "across_batch_rate" in remark)
    tuned = default_config(game="flappy_bird", observation="state", agent="dqn-mer").across_batch_rate
    assert f"dqn-mer: {tuned}, 0.5" in remark


def test_intervals_of_two_runs_are_their_range_and_said_to_be(tmp_path: Path) -> None:
    for seed, last in enumerate((1.0, 4.0)):
        write_run(tmp_path / f"seed-{seed}", [[0.0, 0.0], [1.0, 1.0], [last, last]], agent="dqn", seed=seed)
    comparison = compared(tmp_path)
    assert comparison.remarks == ("dqn has two runs only; its intervals are no more than the range of the two.",)
    estimate = metric_estimates(comparison)["dqn"]["retained_accuracy"]
    assert (estimate.value, estimate.low, estimate.high) == (2.5, 1.0, 4.0)


def test_groups_by_other_fields_and_another_baseline(runs: Path) -> None:
    write_run(runs / "other", [[0.0, 0.0]] * 3, agent="dqn", batch_size=8)
    comparison = compared(runs, by=("agent", "batch_size"), baseline="dqn batch_size=8")
    assert [group.label for group in comparison.groups] == [
        "dqn batch_size=8", "dqn batch_size=16", "dqn-mer batch_size=16",
    ]  # fmt: skip
    assert "dqn batch_size=8 has one run only, so there are no intervals for it." in comparison.remarks


def test_evaluations_that_not_all_runs_have_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], frames=(0, 25, 50, 100))
    write_run(tmp_path / "b", [[0.0, 0.0], [4.0, 4.0], [5.0, 5.0]], seed=1)
    comparison = compared(tmp_path)
    assert comparison.frames.tolist() == [0, 50, 100]
    assert comparison.curves(comparison.groups[0])[:, 1, 0].tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "runs: none given"),
        ("missing", "runs='missing': must be a run folder, or hold some"),
        ("runs --baseline dqn-merr", "baseline='dqn-merr': must be one of dqn, dqn-mer"),
        ("runs --by agnet", "by='agnet': must be config fields"),
        ("runs --unseen 90", "unseen=90: is one of the values that were trained on"),
        ("runs --unseen x", "unseen='x': must be"),
        ("runs --unseen 1", "pipe_gap"),
        ("runs --zebra 1", "--zebra"),
        ("runs other", "have different schedules; compare them apart"),
        ("runs short", "have different lengths; compare them apart"),
        ("damaged", "cannot be read as a finished run"),
        ("runs --out file/report", "must be a folder that may be written to"),
    ],
)
def test_mistakes_take_one_line_and_write_nothing(
    words: str, expected: str, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs.parent
    monkeypatch.chdir(folder)
    write_run(folder / "other", [[0.0, 0.0]] * 3, settings=(100.0, 80.0))
    write_run(folder / "short", [[0.0, 0.0]] * 2, frames=(0, 50))
    (write_run(folder / "damaged", [[0.0, 0.0]] * 3) / "evaluations.csv").write_text("frame\n")
    (folder / "file").write_text("")
    before = sorted(folder.rglob("*"))
    out = [] if "--out" in words else ["--out", "report"]
    assert main(["compare", *words.split(), *out]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and expected in error
    assert sorted(folder.rglob("*")) == before


def test_unseen_settings_are_played_by_the_saved_agents(tmp_path: Path) -> None:
    tiny = (
        "--game flappy_bird --observation state --settings 100,90 --frames-per-setting 60 --warmup-frames 20 "
        "--capacity 100 --eval-every 60 --eval-episodes 2 --eval-frame-limit 30 --hidden-sizes 8 --threads 1 "
        "--no-eval-worker --meter-every 0"
    ).split()
    assert main(["train", *tiny, "--run-dir", str(tmp_path / "runs" / "a")]) == 0
    write_run(tmp_path / "runs" / "b", [[0.0, 0.0]] * 3, frames=(0, 60, 120), seed=1)
    description = json.loads((tmp_path / "runs" / "a" / "config.json").read_text())
    path = tmp_path / "runs" / "b" / "config.json"
    path.write_text(json.dumps({**description, "config": {**description["config"], "seed": 1}}))
    options = CompareOptions((tmp_path / "runs",), tmp_path / "report", unseen=(150.0, 70.0))
    (comparison,) = compare(options, Console(file=io.StringIO()))
    assert comparison.remarks[-1] == f"No saved agent, so no scores on unseen settings: {tmp_path / 'runs' / 'b'}."
    shown = rows(tmp_path / "report" / "flappy_bird" / "difficulty.csv")
    assert [(row["pipe_gap"], row["trained_on"], row["runs"]) for row in shown] == [
        ("70.0", "no", "1"), ("90", "yes", "2"), ("100", "yes", "2"), ("150.0", "no", "1"),
    ]  # fmt: skip


def test_interleaved_runs_are_compared_as_the_ceiling(runs: Path, tmp_path: Path) -> None:
    for seed in range(3):
        run = write_run(runs / f"ceiling-{seed}", [[0.0, 0.0], [8.0, 8.0], [9.0, 9.0]], agent="dqn-mer", seed=seed)
        for name in ("config", "schedule"):
            description = json.loads((run / "config.json").read_text())
            description[name]["interleave_frames"] = 5
            (run / "config.json").write_text(json.dumps(description))
    command = ["compare", str(runs), "--by", "agent,interleave_frames", "--out", str(tmp_path / "report")]
    assert main(command) == 0
    page = (tmp_path / "report" / "flappy_bird" / "report.md").read_text()
    assert "| dqn-mer interleave_frames=5 | 3 | none | 9.0 [9.0, 9.0] | none | 0.0 [0.0, 0.0] | none |" in page
    assert "dqn-mer interleave_frames=5 trained on all settings in turn" in page
