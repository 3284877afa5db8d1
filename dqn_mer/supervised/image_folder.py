"""A folder of images, GROUP/CLASS/IMAGE.png, such as Omniglot: its alphabets are groups, their characters classes."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 28
SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
LARGEST_SIDE = 4_096
LARGEST_IMAGES = 200_000
TEST_SHARE = 0.1
"""Share of each class that is for tests, rounded up: 2 of Omniglot's 20."""

Groups = tuple[tuple[str, tuple[int, ...]], ...]
"""Each group's name and classes."""


def has_images(folder: Path) -> bool:
    """Return whether a folder holds an image as GROUP/CLASS/IMAGE."""
    return next((path for path in folder.glob("*/*/*") if path.suffix.lower() in SUFFIXES), None) is not None


def read_image_folder(
    folder: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_], Groups]:
    """Read all images as grey, reduced to 28×28 by area, and with high ink: dark drawings on light paper are inverted.

    Returns:
        Pixels ``(n, 28, 28)``, labels ``(n,)``, which images are for tests ``(n,)`` (the last tenth of each class, by
        name), and the groups.

    Raises:
        ValueError: if a file or folder is damaged, a class has fewer than two images, or there are too many; the
            message names it.
    """
    pixels: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    tests: list[bool] = []
    groups: list[tuple[str, tuple[int, ...]]] = []
    classes = 0
    for group in _folders(folder):
        first = classes
        for character in _folders(group):
            files = sorted(path for path in character.iterdir() if path.suffix.lower() in SUFFIXES)
            if len(files) < 2:
                raise ValueError(f"{character}: must hold at least two images, one to learn and one to test")
            if len(labels) + len(files) > LARGEST_IMAGES:
                raise ValueError(f"{folder}: must hold at most {LARGEST_IMAGES:,} images")
            held_out = math.ceil(TEST_SHARE * len(files))
            pixels += [_read(path) for path in files]
            labels += [classes] * len(files)
            tests += [place >= len(files) - held_out for place in range(len(files))]
            classes += 1
        if classes > first:
            groups.append((group.name, tuple(range(first, classes))))
    images = np.stack(pixels)
    if images.mean() > 127:
        images = 255 - images
    return images, np.array(labels, np.int64), np.array(tests), tuple(groups)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _read(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise ValueError(f"{path}: must be a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the check below is stricter
            image = Image.open(path, formats=FORMATS)
        with image:
            if max(image.size) > LARGEST_SIDE:  # known before anything of that size is unpacked
                raise ValueError(f"must be at most {LARGEST_SIDE:,} pixels a side, is {image.size}")
            grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be read as an image: {' '.join(str(error).split())}") from None
    return np.asarray(grey, np.uint8)
