"""Agents from outside the package: registered by a program, or by an installed package's entry point."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dqn_mer import register_agent
from dqn_mer.__main__ import main
from dqn_mer.agents.build import build_agent
from dqn_mer.agents.makers import AgentContext, fifo, reservoir
from dqn_mer.agents.memory import Transition
from dqn_mer.analysis.comparison import compare_runs
from dqn_mer.analysis.runs import config_differences, load_run
from dqn_mer.commands.sweep import SweepOptions, plan
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.config.task import game_task
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import Examples
from dqn_mer.storage.state import SavedState
from tests.helpers import outside_agent
from tests.helpers.added import nothing_left, put_agent_on_path
from tests.helpers.pages import blocks
from tests.helpers.resuming import ROOT, check_same, flags, stop_after, train_and_digest, what_is_left

ALL_OPTIONS = {"every_updates": 7, "share": 0.9, "noisy": 1}
PLUGIN = "from tests.helpers import outside_agent\ndef register(): outside_agent.register('plugged')\n"
MINE = {"agent": "shrinking", "agent_options": "every_updates=7"}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Forget after each test what it registered and installed."""
    with nothing_left():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a finished run of an agent that is no longer registered."""
    with nothing_left():
        outside_agent.register()
        run_dir = tmp_path_factory.mktemp("outside") / "run"
        assert main(["train", *flags(run_dir=run_dir, **MINE)]) == 0
    yield run_dir


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
    put_agent_on_path(tmp_path / "site", PLUGIN)
    check_train_evaluate_resume(tmp_path, {**MINE, "agent": "plugged"}, capsys)
    jobs = plan(SweepOptions(agents=("dqn", "plugged"), seeds="0", out=tmp_path / "sweep"), ["--observation", "state"])
    assert [job.name for job in jobs] == ["catcher/dqn/seed-0", "catcher/plugged/seed-0"]


def test_train_py_knows_an_installed_agent(tmp_path: Path) -> None:
    put_agent_on_path(tmp_path / "site", PLUGIN)
    path = os.pathsep.join(map(str, (tmp_path / "site", ROOT, ROOT / "envs")))
    words = flags(agent="plugged", frames=60, run_dir=tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-W", "error", "train.py", *words],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert load_run(tmp_path / "run").config["agent"] == "plugged"


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


class Plain:
    """A replay step of PyTorch's own calls, as people write it."""

    def __init__(self, parts: AgentContext) -> None:
        self.parts, self.num_draws = parts, parts.config.batch_size
        self.get_state, self.set_state = (lambda: {}), (lambda saved: None)

    def update(self, examples: Examples) -> None:
        observations, actions, targets = examples
        self.parts.optimizer.zero_grad()
        HuberTDLoss()(self.parts.weights.model(observations), actions, targets).mean().backward()
        self.parts.optimizer.step()


class FromNothing(Plain):
    """Leaves no gradients behind."""

    def update(self, examples: Examples) -> None:
        super().update(examples)
        self.parts.weights.vector.grad = None
        for parameter in self.parts.weights.model.parameters():
            parameter.grad = None
        self.parts.weights.tie_gradients()
        self.parts.weights.vector.grad = None


def test_a_replay_step_of_pytorchs_own_calls_learns_what_ours_does() -> None:
    register_agent("plain", fifo, Plain)
    config = default_config(agent="plain", observation="state", hidden_sizes=(8,), warmup_frames=0, batch_size=2)
    ours = dataclasses.replace(config, agent="dqn")
    agents = [build_agent(each, game_task(each).training_env(), spawn_streams(0)) for each in (config, ours)]
    rng = np.random.default_rng(0)
    seen = rng.random((6, 4), np.float32)
    for frame in range(5):
        transition = Transition(seen[frame], frame % 2, 1.0, seen[frame + 1], False)
        measured = [agent.observe(transition, measure=True) for agent in agents]
        assert measured[0] == pytest.approx(measured[1], rel=1e-4, abs=1e-6)
        torch.testing.assert_close(agents[0].online.vector, agents[1].online.vector)
    assert agents[0].updates == 5


def test_a_replay_step_that_leaves_no_gradients_is_measured_all_the_same() -> None:
    register_agent("from-nothing", fifo, FromNothing)
    config = default_config(agent="from-nothing", observation="state", hidden_sizes=(8,), warmup_frames=0)
    agent = build_agent(config, game_task(config).training_env(), spawn_streams(0))
    for _ in range(2):
        transition = Transition(np.ones(4, np.float32), 0, 1.0, np.ones(4, np.float32), False)
        statistics = agent.observe(transition, measure=True)
        assert statistics is not None and statistics.gradient_norm > 0


def test_the_agent_of_the_guide_works() -> None:
    (_, code), *_ = blocks("own_agent.md")
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


def guide_with_state(set_state: str = "") -> type[Any]:
    """Return the agent of the guide with the methods of its second block, which keep a generator and a count."""
    (_, code), _, (_, methods) = blocks("own_agent.md")
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(code, "own_agent.md", "exec", dont_inherit=True), names)
    counting = """
class Counting(Shrinking):
    def __init__(self, parts):
        self.rng, self.count = parts.streams.ordering, 0
        self.weights, self.share, self.inner = parts.weights, 0.999, mini_batch(parts)
        self.num_draws = self.inner.num_draws

    def update(self, examples):
        super().update(examples)
        self.count += 1
        self.weights.load(self.weights.vector.detach() * (1 - 0.001 * self.rng.random()))

"""
    counting += textwrap.indent(methods, "    ") + set_state
    exec(compile(counting, "own_agent.md", "exec", dont_inherit=True), names)
    return names["Counting"]


def test_the_state_of_the_guide_is_resumed_bit_identically(tmp_path: Path) -> None:
    register_agent("counting", reservoir, guide_with_state())
    code, digest = train_and_digest(flags(run_dir=tmp_path / "whole", agent="counting"))
    assert code == 0 and stop_after(150, flags(run_dir=tmp_path / "stopped", agent="counting")) == 143
    check_same(tmp_path / "stopped", (digest, what_is_left(tmp_path / "whole")))


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("def set_state(self, saved): saved['count']", "TypeError: 'SavedState' object is not subscriptable"),
        ("def get_state(self): return {'count': {1}}", "TypeError: Object of type set is not JSON serializable"),
        ("def get_state(self): return None", "StateError: state.replay: must be an object with named fields"),
    ],
)
def test_an_agent_that_cannot_be_resumed_says_so_at_the_start(
    method: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_agent("counting", reservoir, guide_with_state(f"\n    {method}\n"))
    assert main(["train", *flags(run_dir=tmp_path / "run", agent="counting")]) == 0
    line = f"this run cannot be resumed if it is stopped: the agent's state cannot be saved: {reason}\n"
    output = capsys.readouterr().out
    assert line in output and output.index(line) < output.index("run folder: ")
