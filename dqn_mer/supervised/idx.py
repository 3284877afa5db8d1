"""IDX files, the format of MNIST and its relatives, plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTES = 0x08
LARGEST_ITEMS = 2**31
"""Most bytes that a file may unpack to."""


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes; one whose name ends in ``.gz`` is unpacked.

    The header's sizes are checked before anything of that size is made, and no more is unpacked than they say.

    Args:
        path: Path of the file.
        axes: Number of axes that the array must have: 3 for images, 1 for labels.

    Returns:
        ``(items, ...)`` uint8.

    Raises:
        ValueError: if the file is no IDX file, damaged or too large; the message names it.
    """
    if not path.is_file():
        raise ValueError(f"{path}: must be a file")
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
            header = file.read(4 * (axes + 1))
            sizes = _sizes(path, header, axes)
            count = int(np.prod([float(size) for size in sizes]))
            if count > LARGEST_ITEMS:
                raise ValueError(f"{path}: sizes {sizes}: must make at most {LARGEST_ITEMS:,} bytes")
            content = _read(file, count + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if len(content) != count:
        more = "more" if len(content) > count else f"only {len(content):,}"
        raise ValueError(f"{path}: must hold {count:,} bytes behind its header, holds {more}")
    return np.frombuffer(content, np.uint8).reshape(sizes)


def _sizes(path: Path, header: bytes, axes: int) -> tuple[int, ...]:
    if len(header) < 4 * (axes + 1) or header[:2] != b"\0\0":
        raise ValueError(f"{path}: must be an IDX file")
    if header[2] != UNSIGNED_BYTES or header[3] != axes:
        raise ValueError(f"{path}: must be an IDX file of unsigned bytes with {axes} axes")
    sizes = tuple(int(size) for size in np.frombuffer(header[4:], ">u4"))
    if min(sizes) < 1:
        raise ValueError(f"{path}: sizes {sizes}: must be at least 1")
    return sizes


def _read(file: Any, count: int) -> bytes:
    """Return at most ``count`` bytes; memory grows with what is read and not with what is claimed."""
    pieces, left = [], count
    while left and (piece := file.read(min(left, 2**20))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
