"""How near our games look to upstream PLE's, as an agent sees them: ``python -m benchmarks.looks``.

Both play the same actions with the same draws and looks. Needs the upstream package, which is on no registry; with it
beside this repository: ``PYTHONPATH=PyGame-Learning-Environment python -m benchmarks.looks``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.harness import read_options
from continual_ple.games.base import Game, GeneratorDraws, Image
from continual_ple.games.catalogue import make_game
from continual_ple.games.flappy_art import BIRDS, PIPES, SKIES, Look
from continual_ple.games.flappy_bird import FLAP
from continual_ple.upstream.stand_ins import installed_rounding

SIZE = 84  # px, height and width of what an agent sees
PATCH, STRIDE = 8, 4  # px, of the patches that the first layer of the Nature network sees
SKY_ROWS = 40  # small rows that show sky alone where there is neither pipe nor star
COLUMNS = ("sky", "what", "ours", "PLE")
UPSTREAM_NAMES = (("day", "night"), ("red", "blue", "yellow"), ("red", "green"))  # in the order upstream draws them


@dataclass
class Options:
    """States of Flappy Bird to compare: half from random play, half from skilled."""

    states: int = 25
    """States of each kind of play for each combination of sky, bird and pipes."""
    csv: Path | None = None
    """File to write the table to: a new one, or an older table of this command's. None is written without it."""


class Pair(NamedTuple):
    """What both show of one state, (84, 84) uint8, and which sky it is."""

    sky: str
    ours: Image
    theirs: Image


class LookDraws:
    """Draws that choose the look asked for."""

    def __init__(self, indices: tuple[int, ...]) -> None:
        self._left = list(indices)

    def choose(self, options: Any) -> int:
        """Return the next choice."""
        return int(options[self._left.pop(0)])


def reset_both(ours: Game, theirs: Game, look: Look, seed: int) -> None:
    """Start the same episode in our Flappy Bird and in upstream's."""
    names = [list(table)[index] for table, index in zip((SKIES, BIRDS, PIPES), look, strict=True)]
    upstream = tuple(options.index(name) for options, name in zip(UPSTREAM_NAMES, names, strict=True))
    ours.reset(GeneratorDraws(np.random.default_rng(seed)), LookDraws(look))
    theirs.reset(GeneratorDraws(np.random.default_rng(seed)), LookDraws(upstream))


def choose_action(game: Game, skilled: bool, rng: np.random.Generator) -> int:
    """Return a skilled action, or a random one that flaps seldom."""
    y, velocity, _, top, bottom, *_ = game.state()
    if skilled:
        return FLAP if y + velocity > (top + bottom) / 2 - 8 else 1 - FLAP
    return FLAP if rng.random() < 0.08 else 1 - FLAP


def pairs(look: Look, skilled: bool, count: int, seed: int) -> Iterator[Pair]:
    """Yield states of play far enough apart to differ, over as many episodes as it takes."""
    rng, sky = np.random.default_rng(seed), list(SKIES)[look.sky]
    ours, theirs = (make_game("flappy_bird", {}, backend, installed_rounding()) for backend in ("native", "ple"))
    reset_both(ours, theirs, look, seed)
    while count:
        for _ in range(int(rng.integers(1, 15))):
            action = choose_action(ours, skilled, rng)
            ours.step(action)
            theirs.step(action)
            if ours.lost:
                seed += 1_000
                reset_both(ours, theirs, look, seed)
        np.testing.assert_allclose(ours.state(), theirs.state(), rtol=0, atol=1e-9)
        yield Pair(sky, ours.thumbnail(SIZE), theirs.thumbnail(SIZE))
        count -= 1


def all_pairs(states: int) -> list[Pair]:
    """Return ``states`` states of either kind of play for each combination of sky, bird and pipes."""
    looks = [Look(*indices) for indices in np.ndindex(len(SKIES), len(BIRDS), len(PIPES))]
    return [
        pair
        for place, look in enumerate(looks)
        for skilled in (False, True)
        for pair in pairs(look, skilled, states, seed=10 * place + skilled)
    ]


def distinct_patches(image: Image) -> float:
    """Return the percentage of an image's 8x8 patches at stride 4 that are distinct."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH))[::STRIDE, ::STRIDE]
    patches = windows.reshape(-1, PATCH * PATCH)
    return 100 * len(np.unique(patches, axis=0)) / len(patches)


def describe(images: list[Image]) -> dict[str, float]:
    """Return the mean over images of what one can say of a single one."""
    return {
        "sky": float(np.mean([np.median(image[:SKY_ROWS]) for image in images])),
        "mean grey": float(np.mean([image.mean() for image in images])),
        "distinct patches, %": float(np.mean([distinct_patches(image) for image in images])),
        "distinct greys": float(np.mean([len(np.unique(image)) for image in images])),
    }


def difference(pairs: list[Pair]) -> npt.NDArray[np.int64]:
    """Return the absolute difference in grey levels of every pixel, ``(pairs, 84, 84)``."""
    return np.abs(np.array([pair.ours.astype(np.int64) - pair.theirs for pair in pairs]))


def compare(pairs: list[Pair]) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    rows: list[dict[str, Any]] = []
    for sky in SKIES:
        chosen = [pair for pair in pairs if pair.sky == sky]
        ours, theirs = describe([pair.ours for pair in chosen]), describe([pair.theirs for pair in chosen])
        rows += [{"sky": sky, "what": what, "ours": ours[what], "PLE": theirs[what]} for what in ours]
        apart = difference(chosen)
        for what, value in (
            ("mean absolute difference", apart.mean()),
            ("mean absolute difference, worst state", apart.mean(axis=(1, 2)).max()),
            ("99th percentile of it", np.percentile(apart, 99)),
        ):
            rows.append({"sky": sky, "what": what, "ours": float(value), "PLE": 0.0})
    return rows


def check_writable(path: Path) -> None:
    """Refuse to write over anything but an older table.

    Raises:
        ValueError: if there is something else.
    """
    if path.is_dir() or (path.exists() and not path.read_bytes().startswith(",".join(COLUMNS).encode() + b"\n")):
        raise ValueError(f"csv={str(path)!r}: must be a new file or an older table of differences; this is neither")


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the table as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "ours": f"{row['ours']:.2f}", "PLE": f"{row['PLE']:.2f}"} for row in rows)


def main() -> None:
    """Compare, print the table and write it where asked."""
    options = read_options(Options)
    try:
        if options.states < 1:
            raise ValueError(f"states={options.states}: must be 1 or more")
        if options.csv:
            check_writable(options.csv)
        states = all_pairs(options.states)
    except (ImportError, ValueError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    rows = compare(states)
    table = Table(*COLUMNS, title=f"Flappy Bird, {SIZE}x{SIZE} grey, {len(states)} states")
    for row in rows:
        table.add_row(*(f"{value:.1f}" if isinstance(value, float) else value for value in row.values()))
    Console(width=120).print(table)
    if options.csv:
        write(rows, options.csv)


if __name__ == "__main__":
    main()
