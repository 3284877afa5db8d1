"""Two environments that play alike."""

from __future__ import annotations

import numpy as np

from continual_ple import ArcadeEnv


def check_same_play(one: ArcadeEnv, other: ArcadeEnv, frames: int) -> None:
    """Check that two environments give the same from here on, across resets."""
    for index in range(frames):
        ours, theirs = one.step(index % 7 % 2), other.step(index % 7 % 2)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]
        if ours[2]:
            np.testing.assert_array_equal(one.reset()[0], other.reset()[0])
