import csv
import io
import json
import os
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import metadata

from dqn_mer.files import DamagedError
from dqn_mer.metrics import EvaluationRow
from dqn_mer.state import SavedState, State, StateError
from dqn_mer.tags import CHARTS, TAGS, metric_columns, tags_as_markdown
from dqn_mer.tracking import Tracker

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of the html5lib inside TensorBoard
    from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
    from tensorboard.plugins.scalar.scalars_plugin import ScalarsPlugin

NAMES = ["0-pipe_gap=100", "1-pipe_gap=95 (a+b)"]  # with characters that mean something in a regular expression
COLUMNS = ["train/loss", "train/score"]


def make_tracker(run_dir: Path, saved: State | None = None) -> Tracker:
    return Tracker(run_dir, NAMES, "pipe_gap", COLUMNS, None if saved is None else SavedState(saved, "tracker"))


def evaluation(first: float) -> list[EvaluationRow]:
    return [
        EvaluationRow(index, name, 5, first + index, 0.5, first + 2.0, first - 5.0, 100.0 + index)
        for index, name in enumerate(NAMES)
    ]


def load(run_dir: Path) -> EventAccumulator:
    return EventAccumulator(str(run_dir), size_guidance={"scalars": 0, "tensors": 0, "images": 0}).Reload()


def points(events: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return (
        [(event.step, event.tensor_proto.float_val[0]) for event in events.Tensors(tag)]
        if (tag in events.Tags()["tensors"])
        else [(event.step, event.value) for event in events.Scalars(tag)]
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_and_tensorboard_hold_the_same_scalars(tmp_path: Path) -> None:
    with make_tracker(tmp_path) as tracker:
        tracker.log_setting(0, 0, 100)
        tracker.log(500, {"train/loss": 0.25})
        tracker.log(1000, {"train/score": np.float64(3.5), "train/loss": float("nan")})
        tracker.log_setting(1000, 1, 95.0)
        tracker.log(1500, {"train/loss": 0.125})
    assert (tmp_path / "metrics.csv").read_text() == textwrap.dedent("""\
        frame,train/loss,train/score,setting/index,setting/pipe_gap
        500,0.25,,0,100
        1000,nan,3.5,0,100
        1500,0.125,,1,95.0
    """)
    events = load(tmp_path)
    assert points(events, "train/score") == [(1000, 3.5)]
    losses = points(events, "train/loss")
    assert losses[0] == (500, 0.25) and losses[2] == (1500, 0.125) and np.isnan(losses[1][1])
    assert points(events, "setting/pipe_gap") == [(0, 100), (500, 100), (1000, 100), (1000, 95), (1500, 95)]


def test_a_change_of_setting_is_a_step(tmp_path: Path) -> None:
    with make_tracker(tmp_path) as tracker:
        tracker.log_setting(0, 0, 100)
        tracker.log_setting(25_000, 1, 95)
    assert points(load(tmp_path), "setting/index") == [(0, 0), (24_999, 0), (25_000, 1)]


def test_evaluations(tmp_path: Path) -> None:
    with make_tracker(tmp_path) as tracker:
        tracker.log_evaluation(5000, evaluation(2.0))
        tracker.log_evaluation(10_000, evaluation(4.0))
    rows = table(tmp_path / "evaluations.csv")
    assert [(row["frame"], row["setting_index"], row["setting"]) for row in rows] == [
        (str(frame), str(index), name) for frame in (5000, 10_000) for index, name in enumerate(NAMES)
    ]
    assert list(rows[1].values()) == ["5000", "1", NAMES[1], "5", "3.0", "0.5", "4.0", "-3.0", "101.0"]
    events = load(tmp_path)
    assert points(events, f"eval_score/{NAMES[1]}") == [(5000, 3.0), (10_000, 5.0)]
    assert points(events, f"eval_total_reward/{NAMES[0]}") == [(5000, -3.0), (10_000, -1.0)]
    assert points(events, f"eval_total_frames/{NAMES[1]}") == [(5000, 101.0), (10_000, 101.0)]
    assert points(events, "eval_score/mean") == [(5000, 2.5), (10_000, 4.5)]


def custom_scalars(log_dir: Path) -> tuple[CustomScalarsPlugin, RequestContext]:
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(log_dir)).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(log_dir))
    plugins: dict[str, object] = {}
    context = TBContext(data_provider=provider, logdir=str(log_dir), plugin_name_to_instance=plugins)
    plugins["scalars"] = ScalarsPlugin(context)
    return CustomScalarsPlugin(context), RequestContext()


def test_one_chart_overlays_all_settings_of_every_game(tmp_path: Path) -> None:
    for run, parameter, names in [("a", "pipe_gap", NAMES), ("b", "fall_speed", ["0-fall_speed=0.0608"])]:
        columns = ["gradients/cosine_within", "gradients/cosine_between", "gradients/dot_within"]
        with Tracker(tmp_path / run, names, parameter, columns) as tracker:
            tracker.log_setting(0, 0, 100)
            tracker.log(5, dict.fromkeys(columns, 0.5))
            tracker.log_evaluation(10, [EvaluationRow(i, name, 1, 1, 0, 1, 1, 1) for i, name in enumerate(names)])
    plugin, context = custom_scalars(tmp_path)
    (category,) = json.loads(plugin.layout_impl(context, ""))["category"]
    assert category["title"] == "All settings"
    shown = {}
    for chart in category["chart"]:
        (pattern,) = chart["multiline"]["tag"]
        answer = plugin.scalars_impl(context, "a", pattern, "")
        assert answer["regex_valid"]
        shown[chart["title"]] = sorted(answer["tag_to_events"])
    assert shown == {
        "Score on every setting": [f"eval_score/{name}" for name in NAMES],
        "Return on every setting": [f"eval_total_reward/{name}" for name in NAMES],
        "Episode length on every setting": [f"eval_total_frames/{name}" for name in NAMES],
        "Cosine between gradients": ["gradients/cosine_between", "gradients/cosine_within"],
        "Setting in force": ["setting/index"],
        "Parameter in force": ["setting/pipe_gap"],
    }


