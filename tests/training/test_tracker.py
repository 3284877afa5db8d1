"""Logs as CSV and as TensorBoard reads them."""

import io
import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.context import RequestContext
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import DataType
from tensorboard.plugins.hparams.backend_context import Context

from dqn_mer.analysis.metric_table import METRICS
from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.config.config import Config
from dqn_mer.training.tags import LOGGED, SHOWN, metric_columns, tags_as_markdown
from dqn_mer.training.tracker import Tracker
from tests.helpers.logs import (
    COLUMNS,
    NAMES,
    custom_scalars,
    evaluation,
    load,
    make_tracker,
    points,
    table,
    tensorboard_context,
)


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


CHART_RUNS = {"a": ("flappy_bird", "pipe_gap", NAMES), "b": ("catcher", "fall_speed", ["0-fall_speed=0.0608"])}


def charts_of_two_games(log_dir: Path) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Log three runs of two games; return what TensorBoard shows: category -> chart -> run -> tags."""
    for run, (game, parameter, names) in {**CHART_RUNS, "c": CHART_RUNS["a"]}.items():
        with Tracker(log_dir / run, game, names, parameter, ["train/loss"]) as tracker:
            tracker.log_setting(0, 0, 100)
            tracker.log(5, {"train/loss": 0.5})
            tracker.log_evaluation(10, [EvaluationRow(i, name, 1, 1, 0, 1, 1, 1) for i, name in enumerate(names)])
    plugin, context = custom_scalars(log_dir)
    shown: dict[str, dict[str, dict[str, list[str]]]] = {}
    for category in json.loads(plugin.layout_impl(context, ""))["category"]:
        charts = shown[category["title"]] = {}
        for chart in category["chart"]:
            (pattern,) = chart["multiline"]["tag"]
            answers = {run: plugin.scalars_impl(context, run, pattern, "") for run in "abc"}
            assert all(answer["regex_valid"] for answer in answers.values())
            charts[chart["title"]] = {run: sorted(a["tag_to_events"]) for run, a in answers.items()}
    return shown


def test_custom_scalars_opens_with_one_chart_a_setting_in_which_a_run_is_one_curve(tmp_path: Path) -> None:
    shown = charts_of_two_games(tmp_path)
    assert list(shown) == [
        "flappy_bird: score on each setting (2: pipe_gap=100 to pipe_gap=95 (a+b))",
        "flappy_bird: every setting in one chart (2: pipe_gap=100 to pipe_gap=95 (a+b))",
        "catcher: score on each setting (1: fall_speed=0.0608)",
        "catcher: every setting in one chart (1: fall_speed=0.0608)",
    ]
    first, overlaid, *_ = shown.values()
    curve = {"mean over the settings": "eval_mean/flappy_bird", **{name: f"eval_score/{name}" for name in NAMES}}
    assert first == {title: {"a": [tag], "b": [], "c": [tag]} for title, tag in curve.items()}
    assert {title: runs["a"] for title, runs in overlaid.items()} == {
        "score on every setting": [f"eval_score/{name}" for name in NAMES],
        "return on every setting": [f"eval_total_reward/{name}" for name in NAMES],
        "length on every setting": [f"eval_total_frames/{name}" for name in NAMES],
        "pipe_gap in force": ["setting/pipe_gap"],
    }


def test_two_games_never_share_a_chart(tmp_path: Path) -> None:
    games = {run: game for run, (game, *_) in {**CHART_RUNS, "c": CHART_RUNS["a"]}.items()}
    for category, charts in charts_of_two_games(tmp_path).items():
        for title, runs in charts.items():
            assert {games[run] for run, tags in runs.items() if tags} == {category.partition(":")[0]}, title
    assert points(load(tmp_path / "b"), "eval_mean/catcher") == points(load(tmp_path / "b"), "eval_score/mean")


def test_hparams_shows_what_tells_runs_apart_and_the_metrics_first(tmp_path: Path) -> None:
    """Its page shows five of each unasked; the first is of the sort that TensorBoard does."""
    config = {"across_batch_rate": 0.3, "agent": "dqn", "batch_size": 16, "game": "catcher"}
    config |= {"learning_rate": 1e-3, "observation": "state", "seed": 3}
    with make_tracker(tmp_path / "run") as tracker:
        tracker.log(700, {"train/loss": 1.0})
        tracker.log_hparams(config, {"learning_accuracy": 2.5, "forgetting": [1.0], "area_under_curve": 3.0})
    context = Context(tensorboard_context(tmp_path))
    contents = context.hparams_metadata(RequestContext(), "")
    experiment = context.experiment_from_metadata(RequestContext(), "", True, contents, [])
    names = [parameter.name for parameter in experiment.hparam_infos]
    assert names[:4] == ["agent", "game", "observation", "seed"] and set(names) >= set(config)
    metrics = [metric.name.tag for metric in experiment.metric_infos]
    assert metrics == [f"final/{metric.name}" for metric in METRICS]


@pytest.mark.parametrize("first", ["random", "dqn-mer"])
def test_hparams_offers_what_any_run_has_whichever_run_comes_first(tmp_path: Path, first: str) -> None:
    """TensorBoard reads the columns for all runs from one of them."""
    with make_tracker(tmp_path / first) as tracker:
        tracker.log_hparams({"agent": first, "own": 2, "settings": None}, {"retained_accuracy": 2.5})
    context = Context(tensorboard_context(tmp_path))
    contents = context.hparams_metadata(RequestContext(), "")
    experiment = context.experiment_from_metadata(RequestContext(), "", True, contents, [])
    kinds = {parameter.name: DataType.Name(parameter.type) for parameter in experiment.hparam_infos}
    assert kinds.keys() == Config().hyperparameters().keys() | {"own"}
    assert kinds["across_batch_rate"] == kinds["own"] == "DATA_TYPE_FLOAT64"
    assert kinds["optimizer"] == kinds["settings"] == "DATA_TYPE_STRING"
    assert [metric.name.tag for metric in experiment.metric_infos] == [f"final/{metric.name}" for metric in METRICS]
    content = load(tmp_path / first).PluginTagToContent("hparams")
    hparams = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG]).hparams
    assert set(hparams) == {"agent", "own"}


def test_hparams_of_a_run_are_what_its_agent_reads(flappy_run: Path) -> None:
    content = load(flappy_run).PluginTagToContent("hparams")
    hparams = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG]).hparams
    assert hparams["agent"].string_value == "dqn-mer" and {"learning_rate", "across_batch_rate"} <= hparams.keys()
    assert not hparams.keys() & {"reptile_every_updates", "reptile_rate"}  # which efficient-mer reads


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
        Tracker(tmp_path / "run", "game", names, parameter, columns)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("game", ["", "a/b"])
def test_a_game_whose_name_is_no_tag_writes_nothing(game: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"got '{game}'"):
        Tracker(tmp_path / "run", game, NAMES, "pipe_gap", COLUMNS)
    assert not (tmp_path / "run").exists()


def test_every_tag_is_explained(tmp_path: Path) -> None:
    columns = metric_columns(NAMES, "pipe_gap")
    assert [column for column in columns if "<" in column] == [] and len(set(columns)) == len(columns)
    assert f"memory/share/{NAMES[0]}" in columns and "setting/pipe_gap" in columns
    assert not [column for column in columns if column.startswith(("eval", "final", "config", "frames"))]
    with Tracker(tmp_path, "flappy_bird", NAMES, "pipe_gap", columns) as tracker:
        tracker.log(1, dict.fromkeys(columns, 1.0))
    assert set(table(tmp_path / "metrics.csv")[0].values()) == {"1", "1.0"}
    markdown = tags_as_markdown()
    assert all(f"| `{tag}` | {meaning} |\n" in markdown for tag, meaning in {**LOGGED, **SHOWN}.items())
