"""Help of every command: range and default of each option, no wider than the terminal, without loading PyTorch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import is_dataclass

import pytest

from dqn_mer.__main__ import COMMANDS, FIRST_STEPS, main
from dqn_mer.commands.compare import CompareOptions
from dqn_mer.commands.play import PlayOptions
from dqn_mer.config.command_line import parse_config
from dqn_mer.config.config import CHOICES, RANGES, Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.fields import own_fields
from dqn_mer.config.flags import parse
from dqn_mer.config.help_texts import written
from dqn_mer.evaluation.agent_options import WatchOptions
from tests.helpers.resuming import PYTHONPATH, ROOT


def help_of(*words: str, columns: int) -> str:
    done = subprocess.run(
        [sys.executable, *words, "--help"], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "COLUMNS": str(columns)},
    )  # fmt: skip
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= columns
    return done.stdout


@pytest.mark.parametrize("columns", [80, 120])
def test_help_groups_the_flags_and_tells_range_and_default_of_each(columns: int) -> None:
    text = help_of("train.py", "--game", "flappy_bird", "--observation", "state", columns=columns)
    groups = re.findall(r"^([\w-]+) options:\n(.*?)\n\n(?=\S)", text, re.S | re.M)
    titles = [
        "start",
        "game",
        "schedule",
        "agent",
        "memory",
        "optimizer",
        "replay",
        "mer",
        "efficient-mer",
        "hare-tortoise",
        "dqn",
    ]
    assert [title for title, _ in groups] == [*titles, "network", "exploration", "evaluation", "run"]
    shown = {title: re.sub(r"\s+", " ", group) for title, group in groups}
    default = {
        **vars(default_config(game="flappy_bird", observation="state")),
        "game": "catcher",
        "observation": "pixels",
    }
    bases = [base for base in reversed(Config.__mro__[1:]) if is_dataclass(base)]
    for base, group in zip(bases, shown.values(), strict=True):
        for name in own_fields(base):
            (of_flag,) = re.findall(rf" --{name.replace('_', '-')}\b(?!-)(.*?)(?= --(?!no-)|$)", group)
            assert f"default: {written(default[name])})" in of_flag, name
            if name in RANGES:
                assert RANGES[name].span() in of_flag
            assert all(choice in of_flag for choice in CHOICES.get(name, ()))
    assert "Resume a stopped run with `--resume RUN`" in text
    assert "Reptile rate after all batches of an update (the paper's gamma). For dqn-mer alone." in shown["mer"]
    assert "random: random play, which learns nothing." in shown["agent"]
    assert "gravity (0.1 to 4 px/frame²)" in shown["schedule"]


@pytest.mark.parametrize("words", ["train", "evaluate"])
def test_help_may_be_left_unread(words: str) -> None:
    """As with ``| head``: the reader is gone before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "dqn_mer", words, "--help"], stdout=writing, stderr=subprocess.PIPE, cwd=ROOT,
        check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("columns", [80, 120])
def test_help_of_the_commands(columns: int) -> None:
    text = help_of("-m", "dqn_mer", columns=columns)
    assert "train  " in text and "evaluate  " in text
    text = re.sub(r"\s+", " ", help_of("-m", "dqn_mer", "evaluate", columns=columns))
    assert "Play a saved agent greedily" in text and "(from 1 to 100,000; default: 20)" in text
    assert "(from 1 to 1,000,000,000, or none; default: none)" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_fits_a_terminal_and_loads_no_torch(command: str) -> None:
    script = f"""
        import atexit, sys
        from dqn_mer.__main__ import main
        atexit.register(lambda: print("torch" in sys.modules, file=sys.stderr))
        main(["{command}", "--help"])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True,
        env={**os.environ, "COLUMNS": "80", "PYTHONPATH": PYTHONPATH},
    )  # fmt: skip
    assert done.stderr == "False\n"
    lines = done.stdout.splitlines()
    assert lines[0].startswith(("usage: python -m dqn_mer", "usage: python train.py")) and max(map(len, lines)) <= 80


def test_without_a_command_the_first_steps_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown, complaint = capsys.readouterr()
    assert complaint.count("\n") == 1 and max(map(len, shown.splitlines())) <= 80
    assert len(FIRST_STEPS) == 4 and all(f"python -m dqn_mer {words}\n" in shown for words in FIRST_STEPS)
    kinds = {"watch": WatchOptions, "play": PlayOptions, "compare": CompareOptions}
    for words in FIRST_STEPS:
        command, *flags = words.split()
        assert parse_config(flags) if command == "train" else parse(kinds[command], flags, prog=command)
