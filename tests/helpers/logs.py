"""Logs of a small run, and what TensorBoard reads from them."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext

from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.storage.state import SavedState, State
from dqn_mer.training.tracker import Tracker

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of the html5lib inside TensorBoard
    from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
    from tensorboard.plugins.scalar.scalars_plugin import ScalarsPlugin

NAMES = ["0-pipe_gap=100", "1-pipe_gap=95 (a+b)"]  # with characters that mean something in a regular expression
COLUMNS = ["train/loss", "train/score"]


def make_tracker(run_dir: Path, saved: State | None = None) -> Tracker:
    return Tracker(
        run_dir, "flappy_bird", NAMES, "pipe_gap", COLUMNS, None if saved is None else SavedState(saved, "tracker")
    )


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


def tensorboard_context(log_dir: Path) -> TBContext:
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(log_dir)).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(log_dir))
    return TBContext(data_provider=provider, logdir=str(log_dir), plugin_name_to_instance={})


def custom_scalars(log_dir: Path) -> tuple[CustomScalarsPlugin, RequestContext]:
    context = tensorboard_context(log_dir)
    context.plugin_name_to_instance["scalars"] = ScalarsPlugin(context)
    return CustomScalarsPlugin(context), RequestContext()
