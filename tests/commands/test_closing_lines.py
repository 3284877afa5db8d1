"""The commands that a command suggests at its end can be typed, whatever the folder is called."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from dqn_mer.commands.train import main as train_command
from dqn_mer.supervised.command import supervised
from dqn_mer.supervised.options import SupervisedOptions
from tests.helpers.resuming import flags

FOLDER = "two words; $(more)"


def suggested(output: str) -> list[str]:
    """Return the words of the command in parentheses behind the last results."""
    (command,) = re.findall(r"^results: .*  \((.*)\)$", output, re.MULTILINE)
    return shlex.split(command)


def test_train_suggests_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train_command(flags(frames=30, log_dir=FOLDER)) == 0
    assert suggested(capsys.readouterr().out) == ["tensorboard", "--logdir", FOLDER]


def test_supervised_suggests_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = SupervisedOptions(
        learner=("online",), tasks=1, examples=20, tests=10, hidden_sizes=(4,), meter_every=0, out=Path(FOLDER)
    )
    console = Console(file=io.StringIO(), width=200)
    assert supervised(options, console=console) == 0
    assert suggested(console.file.getvalue()) == ["python", "-m", "dqn_mer", "compare", FOLDER, "--out", "report"]
