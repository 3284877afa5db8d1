"""What is added in the one place that CONTRIBUTING names shows up everywhere; here it is added from outside."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import ArrayLike

from continual_ple.tasks import Task
from dqn_mer import __main__
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.analysis import metric_table, report
from dqn_mer.analysis.comparison import Comparison
from dqn_mer.analysis.drawing import Exhibit, panel_grid
from dqn_mer.analysis.metric_table import METRICS, Metric
from dqn_mer.analysis.report import EXHIBITS
from dqn_mer.training import recorder, tags
from tests.helpers.logs import load, points
from tests.helpers.runs import write_run
from tests.training.test_trainer import tiny_run


def write_runs(folder: Path) -> Path:
    for agent, base in (("dqn", 0.0), ("dqn-mer", 10.0)):
        write_run(folder / agent, [[0.0, 0.0], [base + 4, base + 1], [base + 2, base + 6]], agent=agent)
    return folder


def read_report(tmp_path: Path) -> Path:
    runs, out = write_runs(tmp_path / "runs"), tmp_path / "report"
    assert __main__.main(["compare", str(runs), "--out", str(out)]) == 0
    return out / "flappy_bird"


def test_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def counts(comparison: Comparison) -> Exhibit:
        figure, (panel,) = panel_grid(1, width=4, height=3)
        rows = [{"group": group.label, "runs": len(group.runs)} for group in comparison.groups]
        panel.bar([row["group"] for row in rows], [row["runs"] for row in rows])
        return Exhibit("How many runs", "Runs of each group.", figure, rows)

    monkeypatch.setitem(EXHIBITS, "counts", counts)
    folder = read_report(tmp_path)
    page = (folder / "report.md").read_text()
    assert "## How many runs\n\n![How many runs](counts.png)\n\nRuns of each group. [SVG](counts.svg)" in page
    assert (folder / "counts.csv").read_text().splitlines() == ["group,runs", "dqn,1", "dqn-mer,1"]
    assert (folder / "counts.png").stat().st_size > 1_000 < (folder / "counts.svg").stat().st_size
    monkeypatch.setitem(EXHIBITS, "counts", lambda comparison: None)  # nothing to show in an overwritten report
    command = ["compare", str(tmp_path / "runs"), "--out", str(folder.parent), "--overwrite"]
    assert __main__.main(command) == 0
    assert not list(folder.glob("counts.*"))


def test_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def worst(matrix: ArrayLike) -> float:
        return float(np.min(np.asarray(matrix)[-1]))

    added = Metric("worst", "worst setting", "Worst setting: lowest score after training.", worst, ("matrix",))
    for module in (metric_table, report):
        monkeypatch.setattr(module, "METRICS", (*METRICS, added))
    folder = read_report(tmp_path)
    page = (folder / "report.md").read_text()
    assert "| area under curve | worst setting |" in page and added.meaning in " ".join(page.split())
    with (folder / "metrics.csv").open(newline="") as file:
        values = {row["group"]: row["value"] for row in csv.DictReader(file) if row["metric"] == "worst"}
    assert values == {"dqn": "2.0", "dqn-mer": "12.0"}
    summary = tiny_run(tmp_path / "run").summary
    assert summary["metrics"]["worst"] == min(summary["final_scores"].values())
    assert points(load(tmp_path / "run"), "final/worst") == [(400, pytest.approx(summary["metrics"]["worst"]))]


def test_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    module = ModuleType("dqn_mer.commands.greet")
    module.main = lambda arguments: print("hello", *arguments) or 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(__main__.COMMANDS, "greet", "say hello")
    assert __main__.main(["--help"]) == 0
    assert "  greet      say hello\n" in capsys.readouterr().out
    assert __main__.main(["greet", "you"]) == 3
    assert capsys.readouterr().out == "hello you\n"
    assert __main__.main(["gret"]) == 2
    assert "greet" in capsys.readouterr().err


@pytest.mark.parametrize("tag", ["memory/oldest_frames", "curiosity/bonus"])  # of a group of tags, or of a new one
def test_a_number_to_log(tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def oldest(task: Task, agent: DQNAgent) -> Mapping[str, float]:
        return {tag: float(agent.memory.ages().max())}

    monkeypatch.setitem(tags.LOGGED, tag, "Age of the oldest transition, in frames.")
    monkeypatch.setattr(recorder, "SOURCES", (*recorder.SOURCES, oldest))
    tiny_run(tmp_path / "run", log_every=100)
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        logged = [(int(row["frame"]), float(row[tag])) for row in csv.DictReader(file)]
    assert [frame for frame, _ in logged] == [100, 200, 300, 400] and all(age >= 0 for _, age in logged)
    assert points(load(tmp_path / "run"), tag) == logged
    assert f"| `{tag}` | Age of the oldest transition, in frames. |\n" in tags.tags_as_markdown()
