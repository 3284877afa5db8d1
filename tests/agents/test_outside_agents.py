"""Agents from outside the package: registered by a program, or by an installed package's entry point."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch

from dqn_mer import register_agent
from dqn_mer.__main__ import main
from dqn_mer.agents.build import build_agent
from dqn_mer.agents.makers import mer, mini_batch, reservoir
from dqn_mer.agents.memory import Transition
from dqn_mer.analysis.comparison import compare_runs
from dqn_mer.analysis.runs import config_differences, load_run
from dqn_mer.commands.sweep import SweepOptions, plan
from dqn_mer.config import agent_registry
from dqn_mer.config.command_line import parse_config
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.config.task import game_task
from dqn_mer.mer import MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.ranges import Range
from dqn_mer.storage.state import SavedState
from tests.helpers import outside_agent
from tests.helpers.added import install, nothing_left
from tests.helpers.outside_agent import ShrinkOptions
from tests.helpers.pages import blocks
from tests.helpers.resuming import ROOT, check_same, flags, stop_after, train_and_digest, what_is_left

MINE = {"agent": "shrinking", "agent_options": "every_updates=7"}
ALL_OPTIONS = {"every_updates": 7, "share": 0.9, "noisy": 1}


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget after each test what it registered and installed."""
    monkeypatch.setattr(agent_registry, "_AGENTS", dict(agent_registry._AGENTS))
    with nothing_left():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a finished run of an agent that is no longer registered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent_registry, "_AGENTS", dict(agent_registry._AGENTS))
        outside_agent.register()
        run_dir = tmp_path_factory.mktemp("outside") / "run"
        assert main(["train", *flags(run_dir=run_dir, **MINE)]) == 0
    yield run_dir


def put_on_path(site: Path, code: str, value: str = "added_package:register") -> None:
    """Put a package with an entry point for the agent `plugged` into a folder, and the folder on the path."""
    sys.path.insert(0, str(install(site, agent_registry.ENTRY_POINTS, {"plugged": value}, code)))


PLUGIN = "from tests.helpers import outside_agent\ndef register(): outside_agent.register('plugged')\n"


