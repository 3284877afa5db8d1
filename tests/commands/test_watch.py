"""Watching a saved agent: its clips show what evaluation scores, and nothing of its run is disturbed."""

from __future__ import annotations

import io
import os
import re
import shutil
import tracemalloc
from pathlib import Path

import cv2
import gymnasium
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from continual_ple.window import Window
from dqn_mer.commands.watch import watch
from dqn_mer.evaluation.agent_options import EvaluateOptions, PlayerFields, WatchOptions
from dqn_mer.evaluation.clips import LAST_PICTURE_FRAMES, Film, gif, record, save_clip
from dqn_mer.evaluation.on_screen import overlay, quiet_libraries
from dqn_mer.evaluation.overlay import PANEL_WIDTH, Overlay
from dqn_mer.evaluation.saved_agent import evaluate_checkpoint, load_agent
from tests.helpers.chain import LENGTH, Chain
from tests.training.test_trainer import tiny_run

QUIET = Console(quiet=True)


def test_clips_show_the_episodes_that_evaluation_scores(flappy_run: Path, tmp_path: Path) -> None:
    console = Console(record=True, width=200, file=io.StringIO())
    watch(WatchOptions(flappy_run, episodes=2, out=tmp_path / "clips", format="gif", frame_limit=60), console)
    options = EvaluateOptions(flappy_run, episodes=2, frame_limit=60)
    played = evaluate_checkpoint(options, QUIET)["settings"]
    names = [f"{row['setting']}-episode-{episode}.gif" for row in played for episode in range(2)]
    assert sorted(path.name for path in (tmp_path / "clips").iterdir()) == sorted([*names, "contact_sheet.png"])
    lines = console.export_text().splitlines()
    scores = [score for row in played for score in row["scores"]]
    assert [float(line.split("score ")[1].split(" in")[0]) for line in lines] == scores
    frames = [int(line.split(" in ")[1].split(" frames")[0]) for line in lines]
    assert np.mean(frames[:2]) == played[0]["length_mean_frames"]
    with Image.open(tmp_path / "clips" / names[0]) as clip:
        assert clip.n_frames == (frames[0] + 2) // 2  # every second picture, the first that of the reset
        assert clip.size == (288 + PANEL_WIDTH, 512)
    with Image.open(tmp_path / "clips" / "contact_sheet.png") as sheet:
        assert sheet.height > 2 * 160


def test_mp4(flappy_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    watch(WatchOptions(flappy_run, settings="100", out=tmp_path / "clips", frame_limit=5), QUIET)
    video = cv2.VideoCapture(str(tmp_path / "clips" / "pipe_gap=100-episode-0.mp4"))
    frames = [frame for more, frame in iter(video.read, (False, None)) if more]
    video.release()
    assert frames[0].shape == (512, 288 + PANEL_WIDTH, 3)
    assert len(frames) == 6 + LAST_PICTURE_FRAMES
    blurred = [cv2.blur(frame, (9, 9)).astype(int) for frame in frames]
    assert np.abs(blurred[5] - blurred[-1]).max() < 20 < np.abs(blurred[0] - blurred[-1]).max()


def test_tensorboard_gets_clips_and_keeps_what_it_had(flappy_run: Path, tmp_path: Path) -> None:
    def read() -> EventAccumulator:
        return EventAccumulator(str(copy), size_guidance={"scalars": 0, "images": 0}).Reload()

    copy = Path(shutil.copytree(flappy_run, tmp_path / "run"))
    before = read()
    watch(WatchOptions(copy, tensorboard=True, frame_limit=5), QUIET)
    after = read()
    tags = before.Tags()["scalars"]
    assert tags and after.Tags()["scalars"] == tags
    assert all(before.Scalars(tag) == after.Scalars(tag) for tag in tags)
    added = [tag for tag in after.Tags()["images"] if tag not in before.Tags()["images"]]
    assert added == ["clips/0-pipe_gap=100", "clips/1-pipe_gap=80"]
    (event,) = after.Images(added[0])
    assert (event.step, event.encoded_image_string[:6]) == (40, b"GIF89a")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tensorboard": True}, "must be a finished run"),
        ({"settings": "zebra"}, "settings='zebra': must be one of all, easier"),
        ({"out": Path("taken")}, "out='taken': exists already"),
        ({"format": "gif"}, "format='gif': only with out, a new folder for the clips"),
    ],
)
def test_mistakes_leave_nothing(
    change: dict, expected: str, flappy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    run = shutil.copytree(flappy_run, tmp_path / "run")
    lone = shutil.copytree(run / "checkpoints" / "frame-000000040", run / "shared" / "agent")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=expected):
        watch(WatchOptions(Path(lone), **change), QUIET)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_cannot_be_written_to_is_refused_before_it_plays(
    flappy_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dqn_mer.commands.watch_agent.record", lambda *words: pytest.fail("it played"))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != flappy_run)  # root may write everywhere
    expected = f"tensorboard='{flappy_run}': cannot be written: {flappy_run} must be a folder that may be written to"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        watch(WatchOptions(flappy_run, tensorboard=True), QUIET)


def test_a_window_shows_every_setting_and_closes_at_escape(flappy_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with pytest.raises(
        ValueError, match=r"there is no screen \(SDL_VIDEODRIVER=dummy\); give out, a new folder, for clips instead$"
    ):
        watch(WatchOptions(flappy_run), QUIET)
    monkeypatch.setattr("dqn_mer.evaluation.on_screen.UNSEEN_DRIVERS", ())
    monkeypatch.setattr("dqn_mer.commands.watch_agent.PAUSE_FRAMES", 1)
    shown = []

    def show(window: Window, picture: np.ndarray) -> None:
        shown.append(picture)
        if len(shown) == stop_at:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE))

    monkeypatch.setattr(Window, "show", show)
    stop_at = 0
    watch(WatchOptions(flappy_run, frame_limit=3), QUIET)
    assert len(shown) == 2 * (3 + 1)
    assert len({picture.tobytes() for picture in shown}) == 2 * (3 + 1)
    shown.clear()
    stop_at = 2
    closed = []
    monkeypatch.setattr(Overlay, "close", lambda env: closed.append(env.setting))
    watch(WatchOptions(flappy_run, frame_limit=3), QUIET)
    assert len(shown) == 2 and closed == ["0-pipe_gap=100"]


