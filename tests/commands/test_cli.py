"""The command line: what it reads, and one line with exit code 2 for everything it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dqn_mer.__main__ import main
from dqn_mer.commands.train import main as train_command
from dqn_mer.config.command_line import parse_config
from dqn_mer.config.defaults import default_config
from dqn_mer.training.trainer import Trainer
from tests.helpers.resuming import ROOT

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
        (
            "--target-sync-frames none --target-sync-episodes none",
            "target_sync_frames=None: must be a whole number, unless target_sync_episodes",
        ),
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
    monkeypatch.setattr(Trainer, "run", lambda trainer: pytest.fail(f"took {words!r} and would train {trainer.config}"))
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


def test_train_then_evaluate_as_a_user_would(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", *words], capture_output=True, text=True, cwd=ROOT, check=False
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