def test_hparams_text_and_images_stay_in_the_run(tmp_path: Path) -> None:
    frames = np.zeros((3, 8, 6, 3), dtype=np.uint8)
    frames[1] = 200
    with make_tracker(tmp_path) as tracker:
        tracker.log(700, {"train/loss": 1.0})
        tracker.log_text("| seed | 1 |")
        tracker.log_images(f"frames/{NAMES[1]}", frames)
        config = {"seed": 1, "rate": 1e-4, "double": True, "agent": "dqn-mer", "path": tmp_path, "none": None}
        tracker.log_hparams(config, {"retained_accuracy": 2.5, "forgetting": [1.0, 2.0]})
    assert sorted(path.name.split(".")[0] for path in tmp_path.iterdir()) == [
        "evaluations", "events", "interference", "metrics",
    ]  # fmt: skip
    events = load(tmp_path)
    assert points(events, "final/retained_accuracy") == [(700, 2.5)]
    assert events.Tensors("config/text_summary")[0].tensor_proto.string_val[0] == b"| seed | 1 |"
    (picture,) = events.Images(f"frames/{NAMES[1]}")
    pixels = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)))
    assert pixels.shape == (8, 3 * 6 + 2 * 4, 3)
    assert (pixels[:, :6] == 0).all() and (pixels[:, 6:10] == 255).all() and (pixels[:, 10:16] == 200).all()
    content = events.PluginTagToContent("hparams")
    started = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG]).hparams
    assert started["seed"].number_value == 1 and started["rate"].number_value == 1e-4
    assert started["double"].string_value == "True" and started["agent"].string_value == "dqn-mer"
    assert started["path"].string_value == str(tmp_path) and "none" not in started
    experiment = metadata.parse_experiment_plugin_data(content[metadata.EXPERIMENT_TAG])
    assert [metric.name.tag for metric in experiment.metric_infos] == ["final/retained_accuracy"]


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
    monkeypatch.setattr("dqn_mer.events.time.time", lambda: now + seconds)
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
    assert len(json.loads(plugin.layout_impl(context, ""))["category"][0]["chart"]) == len(CHARTS)


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
        from dqn_mer.tracking import Tracker
        tracker = Tracker(pathlib.Path(sys.argv[1]), ["a"], "gap", ["train/loss"])
        for frame in range(50):
            tracker.log(frame, {"train/loss": 1.0})
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=False, env={**os.environ})
    assert len(table(tmp_path / "metrics.csv")) == 50
    assert len(points(load(tmp_path), "train/loss")) == 50


def test_bad_input(tmp_path: Path) -> None:
    with make_tracker(tmp_path / "run") as tracker:
        with pytest.raises(KeyError, match="unknown tag 'train/los'"):
            tracker.log(1, {"train/los": 1.0})
        with pytest.raises(KeyError, match="unknown tag 'frames/other'"):
            tracker.log_images("frames/other", np.zeros((1, 2, 2, 3), dtype=np.uint8))
        for frames in (np.zeros((1, 2, 2, 3)), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2, 2, 3), np.uint8)):
            with pytest.raises(ValueError, match="uint8 of shape"):
                tracker.log_images(f"frames/{NAMES[0]}", frames)
        with pytest.raises(ValueError, match="setting index must be from 0 to 1, got 2"):
            tracker.log_setting(1, 2, 3.0)
        with pytest.raises(ValueError, match="a row for each setting"):
            tracker.log_evaluation(1, evaluation(1.0)[::-1])
    with pytest.raises(FileExistsError):
        make_tracker(tmp_path / "run")


@pytest.mark.parametrize(
    ("names", "parameter", "columns"),
    [
        (["a", "a"], "gap", COLUMNS),
        (["a/b"], "gap", COLUMNS),
        (["mean"], "gap", COLUMNS),
        ([], "gap", COLUMNS),
        (["a"], "index", COLUMNS),
        (["a"], "gap", ["train/unexplained"]),
        (["a"], "gap", ["train/loss", "train/loss"]),
    ],
)
def test_bad_names_write_nothing(tmp_path: Path, names: list[str], parameter: str, columns: list[str]) -> None:
    with pytest.raises(ValueError, match="got"):
        Tracker(tmp_path / "run", names, parameter, columns)
    assert not (tmp_path / "run").exists()


def test_every_tag_is_explained(tmp_path: Path) -> None:
    columns = metric_columns(NAMES, "pipe_gap")
    assert [column for column in columns if "<" in column] == [] and len(set(columns)) == len(columns)
    assert f"memory/share/{NAMES[0]}" in columns and "setting/pipe_gap" in columns
    assert not [column for column in columns if column.startswith(("eval", "final", "config", "frames"))]
    with Tracker(tmp_path, NAMES, "pipe_gap", columns) as tracker:
        tracker.log(1, dict.fromkeys(columns, 1.0))
    assert set(table(tmp_path / "metrics.csv")[0].values()) == {"1", "1.0"}
    markdown = tags_as_markdown()
    assert all(f"| `{tag}` | {meaning} |\n" in markdown for tag, meaning in TAGS.items())
