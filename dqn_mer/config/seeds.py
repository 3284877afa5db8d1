"""The random numbers of a run: one seed, and a separate stream for every part."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Streams(NamedTuple):
    """Seeds and generators of a run, one for each part, so that no part's draws depend on another's."""

    environment: int
    network: int
    evaluation: int
    exploration: np.random.Generator
    reservoir: np.random.Generator
    sampling: np.random.Generator
    ordering: np.random.Generator
    random_policy: np.random.Generator
    meter: np.random.Generator  # a new one comes last, so that the others keep their numbers


def spawn_streams(seed: int) -> Streams:
    """Derive every stream of a run from its one seed."""
    children = iter(np.random.SeedSequence(seed).spawn(len(Streams._fields)))

    def whole() -> int:
        return int(next(children).generate_state(1)[0])

    def generator() -> np.random.Generator:
        return np.random.default_rng(next(children))

    return Streams(
        environment=whole(),
        network=whole(),
        evaluation=whole(),
        exploration=generator(),
        reservoir=generator(),
        sampling=generator(),
        ordering=generator(),
        random_policy=generator(),
        meter=generator(),
    )
