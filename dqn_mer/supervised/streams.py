"""Streams of labelled examples that change from task to task: the authors' four."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqn_mer.supervised.data import DataSet, Images
from dqn_mer.supervised.memory import Example
from dqn_mer.supervised.presets import STREAMS

LARGEST_ANGLE = 180.0
MOST_TASKS = 100

Transform = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Images ``(n, height, width)`` to images of a task, of the same shape."""


@dataclass(frozen=True)
class Task:
    """One stretch of a stream.

    Attributes:
        name: Name that is short and unique in its stream, such as ``03-rotation=3``; the same for every seed, so that
            the runs of several seeds can be compared.
        value: Value of the parameter in which the tasks differ: its index.
        train: Images to learn from, in the order in which they come.
        test: Images to be tested on.
    """

    name: str
    value: float
    train: Images
    test: Images


@dataclass(frozen=True)
class Stream:
    """Tasks that follow each other, each of the same number of examples, each example once.

    Attributes:
        kind: One of `dqn_mer.supervised.presets.STREAMS`.
        parameter: Name of the parameter in which the tasks differ.
        tasks: Tasks in order.
        classes: Number of classes of all tasks together: outputs that a model needs.
        angles: Angle of each task in degrees, if it turns the images; they differ from seed to seed.
    """

    kind: str
    parameter: str
    tasks: tuple[Task, ...]
    classes: int
    angles: tuple[float, ...] = ()

    @property
    def examples_per_task(self) -> int:
        """Number of examples of each task."""
        return len(self.tasks[0].train)

    @property
    def total_examples(self) -> int:
        """Number of examples of the whole stream."""
        return self.examples_per_task * len(self.tasks)

    @property
    def inputs(self) -> int:
        """Number of pixels of an image."""
        return int(np.prod(self.tasks[0].train.pixels.shape[1:]))

    def example(self, place: int) -> tuple[Example, int]:
        """Return the example at a place of the stream, from 0, and the index of its task."""
        task, row = divmod(place, self.examples_per_task)
        images = self.tasks[task].train
        return (as_inputs(images.pixels[row : row + 1])[0], images.labels[row]), task

    def schedule(self) -> dict[str, Any]:
        """Return the stream in the form of a run's schedule: tasks are its settings, examples its frames."""
        settings = [{"name": task.name, "parameters": {self.parameter: task.value}} for task in self.tasks]
        order = list(range(len(self.tasks)))
        return {"frames_per_setting": self.examples_per_task, "settings": settings, "order": order}