def check_train_evaluate_resume(folder: Path, mine: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, digest = train_and_digest(flags(run_dir=folder / "whole", **mine))
    assert code == 0
    assert json.loads((folder / "whole" / "config.json").read_text())["config"]["agent_options"] == ALL_OPTIONS
    assert stop_after(150, flags(run_dir=folder / "stopped", **mine)) == 143
    check_same(folder / "stopped", (digest, what_is_left(folder / "whole")))
    assert main(["evaluate", str(folder / "whole"), "--episodes", "1", "--frame-limit", "30"]) == 0
    assert "frame 300" in capsys.readouterr().out


def test_a_registered_agent_trains_is_evaluated_and_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside_agent.register()
    check_train_evaluate_resume(tmp_path, MINE, capsys)


def test_an_installed_agent_trains_is_evaluated_and_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_on_path(tmp_path / "site", PLUGIN)
    check_train_evaluate_resume(tmp_path, {**MINE, "agent": "plugged"}, capsys)
    jobs = plan(SweepOptions(agents=("dqn", "plugged"), seeds="0", out=tmp_path / "sweep"), ["--observation", "state"])
    assert [job.name for job in jobs] == ["catcher/dqn/seed-0", "catcher/plugged/seed-0"]


def test_train_py_knows_an_installed_agent(tmp_path: Path) -> None:
    put_on_path(tmp_path / "site", PLUGIN)
    path = os.pathsep.join(map(str, (tmp_path / "site", ROOT, ROOT / "envs")))
    words = flags(agent="plugged", frames=60, run_dir=tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-W", "error", "train.py", *words],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert load_run(tmp_path / "run").config["agent"] == "plugged"


def test_defaults_of_an_agent_give_way_to_choices_and_presets() -> None:
    outside_agent.register()
    assert default_config(agent="shrinking").learning_rate == 0.002
    assert default_config(agent="shrinking", game="flappy_bird").target_sync_frames == 100
    assert default_config("paper", agent="shrinking").learning_rate == 1e-4
    assert parse_config(["--agent", "shrinking", "--learning-rate", "0.5"]).learning_rate == 0.5
    assert default_config(agent="shrinking").agent_options == {**ALL_OPTIONS, "every_updates": 20}
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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--agent shrinkin", "agent='shrinkin': must be one of dqn, dqn-reservoir"),
        ("--agent shrinking --agent-options zebra=1",
         "agent_options: 'zebra': no option of agent shrinking; must be one of every_updates, share, noisy"),
        ("--agent shrinking --agent-options every_updates=0.5", "agent_options.every_updates=0.5: must be a whole"),
        ("--agent shrinking --agent-options every_updates=0", "agent_options.every_updates=0: must be a whole number"),
        ("--agent shrinking --agent-options share=2", "agent_options.share=2.0: must be a number from 0 to 1"),
        ("--agent shrinking --agent-options noisy=2", "agent_options.noisy=2.0: must be 0 or 1"),
        ("--agent shrinking --agent-options share=inf", "agent_options.share=inf: must be a finite number"),
        ("--agent shrinking --agent-options share", "agent_options='share': must be NAME=VALUE,..."),
        ("--agent dqn --agent-options share=1", "agent_options={'share': 1.0}: agent dqn has none; must be left at {}"),
        ("--agent ../x", "agent='../x': must be one of dqn"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(words: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside_agent.register()
    assert main(["train", *words.split(), "--log-dir", str(tmp_path)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"error: {expected}") and complaint.count("\n") == 1
    assert not list(tmp_path.iterdir())


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
    put_on_path(tmp_path, code, value)
    assert main(["train", "--agent", "plugged"]) == 2
    complaint = capsys.readouterr().err
    entry = f"the entry point plugged = {value} in {agent_registry.ENTRY_POINTS} of the package added-package"
    assert complaint.startswith(f"error: agent='plugged': {entry} {expected}")
    assert complaint.count("\n") == 1
    assert main(["train", "--agent", "dqn", "--frames", "0"]) == 2  # which does not look for it
    assert "frames=0" in capsys.readouterr().err


def test_a_sweep_starts_no_agent_that_its_processes_do_not_know() -> None:
    outside_agent.register()
    with pytest.raises(ValueError, match=r"^agents='shrinking': must be an agent of an installed package"):
        SweepOptions(agents=("dqn", "shrinking"))


def test_a_run_of_an_agent_that_is_not_registered_is_read_and_evaluated_but_not_resumed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_run(run).config["agent_options"] == ALL_OPTIONS
    assert main(["compare", str(run), "--out", str(tmp_path / "report")]) == 0
    assert main(["evaluate", str(run), "--episodes", "1", "--frame-limit", "30"]) == 0
    capsys.readouterr()
    unfinished = tmp_path / "run"
    unfinished.mkdir()
    (unfinished / "config.json").write_text((run / "config.json").read_text())
    assert main(["train", "--resume", str(unfinished)]) == 2
    expected = f"error: {unfinished}: agent shrinking is not registered here; install its package, or register it\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("name", ["trap", "trap:go", "trap.go"])
def test_the_name_of_an_agent_in_a_file_imports_nothing(
    name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    described = json.loads((run / "config.json").read_text())
    described["config"]["agent"] = name
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(described))
    assert main(["train", "--resume", str(folder)]) == 2
    assert Config.from_json(described["config"]).agent == name
    assert "trap" not in sys.modules


def test_options_of_an_outside_agent_are_compared_within_the_agent(run: Path) -> None:
    ours = load_run(run)
    other = dataclasses.replace(ours, config={**ours.config, "agent_options": {**ALL_OPTIONS, "share": 0.5}, "seed": 1})
    (comparison,) = compare_runs([ours, other])
    (remark,) = (remark for remark in comparison.remarks if "agent_options" in remark)
    assert '"share": 0.9' in remark and '"share": 0.5' in remark
    assert config_differences(ours.config, {**ours.config, "agent": "dqn", "agent_options": {}}) == ["agent"]
    assert Config(agent="unknown-here", agent_options={"share": 0.5}).hyperparameters()["agent_options"] == {
        "share": 0.5
    }


def test_the_agent_of_the_guide_works() -> None:
    (_, code), _ = blocks("own_agent.md")
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(code, "own_agent.md", "exec", dont_inherit=True), names)
    names["register"]()
    same = {"observation": "state", "hidden_sizes": (8,), "warmup_frames": 0, "learning_rate": 3e-4}
    weights = []
    for agent in ("shrinking", "dqn-reservoir"):
        config = default_config(agent=agent, **same)
        made = build_agent(config, game_task(config).training_env(), spawn_streams(0))
        made.observe(Transition(np.zeros(4, np.float32), 0, 1.0, np.ones(4, np.float32), False))
        made.replay.set_state(SavedState(made.replay.get_state()))
        weights.append(made.online.vector)
    assert default_config(agent="shrinking").learning_rate == 3e-4
    assert torch.equal(weights[0], weights[1] * 0.999)


@pytest.mark.parametrize("kind", agent_registry.agents(), ids=lambda kind: kind.name)
def test_built_in_agents_are_of_the_same_table(kind: agent_registry.AgentKind) -> None:
    config = default_config(agent=kind.name, observation="state", hidden_sizes=(8,))
    assert agent_registry.options_of(config) is config
    made = build_agent(config, game_task(config).training_env(), spawn_streams(0))
    assert (type(made.memory).__name__ == "FifoMemory") is (kind.name in ("dqn", "random"))
