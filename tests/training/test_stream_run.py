"""Agents of other libraries on the changing stream: their runs are filed as ours are."""

from __future__ import annotations

import csv
import json
import time
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from tensorboard.plugins.hparams import metadata

from dqn_mer import StreamRun, benchmark, compare, default_config, load_run, train
from dqn_mer.__main__ import main
from dqn_mer.analysis.comparison import compare_runs
from dqn_mer.analysis.runs import find_runs
from dqn_mer.config.task import game_task
from dqn_mer.training import loop, stream_run
from tests.helpers.examples import load_example
from tests.helpers.logs import load, table
from tests.helpers.runs import write_run

SMALL: dict[str, Any] = {
    "game": "flappy_bird", "observation": "state", "settings": (100.0, 80.0), "frames_per_setting": 60,
    "eval_every": 40, "eval_episodes": 2, "eval_frame_limit": 30, "log_every": 20,
}  # fmt: skip

SHORT = {**SMALL, "frames_per_setting": 50, "eval_every": 50}


def glide(observations: NDArray[Any]) -> NDArray[np.int64]:
    """Never flap."""
    return np.ones(len(observations), np.int64)


class Gliding:
    """The same as an object, as Stable-Baselines3 has them."""

    def predict(self, observation: NDArray[Any], deterministic: bool = False) -> tuple[NDArray[np.int64], None]:
        assert deterministic
        return glide(observation), None


def play(env: StreamRun, frames: int) -> None:
    """Play as a library does: reset, then step, and reset after each episode."""
    env.reset()
    for _ in range(frames):
        _, _, terminated, truncated, _ = env.step(np.int64(1))
        if terminated or truncated:
            env.reset()


def test_a_program_may_go_elsewhere_and_close_the_run_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = StreamRun("glider", log_dir="runs", **SMALL)
    env.policy = glide
    play(env, 120)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    env.close()  # as vectors of environments and context managers do
    assert env.finish()["frames"] == 120
    env.close()
    (run,) = (tmp_path / "runs").iterdir()
    assert len(load_run(run).frames) == 5 and not list((tmp_path / "elsewhere").iterdir())
    cut = StreamRun("glider", run_dir="cut", **SMALL)
    cut.policy = glide
    play(cut, 60)
    cut.close()
    assert not (tmp_path / "elsewhere" / "cut" / "summary.json").exists()


@pytest.mark.parametrize("policy", [glide, Gliding()])
def test_a_run_is_filed_and_compared_as_ours_are(policy: Any, tmp_path: Path) -> None:
    env = StreamRun("glider", options={"rate": 0.5}, run_dir=tmp_path / "runs" / "glider", **SMALL)
    env.policy = policy
    play(env, 130)  # ten more than are recorded
    summary = env.finish()
    env.close()
    run = load_run(tmp_path / "runs" / "glider")
    assert run.frames.tolist() == [0, 40, 60, 80, 120] and run.config["agent_options"] == {"rate": 0.5}
    assert run.metrics["retained_accuracy"] == summary["metrics"]["retained_accuracy"]
    assert summary["frames"] == 120 and (run.path / "learning_curves.png").exists()
    with (run.path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["setting/index"] for row in rows] == ["0"] * 3 + ["1"] * 3
    assert float(rows[2]["train/episode_length"]) > 0

    config = default_config(agent="random", eval_worker=False, run_dir=tmp_path / "runs" / "random", **SMALL)
    train(config, console=Console(quiet=True))
    ours = json.loads((tmp_path / "runs" / "random" / "summary.json").read_text())
    assert ours["random_scores"] == summary["random_scores"]  # the same seed: the same episodes
    (comparison,) = compare(tmp_path / "runs", tmp_path / "report")
    assert {group.label for group in comparison.groups} == {"glider", "random"}


