"""Games from outside the package: as environments, and what cannot be one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from continual_ple import (
    ENV_IDS,
    GAMES,
    ArcadeEnv,
    Controls,
    Observation,
    Parameter,
    default_schedule,
    register_game,
    register_observation,
)
from continual_ple.games.catalogue import game_class, make_game
from continual_ple.observations import observation_class
from tests.helpers.added import install, installed, nothing_left
from tests.helpers.falling_stone import Colour, FallingStone

STONE = "tests.helpers.falling_stone:FallingStone"


@pytest.fixture(autouse=True)
def taken_away() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.mark.parametrize("ending", ["", "-state", "-stream", "-stream-state"])
def test_a_registered_game_has_well_behaved_environments(ending: str) -> None:
    assert register_game(FallingStone) is FallingStone
    env = gymnasium.make(f"ContinualPLE/FallingStone{ending}-v0", render_mode="rgb_array")
    check_env(env.unwrapped)
    assert ENV_IDS["falling_stone"] == "ContinualPLE/FallingStone-v0"
    assert env.observation_space.shape == ((3,) if "state" in ending else (4, 84, 84))


def test_its_settings_and_score_are_its_own() -> None:
    register_game(FallingStone)
    names = ["0-fall=1", "1-fall=2", "2-fall=3"]
    assert [setting.name for setting in default_schedule("falling_stone").settings] == names
    env = gymnasium.make("ContinualPLE/FallingStone-stream-state-v0", frames_per_setting=20)
    env.reset(seed=0)
    seen = set()
    for _ in range(60):
        _, reward, terminated, truncated, info = env.step(2)
        assert reward in (-1, 0, 1) and "score" in info
        seen.add(info["setting"])
        if terminated or truncated:
            env.reset()
    assert seen == set(names)


def test_registering_the_same_class_again_changes_nothing_and_another_one_is_refused() -> None:
    register_game(FallingStone)
    register_game(FallingStone)
    with pytest.raises(ValueError, match=r"^game='falling_stone': another class has this name$"):
        register_game(type("Other", (FallingStone,), {}))
    with pytest.raises(ValueError, match=r"^game='catcher': another class has this name$"):
        register_game(type("Other", (FallingStone,), {"name": "catcher"}))
    assert GAMES["falling_stone"] is FallingStone


def test_the_range_of_a_state_may_be_a_list_of_pairs() -> None:
    def listed(parameters: Mapping[str, float]) -> Any:
        return FallingStone.state_range(parameters).tolist()

    register_game(type("ListedStone", (FallingStone,), {"name": "listed_stone", "state_range": staticmethod(listed)}))
    seen = []
    for game in ("ListedStone", "FallingStone"):
        register_game(FallingStone)
        seen.append(gymnasium.make(f"ContinualPLE/{game}-state-v0").reset(seed=0)[0])
    assert np.array_equal(*seen)


def test_upstream_has_no_added_game() -> None:
    register_game(FallingStone)
    with pytest.raises(ValueError, match=r"^backend='ple': has only catcher, flappy_bird; must be native for falling_"):
        make_game("falling_stone", {}, backend="ple")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"name": "Falling Stone"}, "name='Falling Stone': must be words of a to z and digits, joined by underscores"),
        ({"name": "../stone"}, "name='../stone': must be words"),
        ({"name": "stone\n"}, "name=.*: must be words"),
        ({"name": ""}, "Bad.name='': must be a str, not empty"),
        ({"name": "a" * 41}, "name=.*: must be words .*, with at most 40 characters"),
        ({"actions": ()}, r"Bad.actions=\(\): must be a tuple, not empty"),
        ({"actions": ("a", "a", "b")}, "Bad.actions=.*: must be different names"),
        ({"state_names": ("x", "y")}, "Bad.state_range: must give a low and a higher number for each of 2 columns"),
        (
            {"state_range": staticmethod(lambda parameters: np.array([(0, np.inf)] * 3))},
            "Bad.state_range: .*, both finite",
        ),
        ({"parameter_table": ("fall",)}, "Bad.parameter_table=.*: must hold a Parameter each"),
        (
            {"parameter_table": (*FallingStone.parameter_table, FallingStone.parameter_table[0])},
            "Bad.parameter_table: .*: must be different names, each fit for a keyword argument",
        ),
        (
            {"parameter_table": (*FallingStone.parameter_table, Parameter("a b", "", 1, 0, 2, ""))},
            "Bad.parameter_table: .*: must be different names, each fit for a keyword argument",
        ),
        (
            {"parameter_table": (*FallingStone.parameter_table, Parameter("rounding", "", 1, 0, 2, ""))},
            "Bad.parameter_table: 'rounding': is an argument of every environment; must be another name",
        ),
        (
            {"parameter_table": (*FallingStone.parameter_table, Parameter("wind", "px", 3, 0, 2, ""))},
            r"Bad.parameter_table: wind=3: must be a number from 0 to 2 \(px\)",
        ),
        ({"varied_parameter": "gravity"}, "Bad.varied_parameter='gravity': must be one of fall, stride"),
        ({"default_values": (1, 9)}, r"Bad.default_values: fall=9: must be a whole number from 1 to 8 \(px/frame\)"),
        ({"random_odds": (0.5, 0.5)}, r"Bad.random_odds=\(0.5, 0.5\): must be one for each of 3 actions, summing to 1"),
        ({"random_odds": (0.5, 0.1, 0.1)}, "Bad.random_odds=.*: must be one for each of 3 actions, summing to 1"),
        ({"controls": Controls({"up": ("UP",)}, "")}, "Bad.controls: 'up': must be one of left, right, stay"),
        (
            {"controls": Controls(dict.fromkeys(FallingStone.actions, ("a",)), "")},
            "Bad.controls: one action must have ",
        ),
        ({"actions": ("go",), "random_odds": "flap_probability"}, "Bad.random_odds=.*: must be empty for a single act"),
        ({"controls": "keys"}, "Bad.controls='keys': must be Controls or None"),
    ],
)
def test_what_is_no_whole_game_is_refused_in_one_line(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        register_game(type("Bad", (FallingStone,), attributes))
    assert "\n" not in str(caught.value)
    assert list(GAMES) == list(ENV_IDS) == ["catcher", "flappy_bird"]


def test_an_abstract_class_or_anything_else_is_refused() -> None:
    missing: Any = type("Bad", (Observation,), {"name": "bad", "is_image": False})
    with pytest.raises(ValueError, match=r"^Bad: must define observe$"):
        register_observation(missing)
    for thing in (FallingStone(), "falling_stone", int, Colour):
        with pytest.raises(ValueError, match=r"^game=.*: must be a subclass of continual_ple.Game$"):
            register_game(thing)
    with pytest.raises(ValueError, match=r"^observation=.*: must be a subclass of continual_ple.Observation$"):
        register_observation(FallingStone)  # type: ignore[arg-type,type-var] # the wrong type is the test


def test_an_installed_game_is_loaded_when_its_name_is_looked_up(tmp_path: Path) -> None:
    installed(tmp_path, {"falling_stone": "added_package:FallingStone"}, f"from {STONE.replace(':', ' import ')}")
    assert "falling_stone" in GAMES and list(GAMES)[-1] == "falling_stone"
    assert "added_package" not in sys.modules
    assert game_class("falling_stone") is FallingStone
    check_env(gymnasium.make("ContinualPLE/FallingStone-state-v0", render_mode="rgb_array").unwrapped)


def test_gymnasium_makes_an_installed_game_by_its_id_alone(tmp_path: Path) -> None:
    """In a new process, where nothing but the id names the game."""
    path = install(tmp_path, "continual_ple.games", {"falling_stone": STONE, "Bad Name!": "nowhere:Nothing"})
    code = (
        "import gymnasium, sys; env = gymnasium.make('continual_ple:ContinualPLE/FallingStone-state-v0'); "
        "print(env.reset(seed=0)[0].shape, 'pygame' in sys.modules)"
    )
    environment = {"PYTHONPATH": os.pathsep.join([str(path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("(3,) False\n", "")


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("nowhere_at_all:Game", "", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("added_package:Missing", "", "AttributeError: module 'added_package' has no attribute 'Missing'"),
        ("added_package:x", "x = 3", "ValueError: game=3: must be a subclass of continual_ple.Game"),
        ("added_package:x", "raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("added_package:x", "raise SystemExit(3)", "SystemExit: 3"),
        (STONE, "", "ValueError: the class has the name 'falling_stone'"),
    ],
)
def test_a_broken_entry_point_is_one_clear_line(tmp_path: Path, value: str, code: str, reason: str) -> None:
    installed(tmp_path, {"broken": value}, code)
    assert "broken" in GAMES
    with pytest.raises(ValueError) as caught:
        game_class("broken")
    entry = f"the entry point broken = {value} in continual_ple.games of the package added-package"
    assert str(caught.value) == f"game='broken': {entry} cannot be used: {reason}"


def test_no_entry_point_takes_the_place_of_a_game_of_ours(tmp_path: Path) -> None:
    installed(tmp_path, {"catcher": "added_package:Evil"}, "raise AssertionError('imported')")
    assert game_class("catcher").__module__ == "continual_ple.games.catcher"


@pytest.mark.parametrize("name", ["added_package", "added_package:Game", "os:system", "falling_stone.x", STONE])
def test_a_name_imports_nothing_but_an_entry_point_of_the_group(tmp_path: Path, name: str) -> None:
    installed(tmp_path, {"added_package": "added_package:x"}, "raise AssertionError('imported')", "console_scripts")
    for look_up in (game_class, observation_class, lambda name: ArcadeEnv("catcher", observation=name)):
        with pytest.raises(ValueError, match=r"^(game|observation)=.*: must be one of (catcher|pixels), "):
            look_up(name)
    assert "added_package" not in sys.modules


@pytest.mark.parametrize(
    ("method", "value", "expected"),
    [
        ("step", float("nan"), "reward=nan: must be a finite number"),
        ("state", np.full(3, np.nan), "ScaledState.observe: must hold finite numbers only, in falling_stone"),
    ],
)
def test_a_game_that_plays_what_cannot_be_learned_from_is_one_line(
    method: str, value: object, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_game(FallingStone)
    env = ArcadeEnv("falling_stone", observation="state")
    env.reset(seed=0)
    env.step(0)
    monkeypatch.setattr(FallingStone, method, lambda game, *action: value)
    with pytest.raises(ValueError, match=f"^{expected}$"):
        env.step(0)


@pytest.mark.parametrize(
    ("drawn", "kind"),
    [
        (np.zeros((16, 12, 3)), r"float64 of shape \(16, 12, 3\)"),
        (np.zeros((16, 12), np.uint8), r"uint8 of shape \(16, 12\)"),
        (np.zeros((12, 16, 3), np.uint8), r"uint8 of shape \(12, 16, 3\)"),
        ([[0]], "list"),
    ],
)
@pytest.mark.parametrize("observation", ["pixels", "state"])
def test_a_game_that_draws_no_image_is_one_line(
    drawn: object, kind: str, observation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_game(FallingStone)
    monkeypatch.setattr(FallingStone, "draw", lambda game: drawn)
    env = ArcadeEnv("falling_stone", observation=observation, render_mode="rgb_array")
    expected = rf"^FallingStone.draw: must return uint8 of shape \(16, 12, 3\), returned {kind}$"
    with pytest.raises(ValueError, match=expected):
        env.reset(seed=0)
        env.render()
