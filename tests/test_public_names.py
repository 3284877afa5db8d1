"""The public names: what a program or a notebook imports."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import continual_ple
import dqn_mer
from dqn_mer.analysis.tables import read_table


@pytest.mark.parametrize("name", dqn_mer.__all__)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(dqn_mer, name).__name__ == name
    assert name in dir(dqn_mer)


@pytest.mark.parametrize("package", [dqn_mer, continual_ple], ids=lambda package: package.__name__)
def test_every_public_name_is_in_the_reference_once(package: ModuleType) -> None:
    page = (Path(__file__).parents[1] / "docs" / "reference" / f"{package.__name__}.md").read_text()
    assert sorted(re.findall(rf"^::: {package.__name__}\.(\w+)$", page, re.MULTILINE)) == sorted(package.__all__)


def test_an_unknown_name_is_an_ordinary_mistake() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = dqn_mer.trian


def test_the_former_modules_lead_to_the_names_of_today() -> None:
    for module, name, home in (
        ("dqn_mer.defaults", "default_config", dqn_mer.default_config),
        ("dqn_mer.tasks", "own_task", continual_ple.own_task),
        ("dqn_mer.sequential", "make_learner", dqn_mer.make_learner),
    ):
        with pytest.warns(DeprecationWarning, match=f"import {name}"):
            assert getattr(importlib.import_module(module), name) is home
    train_on = importlib.import_module("dqn_mer.training").train_on
    with pytest.warns(DeprecationWarning, match="train"), pytest.raises(ValueError, match="the task has its own"):
        train_on(object(), dqn_mer.default_config(cycles=2))


def test_a_run_is_evaluated_compared_and_read_from_python(flappy_run: Path, tmp_path: Path) -> None:
    scores = dqn_mer.evaluate(flappy_run, settings="100", episodes=2, frame_limit=30)
    assert [row["setting"] for row in scores["settings"]] == ["pipe_gap=100"]
    (comparison,) = dqn_mer.compare(flappy_run, tmp_path / "report")
    assert comparison.game == "flappy_bird" and (tmp_path / "report" / "flappy_bird" / "report.md").is_file()
    assert dqn_mer.load_agent(flappy_run).frame == 40
    assert dqn_mer.load_run(str(flappy_run)).metrics["retained_accuracy"] >= 0


def test_without_pandas_a_table_is_typed_arrays(flappy_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # which makes its import fail
    run = dqn_mer.load_run(flappy_run)
    table = run.table("evaluations")
    assert [table[name].dtype.kind for name in ("frame", "setting", "score_mean")] == ["i", "U", "f"]
    assert np.array_equal(np.unique(table["frame"]), run.frames)
    with pytest.raises(ValueError, match="name='weights': must be one of evaluations"):
        run.table("weights")


def test_an_empty_cell_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    (tmp_path / "metrics.csv").write_text("frame,train/loss\n10,\n20,0.5\n")
    table = read_table(tmp_path, "metrics")
    assert table["frame"].tolist() == [10, 20] and np.isnan(table["train/loss"][0]) and table["train/loss"][1] == 0.5


def test_with_pandas_a_table_is_a_data_frame(flappy_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class StandIn:
        @staticmethod
        def DataFrame(columns: dict[str, Any]) -> tuple[str, list[str]]:
            return "frame", list(columns)

    monkeypatch.setitem(sys.modules, "pandas", StandIn)
    kind, columns = dqn_mer.load_run(flappy_run).table("matrix")
    assert kind == "frame" and columns[0] == "trained_on"


FOR_COMMANDS_ALONE = {"UsageError"}
"""Errors about the words of a command line, which no function of Python raises."""


def test_no_error_names_a_flag_since_python_has_arguments() -> None:
    """A field's name, such as ``overwrite``, is right for both."""
    root, wrong = Path(__file__).parents[1], []
    for path in sorted([*(root / "dqn_mer").rglob("*.py"), *(root / "envs").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            if isinstance(node.exc.func, ast.Name) and node.exc.func.id in FOR_COMMANDS_ALONE:
                continue
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            wrong += [f"{path}:{node.lineno}: {text}" for text in texts if re.search(r"--[a-z]", str(text))]
    assert not wrong, "\n".join(wrong)


def test_a_report_is_overwritten_when_asked(flappy_run: Path, tmp_path: Path) -> None:
    dqn_mer.compare(flappy_run, tmp_path)
    with pytest.raises(ValueError, match="is not empty; must be a new folder, unless overwrite is given"):
        dqn_mer.compare(flappy_run, tmp_path)
    dqn_mer.compare(flappy_run, tmp_path, overwrite=True)


def test_a_field_of_another_library_gets_advice_without_flags() -> None:
    with pytest.raises(ValueError, match=r"train_freq: unknown field; did you mean update_every\?"):
        dqn_mer.default_config(train_freq=4)
    with pytest.raises(ValueError, match=r"tau: unknown field; the target network is .*, every target_sync_frames"):
        dqn_mer.default_config(tau=0.1)
