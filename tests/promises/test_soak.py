"""Long lives: memory and file handles stay flat over a million frames, and a long episode stays exact."""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import seeding
from rich.console import Console

import continual_ple
from dqn_mer.analysis.learning_curves import learning_curves
from dqn_mer.analysis.runs import load_run
from dqn_mer.config.defaults import default_config
from dqn_mer.training.pictures import BorderPictures
from dqn_mer.training.recorder import Recorder
from dqn_mer.training.trainer import train

FIFTH = 5  # positions of pipes are whole fifths of a pixel: 57.6 px is the largest part of a pixel in the game
GAP, BIRD_X, BIRD_WIDTH, BIRD_HEIGHT, PIPE_WIDTH, HEIGHT = 100, 57, 34, 24, 52, 512
PLAN_FRAMES = 30
ANY = np.random.default_rng(0)
FLOOR = Fraction(79, 100) * HEIGHT


@dataclass
class ExactFlappyBird:
    """The rules of PLE's Flappy Bird in whole numbers: pixels for the bird, fifths of a pixel for the pipes.

    Written apart from `continual_ple` and without a rounding: what it says is exact after any number of frames.
    """

    random: np.random.Generator
    y: int = HEIGHT // 2
    velocity: int = 0
    flapping: bool = True
    thrusting: bool = False
    score: int = 0
    pipes: list[list[int]] = field(default_factory=list)  # centre in fifths of a pixel, start of the gap in pixels

    def __post_init__(self) -> None:
        self.pipes = [[(288 + 52 + offset) * FIFTH, self.gap_start()] for offset in (0, 144, 288)]

    def gap_start(self) -> int:
        low, high = GAP // 4, int(FLOOR * Fraction(6, 10) - Fraction(GAP, 2))
        return low + int(self.random.integers(high - low + 1))

    def step(self, flap: bool) -> bool:
        """Play a frame; returns whether the bird is lost."""
        if flap:
            self.velocity, self.flapping = 0, True
        lost = self.y <= 0 or self.y >= FLOOR - BIRD_HEIGHT
        for pipe in self.pipes:
            lost |= self.hits(*pipe)
            self.score += 0 <= BIRD_X * FIFTH - (pipe[0] - PIPE_WIDTH // 2 * FIFTH) < 4 * FIFTH
            if pipe[0] < -PIPE_WIDTH * FIFTH:
                pipe[:] = (288 + 52) * FIFTH + 288, self.gap_start()
        if self.velocity < 10 and not self.thrusting:
            self.velocity += 1
        thrust = self.flapping and not self.thrusting
        self.velocity -= 9 * thrust
        self.flapping = self.thrusting = thrust
        self.y += self.velocity
        for pipe in self.pipes:
            pipe[0] -= 4 * FIFTH
        return lost

    def hits(self, centre: int, gap_start: int) -> bool:
        whole = (abs(centre) * 2 + FIFTH) // (2 * FIFTH) * (1 if centre >= 0 else -1)  # halves away from zero
        overlap = whole - PIPE_WIDTH // 2 - BIRD_WIDTH < BIRD_X - BIRD_WIDTH // 2 < whole + PIPE_WIDTH // 2
        within = centre - 46 * FIFTH <= BIRD_X * FIFTH < centre + 26 * FIFTH
        return overlap and within and not gap_start < self.y <= gap_start + GAP - BIRD_HEIGHT

    def ahead(self) -> list[tuple[Fraction, int]]:
        """Return the next two pipes: distance of the right edge, and start of the gap, in pixels."""
        distances = [(Fraction(x, FIFTH) + 26 - BIRD_X, gap_start) for x, gap_start in self.pipes]
        return sorted(pipe for pipe in distances if pipe[0] > 0)[:2]


def expert(bird: ExactFlappyBird, frames: int, dead: set[tuple[int, ...]]) -> list[bool] | None:
    """Return flaps that keep the bird alive for some frames; None if there are none.

    It flaps when the bird has come down to 12 px above the lower pipe, and otherwise where that would not end well.
    """
    if frames == 0:
        return []
    bottom = min(pipe for pipe in bird.pipes if pipe[0] > (BIRD_X - 26) * FIFTH)[1] + GAP
    low = bird.y + BIRD_HEIGHT + 12 >= bottom
    for flap in (low, not low):
        future = copy.copy(bird)
        future.random, future.pipes = ANY, [pipe[:] for pipe in bird.pipes]  # new pipes come far ahead
        lost = future.step(flap)
        place = (frames, future.y, future.velocity, future.flapping, future.thrusting)
        if lost or place in dead:
            continue
        rest = expert(future, frames - 1, dead)
        if rest is not None:
            return [flap, *rest]
        dead.add(place)
    return None


@pytest.mark.parametrize("frames", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_long_flight_stays_exact(frames: int) -> None:
    """Every number of every frame is that of whole-number arithmetic.

    Bird, gaps, scores and the frame of its death are equal. 57.6 has no exact double: a distance may be off by half a
    unit in the last place of 397.6 px, where a pipe comes back, and by no more however long the episode.
    """
    env = gymnasium.make(continual_ple.ENV_IDS["flappy_bird"], observation="state", max_episode_steps=frames + 1)
    env.reset(seed=7)
    exact = ExactFlappyBird(seeding.np_random(7)[0])
    allowed = Fraction(np.spacing(397.6)) / 2
    plan: list[bool] | None = None
    for frame in range(frames):
        if frame % PLAN_FRAMES == 0:  # in the end the bird is let fall: it must die in the same frame
            plan = expert(exact, 2 * PLAN_FRAMES, set()) if frame < frames - 200 else [False] * PLAN_FRAMES
            assert plan is not None
        flap = plan[frame % PLAN_FRAMES]
        _, reward, terminated, _, info = env.step(int(not flap))
        passed = exact.score
        lost = exact.step(flap)
        assert (info["score"], terminated) == (exact.score, lost)
        assert reward == exact.score - passed - 5 * lost
        y, velocity, *pipes = env.unwrapped.game.state().tolist()
        assert (y, velocity) == (exact.y, exact.velocity)
        for (distance, top), pair in zip(exact.ahead(), (pipes[:3], pipes[3:]), strict=True):
            assert abs(Fraction(pair[0]) - distance) <= allowed
            assert pair[1:] == [top, top + GAP]
        if lost:
            break
    assert frames - 200 < frame < frames - 1
    assert info["score"] == exact.score > frames / 40


@dataclass
class Usage:
    """What a process holds at some frame: resident memory of its own in MB, and open files."""

    megabytes: float
    files: int

    @classmethod
    def now(cls) -> Usage:
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)  # what is free and was kept, as glibc does among the pieces that other tests left
        (kilobytes,) = re.findall(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return cls(int(kilobytes) * 1024 / 1e6, len(os.listdir("/proc/self/fd")))


def growth_of(usage: list[Usage]) -> float:
    """Return the MB by which the median of the last ten is above that of the first ten."""
    megabytes = [use.megabytes for use in usage]
    return float(np.median(megabytes[-10:]) - np.median(megabytes[:10]))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("agent", ["dqn", "dqn-mer"])
@pytest.mark.parametrize("frames", [3_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_training_stays_flat(frames: int, agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a fifth of the run on, with the memory full, neither memory nor open files grow.

    Matplotlib's own memory fills over its first dozen figures, which the short run does not draw; see below.
    """
    monkeypatch.setattr(BorderPictures, "show_scores", lambda *_: None)
    usage: list[Usage] = []
    log_row = Recorder.metrics

    def logged(self: Recorder, *values: object) -> None:
        log_row(self, *values)
        usage.append(Usage.now())

    monkeypatch.setattr(Recorder, "metrics", logged)
    config = default_config(
        game="flappy_bird", observation="state", agent=agent, optimizer="sgd", hidden_sizes=(4,), batch_size=1,
        capacity=200, warmup_frames=10, frames=frames, frames_per_setting=frames // 6, log_every=frames // 100,
        eval_every=frames // 20, eval_episodes=1, eval_frame_limit=100, run_dir=tmp_path / "run", threads=1,
        eval_worker=False,
    )  # fmt: skip
    result = train(config, console=Console(quiet=True))
    assert result.agent.updates == frames - 10
    settled = usage[20:]
    growth = growth_of(settled)
    print(f"{agent}, {frames:,} frames: {settled[0]} to {settled[-1]}, growth {growth:.2f} MB")
    assert growth < 4
    assert len({use.files for use in settled}) == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_drawing_at_every_border_stays_flat(flappy_run: Path) -> None:
    run = load_run(flappy_run)
    usage: list[Usage] = []
    for _ in range(25):
        learning_curves(run)
        gc.collect()  # a figure refers to itself, and Python collects that when it sees fit
        usage.append(Usage.now())
    assert growth_of(usage[5:]) < 4
    assert usage[-1].files == usage[0].files
