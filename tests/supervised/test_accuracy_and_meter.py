"""What a test of a model says, and which examples the meter looks at, by hand."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dqn_mer.supervised.data import Images
from dqn_mer.supervised.evaluation import evaluate_all
from dqn_mer.supervised.execute import stream_of
from dqn_mer.supervised.meter import StreamMeter
from dqn_mer.supervised.options import plan
from dqn_mer.supervised.run import SupervisedRun
from dqn_mer.supervised.streams import Stream, Task
from tests.helpers.stream_runs import make_options

LENGTH = 70


def make_stream(tasks: int = 3) -> Stream:
    """Return a stream whose images have one row of two pixels: the index of the task, and the place in it."""

    def images(task: int, count: int) -> Images:
        pixels = np.array([[[task, place]] for place in range(count)], np.uint8)
        return Images(pixels, np.arange(count) % 2)

    made = [Task(f"{task}-part={task}", float(task), images(task, LENGTH), images(task, 4)) for task in range(tasks)]
    return Stream("classes", "part", tuple(made), 2)


def test_accuracy_and_loss_by_hand() -> None:
    """Labels are 0, 1, 0, 1. Of task 0 the logits say 0 each time, of the others three right and one wrong."""

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        first = (inputs[:, :1] * 255).round() == 0  # of the first task
        places = (inputs[:, 1:] * 255).round()
        odd = torch.where(places == 3, torch.zeros_like(places), places % 2)
        return torch.where(first, torch.tensor([[1.0, 0.0]]), math.log(3) * torch.cat([1 - odd, odd], dim=1))

    rows = evaluate_all(forward, make_stream())
    assert [(row.setting_index, row.setting, row.episodes, row.score_best) for row in rows] == [
        (task, f"{task}-part={task}", 4, 100.0) for task in range(3)
    ]
    assert [(row.score_mean, row.score_std) for row in rows] == [(50.0, 50.0)] + [(75.0, pytest.approx(43.30127))] * 2
    right, wrong = math.log(1 + math.exp(-1)), math.log(1 + math.e)
    assert rows[0].return_mean == pytest.approx(-(right + wrong) / 2)
    assert rows[1].return_mean == pytest.approx(-(3 * math.log(4 / 3) + math.log(4)) / 4)
    assert all(row.length_mean == 1 for row in rows)


@pytest.mark.parametrize(
    ("place", "sizes"),
    [(1, [1]), (LENGTH - 1, [69]), (LENGTH, [70]), (LENGTH + 1, [64, 1]), (LENGTH + 5, [64, 5]), (2 * LENGTH, [64, 64]),
     (2 * LENGTH + 9, [42, 42, 9])],
)  # fmt: skip
def test_the_meter_looks_at_what_was_learned_so_far_evenly_from_each_task(place: int, sizes: list[int]) -> None:
    meter = StreamMeter(make_stream(), np.random.SeedSequence(0))
    (inputs, labels), tasks = meter.sample(place)
    assert np.bincount(tasks).tolist() == sizes
    pixels = (inputs * 255).round().int().numpy()
    assert pixels[:, 0].tolist() == tasks.tolist() and labels.tolist() == (pixels[:, 1] % 2).tolist()
    assert len({tuple(pixel) for pixel in pixels.tolist()}) == len(pixels)  # none is taken twice
    assert (tasks * LENGTH + pixels[:, 1]).max() < place


def test_so_far_a_task_was_learned_as_it_was_right_after_it(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spec,) = plan(make_options(images, tmp_path))
    run = SupervisedRun(spec, stream_of(spec))
    accuracies = iter([(10.0, 20.0, 30.0), (60.0, 20.0, 30.0), (40.0, 70.0, 30.0)])

    def rows(*_: object) -> list[SimpleNamespace]:
        return [SimpleNamespace(score_mean=accuracy) for accuracy in next(accuracies)]

    monkeypatch.setattr("dqn_mer.supervised.run.evaluate_all", rows)
    monkeypatch.setattr(run, "logs", SimpleNamespace(evaluation=lambda *_: None), raising=False)
    for run.place in (0, 40, 80):  # tasks have 40 examples
        run._evaluate()
    values = run._so_far(1.0)
    assert values["accuracy/mean"] == pytest.approx(140 / 3)
    assert values["continual/learning_accuracy"] == (60 + 70) / 2
    assert values["continual/retained_accuracy"] == (40 + 70) / 2
    assert values["continual/backward_transfer_interference"] == -10
