"""What a list of the command line names twice is meant once."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from dqn_mer.commands import compare as command
from dqn_mer.commands.compare import CompareOptions, compare
from dqn_mer.supervised.options import SupervisedOptions, plan
from tests.helpers.runs import write_run

QUIET = Console(quiet=True)


def test_compare_makes_groups_by_each_field_once(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [[1.0, 2.0]] * 3, agent="dqn")
    options = CompareOptions((tmp_path / "run",), tmp_path / "report", by="agent,seed,agent")
    (comparison,) = compare(options, QUIET)
    assert [group.label for group in comparison.groups] == ["dqn seed=0"]


def test_compare_plays_each_unseen_value_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "run", [[1.0, 2.0]] * 3, agent="dqn")
    played = []
    monkeypatch.setattr(command, "_played", lambda run, values: played.append(values) or run)
    (comparison,) = compare(CompareOptions((tmp_path,), tmp_path / "report", unseen=(95.0, 85.0, 95.0)), QUIET)
    assert [setting.name for setting in comparison.unseen] == ["pipe_gap=95", "pipe_gap=85"]
    assert played == [(95.0, 85.0)]


def test_supervised_counts_each_stream_once() -> None:
    seeds = "0-4999"
    options = SupervisedOptions(stream=("rotations", "rotations"), learner=("er", "er"), memory=(5, 5), seeds=seeds)
    assert len(plan(options)) == 5_000
    twice = SupervisedOptions(stream=("rotations", "permutations") * 2, learner=("er",), memory=(5,), seeds=seeds)
    assert len(plan(twice)) == 10_000
