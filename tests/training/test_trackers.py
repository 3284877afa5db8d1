"""Experiment trackers that mirror TensorBoard's events: they hear of the folder, and record every tag once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboard.summary.writer import event_file_writer

from tests.helpers.logs import evaluation, load, make_tracker, points

ROOT = Path(__file__).parents[2]
FIRST = """
    from tests.helpers.logs import NAMES
    from dqn_mer.config.defaults import default_config
    from dqn_mer.training.trainer import train
    train(default_config(
        observation="state", hidden_sizes=(8,), frames=120, frames_per_setting=60, settings=(0.06, 0.09), capacity=80,
        warmup_frames=20, eval_every=40, eval_episodes=1, eval_frame_limit=30, log_every=20, meter_every=40,
        save_every=60, run_dir=pathlib.Path("run"),
    ), console=Console(quiet=True))
"""


def test_a_tracker_that_wraps_the_librarys_writer_sees_every_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights & Biases puts a subclass in its place after our import; others wrap its methods."""
    events: list[Any] = []
    library = event_file_writer.EventFileWriter
    add_event = library.add_event

    class Wrapping(library):
        def __init__(self, logdir: str, *args: Any, **kwargs: Any) -> None:
            events.append(logdir)
            super().__init__(logdir, *args, **kwargs)

    class Twice(Wrapping):
        def __init__(self, logdir: str, *args: Any, **kwargs: Any) -> None:
            super().__init__(logdir, *args, **kwargs)

    def noted(writer: Any, event: Any) -> None:
        events.append([value.tag for value in event.summary.value])
        add_event(writer, event)

    for kind in (library, Wrapping, Twice):
        events.clear()
        run_dir = tmp_path / kind.__name__
        with monkeypatch.context() as patch:
            patch.setattr(event_file_writer, "EventFileWriter", kind)
            patch.setattr(library, "add_event", noted)
            with make_tracker(run_dir) as tracker:
                tracker.log(100, {"train/loss": 1.0})
                tracker.log_evaluation(100, evaluation(2.0))
        assert events[: kind is not library] == [str(run_dir)][: kind is not library]
        assert ["train/loss"] in events and ["eval_score/mean"] in events
        assert len(list(run_dir.glob("events*"))) == 1  # the library has made no file of its own
        assert points(load(run_dir), "train/loss") == [(100, 1.0)]


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of a log of LevelDB's format, behind the seven bytes of Weights & Biases."""
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32_768 - place % 32_768 < 7:  # no room for a header at the end of a block
            place += 32_768 - place % 32_768
            continue
        size, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # a whole record, or the last piece of one
            yield whole
            whole = b""


def recorded(folder: Path) -> Counter[tuple[str, int]]:
    """Return how often each tag was recorded at each frame in the only Weights & Biases run below a folder."""
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    counts: Counter[tuple[str, int]] = Counter()
    for data in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        items = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
        for tag in {name.removesuffix("/_type") for name in items}:
            counts[tag, int(items["global_step"])] += 1
    return counts


def run_under_wandb(folder: Path, script: str) -> None:
    folder.mkdir(exist_ok=True)
    begin = "import pathlib, sys, wandb\nfrom rich.console import Console\n"
    begin += "wandb.init(project='test', sync_tensorboard=True)\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + textwrap.dedent(script) + "\nwandb.finish()"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_SILENT": "true",
             "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "envs")))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_weights_and_biases_records_every_tag_once(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="Weights & Biases is not installed: pip install 'dqn-mer[wandb]'")
    run_under_wandb(tmp_path, FIRST)
    events = load(tmp_path / "run")
    tags = events.Tags()
    expected = {(tag, step) for tag in tags["scalars"] for step, _ in points(events, tag)}
    expected |= {(tag, event.step) for tag in tags["images"] for event in events.Images(tag)}
    assert {"gradients/cosine_between", "eval_score/mean", "frames/0-fall_speed=0.06", "learning_curves"} <= {
        tag for tag, _ in expected
    }
    counts = recorded(tmp_path)
    assert expected - set(counts) == set()
    assert {entry: count for entry, count in counts.items() if count > 1 and entry in expected} == {}


def test_weights_and_biases_records_a_resumed_run_from_where_it_resumes(stopped_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="Weights & Biases is not installed: pip install 'dqn-mer[wandb]'")
    run = Path(shutil.copytree(stopped_run, tmp_path / "run"))
    script = "from dqn_mer.commands.train import main as train_command\nassert train_command(['--resume', 'run']) == 0"
    run_under_wandb(tmp_path, script)
    events, counts = load(run), recorded(tmp_path)
    losses = [step for step, _ in points(events, "train/loss")]
    assert losses == sorted(set(losses)) and losses[0] < 151 < losses[-1]
    assert {step: counts["train/loss", step] for step in losses} == {step: int(step > 151) for step in losses}
    assert json.loads((run / "summary.json").read_text())["frames"] == 300
