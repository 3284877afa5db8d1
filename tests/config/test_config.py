"""Configurations: defaults, ranges, combinations, and their JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_ple.games.catalogue import GAMES
from dqn_mer.config.agent_registry import AGENTS
from dqn_mer.config.combinations import options_of_agents
from dqn_mer.config.config import ALLOWED, CHOICES, INCIDENTAL, RANGES, Config
from dqn_mer.config.defaults import UNTUNED_STATE, default_config
from dqn_mer.config.flag_hints import HAS_NONE
from dqn_mer.config.flags import parse
from dqn_mer.ranges import Range


def test_every_field_has_a_range_or_choices_or_is_free_on_purpose() -> None:
    free = {name for name, allowed in ALLOWED.items() if allowed.kind in (bool, Path)}
    free |= {"game_parameters", "settings", "vary", "agent_options"}  # the game checks them, or the agent
    free |= {"task"}  # its form is tested elsewhere
    assert {f.name for f in dataclasses.fields(Config)} == set(RANGES) | set(CHOICES) | free
    assert set(CHOICES["game"]) == set(GAMES)


def test_an_option_is_of_one_agent_alone() -> None:
    options = options_of_agents(Config)
    named = [name for names in options.values() for name in names]
    assert len(named) == len(set(named))
    assert set(options) == {"dqn-mer", "efficient-mer", "hare-tortoise"} <= set(AGENTS)
    assert "batch_size" not in named  # which all agents have


def test_the_papers_numbers_are_the_defaults() -> None:
    config = default_config("paper")
    assert (config.learning_rate, config.within_batch_rate, config.across_batch_rate) == (1e-4, 1.0, 0.3)
    assert (config.batch_size, config.num_batches, config.capacity) == (16, 1, 50_000)
    assert (config.frames_per_setting, config.observation, config.optimizer) == (25_000, "pixels", "sgd")
    assert default_config("paper", agent="dqn").optimizer == "adam"
    for agent in AGENTS:  # what the paper does not give, and this project chose
        chosen = default_config("paper", agent=agent)
        assert (chosen.target_sync_frames, chosen.target_sync_episodes, chosen.clip_rewards) == (None, 10, True)
        assert (chosen.newest, chosen.updates_per_frame, chosen.update_every, chosen.frame_skip) == (True, 1, 1, 1)


@pytest.mark.parametrize(
    ("choices", "frames", "episodes"),
    [
        ({"game": "mine"}, 1_000, None),
        ({}, None, 1),
        ({"target_sync_frames": None}, None, 1),
        ({"game": "flappy_bird", "agent": "dqn"}, 100, None),
        ({"game": "flappy_bird", "target_sync_episodes": 7}, None, 7),
        ({"target_sync_frames": 300}, 300, None),
        ({"preset": "paper"}, None, 10),
        ({"preset": "paper", "target_sync_episodes": 7}, None, 7),
        ({"preset": "paper", "target_sync_frames": 300}, 300, None),
        ({"preset": "paper", "target_sync_frames": 300, "target_sync_episodes": None}, 300, None),
        ({"preset": "paper", "game": "mine", "target_sync_episodes": None}, 1_000, None),
        ({"preset": "paper", "game": "flappy_bird", "target_sync_episodes": None}, 100, None),
        ({"preset": "paper", "target_sync_frames": None}, None, 10),
    ],
)
def test_one_target_period_takes_the_place_of_the_other(
    choices: dict, frames: int | None, episodes: int | None
) -> None:
    config = default_config(**choices)
    assert (config.target_sync_frames, config.target_sync_episodes) == (frames, episodes)


def test_two_target_periods_or_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^target_sync_frames=9: not used with target_sync_episodes=2; must be none$"):
        default_config(target_sync_frames=9, target_sync_episodes=2)
    with pytest.raises(ValueError, match=r"^target_sync_frames=None: must be a whole number, unless target_sync_epis"):
        default_config(game="mine", target_sync_frames=None)


def test_hyperparameters_are_what_may_change_the_result() -> None:
    shown = Config(seed=3).hyperparameters()
    assert shown["seed"] == 3
    assert {"agent", "game", "learning_rate", "settings"} < set(shown)
    assert not {"log_dir", "run_dir", "device", "threads", "eval_every"} & set(shown)


@pytest.mark.parametrize("name", RANGES)
def test_out_of_range_names_field_value_and_allowed(name: str) -> None:
    allowed = RANGES[name]
    for bad in (allowed.low - 1, allowed.high * 2 + 1, float("nan"), "x", True):
        value = (bad,) if ALLOWED[name].kind is tuple else bad
        with pytest.raises(ValueError, match=f"^{name}=.*: must be a (whole )?number from ") as caught:
            Config(**{name: value})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in CHOICES if not ALLOWED[name].open])
def test_unknown_choice_names_field_value_and_allowed(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}='zebra': must be one of "):
        Config(**{name: "zebra"})


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"agent": "dqn", "across_batch_rate": 0.5}, "across_batch_rate"),
        ({"agent": "dqn-reservoir", "num_batches": 2}, "num_batches"),
        ({"agent": "dqn-reservoir", "reptile_rate": 0.2}, "reptile_rate"),
        ({"agent": "efficient-mer", "tortoise_rate": 0.5}, "tortoise_rate"),
        ({"agent": "dqn-mer", "hare_reset_updates": 2}, "hare_reset_updates"),
        ({"optimizer": "rmsprop", "weight_decay": 0.1}, "weight_decay"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum"),
        ({"optimizer": "rmsprop", "nesterov": True}, "nesterov"),
        ({"optimizer": "sgd", "nesterov": True}, "nesterov"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum"),
        ({"agent": "dqn-mer", "newest": False}, "newest"),
        ({"agent": "dqn", "newest": False, "batch_size": 0}, "batch_size"),
        ({"observation": "state", "input_scaling": "centred"}, "input_scaling"),
        ({"target_sync_episodes": 5}, "target_sync_frames"),
        ({"target_sync_frames": None}, "target_sync_frames"),
        ({"target_sync_frames": None, "target_sync_episodes": 0}, "target_sync_episodes"),
        ({"frame_skip": 0}, "frame_skip"),
        ({"updates_per_frame": 0}, "updates_per_frame"),
        ({"update_every": 0}, "update_every"),
        ({"one_big_batch": True, "within_batch_rate": 0.5}, "within_batch_rate"),
        ({"game": "catcher", "flap_probability": 0.5}, "flap_probability"),
        ({"schedule": Path("file.json"), "settings": (1.0,)}, "settings"),
        ({"schedule": Path("file.json"), "cycles": 2}, "cycles"),
        ({"vary": "gravity"}, "vary"),
        ({"backend": "ple", "rounding": "truncate"}, "rounding"),
        ({"hidden_sizes": (0,)}, "hidden_sizes"),
        ({"settings": (float("inf"),)}, "settings"),
    ],
)
def test_impossible_combinations_name_the_field(values: dict, field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}="):
        Config(**values)


@given(
    st.builds(
        Config,
        seed=st.integers(0, 2**63 - 1),
        settings=st.lists(st.floats(-1e9, 1e9), max_size=4).map(tuple),
        hidden_sizes=st.lists(st.integers(1, 512), max_size=3).map(tuple),
        game_parameters=st.dictionaries(st.text(min_size=1), st.floats(-1e9, 1e9)),
        learning_rate=st.floats(1e-12, 100.0),
        double_q=st.booleans(),
    )
)
def test_json_brings_back_the_same_configuration(config: Config) -> None:
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_texts_are_paths_and_lists_are_tuples() -> None:
    given = default_config(log_dir="a/b", run_dir=os.fspath(Path("c")), hidden_sizes=[8, 4], settings=[0.1, 0.2])
    assert given == default_config(log_dir=Path("a/b"), run_dir=Path("c"), hidden_sizes=(8, 4), settings=(0.1, 0.2))
    assert given.log_dir == Path("a/b") and given.hidden_sizes == (8, 4)
    for wrong in (3, ""):
        with pytest.raises(ValueError, match=f"log_dir={wrong!r}: must be a path"):
            default_config(log_dir=wrong)


def test_numbers_of_numpy_are_held_as_pythons_own() -> None:
    given = {
        "seed": np.int64(3), "learning_rate": np.float32(0.5), "double_q": np.bool_(True),
        "hidden_sizes": np.array([8, 4]), "settings": np.array([0.0625, 0.125]),
        "game_parameters": {"lives": np.int64(2)},
    }  # fmt: skip
    config = default_config(**given)
    expected = default_config(
        seed=3, learning_rate=0.5, double_q=True, hidden_sizes=(8, 4), settings=(0.0625, 0.125),
        game_parameters={"lives": 2},
    )  # fmt: skip
    assert config == expected and json.dumps(config.to_json()) == json.dumps(expected.to_json())
    assert type(config.seed) is int and type(config.settings[0]) is float
    with pytest.raises(ValueError, match=r"^seed=-1: must be a whole number from 0"):
        default_config(seed=np.int64(-1))
    with pytest.raises(ValueError, match=r"^capacity=2.0: must be a whole number"):
        default_config(capacity=np.float32(2))


def test_json_with_unknown_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="speed: unknown"):
        Config.from_json({**Config().to_json(), "speed": 1})


@pytest.mark.parametrize("name", ALLOWED)
def test_a_field_that_is_missing_from_a_file_has_its_default(name: str) -> None:
    values = Config().to_json()
    del values[name]
    assert Config.from_json(values) == Config()


@dataclass(frozen=True)
class MoreParameters:
    """A group from outside."""

    reward_scale: Annotated[float, Range(0, 9)] = 1.0
    """Factor on every reward."""


@dataclass(frozen=True)
class MoreConfig(MoreParameters, Config):
    """With one more group."""


def test_an_option_is_one_field(capsys: pytest.CaptureFixture[str]) -> None:
    config = parse(MoreConfig, ["--reward-scale", "3"], prog="test")
    assert config.reward_scale == config.hyperparameters()["reward_scale"] == 3.0
    assert MoreConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert MoreConfig.from_json(Config().to_json()) == MoreConfig()
    with pytest.raises(ValueError, match=r"^reward_scale=10\.0: must be a number from 0 to 9$"):
        parse(MoreConfig, ["--reward-scale", "10"], prog="test")
    with pytest.raises(SystemExit):
        parse(MoreConfig, ["--help"], prog="test")
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "more options: A group from outside. --reward-scale X Factor on every reward. (from 0 to 9; default: 1.0)"
        in text
    )


def test_an_option_of_a_group_changes_what_is_learned_and_of_a_run_does_not() -> None:
    shown = Config().hyperparameters()
    assert {"newest", "hidden_sizes", "num_batches", "preset", "epsilon_end", "agent_options"} < set(shown)
    assert {"preset", "device", "eval_worker", "log_dir"} < INCIDENTAL
    assert not {"eval_every", "seed", "frame_skip", "num_batches"} & INCIDENTAL


def test_a_schedule_file_takes_the_place_of_a_presets_length() -> None:
    assert default_config("quick", schedule="file.json").frames_per_setting == 25_000
    with pytest.raises(ValueError, match="frames_per_setting=9: not used with a schedule file"):
        default_config("quick", schedule="file.json", frames_per_setting=9)


def test_choices_win_over_the_preset_and_the_preset_over_tuned_defaults() -> None:
    assert default_config("quick").observation == "state"
    assert default_config("quick", observation="pixels").observation == "pixels"
    assert default_config("paper", observation="state").optimizer == "sgd"
    with pytest.raises(ValueError, match="preset='slow': must be one of"):
        default_config("slow")
    with pytest.raises(ValueError, match="speed: unknown field"):
        default_config(speed=1)


@pytest.mark.parametrize("agent", AGENTS)
def test_what_sees_numbers_starts_as_the_tuned_games_do(agent: str) -> None:
    mine = default_config(game="mine", observation="state", agent=agent)
    assert {name: getattr(mine, name) for name in UNTUNED_STATE} == UNTUNED_STATE
    assert mine.target_sync_episodes is None and mine.learning_rate == Config.learning_rate
    for game in ("catcher", "flappy_bird"):
        tuned = default_config(game=game, observation="state", agent=agent)
        assert tuned.hidden_sizes == mine.hidden_sizes
        if agent == "dqn":
            assert tuned.target_sync_frames == mine.target_sync_frames
    episodes = default_config(game="mine", observation="state", agent=agent, target_sync_episodes=3)
    assert (episodes.target_sync_frames, episodes.target_sync_episodes) == (None, 3)
    assert default_config("paper", game="mine", observation="state", agent=agent).target_sync_episodes == 10


def test_what_sees_images_starts_as_before() -> None:
    mine = default_config(game="mine")
    assert (mine.hidden_sizes, mine.target_sync_frames, mine.learning_rate) == ((512,), 1_000, 1e-4)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("learning_starts", "did you mean warmup_frames?"),
        ("lr", "did you mean learning_rate?"),
        ("exploration_fraction", "did you mean epsilon_decay_frames (in frames, not as a share of the run)?"),
        ("learning_rat", "did you mean learning_rate?"),
        ("tau", HAS_NONE["tau"]),
        ("zzz", "must be one of across_batch_rate, agent, "),
    ],
)
def test_a_field_of_other_libraries_gets_the_right_hint(name: str, advice: str) -> None:
    with pytest.raises(ValueError) as caught:
        default_config(**{name: 1})
    assert str(caught.value).startswith(f"{name}: unknown field; {advice}")
