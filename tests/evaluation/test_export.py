"""Agents that are shared: what is exported plays as its card says, and is found by its name."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from continual_ple import schedule_from_values
from dqn_mer import compare, evaluate
from dqn_mer import watch as watch_saved
from dqn_mer.__main__ import main
from dqn_mer.commands.play import PlayOptions, _set_up
from dqn_mer.commands.watch import watch
from dqn_mer.config.defaults import default_config
from dqn_mer.evaluation import export, pretrained
from dqn_mer.evaluation.agent_options import EvaluateOptions, ExportOptions, PlayerFields, WatchOptions
from dqn_mer.evaluation.checkpoint import checkpoint_files
from dqn_mer.evaluation.export import export_agent
from dqn_mer.evaluation.saved_agent import evaluate_checkpoint, load_agent
from dqn_mer.networks.q_network import build_network, network_spec
from dqn_mer.storage.files import write_folder
from dqn_mer.training.trainer import train

QUIET = Console(quiet=True)
FILES = ["README.md", "SHA256SUMS", "checkpoint.json", "model.safetensors"]


def exported(run: Path, out: Path, **options: object) -> Path:
    return export_agent(ExportOptions(run, out, **{"episodes": 2, **options}), QUIET)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def scores(path: Path, **options: object) -> list[list[float]]:
    content = evaluate_checkpoint(EvaluateOptions(path, **{"episodes": 2, **options}), QUIET)
    return [row["scores"] for row in content["settings"]]


def test_an_exported_agent_is_the_run_s_last_without_its_paths(flappy_run: Path, tmp_path: Path) -> None:
    folder = exported(flappy_run, tmp_path / "my-agent", license="mit")
    assert names(folder) == FILES and names(tmp_path) == ["my-agent"]
    ours, theirs = load_agent(PlayerFields(folder)), load_agent(PlayerFields(flappy_run))
    for name, tensor in theirs.checkpoint.model.state_dict().items():
        assert torch.equal(ours.checkpoint.model.state_dict()[name], tensor)
    assert (ours.frame, ours.trained_on_last, ours.task.schedule) == (40, theirs.trained_on_last, theirs.task.schedule)
    assert ours.config.hyperparameters() == theirs.config.hyperparameters()
    assert str(flappy_run.parent) not in (folder / "checkpoint.json").read_text()
    assert ours.config.run_dir is None


def test_the_card_says_what_was_trained_and_how_it_plays(flappy_run: Path, tmp_path: Path) -> None:
    folder = exported(flappy_run, tmp_path / "my-agent", license="mit", episodes=3)
    card = (folder / "README.md").read_text()
    played = evaluate_checkpoint(EvaluateOptions(folder, episodes=3), QUIET)["settings"]
    for row in played:
        low, high = row["score_interval_95"]
        numbers = f"{row['score_mean']:.1f} | {low:.1f} to {high:.1f} | {row['score_best']:g} |"
        assert f"| {row['setting']} | {numbers}\n" in card
    for said in (
        "# my-agent\n", "dqn-mer on flappy_bird from state",
        "It is the checkpoint after 40 frames, the last of its run.\n",
        "stored as float32, as they were trained", "3 episodes on each setting", "at most 30 frames each, apart from",
        "The weights are under the licence `mit`.",
    ):  # fmt: skip
        assert said in card, said
    assert "No licence is stated." in (exported(flappy_run, tmp_path / "other") / "README.md").read_text()


def test_the_licence_of_an_exported_agent_stays_unless_another_is_given(flappy_run: Path, tmp_path: Path) -> None:
    for source, given, expected in (  # each the source of the next
        (flappy_run, "cc-by-4.0", 'license: "cc-by-4.0"'),
        (tmp_path / "0", "", 'license: "cc-by-4.0"'),
        (tmp_path / "1", "mit", 'license: "mit"'),
    ):
        out = exported(source, tmp_path / str(len(names(tmp_path))), license=given, episodes=1)
        assert expected in (out / "README.md").read_text().splitlines()


def test_the_hub_s_own_reader_reads_the_card(tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    name = 'a: b # "c" | <b>é🐍 [x](y) --- {d}'
    file = tmp_path / "schedule.json"
    settings = [{"name": name, "parameters": {"fall_speed": 0.06}}, {"name": "- x", "parameters": {"fall_speed": 0.1}}]
    file.write_text(json.dumps({"frames_per_setting": 10, "settings": settings}))
    config = default_config(
        observation="state", schedule=file, warmup_frames=5, capacity=20, eval_every=20, eval_episodes=1,
        eval_frame_limit=30, hidden_sizes=(4,), threads=1, eval_worker=False, run_dir=tmp_path / "run",
    )  # fmt: skip
    train(config, console=QUIET)
    text = (exported(tmp_path / "run", tmp_path / "agent", license="cc-by-4.0") / "README.md").read_text()
    data = hub.ModelCard(text).data
    assert (data.license, data.library_name, data.model_name) == ("cc-by-4.0", "dqn-mer", "agent")
    assert "continual-learning" in data.tags and "catcher" in data.tags
    results = {result.dataset_config: result for result in data.eval_results}
    assert list(results) == [name, "- x"]
    played = evaluate_checkpoint(EvaluateOptions(tmp_path / "agent", episodes=2), QUIET)["settings"]
    assert [result.metric_value for result in results.values()] == [round(row["score_mean"], 2) for row in played]
    body = text.split("\n---\n", 2)[1]
    assert "<b>" not in body and "[x](y)" not in body and "{d}" in body


def test_the_best_checkpoint_is_that_of_the_best_evaluation(flappy_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(flappy_run, run)
    heading = "frame,setting_index,score_mean\n"
    for means, frame in (((9, 1, 3, 4, 1, 1), 20), ((9, 9, 1, 1, 1, 1), 40), ((0, 0, 1, 3, 2, 2), 40)):
        rows = [f"{20 * (place // 2)},{place % 2},{mean}\n" for place, mean in enumerate(means)]
        (run / "evaluations.csv").write_text(heading + "".join(rows))
        folder = exported(run, tmp_path / "agent", checkpoint="best")
        assert load_agent(PlayerFields(folder)).frame == frame
        said = f"checkpoint after {frame} frames: of 2, the one with the highest mean score over all settings"
        assert said in (folder / "README.md").read_text()
        shutil.rmtree(folder)


def pixel_run(folder: Path, largest: float = 1.0) -> Path:
    """Write a run from pixels that was never trained, with one checkpoint whose largest weight is given."""
    config = default_config(
        game="flappy_bird", observation="pixels", settings=(100.0, 80.0), hidden_sizes=(8,), eval_frame_limit=21,
        frame_skip=2,
    )  # fmt: skip
    model = build_network((4, 84, 84), 2, (8,), seed=0)
    with torch.no_grad():
        next(reversed(list(model.parameters())))[0] = largest
    schedule = schedule_from_values("flappy_bird", (100.0, 80.0), frames_per_setting=25)
    description = {
        "frame": 50, "trained_on_last": "1-pipe_gap=80", "network": network_spec((4, 84, 84), 2, (8,)),
        "config": config.to_json(), "schedule": schedule.to_json(),
    }  # fmt: skip
    write_folder(folder / "checkpoints" / "frame-000000050", checkpoint_files(model, description))
    return folder


def test_half_precision_is_what_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = pixel_run(tmp_path / "run")
    whole = exported(run, tmp_path / "whole")
    monkeypatch.setattr(export, "LARGEST_FLOAT32_BYTES", 1_000)
    half = exported(run, tmp_path / "half")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (whole, half)]
    assert sizes[1] < 0.51 * sizes[0]
    before, after = (load_agent(PlayerFields(folder)).checkpoint.model.state_dict() for folder in (whole, half))
    for name, tensor in before.items():
        assert after[name].dtype is torch.float32 and torch.equal(after[name], tensor.half().float())
    card = (half / "README.md").read_text()
    assert "stored as float16, rounded from float32 (the scores are those of the rounded weights), and used" in card
    played = evaluate_checkpoint(EvaluateOptions(half, episodes=2), QUIET)["settings"]
    assert all(f"| {row['setting']} | {row['score_mean']:.1f} |" in card for row in played)
    assert "at most 21 frames each, every action held for 2 frames, apart from" in card
    assert [row["length_mean_frames"] for row in played] == [21.0, 21.0], "the limit counts frames, not actions"
    again = (exported(half, tmp_path / "again") / "README.md").read_text()  # which is what it was
    assert "stored as float16, which changed none, and used as float32" in again


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run there", "out='there': exists already; must be a new folder"),
        ("run missing/agent", "out='missing/agent': cannot be written"),
        ("nothing agent", "nothing: must be a checkpoint or a run folder"),
        ("run agent --license MIT<", "license='MIT<': must be an identifier such as mit"),
        ("run agent --dtype float64", "dtype='float64': must be one of auto, float32, float16"),
        ("run agent --dtype float16", "dtype='float16': a weight is too large for it"),
        ("run/checkpoints/frame-000000050 agent --checkpoint best", "is one checkpoint; must be a run folder"),
        ("run agent --checkpoint best", "evaluations.csv"),
        ("run", "out: no value given; must be a path"),
    ],
)
def test_mistakes_take_one_line_and_write_nothing(
    words: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pixel_run(tmp_path / "run", largest=1e6)
    (tmp_path / "there").mkdir()
    assert main(["export", *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and expected in error
    assert names(tmp_path) == ["run", "there"] and not names(tmp_path / "there")


def test_an_export_that_fails_leaves_nothing(flappy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_new_file", full)
    with pytest.raises(OSError, match="No space left"):
        exported(flappy_run, tmp_path / "agent")
    assert not names(tmp_path)


@pytest.fixture
def known(flappy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this package come with one agent, in a folder elsewhere, and work in a folder of the user's."""
    (tmp_path / "package").mkdir()
    (tmp_path / "user").mkdir()
    exported(flappy_run, tmp_path / "package" / "flappy-tiny")
    monkeypatch.setattr(pretrained, "PRETRAINED", tmp_path / "package")
    monkeypatch.chdir(tmp_path / "user")
    return Path("pretrained/flappy-tiny")


