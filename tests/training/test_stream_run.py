"""Agents of other libraries on the changing stream: their runs are filed as ours are."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tensorboard.plugins.hparams import metadata

from dqn_mer import StreamRun, benchmark, compare, default_config, load_run, train
from dqn_mer.__main__ import main
from dqn_mer.analysis.comparison import compare_runs
from dqn_mer.analysis.runs import find_runs
from dqn_mer.training import loop, stream_run
from tests.helpers.gliding import SHORT, SMALL, Gliding, glide, glider_run, play
from tests.helpers.logs import load, table
from tests.helpers.runs import write_run


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


def test_the_episodes_of_a_setting_are_those_of_our_agents(tmp_path: Path) -> None:
    rows = benchmark(glide, episodes=3, seed=7, game="flappy_bird", observation="state", settings=(100.0, 80.0))
    assert [row["setting"] for row in rows] == ["0-pipe_gap=100", "1-pipe_gap=80"]
    assert rows[0]["scores"] == [0.0] * 3 and 20 < rows[0]["length_mean_frames"] < 70
    assert rows == benchmark(
        Gliding(), episodes=3, seed=7, game="flappy_bird", observation="state", settings=(100.0, 80.0)
    )
