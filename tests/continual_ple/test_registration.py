"""The registered ids: found by Gymnasium without an import of ours, and free of any name that a user's project has."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

IDS = [
    f"ContinualPLE/{game}{kind}-v0"
    for game in ("Catcher", "FlappyBird")
    for kind in ("", "-state", "-stream", "-stream-state")
]


@pytest.mark.parametrize("env_id", IDS)
def test_every_id_is_a_well_behaved_environment(env_id: str) -> None:
    env = gymnasium.make(env_id)
    check_env(env.unwrapped, skip_render_check=True)
    kind = np.float32 if "state" in env_id else np.uint8
    assert env.observation_space.dtype == kind and env.unwrapped.observation_space.dtype == kind
    env.close()


def test_the_id_alone_is_enough_where_it_names_the_package(tmp_path: Path) -> None:
    (tmp_path / "envs.py").write_text("raise AssertionError('a module of the user')")  # nearly every project has one
    code = "import gymnasium; print(gymnasium.make('continual_ple:ContinualPLE/Catcher-state-v0').spec.id)"
    process = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "ContinualPLE/Catcher-state-v0"


def test_training_leaves_a_users_module_envs_alone(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").write_text("raise AssertionError('a package of the user')")
    command = [sys.executable, "-m", "dqn_mer", "train", "--observation", "state", "--frames", "20", "--run-dir", "run"]
    subprocess.run([*command, "--no-eval-worker"], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "run" / "summary.json").is_file()


def test_the_stream_changes_the_setting_and_says_so_in_info() -> None:
    env = gymnasium.make("ContinualPLE/FlappyBird-stream-state-v0", settings=[100, 80], frames_per_setting=5)
    env.reset(seed=0)
    settings = []
    for _ in range(10):
        _, _, terminated, truncated, info = env.step(1)
        settings.append((info["setting"], truncated))
        if terminated or truncated:
            env.reset()
    assert settings[4] == ("0-pipe_gap=100", True) and settings[5] == ("1-pipe_gap=80", False)
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_makes_lists_of_pictures_of_every_id(env_id: str) -> None:
    env = gymnasium.make(env_id, render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(0)
    pictures = env.render()
    assert [picture.shape for picture in pictures] == [(env.unwrapped.game.height, env.unwrapped.game.width, 3)] * 2
    env.close()


def test_another_parameter_is_not_varied_by_the_values_of_the_games_own() -> None:
    with pytest.raises(ValueError, match=r"^vary='lives': needs settings, the values to give it"):
        gymnasium.make("ContinualPLE/Catcher-stream-state-v0", vary="lives")
    gymnasium.make("ContinualPLE/Catcher-stream-state-v0", vary="fall_speed").close()


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        ("Catcher-stream-state", {"fall_speed": 1.5, "settings": [0.1, 0.2]}, "^fall_speed=1.5: fall_speed is what "),
        ("Catcher-stream", {"fall_speed": 1.5}, "^fall_speed=1.5: fall_speed is what the settings vary; give its "),
        ("FlappyBird-stream-state", {"gravity": 1.0, "vary": "gravity", "settings": [1.2]}, "^gravity=1.0: gravity is"),
    ],
)
def test_the_stream_takes_no_fixed_value_of_what_it_varies(env_id: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gymnasium.make(f"ContinualPLE/{env_id}-v0", **options)
    env = gymnasium.make("ContinualPLE/FlappyBird-stream-state-v0", vary="gravity", settings=[1.2], pipe_gap=90)
    env.reset(seed=0)
    assert env.unwrapped.parameters["pipe_gap"] == 90 and env.unwrapped.parameters["gravity"] == 1.2
    env.close()