def test_a_pretrained_agent_is_evaluated_watched_and_played_against_by_its_name(known: Path, tmp_path: Path) -> None:
    easier = evaluate_checkpoint(EvaluateOptions(known, settings="easier", episodes=1), QUIET)
    assert [row["setting"] for row in easier["settings"]] == ["0-pipe_gap=100"]
    watch(WatchOptions(known, settings="easier", out=Path("clips"), format="gif", frame_limit=3), QUIET)
    assert names(Path("clips")) == ["0-pipe_gap=100-episode-0.gif", "contact_sheet.png"]
    _, theirs = _set_up(PlayOptions("flappy_bird", against=known))
    assert theirs is not None
    assert main(["evaluate", "pretrained/flappy-tiny", "--episodes", "1"]) == 0


def test_an_agent_goes_to_another_process(flappy_run: Path) -> None:
    agent = load_agent(PlayerFields(flappy_run))
    copy = pickle.loads(pickle.dumps(agent))
    assert copy.config == agent.config and copy.task.schedule == agent.task.schedule
    env = copy.task.agents_env(copy.task.schedule.settings[0])
    observations = torch.from_numpy(np.stack([env.reset(seed=0)[0]]))
    assert torch.equal(copy.checkpoint.model(observations), agent.checkpoint.model(observations))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([80.0, "0-pipe_gap=100"], ["pipe_gap=80", "0-pipe_gap=100"]),
        (np.array([80.0, 70]), ["pipe_gap=80", "pipe_gap=70"]),
        (np.float64(80), ["pipe_gap=80"]),
    ],
)
def test_settings_may_be_a_value_a_list_or_an_array(settings: Any, expected: list[str], flappy_run: Path) -> None:
    played = evaluate(flappy_run, settings=settings, episodes=1)
    assert [row["setting"] for row in played["settings"]] == expected


