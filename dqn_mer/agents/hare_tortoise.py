"""Hare & Tortoise (Lee et al., ICML 2024, arXiv 2406.02596): fast weights that are reset to their slow average."""

from __future__ import annotations

import numpy as np
import torch

from dqn_mer.agents.dqn import ReplayUpdate
from dqn_mer.config.groups import HareTortoiseParameters
from dqn_mer.mer import Examples
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState, State


class HareTortoiseUpdate:
    """The tortoise follows the hare after every update; every ``hare_reset_updates`` the hare is reset to it.

    The hare is the model itself: it learns and, here, also acts and is evaluated. The tortoise is an exponential moving
    average of it: ``tortoise + rate * (hare - tortoise)``. A reset leaves an optimizer's moments as they are, as in the
    authors' code.

    Args:
        weights: Weights of the model that learns, the hare.
        inner: Replay step, on the same weights.
        parameters: Rate of the tortoise and period of the resets; a rate of 1 is bit-identical to ``inner`` alone.
    """

    def __init__(self, weights: FlatWeights, inner: ReplayUpdate, parameters: HareTortoiseParameters) -> None:
        self.weights = weights
        self.inner = inner
        self.parameters = parameters
        self.num_draws = inner.num_draws
        self.tortoise = weights.snapshot()
        self.updates = 0

    def update(self, examples: Examples) -> None:
        """Take the inner update, let the tortoise follow, and reset the hare if that is due."""
        self.inner.update(examples)
        self.updates += 1
        self.tortoise.lerp_(self.weights.vector.detach(), self.parameters.tortoise_rate)
        if self.updates % self.parameters.hare_reset_updates == 0:
            self.weights.load(self.tortoise)

    def get_state(self) -> State:
        """Return what is kept from update to update, without the weights."""
        return {"inner": self.inner.get_state(), "tortoise": self.tortoise, "updates": self.updates}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            self.inner.set_state(saved.part("inner"))
            self.tortoise.copy_(torch.from_numpy(saved.array("tortoise", np.float32, tuple(self.tortoise.shape))))
            self.updates = saved.whole("updates")
