"""Whole runs of ``python -m dqn_mer supervised``: what they leave, and how they stop, resume and complain."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dqn_mer.__main__ import main
from dqn_mer.analysis.comparison import compare_runs
from dqn_mer.analysis.runs import find_runs, load_run
from dqn_mer.commands.compare import CompareOptions, compare
from dqn_mer.config.help_texts import written
from dqn_mer.supervised import execute as execution
from dqn_mer.supervised.command import supervised
from dqn_mer.supervised.execute import execute, stream_of
from dqn_mer.supervised.learners import OnlineLearner
from dqn_mer.supervised.options import LEARNERS, plan
from dqn_mer.supervised.presets import STREAMS
from dqn_mer.supervised.run import SupervisedRun
from tests.helpers.stream_problems import write_images
from tests.helpers.stream_runs import QUIET, RATES, make_options, run_of

FLAGS = (
    "stream", "learner", "memory", "data", "tasks", "examples", "hidden_sizes", "eval_every", "meter_every",
    "save_every", "out", *RATES,
)  # fmt: skip


def what_is_left(run_dir: Path) -> dict[str, Any]:
    """Return what must be the same of two runs that did the same."""
    summary = json.loads((run_dir / "summary.json").read_text())
    tables = {name: (run_dir / name).read_bytes() for name in ("evaluations.csv", "matrix.csv", "interference.csv")}
    with (run_dir / "metrics.csv").open() as file:
        rows = [{k: v for k, v in row.items() if not k.startswith("speed/")} for row in csv.DictReader(file)]
    return {**tables, "metrics": rows, **{k: v for k, v in summary.items() if k not in ("wall_s", "frames_per_s")}}


def tags_of(run_dir: Path) -> list[str]:
    """Return the tags of the curves that a run leaves for TensorBoard."""
    events = EventAccumulator(str(run_dir))
    events.Reload()
    tags: list[str] = events.Tags()["scalars"]
    return tags


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
    events = EventAccumulator(str(run_of(finished, "mer-7")))
    events.Reload()
    for task in range(3):
        steps = [point.step for point in events.Scalars(f"accuracy/{task}-permutation={task}")]
        assert steps == [0, 25, 40, 50, 75, 80, 100, 120]
    for name in ("learning_accuracy", "retained_accuracy", "backward_transfer_interference"):
        assert [point.step for point in events.Scalars(f"continual/{name}")] == [40, 50, 75, 80, 100, 120]
        final = json.loads((run_of(finished, "mer-7") / "summary.json").read_text())["metrics"][name]
        assert events.Scalars(f"continual/{name}")[-1].value == pytest.approx(final, rel=1e-5, abs=1e-5)
        assert events.Scalars(f"final/{name}")[0].value == pytest.approx(final, rel=1e-5, abs=1e-5)


def test_the_meter_sees_the_same_examples_under_every_learner(finished: Path) -> None:
    tables = []
    for learner in ("er", "mer-7"):
        with (run_of(finished, learner) / "interference.csv").open() as file:
            tables.append(list(csv.DictReader(file)))
    pairs = [[(row["frame"], row["setting"], row["other_setting"], row["pairs"]) for row in table] for table in tables]
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
    charts = [{tag for tag in tags_of(spec.run_dir) if tag.startswith("accuracy/")} for spec in plan(options)]
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
    table = text[text.index("memory") :]
    order = [word for line in table.splitlines() for word in line.split() if word in LEARNERS]
    scores = {name: load_run(run_of(finished, name)).metrics["retained_accuracy"] for name in LEARNERS}
    assert sorted(order) == sorted(LEARNERS)
    assert [scores[name] for name in order] == sorted(scores.values(), reverse=True)


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_run_stopped_by_a_signal_resumes_to_the_same_end(
    finished: Path, images: Path, tmp_path: Path, learner: str
) -> None:
    (spec,) = plan(make_options(images, tmp_path, learner=(learner,)))

    def stop(place: int) -> None:
        if place == 61:
            os.kill(os.getpid(), signal.SIGTERM)

    outcome = execute(spec, (), stop)
    assert outcome.exit_code == 128 + signal.SIGTERM
    assert "stopped by SIGTERM at example 61; the same command resumes it" in outcome.problem
    assert supervised(make_options(images, tmp_path, learner=(learner,)), console=QUIET) == 0
    assert what_is_left(spec.run_dir) == what_is_left(run_of(finished, learner))


class Killed(BaseException):
    """Ends a run at once, as a kill does."""


@pytest.mark.parametrize("place", [0, 30, 49, 50, 99, 119])
def test_a_killed_run_resumes_from_its_last_save(
    finished: Path, images: Path, tmp_path: Path, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spec,) = plan(make_options(images, tmp_path, learner=("mer-1",)))
    advance = SupervisedRun.advance

    def killed(run: SupervisedRun, speed: float) -> None:
        if run.place == place:
            raise Killed
        advance(run, speed)

    monkeypatch.setattr(SupervisedRun, "advance", killed)
    with pytest.raises(Killed):
        execute(spec, (), lambda place: None)
    monkeypatch.setattr(SupervisedRun, "advance", advance)
    assert supervised(spec.options, console=QUIET) == 0
    assert what_is_left(spec.run_dir) == what_is_left(run_of(finished, "mer-1"))
    events = EventAccumulator(str(spec.run_dir))
    events.Reload()
    assert [point.step for point in events.Scalars("accuracy/mean")] == [25, 40, 50, 75, 80, 100, 120]


@pytest.mark.slow
def test_a_command_killed_for_good_resumes_to_the_same_end(finished: Path, images: Path, tmp_path: Path) -> None:
    options = make_options(images, tmp_path, learner=("mer-7",))
    words = [f"--{name.replace('_', '-')}={written(getattr(options, name))}" for name in FLAGS]
    command = [sys.executable, "-m", "dqn_mer", "supervised", *words]
    with subprocess.Popen([*command, "--save-minutes=0.0001"], stdout=subprocess.DEVNULL) as process:
        while not list(run_of(tmp_path, "mer-7").glob("resume/frame-*")) and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    killed = not (run_of(tmp_path, "mer-7") / "summary.json").exists()
    assert killed  # else the test has seen nothing
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert what_is_left(run_of(tmp_path, "mer-7")) == what_is_left(run_of(finished, "mer-7"))


@pytest.mark.slow
def test_a_command_of_several_processes_stops_them_all(finished: Path, images: Path, tmp_path: Path) -> None:
    options = make_options(images, tmp_path, learner=("gem", "mer-7"), seeds="0-40", jobs=2)
    words = [f"--{name.replace('_', '-')}={written(getattr(options, name))}" for name in (*FLAGS, "seeds", "jobs")]
    command = [sys.executable, "-m", "dqn_mer", "supervised", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.rglob("summary.json")) and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM and "the same command resumes" in said
    assert 0 < len(list(tmp_path.rglob("summary.json"))) < 82
    for folder in (path.parent for path in tmp_path.rglob("config.json")):
        with execution.lock_run(folder):  # no process has it any more
            pass
    assert supervised(make_options(images, tmp_path, learner=("gem", "mer-7")), console=QUIET) == 0
    for learner in ("gem", "mer-7"):
        assert what_is_left(run_of(tmp_path, learner)) == what_is_left(run_of(finished, learner))


def test_a_damaged_save_is_passed_over_or_named(images: Path, tmp_path: Path) -> None:
    (spec,) = plan(make_options(images, tmp_path, learner=("er",)))
    execute(spec, (), lambda place: os.kill(os.getpid(), signal.SIGINT) if place == 105 else None)
    saves = sorted((spec.run_dir / "resume").iterdir())
    assert [path.name for path in saves] == ["frame-000000100", "frame-000000105"]
    (saves[1] / "state.json").write_text("{}")
    (saves[0] / "arrays.safetensors").write_bytes(b"")
    outcome = execute(spec, (), lambda place: None)
    assert outcome.exit_code == 1 and "no whole state left" in outcome.problem
    assert f"remove {spec.run_dir} to start it anew" in outcome.problem


@pytest.mark.parametrize(("late", "folder_there"), [(False, False), (True, True), (True, False)])
def test_a_signal_stops_the_runs_after_this_one_whatever_happens_to_this_one(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool, folder_there: bool
) -> None:
    advance = SupervisedRun.advance

    def stop(run: SupervisedRun, speed: float) -> None:
        advance(run, speed)
        if run.place == (120 if late else 20):
            if not folder_there:
                shutil.rmtree(tmp_path / "permutations")
                (tmp_path / "permutations").write_text("in the way")
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(SupervisedRun, "advance", stop)
    options = make_options(images, tmp_path, learner=("er", "online"), memory=(40, 30))
    assert supervised(options, console=QUIET) == 128 + signal.SIGTERM
    if folder_there:
        assert (run_of(tmp_path, "er") / "summary.json").is_file()  # the signal came too late for this one
        assert not run_of(tmp_path, "online").exists()


def test_two_processes_cannot_have_one_run(images: Path, tmp_path: Path) -> None:
    (spec,) = plan(make_options(images, tmp_path))
    spec.run_dir.mkdir(parents=True)
    with execution.lock_run(spec.run_dir):
        outcome = execute(spec, (), lambda place: None)
    assert outcome.exit_code == 1 and "another process is training in this folder" in outcome.problem


def test_learning_that_diverges_is_said_so_and_others_go_on(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnlineLearner, "observe", lambda learner, *_: learner.weights.vector.data.fill_(np.nan))
    console = Console(record=True, width=200)
    assert supervised(make_options(images, tmp_path, learner=("online", "er")), console=console) == 1
    assert "learning diverged: a weight of the network is not finite; try a lower" in console.export_text()
    assert (run_of(tmp_path, "er") / "summary.json").is_file()
    assert not (run_of(tmp_path, "online") / "summary.json").exists()


@pytest.mark.slow
def test_several_processes_do_what_one_does(finished: Path, images: Path, tmp_path: Path) -> None:
    assert supervised(make_options(images, tmp_path, learner=("er", "mer-7"), jobs=2), console=QUIET) == 0
    for learner in ("er", "mer-7"):
        assert what_is_left(run_of(tmp_path, learner)) == what_is_left(run_of(finished, learner))


def test_another_run_in_the_folder_is_refused(finished: Path, images: Path) -> None:
    with pytest.raises(ValueError, match=r"batch_size=6: .* was run with 5; give another --out"):
        supervised(make_options(images, finished, batch_size=6), console=QUIET)


def test_other_images_of_the_same_form_are_refused(finished: Path, tmp_path: Path, images: Path) -> None:
    other = write_images(tmp_path / images.name, train=200, test=60, seed=1)
    with pytest.raises(ValueError, match=r"data.*was run with"):
        supervised(make_options(other, finished), console=QUIET)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--stream", "letters"], "stream='letters': must be words of rotations, permutations"),
        (["--learner", "mer-8"], "learner='mer-8': must be words of online, ewc"),
        (["--memory", "0"], "memory=0: must be a whole number from 1 to 1,000,000"),
        (["--memory", "10", "--learner", "gem", "--examples", "9"], "memory=10: must be at least 20 for gem"),
        (["--memory", "1", "--learner", "er,a-gem", "--stream", "classes"], "memory=1: must be at least 2 for a-gem"),
        (["--seeds", "4-0"], "seeds='4-0': range 4-0 must rise"),
        (["--examples", "5000"], "examples=5,000: must be at most 200, the images to learn from"),
        (["--data", "missing"], "data='missing': must be a folder"),
        (["--preset", "slow"], "preset='slow': must be one of paper, quick"),
        (["--within-batch-rate", "1.5"], "within_batch_rate=1.5: must be a number from 0 to 1"),
        (["--hidden-sizes", ""], "hidden_sizes: empty"),
        (["--stream", ""], "stream: empty"),
        (["--seeds", "0-9999", "--memory", "1,2"], "must be at most 10,000"),
        (["--num-batches", "2000", "--batch-size", "2000"], "must make at most 10^6"),
        (["--strength", "1", "--learner", "er,mer-7"], "strength=1.0: not read by er, mer-7; must be left out"),
        (["--leaner", "er"], "did you mean --learner?"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, words: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["supervised", "--data", str(images), *words]) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_refused(images: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["supervised", "--data", str(images), "--examples", "9", "--out", str(tmp_path / "file")]) == 2
    assert "must be a folder that may be written to" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_learners_without_a_memory_run_once(images: Path, tmp_path: Path) -> None:
    specs = plan(make_options(images, tmp_path, learner=("online", "er"), memory=(40, 20), seeds="0,1"))
    assert [spec.name.removeprefix("permutations/") for spec in specs] == [
        "online/no-memory/seed-0", "er/memory-40/seed-0", "er/memory-20/seed-0",
        "online/no-memory/seed-1", "er/memory-40/seed-1", "er/memory-20/seed-1",
    ]  # fmt: skip


def test_reading_the_flags_does_not_load_pytorch() -> None:
    code = "import sys; from dqn_mer.supervised.options import SupervisedOptions; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_training_leaves_the_global_generators_untouched(images: Path, tmp_path: Path) -> None:
    import random

    import torch

    def state() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002

    before = state()
    assert supervised(make_options(images, tmp_path, learner=("mer-7", "a-gem")), console=QUIET) == 0
    assert state() == before
    assert stream_of(plan(make_options(images, tmp_path))[0]).total_examples == 120
