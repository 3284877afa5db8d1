"""The pictures of a run in TensorBoard: when there are some, what they show, and that they change nothing."""

from __future__ import annotations

import io
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dqn_mer.storage.run_reader import TABLES
from dqn_mer.training.pictures import MOST_PANELS, BorderPictures, picture_frames
from dqn_mer.training.trainer import RunResult
from tests.helpers.logs import load
from tests.helpers.own_envs import Count, WithState, count_task, train_tiny
from tests.helpers.resuming import WALL_TIME_COLUMNS, train_and_digest
from tests.training.test_trainer import rows_of, tiny_run

CHOICES: dict[str, Any] = {"settings": (0.06, 0.09), "meter_every": 90}
STRIP = "frames/0-speed=1"  # of the first setting of `count_task`


def steps(events: EventAccumulator, tag: str) -> list[int]:
    return [event.step for event in events.Images(tag)]


def picture(events: EventAccumulator, tag: str, number: int) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(events.Images(tag)[number].encoded_image_string)))


@pytest.fixture(scope="module")
def drawn_run(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return tiny_run(tmp_path_factory.mktemp("drawn") / "run", **CHOICES)


def test_every_border_has_the_learning_curves_so_far_and_strips_of_the_agent(drawn_run: RunResult) -> None:
    events = load(drawn_run.run_dir)
    assert steps(events, "learning_curves") == [200, 400]
    strips = [tag for tag in events.Tags()["images"] if tag.startswith("frames/")]
    assert strips == ["frames/0-fall_speed=0.06", "frames/1-fall_speed=0.09"]
    assert [steps(events, tag) for tag in strips] == [[0, 200, 400]] * 2
    before, after = (picture(events, "learning_curves", number) for number in (0, 1))
    assert before.shape == after.shape and not np.array_equal(before, after)
    last = events.Images("learning_curves")[-1].encoded_image_string
    assert last == (drawn_run.run_dir / "learning_curves.png").read_bytes()


def test_a_border_shows_the_axes_to_the_end_and_the_scores_up_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []

    def drawn(run: Any, frames: int | None = None) -> bytes:
        shown.append((run.frames.tolist(), len(run.matrix), run.order, frames))
        buffer = io.BytesIO()
        Image.new("RGBA", (3, 2)).save(buffer, "PNG")
        return buffer.getvalue()

    monkeypatch.setattr("dqn_mer.training.summary.learning_curves", drawn)
    tiny_run(tmp_path / "run", settings=(0.06, 0.09, 0.12), frames=600, eval_every=150)
    assert shown == [([0, 150, 200], 1, (0,), 600), ([0, 150, 200, 300, 400], 2, (0, 1), 600)]


def test_pictures_change_nothing_that_is_learned(
    drawn_run: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("show_play", "show_scores"):
        monkeypatch.setattr(BorderPictures, method, lambda *arguments: None)
    without = tiny_run(tmp_path / "without", **CHOICES)
    assert steps(load(without.run_dir), "learning_curves") == [400]
    assert drawn_run.summary["weights_sha256"] == without.summary["weights_sha256"]
    tables = [
        [
            {name: value for name, value in row.items() if name not in WALL_TIME_COLUMNS}
            for table in TABLES
            for row in rows_of(run.run_dir / table)
        ]
        for run in (drawn_run, without)
    ]
    assert tables[0] == tables[1] and len(tables[0]) > 10


class DrawsFromGlobalGenerators(Count):
    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward + random.random() + np.random.random(), terminated, truncated, info  # noqa: NPY002


def test_pictures_do_not_advance_the_global_generators_of_an_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests, folders = [], []
    for name in ("with", "without"):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        if name == "without":
            monkeypatch.setattr(BorderPictures, "show_play", lambda *arguments: None)
        result = train_tiny(count_task(DrawsFromGlobalGenerators), tmp_path / name, frames=120)
        digests.append(result.summary["weights_sha256"])
        folders.append(result.run_dir)
    assert digests[0] == digests[1]
    assert steps(load(folders[0]), STRIP) == [0, 60, 120]
    assert steps(load(folders[1]), STRIP) == [0]


class BreaksInPictures(WithState):
    """Renders only a few times."""

    pictures = 0

    def render(self) -> Any:
        type(self).pictures += 1
        if type(self).pictures > 12:
            raise RuntimeError("no\nmore film")
        return super().render()


def test_an_own_environment_that_cannot_be_drawn_at_a_border_trains_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train_tiny(count_task(BreaksInPictures), tmp_path / "run", frames=120)
    assert result.summary["frames"] == 120
    assert steps(load(result.run_dir), STRIP) == [0]
    assert capsys.readouterr().err == "no frames in TensorBoard at frame 60: RuntimeError: no more film\n"


def test_a_resumed_run_doubles_no_picture_and_a_watching_tensorboard_keeps_them(
    stopped_run: Path, tmp_path: Path
) -> None:
    """The run was stopped at frame 151, behind the border at 120."""
    run = Path(shutil.copytree(stopped_run, tmp_path / "run"))
    watching = load(run)
    drawn_before = picture(watching, "learning_curves", 0)
    assert train_and_digest(["--resume", str(run)])[0] == 0
    for events in (load(run), watching.Reload()):
        assert steps(events, "learning_curves") == [120, 240, 300]
        strips = [tag for tag in events.Tags()["images"] if tag.startswith("frames/")]
        assert len(strips) == 6 and all(steps(events, tag) == [0, 120, 240, 300] for tag in strips)
        assert np.array_equal(picture(events, "learning_curves", 0), drawn_before)


@pytest.mark.parametrize(("segments", "settings"), [(1, 1), (6, 6), (41, 6), (1_000, 1_000), (1_000, 2), (3, 10_000)])
def test_a_long_schedule_has_few_pictures_and_always_the_last(segments: int, settings: int) -> None:
    ends = list(range(10, 10 * segments + 1, 10))
    chosen = picture_frames(ends, settings)
    assert ends[-1] in chosen <= set(ends)
    assert len(chosen) * settings <= max(MOST_PANELS, settings)
    assert segments * settings > MOST_PANELS or len(chosen) == segments
