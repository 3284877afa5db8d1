"""What a command says before it loads what takes seconds, and that it loads nothing that it does not need."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dqn_mer.commands.errors import load
from tests.helpers.resuming import PYTHONPATH, ROOT

SLOW = ("torch", "numba", "tensorboard", "matplotlib", "scipy")
"""Modules that take long to import."""


def run_until_slow_import(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of Python in a folder, to the first import of a slow module, which fails there.

    The folder ``old/run`` in it looks like that of a run with an agent, as far as is known without those modules.
    """
    (folder / "old" / "run").mkdir(parents=True)
    for name in ("config.json", "checkpoint.json"):
        (folder / "old" / "run" / name).write_text("{}")
    for module in SLOW:
        (folder / f"{module}.py").write_text("raise ImportError('loaded too early')")
    path = os.pathsep.join([str(folder), PYTHONPATH])
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("evaluate old/run", "evaluating old/run\nloading PyTorch"),
        ("watch old/run", "watching old/run\nloading PyTorch"),
        ("play catcher", "playing catcher\nloading PyTorch"),
        ("compare old --out new", "comparing runs for new\nloading Matplotlib"),
        ("supervised --out new", "learning streams for new\nloading PyTorch"),
    ],
)
def test_every_command_says_what_it_does_before_what_takes_seconds_is_loaded(
    words: str, line: str, tmp_path: Path
) -> None:
    done = run_until_slow_import(["-m", "dqn_mer", *words.split()], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, line + "\n", "error: loaded too early\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--seed 7", "dqn-mer on catcher, pixels observations, seed 7\nloading PyTorch"),
        ("--resume old/run", "resuming old/run\nloading PyTorch"),
    ],
)
def test_the_first_line_says_what_is_done_before_what_takes_seconds_is_loaded(
    words: str, line: str, tmp_path: Path
) -> None:
    run_dir = [] if "--resume" in words else ["--run-dir=new"]
    done = run_until_slow_import([str(ROOT / "train.py"), *words.split(), *run_dir], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, line + "\n", "error: loaded too early\n")
    assert not (tmp_path / "new").exists()


def test_play_waits_for_nothing_that_it_does_not_need() -> None:
    script = "import sys, dqn_mer.commands.play, dqn_mer.commands.watch_agent, dqn_mer.evaluation.export\n"
    script += "assert not {'matplotlib', 'numba', 'scipy.stats'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": PYTHONPATH})


def test_what_is_loaded_is_said_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdout", said)
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = []
    for name in ("slow_one", "slow_two", "slow_three"):
        code = (
            "import gc, sys\nsaid, collects = sys.stdout.getvalue(), gc.isenabled()\ndef more(): sys.stdout.write('!')"
        )
        (tmp_path / f"{name}.py").write_text(code)
    load("doing it", {"one": "slow_one", "two": "slow_two:more", "three": "slow_three"})
    for name in ("slow_one", "slow_two", "slow_three"):
        module = sys.modules.pop(name)
        seen.append((module.said, module.collects))
    parts = ["doing it\nloading one", "doing it\nloading one, two", "doing it\nloading one, two!, three"]
    assert seen == [(part, False) for part in parts]
    assert said.getvalue() == parts[-1] + "\n" and gc.isenabled()
    with pytest.raises(ImportError):
        load("doing it", {"one": "there_is_no_such_module"})
    assert said.getvalue().endswith("doing it\nloading one\n") and gc.isenabled()
