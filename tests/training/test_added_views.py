"""Runs of observations from outside the package that the package's own are never like."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from rich.console import Console

from continual_ple import Game, Observation, register_observation
from continual_ple.observations import FrameStack
from dqn_mer.agents.memory import largest_bytes
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.training.announce import announce
from dqn_mer.training.loop import TrainingLoop
from tests.helpers.added import nothing_left
from tests.helpers.resuming import check_same, flags, stop_after, train_and_digest, what_is_left


@pytest.fixture(autouse=True)
def taken_away() -> Iterator[None]:
    with nothing_left():
        yield


class Beyond(FrameStack):
    """Two numbers of each of the last frames, in pixels, though the bounds are those of shares of the screen."""

    name = "beyond"
    is_image = False
    newest_entries = 2

    def __init__(self, game: Game, frame_stack: int) -> None:
        super().__init__(game, frame_stack)
        self.space = spaces.Box(0, 1, (2 * frame_stack,), np.float32)

    def frame(self) -> Any:
        return np.array(self.game.state()[:2], np.float32)

    def observe(self) -> Any:
        return np.concatenate(self.frames)


class Colours(Observation):
    """Three colours, none of which is an earlier frame."""

    name = "colours"
    is_image = True
    side = 36

    def __init__(self, game: Game, frame_stack: int) -> None:
        super().__init__(game, frame_stack)
        self.space = spaces.Box(0, 1, (3, self.side, self.side), np.float32)
        self.earlier = np.zeros(self.space.shape, np.float32)

    def observe(self) -> Any:
        return np.full(self.space.shape, self.game.state()[0] / 100, np.float32)

    def get_state(self) -> Any:
        return self.earlier


class LargeColours(Colours):
    """Keeps more of the earlier frames than a saved state may hold."""

    name = "large_colours"
    side = 300


@pytest.mark.filterwarnings("ignore:.*WARN")
@pytest.mark.parametrize("frame_skip", [1, 3])
def test_observations_beyond_their_bounds_are_resumed(frame_skip: int, tmp_path: Path) -> None:
    register_observation(Beyond)
    shared: dict[str, Any] = {"observation": "beyond", "frame_skip": frame_skip, "frames": 90, "frames_per_setting": 40}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    code, digest = train_and_digest(flags(**shared, run_dir=whole))
    assert code == 0
    assert stop_after(50, flags(**shared, run_dir=stopped)) == 143
    check_same(stopped, (digest, what_is_left(whole)))


@pytest.mark.parametrize("kind", [Colours, LargeColours])
def test_what_a_run_needs_and_cannot_do_is_announced(kind: type[Colours]) -> None:
    register_observation(kind)
    config = default_config(observation=kind.name, capacity=1_000, eval_worker=False, eval_episodes=1)
    said = io.StringIO()
    with TrainingLoop(game_task(config), config) as loop:
        resumable = announce(Console(file=said, width=500), loop, own=False)
        space = loop.env.observation_space
    assert space.shape is not None and space.dtype is not None
    most = largest_bytes(1_000, space.shape, space.dtype)
    assert said.getvalue().startswith(f"memory: 1,000 transitions, at most {most / 1e6:,.0f} MB\n")
    assert resumable == (kind is Colours)
    assert ("must be an array of at most 1,048,576 bytes" in said.getvalue()) == (kind is LargeColours)
