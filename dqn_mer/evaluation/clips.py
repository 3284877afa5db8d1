"""Clips of play: recorded, written as mp4 or GIF, and laid out on one contact sheet."""

from __future__ import annotations

import importlib.util
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard
from PIL import Image, ImageDraw
from tensorboard.compat.proto.summary_pb2 import Summary

from dqn_mer.evaluation.overlay import BACKGROUND, GREY, WHITE, Overlay, Picture, fitted, font

FRAMES_PER_SECOND = 30
GIF_EVERY_FRAMES, GIF_FRAME_MS = 2, 70  # a GIF counts in hundredths of a second: 5% slower than the game
GIF_COLOURS = 128
LAST_PICTURE_FRAMES = 30  # how it ended stays to be seen
SHEET_COLUMNS, SHEET_ROW_HEIGHT, SHEET_GAP, SHEET_LABEL_WIDTH = 8, 160, 6, 190


class Film:
    """Pictures of one shape in a row, held compressed without loss.

    600 frames of Catcher take 5 MB instead of 633, of Flappy Bird 10 instead of 434.

    Args:
        pictures: At least one picture, each ``(height, width, 3)`` uint8.
    """

    def __init__(self, pictures: Iterable[Picture]) -> None:
        compressor = zstandard.ZstdCompressor(level=1)
        self._blocks: list[bytes] = []
        for picture in pictures:
            self._shape = picture.shape
            block = compressor.compress(picture.tobytes())
            self._blocks.append(bytes(memoryview(block)))  # a copy, because the block was cut from a larger piece

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._blocks)

    def __getitem__(self, index: int) -> Picture:
        """Return a picture; it cannot be written to."""
        return np.frombuffer(zstandard.decompress(self._blocks[index]), np.uint8).reshape(self._shape)

    def __iter__(self) -> Iterator[Picture]:
        """Yield each picture."""
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True)
class Clip:
    """A recorded episode.

    Attributes:
        setting: Name of the setting.
        pictures: One picture a frame; the first is that of the reset.
        screen_width: Width in pixels of the left part of each picture that the environment itself drew.
        score: Score of the episode.
        truncated: Whether the episode was cut at the frame limit.
    """

    setting: str
    pictures: Film
    screen_width: int
    score: float
    truncated: bool


def play_greedily(env: Overlay, seed: int) -> Iterator[Picture]:
    """Play an episode by the overlay's Q values; yield its picture after the reset and for each frame.

    Where frames are skipped, the picture after a step stands for all frames of the step.
    """
    env.reset(seed=seed)
    yield env.render()
    while env.running:
        frames = env.step_greedily()
        yield from [env.render()] * frames


def record(env: Overlay, seed: int) -> Clip:
    """Record an episode played by the overlay's Q values."""
    pictures = Film(play_greedily(env, seed))
    return Clip(env.setting, pictures, env.screen_width, env.score, env.truncated)


def check_format(name: str) -> None:
    """Raise ImportError if clips of this format cannot be written here."""
    if name == "mp4" and importlib.util.find_spec("moviepy") is None:
        raise ImportError("format='mp4': needs moviepy (pip install 'dqn-mer[video]'); gif does not")


def save_clip(clip: Clip, folder: Path, form: str, episode: int) -> Path:
    """Write ``<setting>-episode-<episode>.mp4`` or ``.gif`` into a folder, and return its path."""
    path = folder / f"{clip.setting}-episode-{episode}.{form}"
    if form == "gif":
        path.write_bytes(gif(clip.pictures))
        return path
    from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter  # here, because only mp4 needs it

    height, width = clip.pictures[0].shape[:2]
    with FFMPEG_VideoWriter(str(path.absolute()), (width, height), FRAMES_PER_SECOND) as writer:
        for picture in itertools.chain(clip.pictures, [clip.pictures[-1]] * LAST_PICTURE_FRAMES):
            writer.write_frame(picture)
    return path


def gif(pictures: Film, reduce: int = 1) -> bytes:
    """Return an animation that repeats for ever, with every second frame.

    Args:
        pictures: Pictures to show.
        reduce: Whole factor by which sides are made smaller.
    """
    # Counted from the end, so that the last picture is among them.
    shown = range((len(pictures) - 1) % GIF_EVERY_FRAMES, len(pictures), GIF_EVERY_FRAMES)
    images = (Image.fromarray(pictures[index]).reduce(reduce) for index in shown)
    samples = [Image.fromarray(pictures[index]).reduce(reduce) for index in shown[:: max(1, len(shown) // 8)]]
    width, height = samples[0].size
    montage = Image.new("RGB", (width, height * len(samples)))
    for row, sample in enumerate(samples):
        montage.paste(sample, (0, row * height))
    # One palette for all frames: what does not change between two frames then takes no space.
    palette = montage.quantize(GIF_COLOURS)
    frames = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    data = io.BytesIO()
    durations = [GIF_FRAME_MS] * (len(shown) - 1) + [LAST_PICTURE_FRAMES * 1000 // FRAMES_PER_SECOND]
    next(frames).save(data, "GIF", save_all=True, append_images=frames, duration=durations, loop=0)
    return data.getvalue()


def gif_summary(clip: Clip) -> Summary:
    """Return a clip at half size as an image for TensorBoard, tagged ``clips/<setting>``."""
    data = gif(clip.pictures, reduce=2)
    height, width = (side // 2 for side in clip.pictures[0].shape[:2])
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=data)
    return Summary(value=[Summary.Value(tag=f"clips/{clip.setting}", image=image)])


def sheet_row(clip: Clip) -> Image.Image:
    """Return a row of a contact sheet: setting and score, and frames evenly spaced over the clip."""
    height = clip.pictures[0].shape[0]
    width = round(clip.screen_width * SHEET_ROW_HEIGHT / height)
    row = Image.new("RGB", (SHEET_LABEL_WIDTH + SHEET_COLUMNS * (width + SHEET_GAP), SHEET_ROW_HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(row)
    frames = len(clip.pictures) - 1
    how = "cut at the frame limit" if clip.truncated else "to the end of the episode"
    size, name = fitted(clip.setting, (16, 13), SHEET_LABEL_WIDTH - 2 * SHEET_GAP)
    y = 36 + 17 * name.count("\n")
    draw.multiline_text((SHEET_GAP, 10), name, WHITE, font(size))
    draw.text((SHEET_GAP, y), f"score {clip.score:g}", WHITE, font(16))
    draw.multiline_text((SHEET_GAP, y + 26), f"{frames:,} frames,\n{how}", GREY, font(13))
    for column, index in enumerate(np.linspace(0, frames, SHEET_COLUMNS).round().astype(int)):
        screen = Image.fromarray(clip.pictures[index][:, : clip.screen_width])
        row.paste(screen.resize((width, SHEET_ROW_HEIGHT)), (SHEET_LABEL_WIDTH + column * (width + SHEET_GAP), 0))
    return row


def contact_sheet(rows: Sequence[Image.Image]) -> Image.Image:
    """Return a sheet of `sheet_row` pictures, one below the other."""
    height = SHEET_ROW_HEIGHT + SHEET_GAP
    sheet = Image.new("RGB", (max(row.width for row in rows), height * len(rows) + SHEET_GAP), BACKGROUND)
    for index, row in enumerate(rows):
        sheet.paste(row, (0, SHEET_GAP + index * height))
    return sheet
