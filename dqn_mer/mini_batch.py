"""Ordinary experience replay, for any model and loss: what MER is compared with."""

from __future__ import annotations

from torch import autograd
from torch.optim import Optimizer

from dqn_mer.mer import Examples, Loss
from dqn_mer.networks.optimizer_state import optimizer_state, set_optimizer_state
from dqn_mer.networks.optimizers import check_takes_gradients
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState, State


class MiniBatchUpdate:
    """Ordinary experience replay: one optimizer step on the mean loss over all examples.

    Args:
        weights: Weights of the model that learns.
        loss: Per-example loss.
        optimizer: Optimizer over ``weights.vector``.
        batch_size: Examples to draw from memory; the newest is one more.

    Raises:
        ValueError: if a step of the optimizer needs a closure.
    """

    def __init__(self, weights: FlatWeights, loss: Loss, optimizer: Optimizer, batch_size: int) -> None:
        check_takes_gradients(optimizer)
        self.weights = weights
        self.loss = loss
        self.optimizer = optimizer
        self.num_draws = batch_size

    def update(self, examples: Examples) -> None:
        """Take one optimizer step on the mean loss of ``examples``.

        Raises:
            ValueError: if a parameter of the model was replaced or moved (seen at the first update, then at every
                hundredth).
        """
        inputs, *targets = examples
        self.weights.check_now_and_then()
        self.weights.tie_gradients()
        self.optimizer.zero_grad(set_to_none=False)
        autograd.backward([self.loss(self.weights.model(inputs), *targets).mean()])
        before = self.weights.snapshot() if self.weights.frozen else self.weights.vector
        self.optimizer.step()
        self.weights.restore_frozen(before)

    def get_state(self) -> State:
        """Return what is kept from update to update, without the weights."""
        return {"optimizer": optimizer_state(self.optimizer, self.weights.vector)}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            set_optimizer_state(self.optimizer, self.weights.vector, saved.part("optimizer"))
