"""Tasks by ``MODULE:NAME``: what is found, and one line for each way in which none is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from continual_ple.tasks import Task
from dqn_mer.config.command_line import NOT_WITH_TASK, parse_config, task_of_flags
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import PRESETS, default_config
from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.task import game_task
from dqn_mer.config.task_references import load_task
from tests.helpers.task_modules import MODULE, TASK, working_in

FORM = "must be MODULE:NAME, with the module as import names it, such as examples.cartpole:pole_task"
WANTED = "must be a continual_ple.Task, or a function without required arguments that returns one"
TEXTS = {
    "mine.py": MODULE,
    "inner.py": "import zebra_package\n",
    "part/__init__.py": "from part.missing import x\n",
    "wrong.py": "x = = 1\n",
    "leaving.py": "import sys\nsys.exit('early')\n",
    "pictures.py": (
        "import functools\nimport numpy as np\nfrom gymnasium import spaces\n"
        "from continual_ple import own_task\nfrom tests.helpers.own_envs import Count\n"
        "def catcher(): return Count(box=spaces.Box(0, 255, (40, 40, 3), np.uint8))\n"
        "def task(): return own_task(catcher, 'speed', [1.0, 2.0], 30)\n"
    ),
    "games.py": "from dqn_mer.config.task import *\ndef task(): return game_task(Config(observation='state'))\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    for name, text in TEXTS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with working_in(tmp_path):
        yield tmp_path


@pytest.mark.parametrize(("name", "frames"), [("poles", 120), ("TASK", 120), ("partial", 60)])
def test_a_task_or_a_function_is_found_in_the_current_folder(name: str, frames: int, folder: Path) -> None:
    task = load_task(f"mine:{name}")
    assert isinstance(task, Task) and task.schedule.total_frames == frames
    assert load_task(f"mine:{name}") is task  # imported and made once


def test_a_task_with_the_name_of_a_game_gets_another(folder: Path) -> None:
    assert load_task("games:task").name == "own-catcher" and load_task("games:task").is_own


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("mine", FORM),
        ("", FORM),
        (":poles", FORM),
        ("mine:", FORM),
        ("mine:a:b", FORM),
        ("a/mine.py:poles", FORM),
        ("..mine:poles", FORM),
        ("mine:\x1b[31m", FORM),
        ("zebra:poles", "there is no module zebra in {folder} or elsewhere on Python's path"),
        ("mine.zebra:poles", "there is no module mine.zebra in {folder} or elsewhere on Python's path"),
        (
            "mine.py:poles",
            "there is no module mine.py in {folder} or elsewhere on Python's path; a module is named without .py",
        ),
        ("inner:x", "importing the module inner raised ModuleNotFoundError: No module named 'zebra_package'"),
        ("part:x", "importing the module part raised ModuleNotFoundError: No module named 'part.missing'"),
        ("wrong:x", "importing the module wrong raised SyntaxError: invalid syntax (wrong.py, line 1)"),
        ("leaving:x", "importing the module leaving raised SystemExit: early"),
        ("mine:pole", "there is no pole in {folder}/mine.py; did you mean poles?"),
        ("mine:zzz", "there is no zzz in {folder}/mine.py"),
        ("mine:NUMBER", f"is of type int; {WANTED}"),
        ("mine:needs", f"missing a required argument: 'frames'; {WANTED}"),
        ("mine:fails", "calling it raised RuntimeError: a bad \x1b[31mday"),  # which the command escapes
        ("mine:leaves", "calling it raised SystemExit: 3"),
        ("mine:unknown", "calling it raised ValueError: NoSuchPole-v1: "),
        ("mine:dict", "there is no dict in {folder}/mine.py"),
        ("builtins:dict", f"calling it returned a value of type dict; {WANTED}"),
        ("mine:odd", "its environment cannot be made: "),
    ],
)
def test_whatever_is_wrong_is_one_line(reference: str, reason: str, folder: Path) -> None:
    line = f"task={reference!r}: {reason.format(folder=folder)}"
    with pytest.raises(ValueError) as caught:
        load_task(reference)
    said = str(caught.value)
    assert said.startswith(line) if reason.endswith(": ") else said == line
    assert "\n" not in said


def test_a_name_without_end_is_cut() -> None:
    with pytest.raises(ValueError, match=rf"^task='m+…: {FORM}$"):
        load_task("m" * 200 + ":x")


def test_the_defaults_are_those_of_an_unknown_game(folder: Path) -> None:
    given = parse_config(["--task", "mine:poles"])
    wanted = default_config(game="CartPole-v1", observation="state", task="mine:poles")
    assert given == wanted and task_of_flags(given) is load_task("mine:poles")
    named = parse_config(["--task", "mine:poles", "--game", "pole", "--agent", "dqn", "--frame-skip", "2"])
    assert named == default_config(game="pole", observation="state", task="mine:poles", agent="dqn", frame_skip=2)
    pictures = parse_config(["--task", "pictures:task"])
    assert (pictures.game, pictures.observation, pictures.hidden_sizes) == ("own-catcher", "pixels", (512,))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_brings_no_schedule(preset: str) -> None:
    config = parse_config(["--task", TASK, "--preset", preset])
    assert (config.frames_per_setting, config.observation) == (Config.frames_per_setting, "state")
    assert config.epsilon_decay_frames == default_config(preset).epsilon_decay_frames


VALUES = {
    "observation": "state", "backend": "native", "rounding": "nearest", "game_parameters": "gravity=1",
    "flap_probability": "0.1", "frames_per_setting": "25000", "settings": "1,2", "vary": "gravity", "cycles": "1",
    "interleave_frames": "0", "schedule": "file.json",
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_WITH_TASK)
def test_flags_of_a_game_or_schedule_are_refused(name: str) -> None:
    """Even those that give the default, and before the module is looked for."""
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(UsageError, match=rf"^{flag}: not allowed with --task: a task of yours has its own "):
        parse_config(["--task", "zebra:x", flag, *([VALUES[name]] if name in VALUES else [])])


def test_what_is_refused_says_why() -> None:
    assert set(NOT_WITH_TASK) == {*VALUES, "fixed_looks"}
    for words, line in {
        "--settings 1,2": "--settings: not allowed with --task: a task of yours has its own schedule",
        "--observation state": "--observation: not allowed with --task: a task of yours has its own environment",
        "--game catcher": "--game: catcher is a game of ours; with --task it must be another name",
    }.items():
        with pytest.raises((ValueError, UsageError), match=f"^{re.escape(line)}$"):
            parse_config(["--task", TASK, *words.split()])


def test_a_configuration_imports_nothing(folder: Path) -> None:
    config = default_config(game="pole", task="leaving:x")
    with pytest.raises(ValueError, match=r"^task='leaving:x': only the command line imports a task; in Python, pass"):
        game_task(config)
    with pytest.raises(ValueError, match=re.escape(f"task='a b': {FORM}")):
        Config(task="a b")


@pytest.mark.parametrize("words", ["--hidden-sizes 64,64", "--layer-norm", "--no-layer-norm"])
def test_a_network_of_the_tasks_own_has_no_flags(words: str) -> None:
    task = ["--task", "examples.own_network:car_task"]
    assert parse_config([*task, "--input-scaling", "unit"]).game
    with pytest.raises(UsageError, match=r"^--(hidden-sizes|layer-norm): not allowed with --task .*: that task has"):
        parse_config([*task, *words.split()])
    assert parse_config(["--task", "examples.cartpole:pole_task", *words.split()]).game
