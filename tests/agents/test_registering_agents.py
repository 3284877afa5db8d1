"""What `register_agent` and an entry point accept, and what a registered agent takes from others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from dqn_mer import register_agent
from dqn_mer.__main__ import main
from dqn_mer.agents.build import build_agent
from dqn_mer.agents.makers import mer, mini_batch, reservoir
from dqn_mer.config import agent_registry
from dqn_mer.config.command_line import parse_config
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.config.task import game_task
from dqn_mer.mer import MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.ranges import Range
from tests.helpers import outside_agent
from tests.helpers.added import nothing_left, put_agent_on_path
from tests.helpers.outside_agent import ShrinkOptions


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Forget after each test what it registered and installed."""
    with nothing_left():
        yield


def test_defaults_of_an_agent_give_way_to_choices_and_presets() -> None:
    outside_agent.register()
    assert default_config(agent="shrinking").learning_rate == 0.002
    assert default_config(agent="shrinking", game="flappy_bird").target_sync_frames == 100
    assert default_config("paper", agent="shrinking").learning_rate == 1e-4
    assert parse_config(["--agent", "shrinking", "--learning-rate", "0.5"]).learning_rate == 0.5
    assert default_config(agent="shrinking").agent_options == {"every_updates": 20, "share": 0.9, "noisy": 1}
    register_agent("seldom", reservoir, mini_batch, defaults={"target_sync_episodes": 2})
    for game in ("catcher", "mine"):  # whose own default is a period in frames
        seldom = default_config(agent="seldom", game=game, observation="state")
        assert (seldom.target_sync_frames, seldom.target_sync_episodes) == (None, 2)
    config = default_config(agent="shrinking", agent_options={"noisy": 0, "share": 1})
    assert agent_registry.options_of(config) == ShrinkOptions(20, 1.0, False)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(ValueError, match=r"^defaults='speed': must be fields of Config"):
        register_agent("odd", reservoir, mini_batch, defaults={"speed": 1})


def test_an_agent_from_outside_may_keep_the_flags_of_a_group() -> None:
    register_agent("mine", reservoir, mer, options=MERParameters)
    config = parse_config("--agent mine --num-batches 2 --observation state".split())
    replay = build_agent(config, game_task(config).training_env(), spawn_streams(0)).replay
    assert isinstance(replay, MERUpdate) and replay.parameters is config
    with pytest.raises(ValueError, match="newest=False: agent mine learns the newest transition always"):
        dataclasses.replace(config, newest=False)
    with pytest.raises(ValueError, match=r"^reptile_rate=0\.1: only agent efficient-mer has it, and agent=mine"):
        dataclasses.replace(config, reptile_rate=0.1)
    with pytest.raises(ValueError, match=r"^num_batches=2: only agent dqn-mer has it, and agent=dqn;"):
        parse_config("--agent dqn --num-batches 2".split())


@dataclass
class Melting:
    a: int = 1


@dataclass(frozen=True)
class Wordy:
    a: str = "x"


@dataclass(frozen=True)
class Needy:
    a: int


@dataclass(frozen=True)
class Outside:
    a: Annotated[int, Range(3, 4, whole=True)] = 1


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("dqn", None, "name='dqn': is a built-in agent"),
        ("a,b", None, "name='a,b': must be letters, digits"),
        ("", None, "name='': must be letters"),
        (".hidden", None, "name='.hidden': must be letters"),
        ("mine", int, "options=<class 'int'>: must be a frozen dataclass"),
        ("mine", ShrinkOptions(), "options=ShrinkOptions.*: must be a frozen dataclass"),
        ("mine", Melting, "options=.*Melting'>: must be a frozen dataclass"),
        ("mine", Wordy, r"options\.a: must be an int, a float or a bool"),
        ("mine", Needy, r"options\.a: must have a default"),
        ("mine", Outside, r"options\.a=1: must be a whole number from 3 to 4"),
    ],
)
def test_what_cannot_be_registered(name: str, options: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{expected}"):
        register_agent(name, reservoir, mini_batch, options=options)
    assert agent_registry.known_agent("mine") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"memory": 3}, "memory=3: must be a function, or its location as module:function"),
        ({"replay": "no.module"}, "replay='no.module': must be a function, or its location as module:function"),
        ({"defaults": {"foo": 1}}, "defaults='foo': must be fields of Config"),
        ({"defaults": {"learning_rate": -1.0}}, r"defaults\.learning_rate=-1\.0: must be"),
    ],
)
def test_makers_and_defaults_are_checked_when_an_agent_is_registered(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{expected}"):
        register_agent("bad", **{"memory": reservoir, "replay": mini_batch, **given})
    assert agent_registry.known_agent("bad") is None


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("import nowhere_at_all", "added_package:register", "fails: ModuleNotFoundError: No module named 'nowhere"),
        ("", "added_package:register", "fails: AttributeError: module 'added_package' has no attribute 'register'"),
        ("", "added_package", "fails: TypeError: 'module' object is not callable"),
        ("def register(): raise OSError('bad\\nluck')", "added_package:register", "fails: OSError: bad\n"),
        ("raise SystemExit(3)", "added_package:register", "fails: SystemExit: 3"),
        ("def register(): pass", "added_package:register", "registers no agent of this name"),
    ],
)
def test_a_broken_entry_point_is_one_line(
    code: str, value: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_agent_on_path(tmp_path, code, value)
    assert main(["train", "--agent", "plugged"]) == 2
    complaint = capsys.readouterr().err
    entry = f"the entry point plugged = {value} in {agent_registry.ENTRY_POINTS} of the package added-package"
    assert complaint.startswith(f"error: agent='plugged': {entry} {expected}")
    assert complaint.count("\n") == 1
    assert main(["train", "--agent", "dqn", "--frames", "0"]) == 2  # which does not look for it
    assert "frames=0" in capsys.readouterr().err


@pytest.mark.parametrize("kind", agent_registry.agents(), ids=lambda kind: kind.name)
def test_built_in_agents_are_of_the_same_table(kind: agent_registry.AgentKind) -> None:
    config = default_config(agent=kind.name, observation="state", hidden_sizes=(8,))
    assert agent_registry.options_of(config) is config
    made = build_agent(config, game_task(config).training_env(), spawn_streams(0))
    assert (type(made.memory).__name__ == "FifoMemory") is (kind.name in ("dqn", "random"))
