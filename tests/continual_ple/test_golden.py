"""Recordings of upstream play replay number for number, given the same draws."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from continual_ple.games.base import FirstDraws
from continual_ple.games.catalogue import GAMES, make_game

RECORDINGS = sorted((Path(__file__).parents[1] / "golden").glob("*.npz"))


class RecordedDraws:
    """Gives out recorded numbers, each of which must be among the options."""

    def __init__(self, values: Sequence[int]) -> None:
        self.values = values
        self.used = 0

    def choose(self, options: Sequence[int]) -> int:
        value = int(self.values[self.used])
        self.used += 1
        assert value in options
        return value


def recorded_draws(game: str, spawns: np.ndarray[Any, Any]) -> tuple[RecordedDraws, int]:
    """Return the draws behind `spawns` and how many make one of its rows: (x, -y) in Catcher, (gap start, offset)."""
    if game == "catcher":
        return RecordedDraws((spawns * [1, -1]).astype(int).ravel().tolist()), 2
    return RecordedDraws(spawns[:, 0].astype(int).tolist()), 1


def test_all_recordings_are_there() -> None:
    assert len(RECORDINGS) == 48


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_replays_step_for_step(path: Path) -> None:
    with np.load(path, allow_pickle=False) as file:
        recording = dict(file)
    meta = json.loads(str(recording["meta"]))
    draws, per_row = recorded_draws(meta["game"], recording["spawns"])
    game = make_game(meta["game"], {GAMES[meta["game"]].varied_parameter: meta["param"]}, rounding=meta["rounding"])
    assert tuple(meta["columns"]) == game.state_names
    assert len(meta["actions"]) == len(game.actions)
    game.reset(draws, FirstDraws())
    np.testing.assert_allclose(game.state(), recording["initial_state"], rtol=0, atol=1e-9)
    resets, score, rewards, dones, states, counts = set(recording["resets"].tolist()), 0, [], [], [], []
    for index, action in enumerate(recording["actions"]):
        if index in resets:
            game.reset(draws, FirstDraws())
            score = 0
        rewards.append(game.step(int(action)))
        dones.append(game.lost)
        states.append(game.state())
        counts.append(draws.used / per_row)
        score += rewards[-1] in (1.0, -4.0)  # -4: passed a pipe and died in the same frame
        assert game.score == score
        if "frames_rgb_xy" in recording and index < 300:
            np.testing.assert_array_equal(game.draw(), recording["frames_rgb_xy"][index].swapaxes(0, 1))
    np.testing.assert_array_equal(rewards, recording["rewards"])
    np.testing.assert_array_equal(dones, recording["dones"])
    np.testing.assert_allclose(states, recording["states"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(counts, recording["spawn_count"])