def test_an_option_that_a_function_has_not_is_reported_as_one_of_a_run_is(flappy_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^eval_episodes: unknown field; did you mean episodes\?$"):
        evaluate(flappy_run, eval_episodes=1)
    with pytest.raises(ValueError, match=r"^zebra: unknown field; must be one of backend, "):
        watch_saved(flappy_run, zebra=1)
    with pytest.raises(ValueError, match=r"^group: unknown field; must be one of baseline, by, overwrite, unseen$"):
        compare(flappy_run, tmp_path / "report", group="agent")


def test_a_path_of_the_user_comes_before_a_pretrained_agent(known: Path, flappy_run: Path) -> None:
    shutil.copytree(flappy_run / "checkpoints" / "frame-000000020", known)
    assert load_agent(PlayerFields(known)).frame == 20
    shutil.rmtree(known)
    assert load_agent(PlayerFields(known)).frame == 40


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pretrained/zebra", "pretrained/zebra: must be a path, or a pretrained agent of flappy-tiny"),
        ("pretrained/..", "pretrained/..: must be a path, or a pretrained agent of flappy-tiny"),
        ("pretrained", "pretrained: must be a checkpoint or a run folder"),
        ("pretrained/flappy-tiny/x", "pretrained/flappy-tiny/x: must be a checkpoint or a run folder"),
        (".", ".: must be a checkpoint or a run folder"),
        ("", "path='': must be a path"),
    ],
)
def test_an_unknown_name_is_one_line(path: str, expected: str, known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", path]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and expected in error