def as_inputs(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images ``(n, height, width)`` as inputs of a model, ``(n, pixels)`` float32 from 0 to 1."""
    flat: NDArray[np.float32] = pixels.reshape(len(pixels), -1).astype(np.float32)
    flat /= np.float32(255)
    return flat


@dataclass(frozen=True)
class StreamSizes:
    """Sizes of a stream.

    Attributes:
        tasks: Number of tasks; None for all groups of a stream of classes.
        examples: Number of examples of each task to learn; None, for a stream of classes, for as many as the smallest
            group has.
        tests: Number of examples of each task to be tested on, at most.
        classes_per_task: Number of classes of each task in a stream of classes without groups.
    """

    tasks: int | None
    examples: int | None
    tests: int = 1_000
    classes_per_task: int = 2


def make_stream(kind: str, data: DataSet, sizes: StreamSizes, seed: int) -> Stream:
    """Make a stream: its angles, permutations and choice of examples are drawn from ``seed``.

    - ``rotations``: each task turns all images by another angle; the angles rise from 0 to 180 degrees, one drawn
      uniformly from each of as many equal parts as there are tasks.
    - ``permutations`` and ``many-permutations``: each task permutes the pixels of all images differently.
    - ``classes``: each task has other classes: a group of them (Omniglot's alphabets) or the next few.

    Raises:
        ValueError: if the data has too few images or classes for it.
    """
    if kind not in STREAMS:
        raise ValueError(f"stream={kind!r}: must be one of {', '.join(STREAMS)}")
    transforms, choices = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    if kind == "classes":
        return _classes(data, sizes, choices)
    if sizes.tasks is None or sizes.examples is None:
        raise ValueError(f"tasks={sizes.tasks}, examples={sizes.examples}: must be numbers for {kind}")
    angles: list[float] = []
    if kind == "rotations":
        parameter = "rotation"
        angles = (LARGEST_ANGLE * (np.arange(sizes.tasks) + transforms.random(sizes.tasks)) / sizes.tasks).tolist()
        made = [_rotation(angle) for angle in angles]
    else:
        parameter = "permutation"
        pixels = int(np.prod(data.train.pixels.shape[1:]))
        made = [_permutation(transforms.permutation(pixels)) for _ in range(sizes.tasks)]
    _check_enough("examples", sizes.examples, len(data.train), "images to learn from")
    tests = data.test.rows(np.sort(choices.permutation(len(data.test))[: sizes.tests]))
    digits = len(str(sizes.tasks - 1))
    tasks = []
    for index, transform in enumerate(made):
        chosen = data.train.rows(choices.permutation(len(data.train))[: sizes.examples])
        train, test = (Images(transform(images.pixels), images.labels) for images in (chosen, tests))
        tasks.append(Task(f"{index:0{digits}}-{parameter}={index}", float(index), train, test))
    return Stream(kind, parameter, tuple(tasks), data.classes, tuple(angles))


def _rotation(angle: float) -> Transform:
    """Return a function that turns images counter-clockwise by degrees, to the nearest pixel, like the authors'."""

    def turned(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.stack([np.asarray(Image.fromarray(image).rotate(angle)) for image in pixels])

    return turned


def _permutation(order: NDArray[np.int64]) -> Transform:
    def permuted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return pixels.reshape(len(pixels), -1)[:, order].reshape(pixels.shape)

    return permuted


def _classes(data: DataSet, sizes: StreamSizes, choices: np.random.Generator) -> Stream:
    groups = _groups(data, sizes.classes_per_task)
    count = len(groups) if sizes.tasks is None else sizes.tasks
    _check_enough("tasks", count, len(groups), "groups of classes")
    groups = groups[:count]
    members = [np.flatnonzero(np.isin(data.train.labels, classes)) for _, classes in groups]
    smallest = min(map(len, members))
    examples = smallest if sizes.examples is None else sizes.examples
    _check_enough("examples", examples, smallest, "images to learn from in the smallest group of classes")
    digits = len(str(count - 1))
    tasks = []
    for index, ((name, classes), rows) in enumerate(zip(groups, members, strict=True)):
        train = data.train.rows(choices.permutation(rows)[:examples])
        tests = np.flatnonzero(np.isin(data.test.labels, classes))
        test = data.test.rows(np.sort(choices.permutation(tests)[: sizes.tests]))
        tasks.append(Task(f"{index:0{digits}}-{_plain(name)}", float(index), train, test))
    return Stream("classes", "group", tuple(tasks), max(max(classes) for _, classes in groups) + 1)


def _groups(data: DataSet, classes_per_task: int) -> Sequence[tuple[str, tuple[int, ...]]]:
    """Return the name and the classes of each task."""
    if data.groups:
        if len(data.groups) > MOST_TASKS:
            return data.groups[:MOST_TASKS]
        return data.groups
    present = sorted({*data.train.labels.tolist()} & {*data.test.labels.tolist()})
    parts = [tuple(present[start : start + classes_per_task]) for start in range(0, len(present), classes_per_task)]
    whole = [part for part in parts if len(part) == classes_per_task]
    if not whole:
        raise ValueError(
            f"classes_per_task={classes_per_task}: must be at most {len(present)}, the classes of the data"
        )
    return [(f"classes={'+'.join(map(str, part))}", part) for part in whole[:MOST_TASKS]]


def _plain(name: str) -> str:
    """Return a folder's name as a name for charts, tables and files.

    >>> _plain("Early/Aramaic, old")
    'Early_Aramaic_ old'
    """
    return "".join("_" if letter in "/," or not letter.isprintable() else letter for letter in name)[:80]


def _check_enough(field: str, wanted: int, present: int, what: str) -> None:
    if wanted > present:
        raise ValueError(f"{field}={wanted:,}: must be at most {present:,}, the {what}")
