"""The command line: what it reads, and one line with exit code 2 for everything it cannot."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from dqn_mer.__main__ import COMMANDS, FIRST_STEPS, main
from dqn_mer.commands.compare import CompareOptions
from dqn_mer.commands.errors import load
from dqn_mer.commands.play import PlayOptions
from dqn_mer.commands.train import main as train_command
from dqn_mer.config.command_line import parse_config
from dqn_mer.config.config import CHOICES, RANGES, Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.fields import own_fields
from dqn_mer.config.flags import parse
from dqn_mer.config.help_texts import written
from dqn_mer.evaluation.agent_options import WatchOptions

TRAIN = Path(__file__).parents[2] / "train.py"
PYTHONPATH = os.pathsep.join([str(TRAIN.parent), str(TRAIN.parent / "envs")])
SLOW = ("torch", "numba", "tensorboard", "matplotlib", "scipy")
"""Modules that take long to import."""
TINY = (
    "--observation state --frames 120 --frames-per-setting 60 --warmup-frames 20 --capacity 100 --eval-every 60 "
    "--eval-episodes 1 --eval-frame-limit 30 --hidden-sizes 8 --threads 1"
).split()


def test_flags_become_fields() -> None:
    config = parse_config(
        "--game flappy_bird --settings 100,80,100 --hidden-sizes 32,16 --game-parameters gravity=1.2,flap_power=8 "
        "--double-q --agent dqn --seed 7".split()
    )
    assert config == default_config(
        game="flappy_bird", settings=(100.0, 80.0, 100.0), hidden_sizes=(32, 16), double_q=True, agent="dqn", seed=7,
        game_parameters={"gravity": 1.2, "flap_power": 8.0},
    )  # fmt: skip


@pytest.mark.parametrize("words", [["--preset", "quick"], ["--preset=quick"]])
def test_defaults_follow_the_preset(words: list[str]) -> None:
    assert parse_config(words) == default_config("quick")


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        ("--target-sync-episodes 5", {"target_sync_episodes": 5}),
        ("--target_sync_episodes=5 --game flappy_bird", {"target_sync_episodes": 5, "game": "flappy_bird"}),
        ("--preset paper", {"preset": "paper"}),
        ("--preset paper --target-sync-frames 500", {"preset": "paper", "target_sync_frames": 500}),
        ("--preset paper --target-sync-episodes none", {"preset": "paper", "target_sync_episodes": None}),
        ("--preset paper --no-clip-rewards", {"preset": "paper", "clip_rewards": False}),
        (
            "--agent dqn --no-newest --updates-per-frame 17 --update-every 4 --frame-skip 2",
            {"agent": "dqn", "newest": False, "updates_per_frame": 17, "update_every": 4, "frame_skip": 2},
        ),
        (
            "--agent dqn --optimizer sgd --momentum 0.9 --nesterov --input-scaling centred",
            {"agent": "dqn", "optimizer": "sgd", "momentum": 0.9, "nesterov": True, "input_scaling": "centred"},
        ),
    ],
)
def test_controls_are_flags_of_every_preset(words: str, choices: dict) -> None:
    assert parse_config(words.split()) == default_config(**choices)


def test_state_observations_have_their_own_defaults() -> None:
    assert parse_config(["--observation", "state"]) == default_config(observation="state")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--frames 0", "frames=0: must be a whole number from 1 to 1,000,000,000"),
        ("--frames x", "frames='x': must be a whole number from 1 to 1,000,000,000"),
        ("--frames", "--frames: no value given; must be a whole number from 1 to 1,000,000,000, or none"),
        ("--learning-rate nan", "learning_rate=nan: must be a number from"),
        ("--batch-size 1.5", "batch_size='1.5': must be a whole number from 0 to 65,536"),
        ("--framez 3", "'--framez' '3' not understood; did you mean --frames?"),
        ("--game pong", "catcher"),
        ("--settings a,b", "settings='a,b': must be numbers with commas"),
        ("--settings 0.1,1e12", "fall_speed=1000000000000.0: must be"),
        ("--game flappy_bird --settings 1", "pipe_gap"),
        ("--vary zebra --settings 1,2", "vary='zebra': must be one of"),
        ("--game-parameters zebra=1", "zebra"),
        ("--game-parameters fall_speed", "game_parameters='fall_speed': must be NAME=VALUE"),
        ("--game-parameters max_episode_steps=10", "max_episode_steps"),
        ("--game-parameters fall_speed=0.5", "fall_speed is what the settings vary"),
        ("--schedule missing.json", "missing.json"),
        ("--agent dqn --across-batch-rate 0.1", "across_batch_rate=0.1: only agent dqn-mer has it"),
        ("--agent dqn-mer --no-newest", "newest=False: agent dqn-mer learns the newest transition always"),
        ("--optimizer adam --momentum 0.9", "momentum=0.9: only sgd has it, and optimizer=adam"),
        ("--optimizer sgd --nesterov", "nesterov=True: needs momentum above 0"),
        (
            "--observation state --input-scaling centred",
            "input_scaling='centred': only pixels are scaled, and observation=state; must be left at 'unit'",
        ),
        (
            "--target-sync-frames 500 --target-sync-episodes=5",
            "target_sync_frames=500: not used with target_sync_episodes=5; must be none",
        ),
        ("--target-sync-episodes 0", "target_sync_episodes=0: must be a whole number from 1"),
        ("--target-sync-episodes x", "target_sync_episodes='x': must be a whole number from 1"),
        ("--target-sync-frames none", "target_sync_frames=None: must be a whole number, unless target_sync_episodes"),
        ("--frame-skip 0", "frame_skip=0: must be a whole number from 1 to 100"),
        ("--updates-per-frame 0", "updates_per_frame=0: must be a whole number from 1"),
        ("--update-every 0", "update_every=0: must be a whole number from 1"),
        ("--device cuda", "device='cuda': not available here"),
        ("--seed -1", "seed=-1: must be a whole number from 0"),
        ("--frames-per-setting 1000000000", "frames=6000000000: must be a whole number from 1 to 1,000,000,000"),
        ("--settings 0.1,0.2 --cycles 501", "cycles=501: must be a whole number from 1 to 500"),
        ("--framez 3 --hidden_size 5", "'--framez' '3' '--hidden_size' '5' not understood; did you mean --frames,"),
        ("stray", "stray"),
    ],
)
def test_mistakes_take_one_line_exit_2_and_leave_nothing(
    words: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train_command(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert train_command([*TINY, "--log-dir", str(tmp_path / "file" / "runs")]) == 2
    assert "log_dir=" in capsys.readouterr().err


def help_of(*words: str, columns: int) -> str:
    done = subprocess.run(
        [sys.executable, *words, "--help"], capture_output=True, text=True, check=True, cwd=TRAIN.parent,
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
        [sys.executable, "-m", "dqn_mer", words, "--help"], stdout=writing, stderr=subprocess.PIPE, cwd=TRAIN.parent,
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


def test_train_then_evaluate_as_a_user_would(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", *words], capture_output=True, text=True, cwd=TRAIN.parent, check=False
        )

    done = run("train.py", *TINY, "--run-dir", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "memory: 100 transitions" in done.stdout
    assert "Score by fall speed" in done.stdout
    command = ["-m", "dqn_mer", "evaluate", str(tmp_path / "run"), "--episodes", "2", "--frame-limit", "40"]
    done = run(*command, "--settings", "easier", "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    assert "trained on 1-" in done.stdout
    content = json.loads((tmp_path / "out.json").read_text())
    assert [row["setting"][:1] for row in content["settings"]] == ["0"]
    assert len(content["settings"][0]["scores"]) == 2
    done = run(*command, "--json", str(tmp_path / "out.json"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "exists already" in done.stderr


@pytest.mark.parametrize("words", [[], ["fly"]])
def test_unknown_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "must be one of train, evaluate" in capsys.readouterr().err


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
    for module in SLOW:
        (tmp_path / f"{module}.py").write_text("raise ImportError('loaded too early')")
    done = subprocess.run(
        [sys.executable, "-m", "dqn_mer", *words.split()], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), PYTHONPATH])},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (2, line + "\n", "error: loaded too early\n")


def test_play_waits_for_nothing_that_it_does_not_need() -> None:
    script = "import sys, dqn_mer.commands.play, dqn_mer.commands.watch_agent, dqn_mer.evaluation.export\n"
    script += "assert not {'matplotlib', 'numba', 'scipy.stats'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=TRAIN.parent, env={**os.environ, "PYTHONPATH": PYTHONPATH}
    )


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
    for module in SLOW:
        (tmp_path / f"{module}.py").write_text("raise ImportError('loaded too early')")
    path = os.pathsep.join([str(tmp_path), PYTHONPATH])
    done = subprocess.run(
        [sys.executable, str(TRAIN), *words.split(), "--run-dir=new"][: 4 if "--resume" in words else None],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, line + "\n")
    assert done.stderr == "error: loaded too early\n"
    assert not (tmp_path / "new").exists()
