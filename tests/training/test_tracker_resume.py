"""What a stop, a kill or a resume leaves in the logs."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.state import StateError
from dqn_mer.training.tags import chart_layout
from dqn_mer.training.tracker import Tracker
from tests.helpers.logs import NAMES, custom_scalars, evaluation, load, make_tracker, points, table


@pytest.mark.parametrize("seconds", [1, -1_000_000])
def test_resume_doubles_and_tears_nothing_even_if_the_clock_goes_back(
    seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_tracker(tmp_path) as tracker:
        tracker.log_text("config")
        tracker.log_setting(1, 0, 100)
        for frame in (100, 200, 300):
            if frame == 300:
                state = json.loads(json.dumps(tracker.get_state()))
            tracker.log(frame, {"train/loss": frame / 100})
            tracker.log_evaluation(frame, evaluation(1.0))
    for path in tmp_path.iterdir():
        with path.open("ab") as file:
            file.write(b"400,1.")  # cut short by a kill
    now = time.time()
    monkeypatch.setattr("dqn_mer.runs.event_files.time.time", lambda: now + seconds)
    with make_tracker(tmp_path, state):
        pass  # stopped before it logged anything
    with make_tracker(tmp_path, state) as tracker:
        tracker.log(300, {"train/loss": 7.0})
        tracker.log_evaluation(300, evaluation(9.0))
    assert [(row["frame"], row["train/loss"], row["setting/pipe_gap"]) for row in table(tmp_path / "metrics.csv")] == [
        ("100", "1.0", "100"),
        ("200", "2.0", "100"),
        ("300", "7.0", "100"),
    ]
    assert [row["frame"] for row in table(tmp_path / "evaluations.csv")] == ["100"] * 2 + ["200"] * 2 + ["300"] * 2
    events = load(tmp_path)
    assert points(events, "train/loss") == [(100, 1.0), (200, 2.0), (300, 7.0)]
    assert points(events, f"eval_score/{NAMES[0]}") == [(100, 1.0), (200, 1.0), (300, 9.0)]
    assert points(events, "setting/pipe_gap") == [(frame, 100.0) for frame in (1, 100, 200, 300)]
    assert len(events.Tensors("config/text_summary")) == 1
    plugin, context = custom_scalars(tmp_path)
    categories = json.loads(plugin.layout_impl(context, ""))["category"]
    expected = chart_layout("flappy_bird", NAMES, "pipe_gap")
    assert {c["title"]: len(c["chart"]) for c in categories} == {title: len(c) for title, c in expected.items()}


def test_a_run_that_an_earlier_version_began_keeps_its_columns(tmp_path: Path) -> None:
    with Tracker(tmp_path, "flappy_bird", NAMES, "pipe_gap", ["train/loss", "train/q_mean"]) as tracker:
        tracker.log_setting(0, 0, 100)
        tracker.log(100, {"train/loss": 1.0, "train/q_mean": 2.0})
        state = tracker.get_state()
    with make_tracker(tmp_path, state) as tracker:  # which logs train/score, and no train/q_mean
        tracker.log(200, {"train/loss": 3.0, "train/score": 4.0})
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "frame,train/loss,train/q_mean,setting/index,setting/pipe_gap",
        "100,1.0,2.0,0,100",
        "200,3.0,,0,100",
    ]
    assert points(load(tmp_path), "train/score") == [(200, 4.0)]
    text = (tmp_path / "metrics.csv").read_bytes()
    (tmp_path / "metrics.csv").write_bytes(b"x" + text)
    with pytest.raises(DamagedError, match=r"metrics.csv: must have frame as its first column"):
        make_tracker(tmp_path, state)
    assert (tmp_path / "metrics.csv").read_bytes() == b"x" + text  # not cut


def test_a_watching_tensorboard_forgets_what_was_dropped(tmp_path: Path) -> None:
    with make_tracker(tmp_path) as tracker:
        tracker.log(100, {"train/loss": 1.0})
        state = tracker.get_state()
        tracker.log(200, {"train/loss": 2.0})
    watching = load(tmp_path)
    assert points(watching, "train/loss") == [(100, 1.0), (200, 2.0)]
    with make_tracker(tmp_path, state) as tracker:
        tracker.log(200, {"train/loss": 3.0})
    assert points(watching.Reload(), "train/loss") == [(100, 1.0), (200, 3.0)]


def test_logs_that_a_state_cannot_have_left(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a user's own file")
    run = tmp_path / "run"
    with make_tracker(run) as tracker:
        tracker.log(100, {"train/loss": 1.0})
        state = tracker.get_state()
    for name in ("../secret", str(secret), "events.out.tfevents.1111111111./../../secret", "metrics.csv"):
        with pytest.raises(StateError, match="unknown field"):
            make_tracker(run, {**state, "events": {**state["events"], name: 0}})
    with pytest.raises(StateError, match=r"tracker.tables.metrics.csv=-1: must be"):
        make_tracker(run, {**state, "tables": {**state["tables"], "metrics.csv": -1}})
    with pytest.raises(DamagedError, match=r"metrics.csv: must be a plain file of at least 10,000 bytes"):
        make_tracker(run, {**state, "tables": {**state["tables"], "metrics.csv": 10_000}})
    (run / "metrics.csv").unlink()
    (run / "metrics.csv").symlink_to(secret)
    with pytest.raises(DamagedError, match=r"metrics.csv: must be a plain file"):
        make_tracker(run, {**state, "tables": {**state["tables"], "metrics.csv": 1}})
    assert secret.read_text() == "a user's own file"


def test_a_killed_run_has_all_rows_and_points(tmp_path: Path) -> None:
    script = """
        import os, sys, pathlib
        from dqn_mer.training.tracker import Tracker
        tracker = Tracker(pathlib.Path(sys.argv[1]), "game", ["a"], "gap", ["train/loss"])
        for frame in range(50):
            tracker.log(frame, {"train/loss": 1.0})
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=False, env={**os.environ})
    assert len(table(tmp_path / "metrics.csv")) == 50
    assert len(points(load(tmp_path), "train/loss")) == 50
