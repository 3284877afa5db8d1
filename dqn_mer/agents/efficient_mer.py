"""Efficient MER (Abbes et al., 2025, arXiv 2508.01908): a Reptile step every k updates of any replay step."""

from __future__ import annotations

import numpy as np
import torch

from dqn_mer.agents.dqn import ReplayUpdate
from dqn_mer.config.groups import EfficientMERParameters
from dqn_mer.mer import Examples
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState, State


class EfficientMERUpdate:
    """Every ``reptile_every_updates`` updates, move the weights back to ``before + rate * (now - before)``.

    ``before`` is what the last of these steps left, at first the initial weights. Between the steps the inner updates
    continue undisturbed, so that this costs next to nothing; over mini-batch replay it is the published algorithm. An
    optimizer's moments are left as they are, as in the authors' code.

    Args:
        weights: Weights of the model that learns.
        inner: Replay step, on the same weights.
        parameters: Period k and Reptile rate; a rate of 1 is bit-identical to ``inner`` alone.
    """

    def __init__(self, weights: FlatWeights, inner: ReplayUpdate, parameters: EfficientMERParameters) -> None:
        self.weights = weights
        self.inner = inner
        self.parameters = parameters
        self.num_draws = inner.num_draws
        self.before = weights.snapshot()
        self.updates = 0

    def update(self, examples: Examples) -> None:
        """Take the inner update, and the Reptile step if it is due."""
        self.inner.update(examples)
        self.updates += 1
        if self.updates % self.parameters.reptile_every_updates == 0:
            self.weights.interpolate_from(self.before, self.parameters.reptile_rate)
            self.before = self.weights.snapshot()

    def get_state(self) -> State:
        """Return what is kept from update to update, without the weights."""
        return {"inner": self.inner.get_state(), "before": self.before, "updates": self.updates}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            self.inner.set_state(saved.part("inner"))
            self.before.copy_(torch.from_numpy(saved.array("before", np.float32, tuple(self.before.shape))))
            self.updates = saved.whole("updates")
