"""The four streams of tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from continual_ple.settings import Schedule
from dqn_mer.supervised.data import DataSet, load_data
from dqn_mer.supervised.streams import Stream, StreamSizes, make_stream
from tests.helpers.stream_problems import write_images
from tests.supervised.test_data import write_alphabets

SIZES = StreamSizes(tasks=5, examples=30, tests=20)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return load_data(write_images(tmp_path_factory.mktemp("images"), train=100, test=40))


def pixels(stream: Stream) -> np.ndarray:
    return np.stack([part.pixels for task in stream.tasks for part in (task.train, task.test)][::2])


@pytest.mark.parametrize("kind", ["rotations", "permutations", "many-permutations"])
def test_a_seed_makes_the_stream_and_another_another(data: DataSet, kind: str) -> None:
    first, same, other = (make_stream(kind, data, SIZES, seed) for seed in (1, 1, 2))
    assert (pixels(first) == pixels(same)).all() and first.schedule() == same.schedule()
    assert (pixels(first) != pixels(other)).any()
    orders = {task.train.labels.tobytes() for stream in (first, other) for task in stream.tasks}
    assert len(orders) == 10  # each task draws its images anew


@pytest.mark.parametrize("kind", ["rotations", "permutations", "classes"])
def test_every_example_comes_once_in_the_order_of_tasks(data: DataSet, kind: str) -> None:
    sizes = StreamSizes(tasks=2, examples=30, tests=20)
    stream = make_stream(kind, data, sizes, 0)
    assert stream.total_examples == 60
    for place in range(60):
        (inputs, label), task = stream.example(place)
        images = stream.tasks[task].train
        assert task == place // 30
        assert inputs.dtype == np.float32 and inputs.shape == (64,)
        np.testing.assert_array_equal(inputs, images.pixels[place % 30].reshape(-1) / np.float32(255))
        assert label == images.labels[place % 30]
    with pytest.raises(IndexError):
        stream.example(60)


def test_angles_rise_over_half_a_turn_and_turn_every_image(data: DataSet) -> None:
    stream = make_stream("rotations", data, SIZES, 0)
    angles = stream.angles
    assert [int(angle // 36) for angle in angles] == [0, 1, 2, 3, 4]
    upright = [Image.fromarray(image) for image in data.train.pixels]
    for task, angle in zip(stream.tasks, angles, strict=True):
        turned = {np.asarray(image.rotate(angle)).tobytes() for image in upright}
        assert all(image.tobytes() in turned for image in task.train.pixels)


def test_a_permutation_is_the_same_for_all_images_of_a_task(data: DataSet) -> None:
    stream = make_stream("permutations", data, SIZES, 0)
    orders = set()
    for task in stream.tasks:
        known = {np.sort(image, axis=None).tobytes(): image.reshape(-1) for image in data.train.pixels}
        columns = [known[np.sort(image, axis=None).tobytes()] for image in task.train.pixels]
        before, after = np.stack(columns, axis=1), task.train.pixels.reshape(30, -1).T
        matches = [np.flatnonzero((before == row).all(axis=1)).tolist() for row in after]
        assert all(len(match) == 1 for match in matches)
        orders.add(tuple(match[0] for match in matches))
    assert len(orders) == 5 and all(sorted(order) == list(range(64)) for order in orders)


@pytest.mark.parametrize(
    ("kind", "sizes"), [("permutations", StreamSizes(1, 100, 40)), ("classes", StreamSizes(1, 50))]
)
def test_tests_are_on_images_that_are_never_learned(data: DataSet, kind: str, sizes: StreamSizes) -> None:
    (task,) = make_stream(kind, data, sizes, 0).tasks
    learned, tested = ({image.tobytes() for image in part.pixels} for part in (task.train, task.test))
    assert len(learned) == sizes.examples and tested and not learned & tested


@pytest.mark.parametrize("kind", ["rotations", "permutations", "many-permutations"])
def test_a_task_changes_the_images_of_its_test_as_those_that_are_learned(data: DataSet, kind: str) -> None:
    both = replace(data, test=data.train)  # so that the two must come out the same
    for task in make_stream(kind, both, StreamSizes(3, 100, 100), 0).tasks:
        learned, tested = (
            {(image.tobytes(), label) for image, label in zip(part.pixels, part.labels.tolist(), strict=True)}
            for part in (task.train, task.test)
        )
        assert learned == tested and len(learned) == 100


def test_classes_come_a_few_at_a_time(data: DataSet) -> None:
    stream = make_stream("classes", data, StreamSizes(None, None, 100, classes_per_task=2), 0)
    assert [task.name for task in stream.tasks] == ["0-classes=0+1", "1-classes=2+3"]
    for index, task in enumerate(stream.tasks):
        for part in (task.train, task.test):
            assert set(part.labels.tolist()) == {2 * index, 2 * index + 1}
    assert (stream.examples_per_task, len(stream.tasks[0].test), stream.classes) == (50, 20, 4)


def test_alphabets_are_tasks_as_long_as_the_smallest(tmp_path: Path) -> None:
    data = load_data(write_alphabets(tmp_path))
    stream = make_stream("classes", data, StreamSizes(None, None), 0)
    assert [task.name for task in stream.tasks] == ["0-Greek", "1-Old_..Latin"]
    assert stream.examples_per_task == 36 and stream.classes == 5
    assert set(stream.tasks[1].train.labels.tolist()) == {2, 3, 4}


@pytest.mark.parametrize("kind", ["rotations", "many-permutations", "classes"])
def test_a_stream_is_described_as_a_schedule(data: DataSet, kind: str) -> None:
    sizes = StreamSizes(2, 10, 10)
    stream = make_stream(kind, data, sizes, 0)
    schedule = Schedule.from_json(stream.schedule())
    assert schedule.total_frames == stream.total_examples
    assert [setting.name for setting in schedule.settings] == [task.name for task in stream.tasks]


@pytest.mark.parametrize(
    ("kind", "sizes", "complaint"),
    [
        ("rotations", StreamSizes(5, 101), "examples=101: must be at most 100, the images to learn from"),
        ("classes", StreamSizes(None, 51), "examples=51: must be at most 50"),
        ("classes", StreamSizes(3, None), "tasks=3: must be at most 2, the groups of classes"),
        ("classes", StreamSizes(None, None, classes_per_task=5), "classes_per_task=5: must be at most 4"),
        ("rotations", StreamSizes(None, 5), "tasks=None, examples=5: must be numbers for rotations"),
        ("letters", SIZES, "stream='letters': must be one of rotations"),
    ],
)
def test_what_the_data_cannot_give_is_refused(data: DataSet, kind: str, sizes: StreamSizes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make_stream(kind, data, sizes, 0)
