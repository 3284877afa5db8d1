"""Whole runs of ``python -m dqn_mer supervised``: what they leave, what is skipped and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tensorboard.plugins.hparams import metadata

from dqn_mer.analysis.comparison import compare_runs
from dqn_mer.analysis.runs import find_runs, load_run
from dqn_mer.commands.compare import CompareOptions, compare
from dqn_mer.supervised import execute as execution
from dqn_mer.supervised.command import supervised
from dqn_mer.supervised.execute import execute, stream_of
from dqn_mer.supervised.learners import OnlineLearner
from dqn_mer.supervised.options import LEARNERS, plan
from dqn_mer.supervised.presets import STREAMS
from dqn_mer.supervised.run import SupervisedRun
from tests.helpers.logs import load, table
from tests.helpers.stream_problems import write_images
from tests.helpers.stream_runs import QUIET, RATES, make_options, run_of, what_is_left


def test_mer_retains_20_points_more_than_online_learning(tmp_path: Path) -> None:
    options = make_options(
        write_images(tmp_path / "images", train=750, test=120, classes=6), tmp_path / "runs", stream=("classes",),
        learner=("online", "mer-7"), memory=(60,), examples=250, hidden_sizes=(32,), learning_rate=0.3,
        across_batch_rate=0.1, batch_size=10, current_example_boost=2.0, meter_every=0,
    )  # fmt: skip
    assert supervised(options, console=QUIET) == 0
    online, mer = (load_run(spec.run_dir).metrics for spec in plan(options))
    assert mer["retained_accuracy"] > online["retained_accuracy"] + 20
    assert online["learning_accuracy"] > 90  # it learns each task, and then forgets it


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_run_leaves_the_files_of_a_run(finished: Path, learner: str) -> None:
    run_dir = run_of(finished, learner)
    names = {path.name for path in run_dir.iterdir() if not path.name.startswith("events.")}
    assert names == {
        "config.json", "evaluations.csv", "interference.csv", "matrix.csv", "metrics.csv", "summary.json"
    }  # fmt: skip
    run = load_run(run_dir)
    summary = json.loads((run_dir / "summary.json").read_text())
    assert run.frames.tolist() == [0, 25, 40, 50, 75, 80, 100, 120]
    assert run.metrics == summary["metrics"]
    assert (run.config["game"], run.config["agent"]) == ("permutations", learner)
    assert run.config["capacity"] == (40 if "memory" in LEARNERS[learner] else None)
    assert {name for name in RATES if run.config[name] is not None} == RATES.keys() & set(LEARNERS[learner])
    assert "200 to learn, 60 to test" in summary["data"]
    with (run_dir / "matrix.csv").open() as file:
        matrix = np.array([row[1:] for row in list(csv.reader(file))[1:]], np.float64)
    learning, retained = np.diag(matrix).mean(), matrix[-1].mean()
    assert summary["metrics"]["learning_accuracy"] == pytest.approx(learning)
    assert summary["metrics"]["backward_transfer_interference"] == pytest.approx(retained - learning)


def test_tensorboard_has_every_task_all_through_training(finished: Path) -> None:
    events = load(run_of(finished, "mer-7"))
    for task in range(3):
        steps = [point.step for point in events.Scalars(f"accuracy/{task}-permutation={task}")]
        assert steps == [0, 25, 40, 50, 75, 80, 100, 120]
    for name in ("learning_accuracy", "retained_accuracy", "backward_transfer_interference"):
        assert [point.step for point in events.Scalars(f"continual/{name}")] == [40, 50, 75, 80, 100, 120]
        final = json.loads((run_of(finished, "mer-7") / "summary.json").read_text())["metrics"][name]
        assert events.Scalars(f"continual/{name}")[-1].value == pytest.approx(final, rel=1e-5, abs=1e-5)
        assert events.Scalars(f"final/{name}")[0].value == pytest.approx(final, rel=1e-5, abs=1e-5)


def test_hparams_offers_what_another_learner_reads(finished: Path) -> None:
    """TensorBoard reads the columns for all runs from one of them, which may be that of a learner without a memory."""
    content = load(run_of(finished, "online")).PluginTagToContent("hparams")
    offered = metadata.parse_experiment_plugin_data(content[metadata.EXPERIMENT_TAG]).hparam_infos
    hparams = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG]).hparams
    assert {"capacity", "across_batch_rate", "learning_rate"} <= {parameter.name for parameter in offered}
    assert "learning_rate" in hparams and not {"capacity", "across_batch_rate"} & set(hparams)


def test_the_meter_sees_the_same_examples_under_every_learner(finished: Path) -> None:
    tables = [table(run_of(finished, learner) / "interference.csv") for learner in ("er", "mer-7")]
    pairs = [[(row["frame"], row["setting"], row["other_setting"], row["pairs"]) for row in rows] for rows in tables]
    assert pairs[0] == pairs[1]
    assert {row["frame"] for row in tables[0]} == {"30", "60", "90", "120"}
    assert tables[0] != tables[1]


def test_the_meter_changes_nothing(finished: Path, images: Path, tmp_path: Path) -> None:
    assert supervised(make_options(images, tmp_path, learner=("mer-7",), meter_every=0), console=QUIET) == 0
    ours, theirs = (what_is_left(run_of(out, "mer-7")) for out in (tmp_path, finished))
    assert ours["weights_sha256"] == theirs["weights_sha256"]


def test_runs_can_be_compared(finished: Path) -> None:
    paths, unfinished = find_runs([finished])
    assert len(paths) == len(LEARNERS) + 2 and not unfinished
    (comparison,) = compare_runs([load_run(path) for path in paths], baseline="er")
    assert comparison.groups[0].label == "er" and comparison.parameter == "permutation"
    assert [len(group.runs) for group in comparison.groups if group.label in ("er", "mer-7")] == [2, 2]


@pytest.mark.parametrize("stream", STREAMS)
def test_seeds_of_every_stream_can_be_compared(stream: str, images: Path, tmp_path: Path) -> None:
    options = make_options(images, tmp_path, stream=(stream,), tasks=2, seeds="0-1", learner=("online",), meter_every=0)
    assert supervised(options, console=QUIET) == 0
    (comparison,) = compare_runs([load_run(path) for path in find_runs([tmp_path])[0]], baseline="online")
    assert [len(group.runs) for group in comparison.groups] == [2]
    tags = [load(spec.run_dir).Tags()["scalars"] for spec in plan(options)]
    charts = [{tag for tag in of_one if tag.startswith("accuracy/")} for of_one in tags]
    assert charts[0] == charts[1]


def test_the_angles_of_a_seed_are_recorded(images: Path, tmp_path: Path) -> None:
    options = make_options(images, tmp_path, stream=("rotations",), learner=("online",), meter_every=0)
    assert supervised(options, console=QUIET) == 0
    (spec,) = plan(options)
    assert json.loads((spec.run_dir / "config.json").read_text())["angles"] == list(stream_of(spec).angles)


@pytest.mark.slow
def test_compare_writes_a_report_of_the_runs(finished: Path, tmp_path: Path) -> None:
    compare(CompareOptions(runs=(finished,), out=tmp_path / "report", baseline="er"), QUIET)
    page = (tmp_path / "report" / "permutations" / "report.md").read_text()
    assert "### Probability of improvement over er" in page and "Runs differ in strength: ewc: 10.0; gem: 0.0" in page
    assert (tmp_path / "report" / "permutations" / "interference.png").is_file()


def test_the_same_command_again_skips_what_is_finished(finished: Path, images: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(SupervisedRun, "advance", None)
    console = Console(record=True, width=150)
    options = make_options(images, finished, learner=tuple(LEARNERS))
    assert supervised(options, console=console) == 0
    text = console.export_text()
    assert text.count("was finished before") == len(LEARNERS)
    shown = text[text.index("memory") :]
    order = [word for line in shown.splitlines() for word in line.split() if word in LEARNERS]
    scores = {name: load_run(run_of(finished, name)).metrics["retained_accuracy"] for name in LEARNERS}
    assert sorted(order) == sorted(LEARNERS)
    assert [scores[name] for name in order] == sorted(scores.values(), reverse=True)


@pytest.mark.slow
def test_several_processes_do_what_one_does(finished: Path, images: Path, tmp_path: Path) -> None:
    assert supervised(make_options(images, tmp_path, learner=("er", "mer-7"), jobs=2), console=QUIET) == 0
    for learner in ("er", "mer-7"):
        assert what_is_left(run_of(tmp_path, learner)) == what_is_left(run_of(finished, learner))


def test_two_processes_cannot_have_one_run(images: Path, tmp_path: Path) -> None:
    (spec,) = plan(make_options(images, tmp_path))
    spec.run_dir.mkdir(parents=True)
    with execution.lock_run(spec.run_dir):
        outcome = execute(spec, (), lambda place: None)
    assert outcome.exit_code == 1 and "another process is training in this folder" in outcome.problem


def test_another_run_in_the_folder_is_refused(finished: Path, images: Path) -> None:
    with pytest.raises(ValueError, match=r"batch_size=6: .* was run with 5; give another out"):
        supervised(make_options(images, finished, batch_size=6), console=QUIET)


@pytest.mark.parametrize("content", ['{"config": {"see', "{}", '{"config": 3}'])
def test_a_damaged_run_is_left_as_it_is_and_stops_no_other(content: str, images: Path, tmp_path: Path) -> None:
    options = make_options(images, tmp_path, learner=("online", "er"))
    damaged = plan(options)[0].run_dir
    damaged.mkdir(parents=True)
    (damaged / "config.json").write_text(content)
    console = Console(record=True, width=300)
    assert supervised(options, console=console) == 1
    (line,) = (line for line in console.export_text().splitlines() if "config.json" in line)
    assert "1/2 " in line and f"remove {damaged} to start it anew" in line
    assert [(path.name, path.read_text()) for path in damaged.iterdir()] == [("config.json", content)]
    assert (run_of(tmp_path, "er") / "summary.json").is_file()


def test_other_images_of_the_same_form_are_refused(finished: Path, tmp_path: Path, images: Path) -> None:
    other = write_images(tmp_path / images.name, train=200, test=60, seed=1)
    with pytest.raises(ValueError, match=r"data.*was run with"):
        supervised(make_options(other, finished), console=QUIET)


def test_learning_that_diverges_is_said_so_and_others_go_on(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnlineLearner, "observe", lambda learner, *_: learner.weights.vector.data.fill_(np.nan))
    console = Console(record=True, width=200)
    assert supervised(make_options(images, tmp_path, learner=("online", "er")), console=console) == 1
    assert "learning diverged: a weight of the network is not finite; try a lower" in console.export_text()
    assert (run_of(tmp_path, "er") / "summary.json").is_file()
    assert not (run_of(tmp_path, "online") / "summary.json").exists()


def test_training_leaves_the_global_generators_untouched(images: Path, tmp_path: Path) -> None:
    import random

    import torch

    def state() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002

    before = state()
    assert supervised(make_options(images, tmp_path, learner=("mer-7", "a-gem")), console=QUIET) == 0
    assert state() == before
    assert stream_of(plan(make_options(images, tmp_path))[0]).total_examples == 120