def test_the_last_picture_stays_for_a_second_where_frames_are_skipped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pygame")
    tiny_run(tmp_path / "run", frame_skip=4, frames=40, frames_per_setting=40, settings=(0.06,), eval_every=40)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("dqn_mer.evaluation.on_screen.UNSEEN_DRIVERS", ())
    shown = []
    monkeypatch.setattr(Window, "show", lambda window, picture: shown.append(picture.tobytes()))
    watch(WatchOptions(tmp_path / "run", frame_limit=10), QUIET)
    assert len(shown) == 11 + 29 and len(set(shown[9:])) == 1  # the last step is of two frames


def test_where_there_is_no_screen_nothing_but_the_error_is_printed(
    flappy_run: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pygame")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "SDL_VIDEODRIVER", "SDL_VIDEO_DRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="no window can be opened here") as refused:
        watch(WatchOptions(flappy_run), QUIET)
    assert "SDL" not in str(refused.value)  # a variable that nobody set is not to blame
    with quiet_libraries():
        os.write(2, b"what a C library prints")
    os.write(2, b"what comes behind it")
    assert capfd.readouterr() == ("", "what comes behind it")


def test_the_panel_shows_the_q_values_of_the_picture_beside_it(flappy_run: Path) -> None:
    agent = load_agent(PlayerFields(flappy_run))
    env = overlay(agent, agent.task.schedule.settings[0], 50, "cpu")
    observation, _ = env.reset(seed=3)
    for _ in range(5):
        assert env.q.tolist() == env.values(observation).tolist()
        observation, *_ = env.step(1)
    before = env.render()
    env.q = env.q[::-1].copy()
    assert (env.render() != before)[:, env.screen_width :].any()
    assert (env.render() == before)[:, : env.screen_width].all()
    env.close()


def test_an_environment_without_score_counts_its_return() -> None:
    env = Overlay(Chain(prize=2.0), "someone", "prize=2")
    env.reset(seed=0)
    while env.running or env.frame == 0:
        env.step(1)
    assert (env.score, env.truncated, env.action_names) == (2.0, False, ["action 0", "action 1"])


@pytest.mark.parametrize(("action", "cut"), [(0, True), (1, False)])
def test_an_end_in_the_last_frame_is_no_cut(action: int, cut: bool) -> None:
    env = Overlay(gymnasium.wrappers.TimeLimit(Chain(), LENGTH - 1), "someone", "any")
    env.reset(seed=0)
    while env.running:
        _, _, terminated, truncated, _ = env.step(action)
    assert (terminated, truncated, env.truncated) == (not cut, True, cut)


class Screens(gymnasium.Env):
    """Shows so many different screens of 512 x 512 pixels."""

    observation_space, action_space = gymnasium.spaces.Box(0, 1, (1,)), gymnasium.spaces.Discrete(2)

    def __init__(self, frames: int) -> None:
        self.frames, self.frame = frames, 0

    def reset(self, **options: object) -> tuple:
        self.frame = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> tuple:
        self.frame += 1
        return np.zeros(1, np.float32), 0.0, False, self.frame == self.frames, {}

    def render(self) -> np.ndarray:
        screen = np.zeros((512, 512, 3), np.uint8)
        screen[:, : 5 * self.frame] = 255
        return screen


def test_a_clip_takes_little_memory() -> None:
    env = Overlay(Screens(100), "someone", "any", lambda observation: np.zeros(2, np.float32))
    tracemalloc.start()
    clip = record(env, 0)
    size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    pictures = sum(picture.nbytes for picture in clip.pictures)
    assert pictures > 100_000_000 and size < 2_000_000 and peak < 20_000_000


def test_mp4_shows_every_picture_once(tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    env = Overlay(Screens(100), "someone", "any", lambda observation: np.zeros(2, np.float32))
    video = cv2.VideoCapture(str(save_clip(record(env, 0), tmp_path, "mp4", 0)))
    widths = [int((frame[256, :512] > 127).all(axis=-1).sum()) for more, frame in iter(video.read, (False, None))]
    video.release()
    expected = [5 * min(frame, 100) for frame in range(101 + LAST_PICTURE_FRAMES)]
    assert np.abs(np.subtract(widths, expected)).max() <= 2  # colours are coarser than pixels


def test_a_gif_keeps_colours_that_come_late() -> None:
    pictures = [np.zeros((16, 16, 3), np.uint8) for _ in range(40)]
    for picture in pictures[20:]:
        picture[4:, 4:] = (200, 30, 60)
    with Image.open(io.BytesIO(gif(Film(pictures), reduce=2))) as animation:
        assert animation.size == (8, 8)
        animation.seek(animation.n_frames - 1)
        assert np.abs(np.array(animation.convert("RGB"))[6, 6].astype(int) - (200, 30, 60)).max() < 16
