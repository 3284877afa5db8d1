"""Reports of runs from strangers: where they are written, and that text from files stays text."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.hostile import Place, run_command
from tests.helpers.runs import write_run


@pytest.mark.parametrize("game", ["../../canary", "..", ".", "/tmp", "a/b", "a\\b", "", " ", "x" * 101, "a\n", 3, None])
def test_a_report_is_written_where_the_user_says(game: Any, tmp_path: Path, no_drawing: None) -> None:
    place = Place(tmp_path, write_run(tmp_path / "run", [[0.0, 0.0], [4.0, 1.0], [2.0, 6.0]]))
    config = json.loads((place.run / "config.json").read_text())
    config["config"]["game"] = game
    (place.run / "config.json").write_text(json.dumps(config))
    assert place.check("compare") == 2


def test_an_overwritten_report_follows_no_link(tmp_path: Path, no_drawing: None) -> None:
    run = write_run(tmp_path / "run", [[0.0, 0.0], [4.0, 1.0], [2.0, 6.0]])
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("report.md", "metrics.csv", "runs.csv"):
        (mine / name).write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "catcher").symlink_to(mine)  # an earlier report's game, whose files would be removed
    command = ["compare", str(run), "--out", str(tmp_path / "out"), "--overwrite"]
    assert run_command(command)[0] == 0
    (tmp_path / "out" / "flappy_bird" / "report.md").unlink()
    (tmp_path / "out" / "flappy_bird" / "report.md").symlink_to(mine / "report.md")
    assert run_command(command)[0] == 0
    shutil.rmtree(tmp_path / "out" / "flappy_bird")
    (tmp_path / "out" / "flappy_bird").symlink_to(mine)
    assert run_command(command)[0] == 2
    assert [path.read_text() for path in sorted(mine.iterdir())] == ["mine"] * 3


TEXT = "=HYPERLINK(1)|<img src=x>[link](y) $x^2$ \x1b[31m`*_ https://z"


def test_text_of_files_is_text_in_a_report_a_table_a_figure_and_a_terminal(tmp_path: Path) -> None:
    """Real figures: their texts are neither mathematics nor broken XML."""
    game = "=a|<b>[c](d) $x^2$"
    for seed in range(2):
        run = write_run(tmp_path / "\x1b[31mruns" / f"{seed}", [[0.0, 0.0], [4.0, 1.0], [2.0, 6.0]], seed=seed)
        config = json.loads((run / "config.json").read_text())
        config["config"] |= {"game": game, "run_dir": TEXT + str(seed)}
        config["git_commit"] = "=1+1\x1b"
        for place, setting in enumerate(config["schedule"]["settings"]):
            setting["name"] = f"=$\\frac{{{place}}}$<i>"
        summary = {"random_scores": {setting["name"]: 0.0 for setting in config["schedule"]["settings"]}}
        (run / "config.json").write_text(json.dumps(config))
        (run / "summary.json").write_text(json.dumps(summary))
    out = tmp_path / "out"
    code, said, _ = run_command(["compare", str(tmp_path / "\x1b[31mruns"), f"--out={out}", "--by", "agent,run_dir"])
    assert code == 0 and "\\x1b[31m" in said
    page = (out / game / "report.md").read_text()
    assert "<img" not in page and "<b>" not in page and "<i>" not in page and "\x1b" not in page
    assert "](y)" not in page.replace("\\](y)", "") and "https://" not in page
    for path in (out / game).glob("*.csv"):
        cells = [cell for row in csv.reader(path.read_text().splitlines()) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@")) or "\x1b" in cell]
    assert "x^2" in (out / game / "curves.svg").read_text()  # as it is, where mathematics would be "x" and a raised "2"


def test_negative_numbers_of_a_table_stay_numbers(tmp_path: Path, no_drawing: None) -> None:
    run = write_run(tmp_path / "run", [[0.0, 0.0], [-4.0, -1.0], [-2.0, -6.0]])
    assert run_command(["compare", str(run), "--out", str(tmp_path / "out")])[0] == 0
    rows = csv.DictReader((tmp_path / "out" / "flappy_bird" / "metrics.csv").read_text().splitlines())
    assert {row["metric"]: row["value"] for row in rows}["retained_accuracy"] == "-4.0"
