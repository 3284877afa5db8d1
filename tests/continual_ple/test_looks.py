"""Flappy Bird's art against upstream's greys in ``looks.json``: rows, columns and coarse grids, no picture.

How near whole screens are as an agent sees them is compared with the upstream package itself, in `test_upstream`.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.looks import check_writable, distinct_patches, write
from continual_ple.games import flappy_art
from continual_ple.games.base import Image
from continual_ple.games.flappy_art import BIRDS, FLOOR_Y, HEIGHT, LIP_HEIGHT, PIPES, SKIES, WIDTH

LOOKS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "looks.json").read_text())
SKY_ROWS = 300  # flat by day; by night with a few stars
ROWS_OF_SMALL_PIXEL = 6
WINGS = ("up", "mid", "down")


def grey(image: Image) -> npt.NDArray[np.float64]:
    return np.asarray(image @ np.array([0.299, 0.587, 0.114]))


@pytest.mark.parametrize("sky", SKIES)
def test_rows_of_the_background_have_upstreams_greys(sky: str) -> None:
    """Sky to a level; of clouds, houses and bushes the mean over as many rows as an agent sees as one, to 11 levels."""
    looks = LOOKS[f"background-{sky}.png"]
    ours = grey(flappy_art.sky(list(SKIES).index(sky)))[:FLOOR_Y]
    apart = ours.mean(axis=1) - looks["row_mean_grey"][:FLOOR_Y]
    spread_apart = ours.std(axis=1) - looks["row_std_grey"][:FLOOR_Y]
    assert np.abs(apart[:SKY_ROWS]).max() < 1 and np.abs(spread_apart[:SKY_ROWS]).max() < 1
    assert np.abs(apart).mean() < 1
    usable = FLOOR_Y // ROWS_OF_SMALL_PIXEL * ROWS_OF_SMALL_PIXEL
    assert np.abs(apart[:usable].reshape(-1, ROWS_OF_SMALL_PIXEL).mean(axis=1)).max() < 11


@pytest.mark.parametrize(("sky", "level"), [("day", 159), ("night", 96)])
def test_the_sky_is_one_grey_but_for_stars(sky: str, level: int) -> None:
    screen = np.rint(grey(flappy_art.sky(list(SKIES).index(sky)))[:SKY_ROWS])
    stars = (screen != level).sum()
    assert stars == 0 if sky == "day" else 0 < stars < 100


def test_rows_of_the_ground_have_upstreams_greys() -> None:
    rows = HEIGHT - FLOOR_Y
    ours = grey(flappy_art.ground()[:, :WIDTH])
    np.testing.assert_allclose(ours.mean(axis=1), LOOKS["base.png"]["row_mean_grey"][:rows], rtol=0, atol=2)
    np.testing.assert_allclose(ours.std(axis=1), LOOKS["base.png"]["row_std_grey"][:rows], rtol=0, atol=2)


@pytest.mark.parametrize("colour", PIPES)
def test_pipes_have_upstreams_greys(colour: str) -> None:
    """Columns to 8 levels, the mean of a lip's row to 3; what is transparent is the same."""
    looks = LOOKS[f"pipe-{colour}.png"]
    image, mask = flappy_art.pipe(list(PIPES).index(colour))
    columns = looks["body_column_grey(row 100)"]
    assert [column is not None for column in columns] == mask[100].tolist()
    for ours, theirs in zip(grey(image[100])[mask[100]], filter(None, columns), strict=True):
        assert abs(ours - theirs) < 8
    widths = looks["lip_rows_opaque_width(0-30)"]
    assert mask[: len(widths)].sum(axis=1).tolist() == widths
    # Below the lip, upstream's means count transparent columns as white.
    lip = looks["lip_rows_mean_grey(0-30)"][:LIP_HEIGHT]
    np.testing.assert_allclose(grey(image[:LIP_HEIGHT]).mean(axis=1), lip, rtol=0, atol=3)


@pytest.mark.parametrize(("bird", "wing"), list(itertools.product(BIRDS, WINGS)))
def test_birds_have_upstreams_shape_and_greys(bird: str, wing: str) -> None:
    """Opaque share to 0.03, mean grey to 6 levels; of cells of 6×5 pixels each to 37 levels, on average to 11,
    where both have something to compare: in all but two cells at most."""
    looks = LOOKS[f"{bird}bird-{wing}flap.png"]
    image, mask = flappy_art.bird(list(BIRDS).index(bird), WINGS.index(wing))
    greys = np.ma.masked_array(grey(image), ~mask)
    assert abs(mask.mean() - looks["opaque_share"]) < 0.03
    assert abs(greys.mean() - looks["mean_grey"]) < 6
    coarse = looks["coarse_grey_4x6"]
    apart = []
    for row, column in itertools.product(range(4), range(6)):
        cell = greys[6 * row : 6 * row + 6, 5 * column : 5 * column + 5]
        if coarse[row][column] is not None and cell.count():
            apart.append(abs(cell.mean() - coarse[row][column]))
    assert len(apart) >= 22 and max(apart) < 37 and np.mean(apart) < 11


def test_distinct_patches_are_a_share_of_the_20_by_20() -> None:
    image = np.zeros((84, 84), np.uint8)
    assert distinct_patches(image) == 100 / 400
    image[0, 0] = 1  # in the first patch only
    assert distinct_patches(image) == 100 * 2 / 400
    image[40, 40] = 1  # in four, each of which has it elsewhere; one of them is like the first
    assert distinct_patches(image) == 100 * 5 / 400


def test_the_table_of_differences_replaces_nothing_but_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "looks.csv"
    check_writable(path)
    write([{"sky": "day", "what": "mean grey", "ours": 1.0, "PLE": 2.0}], path)
    assert path.read_text() == "sky,what,ours,PLE\nday,mean grey,1.00,2.00\n"
    check_writable(path)
    path.write_text("mine\n")
    for taken in (path, tmp_path):
        with pytest.raises(ValueError, match=r"^csv='.*': must be a new file or an older table of differences"):
            check_writable(taken)