def test_the_speed_of_the_first_row_is_that_of_its_frames_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(plan: object, rng: object) -> list[float]:
        time.sleep(2)
        return [0.0, 0.0]

    for module in (loop, stream_run):
        monkeypatch.setattr(module, "score_random_play", slow)
    choices = {**SMALL, "frames": 40, "frames_per_setting": 40}
    env = StreamRun("glider", run_dir=tmp_path / "glider", **choices)
    env.policy = glide
    play(env, 40)
    env.close()
    config = default_config(agent="random", eval_worker=False, run_dir=tmp_path / "random", **choices)
    train(config, console=Console(quiet=True))
    for name in ("glider", "random"):
        first, *_ = table(tmp_path / name / "metrics.csv")
        assert first["frame"] == "20" and float(first["speed/frames_per_s"]) > 20 / 2


def test_a_run_that_is_cut_at_a_border_says_nothing_of_the_setting_behind_it(tmp_path: Path) -> None:
    """Vectors of environments reset at once, also after the last frame, and programs do after the run."""
    env = StreamRun("glider", run_dir=tmp_path / "run", frames=60, **SMALL)
    env.policy = glide
    play(env, 60)
    env.finish()
    assert env.reset()[1]["setting_index"] == 1
    env.close()
    events = load(tmp_path / "run")
    assert {event.value for event in events.Scalars("setting/index")} == {0.0}
    assert [event.step for event in events.Scalars("final/retained_accuracy")] == [60]


def glider_run(folder: Path, seed: int = 0, **options: float) -> Path:
    """Make a run of another library's agent, and return its folder."""
    env = StreamRun("glider", options=options, seed=seed, run_dir=folder, **SHORT)
    env.policy = glide
    play(env, env.frames)
    env.finish()
    env.close()
    return folder


def test_runs_with_held_actions_are_evaluated_where_ours_are(tmp_path: Path) -> None:
    choices = {**SMALL, "frames_per_setting": 41, "eval_every": 5, "frame_skip": 6, "eval_episodes": 1}
    env = StreamRun("glider", run_dir=tmp_path / "glider", **choices)
    env.policy = glide
    play(env, 82)
    env.finish()
    env.close()
    train(
        default_config(agent="random", eval_worker=False, run_dir=tmp_path / "random", **choices),
        console=Console(quiet=True),
    )
    ours, theirs = (load_run(tmp_path / name).frames.tolist() for name in ("random", "glider"))
    assert theirs == ours == [0, 5, 10, 15, 20, 25, 30, 35, 40, 41, 45, 50, 55, 60, 65, 70, 75, 80, 82]


def test_nothing_of_our_agents_is_said_of_another_library_s(tmp_path: Path) -> None:
    folder = glider_run(tmp_path / "run", learning_rate=0.5, width=3)
    config = json.loads((folder / "config.json").read_text())["config"]
    assert config["agent_options"] == {"learning_rate": 0.5, "width": 3} and config["eval_episodes"] == 2
    ours = {"capacity", "learning_rate", "batch_size", "across_batch_rate", "epsilon_end", "hidden_sizes", "threads"}
    assert not config.keys() & ours
    assert load_run(folder).config == config
    content = load(folder).PluginTagToContent("hparams")
    hparams = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG]).hparams
    assert hparams["learning_rate"].number_value == 0.5 and hparams["width"].number_value == 3
    assert hparams["agent"].string_value == "glider" and "frame_skip" in hparams
    assert not hparams.keys() & (ours - {"learning_rate"} | {"agent_options"})


def test_compare_says_nothing_of_what_another_library_s_agent_has_not(tmp_path: Path) -> None:
    for seed in range(3):
        glider_run(tmp_path / "glider" / str(seed), seed=seed, learning_rate=0.5)
        for agent, rate in (("dqn", 1e-3), ("dqn-reservoir", 2e-3)):
            scores = [[0.0, 0.0], [1.0, seed], [2.0, rate]]
            choices = {**SHORT, "learning_rate": rate, "target_sync_frames": 100}
            write_run(tmp_path / agent / str(seed), scores, agent=agent, seed=seed, **choices)
    runs = [load_run(path) for path in find_runs([tmp_path])[0]]
    for by, baseline in ((("agent",), "dqn"), (("agent",), "glider")):
        (comparison,) = compare_runs(runs, by, baseline)
        said = [remark for remark in comparison.remarks if "learning_rate" in remark]
        assert said == ["Runs differ in learning_rate: dqn: 0.001; dqn-reservoir: 0.002"], baseline
        assert not [remark for remark in comparison.remarks if "capacity" in remark or "agent_options" in remark]
    (comparison,) = compare_runs(runs, ("agent", "learning_rate", "capacity"))
    assert "glider learning_rate=0.5 capacity=None" in {group.label for group in comparison.groups}
    glider_run(tmp_path / "glider" / "other", seed=3, learning_rate=0.25)
    (comparison,) = compare_runs([load_run(path) for path in find_runs([tmp_path / "glider"])[0]])
    assert 'glider: {"learning_rate": 0.5}, {"learning_rate": 0.25}' in comparison.remarks[-1]


