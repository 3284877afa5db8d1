"""The command `compare`: the report that it writes, the tables that it prints, and what it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from dqn_mer.__main__ import main
from dqn_mer.analysis.labels import ceilings
from dqn_mer.analysis.report import comparison_table
from dqn_mer.commands import compare as command
from dqn_mer.commands.compare import CompareOptions, compare
from tests.helpers.logs import table
from tests.helpers.runs import compared, write_run


def test_the_report_holds_the_numbers_of_the_runs(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert main(["compare", str(runs), "--out", str(out)]) == 0
    folder = out / "flappy_bird"
    metrics = {(row["group"], row["metric"]): row for row in table(folder / "metrics.csv")}
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
    assert len(table(folder / "runs.csv")) == 6
    last = [row for row in table(folder / "curves.csv") if row["group"] == "dqn-mer" and row["frame"] == "100"]
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
    assert "is not empty; must be a new folder, unless overwrite is given" in capsys.readouterr().err
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
        ("own --unseen 1", "unseen=1: must be for a game that is known by name; agents of cart_pole are played from"),
        ("runs --zebra 1", "--zebra"),
        ("runs other", "have different schedules; name only runs that have the same"),
        ("runs short", "have different lengths, 100 and 50 frames; name only runs that have the same"),
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
    own = write_run(folder / "own", [[0.0, 0.0]] * 3) / "config.json"
    own.write_text(own.read_text().replace('"game": "flappy_bird"', '"game": "cart_pole"'))
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
    shown = table(tmp_path / "report" / "flappy_bird" / "difficulty.csv")
    assert [(row["pipe_gap"], row["trained_on"], row["runs"]) for row in shown] == [
        ("70.0", "no", "1"), ("90", "yes", "2"), ("100", "yes", "2"), ("150.0", "no", "1"),
    ]  # fmt: skip


def test_unseen_settings_have_the_other_parameters_of_the_setting_trained_on_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_run(tmp_path / "run", [[1.0, 2.0]] * 3) / "config.json"
    description = json.loads(path.read_text())
    for setting, speed in zip(description["schedule"]["settings"], (4, 8), strict=True):
        setting["parameters"]["pipe_speed"] = speed
    path.write_text(json.dumps(description))
    monkeypatch.setattr(command, "_played", lambda run, values: run)
    options = CompareOptions((tmp_path / "run",), tmp_path / "report", unseen=(70.0,))
    (comparison,) = compare(options, Console(quiet=True))
    assert [dict(setting.parameters) for setting in comparison.unseen] == [{"pipe_gap": 70.0, "pipe_speed": 8}]
    slow, fast, unseen = ceilings(comparison, comparison.every_setting)
    assert slow != fast == unseen


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


@pytest.mark.parametrize("name", ["evaluations.csv", "interference.csv", "summary.json"])
@pytest.mark.parametrize("damage", ["truncated", "a folder"])
def test_a_damaged_run_of_a_folder_is_left_out_by_name_in_the_terminal_and_on_the_page(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    bad = write_run(runs / "damaged", [[0.0, 0.0]] * 3, seed=7)
    (bad / name).unlink(missing_ok=True)
    if damage == "a folder":
        (bad / name).mkdir()
    else:
        (bad / name).write_text("{")
    (comparison,) = compare(CompareOptions((runs,), tmp_path / "report"))
    reason = f"{bad}: cannot be read as a finished run: {bad / name}: "
    assert [remark.startswith(f"Left out: {reason}") for remark in comparison.remarks][:2] == [True, False]
    assert sum(len(group.runs) for group in comparison.groups) == 6
    shown = "".join(capsys.readouterr().out.split())
    assert f"beware:Leftout:{reason}".replace(" ", "") in shown
    assert "Left out: " in (tmp_path / "report" / "flappy_bird" / "report.md").read_text()


def test_a_damaged_run_that_was_named_and_runs_that_are_all_damaged_are_mistakes(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [write_run(tmp_path / "others" / name, [[0.0, 0.0]] * 3) for name in ("one", "two")]
    for path in bad:
        (path / "summary.json").write_text("")
    for words, more in (([bad[0], runs], ""), ([tmp_path / "others"], "; nor can the other 1")):
        assert main(["compare", *map(str, words), "--out", str(tmp_path / "report")]) == 2
        (complaint,) = capsys.readouterr().err.splitlines()
        assert complaint.startswith(f"error: {bad[0]}: cannot be read as a finished run: ") and complaint.endswith(more)
        assert not (tmp_path / "report").exists()