def test_a_folder_that_says_more_of_another_library_s_agent_is_read_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As folders of an agent are whose package is not installed here."""
    folder = glider_run(tmp_path / "run")
    described = json.loads((folder / "config.json").read_text())
    whole = {**default_config(agent="random", **SHORT).to_json(), "capacity": 77, "agent": "glider"}
    (folder / "config.json").write_text(json.dumps({**described, "config": whole}))
    assert load_run(folder).config["capacity"] == 77
    (folder / "config.json").write_text(json.dumps({**described, "config": {**whole, "capacity": 0}}))
    with pytest.raises(ValueError, match="capacity=0"):
        load_run(folder)
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "summary.json").unlink()
    assert main(["train", "--resume", str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {folder}: no state left in resume")


def test_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    env = StreamRun("glider", log_dir=str(tmp_path), **SHORT)  # a path may be a text
    env.policy = lambda observations: torch.ones(len(observations))
    play(env, 100)
    summary = env.finish()
    assert env.finish() == summary == json.loads((env.run_dir / "summary.json").read_text())
    with pytest.raises(ValueError, match="frame=100: the run is finished; make another StreamRun"):
        env.step(1)
    env.close()


def test_a_run_that_cannot_begin_is_closed_without_another_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(plan: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("dqn_mer.training.stream_run.make_evaluator", fail)
    env = StreamRun("glider", log_dir=tmp_path, **SHORT)
    env.policy = glide
    with pytest.raises(OSError, match="no space left"):
        env.reset()
    env.close()


def test_the_episodes_of_a_setting_are_those_of_our_agents(tmp_path: Path) -> None:
    rows = benchmark(glide, episodes=3, seed=7, game="flappy_bird", observation="state", settings=(100.0, 80.0))
    assert [row["setting"] for row in rows] == ["0-pipe_gap=100", "1-pipe_gap=80"]
    assert rows[0]["scores"] == [0.0] * 3 and 20 < rows[0]["length_mean_frames"] < 70
    assert rows == benchmark(
        Gliding(), episodes=3, seed=7, game="flappy_bird", observation="state", settings=(100.0, 80.0)
    )


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="agent='dqn': is an agent of this package"):
        StreamRun("dqn", **SMALL)
    with pytest.raises(ValueError, match=r"learning_rate=0\.1: is for agents of this package; must be one of options"):
        StreamRun("glider", learning_rate=0.1, **SMALL)
    with pytest.raises(ValueError, match="zebra: unknown field"):
        StreamRun("glider", zebra=1, **SMALL)
    task = game_task(default_config(observation="state"))
    for make in (partial(StreamRun, "glider"), partial(benchmark, glide)):
        with pytest.raises(ValueError, match=r"^cycles=2: the task has its own schedule; must be left out$"):
            make(task=task, cycles=2, run_dir=tmp_path / "run")
    assert StreamRun("glider", task, preset="quick").task.schedule is task.schedule
    with pytest.raises(ValueError, match="episodes=0: must be a whole number from 1"):
        benchmark(glide, episodes=0)
    env = StreamRun("glider", run_dir=tmp_path / "run", **SMALL)
    with pytest.raises(ValueError, match="policy=None: must be a function"):
        env.reset()
    env.policy = lambda observations: 0
    with pytest.raises(ValueError, match=r"policy: gave actions of shape \(\); must be \(1,\)"):
        env.reset()
    assert not (tmp_path / "run").exists()  # nothing half-written
    env.policy = glide
    play(env, 50)
    with pytest.raises(ValueError, match="frame=50: must be 120, the last of the run"):
        env.finish()
    env.close()
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize("frame", [0, 40, 60, 120])
def test_a_run_whose_evaluation_failed_is_not_continued_without_it(frame: int, tmp_path: Path) -> None:
    """Its matrix would have the evaluation before it, and a finished run nothing in the place of the last one."""
    env = StreamRun("glider", run_dir=tmp_path / "run", **SMALL)
    env.policy = lambda observations: {}[frame] if env.frame == frame and env.run_dir else glide(observations)
    with pytest.raises(KeyError), env:  # which is not hidden by what is missing at the end
        play(env, 120)
    assert env.frame == frame and not (tmp_path / "run" / "summary.json").exists()
    env.policy = glide
    for go_on in (env.reset, partial(env.step, 1), env.finish):
        with pytest.raises(ValueError, match=f"^policy: failed when evaluated at frame {frame}; make another StreamRu"):
            go_on()


class Remembering(Gliding):
    """A recurrent policy, as sb3-contrib's RecurrentPPO is."""

    def predict(self, observation: NDArray[Any], deterministic: bool = False) -> tuple[NDArray[np.int64], Any]:
        return glide(observation), (np.zeros((1, len(observation), 8)),)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Remembering(), "policy: predict gave a memory of the episode; must be a policy without one"),
        (lambda seen: np.full(len(seen), 0.9), r"policy: gave action 0\.9; must be a whole number"),
        (lambda seen: np.full(len(seen), np.nan), "policy: gave action nan; must be a whole number"),
        (lambda seen: np.full(len(seen), "flap"), "policy: gave actions of <U4; must be whole numbers"),
    ],
)
def test_a_policy_that_would_be_played_otherwise_is_refused(policy: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{expected}$"):
        benchmark(policy, episodes=1, **SMALL)
    env = StreamRun("glider", run_dir=tmp_path / "run", **SMALL)
    env.policy = policy
    with pytest.raises(ValueError, match=f"^{expected}$"):
        env.reset()
    env.close()
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_example("sb3_agents")


OPTIONS = {
    "DQN": {"learning_rate": 1e-4, "buffer_size": 1_000_000, "batch_size": 32, "target_update_interval": 10_000},
    "PPO": {"learning_rate": 3e-4, "n_steps": 2_048, "batch_size": 64, "normalize_advantage": 1},
    "QRDQN": {"learning_rate": 5e-5, "buffer_size": 1_000_000, "batch_size": 32, "exploration_final_eps": 0.01},
}
"""Some of the libraries' own defaults, as their documentation gives them."""


@pytest.mark.parametrize("algorithm", OPTIONS)
def test_agents_of_stable_baselines3(algorithm: str, example: ModuleType, tmp_path: Path) -> None:
    model = example.train(
        algorithm, 3, run_dir=tmp_path / "run", **{k: v for k, v in SMALL.items() if k != "observation"}
    )
    config = load_run(tmp_path / "run").config
    assert config["agent"] == f"sb3-{algorithm.lower()}"
    assert OPTIONS[algorithm].items() <= config["agent_options"].items() and "capacity" not in config
    assert not config["agent_options"].keys() & {"verbose", "stats_window_size", "seed"}
    assert len(benchmark(model, episodes=2, **SMALL)) == 2


def test_a_loop_in_one_file(tmp_path: Path) -> None:
    program = load_example("cleanrl_style_dqn")
    options = {**program.OPTIONS, "learning_starts": 50, "exploration_frames": 100}
    choices = {name: value for name, value in SHORT.items() if name != "observation"}
    networks = [program.train(3, options, run_dir=tmp_path / str(run), **choices) for run in range(2)]
    run = load_run(tmp_path / "0")
    assert run.config["agent"] == "cleanrl-dqn" and run.config["agent_options"] == options
    assert run.frames.tolist() == [0, 50, 100]
    for first, second in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(first, second)  # the seed decides
    torch.manual_seed(3)
    untrained = torch.nn.Linear(8, 128)
    assert not torch.equal(networks[0][0].weight, untrained.weight)
