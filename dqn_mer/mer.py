"""Meta-Experience Replay (Riemer et al., ICLR 2019): Reptile over sequential replay, for any model and loss.

This module knows nothing of reinforcement learning. An *example* is one row of a few tensors: the model's
input first, then whatever the loss compares the output with. Row 0 is always the newest example, and the
rows after it are draws from memory.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, autograd, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks.optimizer_state import optimizer_state, set_optimizer_state
from dqn_mer.networks.optimizers import check_makes_optimizers, check_takes_gradients
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState, State

NEWEST = 0
"""Row of the newest example among the examples of one update."""

Loss = Callable[..., Tensor]
"""``loss(outputs (n, ...), *targets (n, ...)) -> (n,)``: one loss per example."""

Examples = tuple[Tensor, ...]
"""``(inputs, *targets)``, each with one row per example and the newest in row 0."""


def arrange_batches(parameters: MERParameters, num_draws: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Arrange one update's examples into its batches, in random order within each.

    Args:
        parameters: Parameters of the update.
        num_draws: Rows drawn from memory, the same number for each batch: ``parameters.num_draws``, or fewer (down to
            0) while the memory holds less than a batch.
        rng: Random generator for the orders.

    Returns:
        For each batch the rows of its examples in the order of learning. Row 0, the newest, is in every
        batch (``num_batches`` times in the one big batch); every drawn row is used once.

    >>> [sorted(b.tolist()) for b in arrange_batches(MERParameters(2, 2), 4, np.random.default_rng(0))]
    [[0, 1, 2], [0, 3, 4]]
    """
    drawn = np.arange(1, num_draws + 1)
    if parameters.one_big_batch:
        batches = [np.concatenate([drawn, np.full(parameters.num_batches, NEWEST)])]
    else:
        batches = [np.append(part, NEWEST) for part in np.split(drawn, parameters.num_batches)]
    for batch in batches:
        rng.shuffle(batch)
    return batches


Arrange = Callable[[MERParameters, int, np.random.Generator], list[NDArray[np.int64]]]
"""How an update's examples come into its batches: `arrange_batches`, or a function that is called like it."""


class SequentialLearner(Protocol):
    """Learns examples one at a time: the inner loop of MER.

    Attributes:
        optimizer: Takes the steps, over the weights as one vector; everything that a learner keeps between updates is
            in it.
    """

    optimizer: Optimizer

    def learn(self, examples: Examples, batch: NDArray[np.int64], newest_boost: float, reptile_rate: float) -> None:
        """Take one optimizer step on each example of ``batch`` in turn, then one Reptile step.

        Afterwards the weights are ``before + reptile_rate * (learned - before)``.

        Args:
            examples: ``(inputs, *targets)``.
            batch: Rows in the order of learning; a row may come more than once.
            newest_boost: Multiple of the learning rate on row 0.
            reptile_rate: Rate of the Reptile step, in [0, 1].
        """


class AutogradLearner:
    """The general inner loop: any model, loss and optimizer, one backward pass per example.

    Args:
        weights: Weights of the model that learns.
        loss: Per-example loss.
        optimizer: Optimizer over ``weights.vector``. Plain SGD is the published one. Adam or RMSprop keep their moments
            from one example and one update to the next; the Reptile step moves the weights only, so the moments keep
            describing the gradients met on the inner path.

    Raises:
        ValueError: if a step of the optimizer needs a closure.
    """

    def __init__(self, weights: FlatWeights, loss: Loss, optimizer: Optimizer) -> None:
        check_takes_gradients(optimizer)
        self.weights = weights
        self.loss = loss
        self.optimizer = optimizer

    def learn(self, examples: Examples, batch: NDArray[np.int64], newest_boost: float, reptile_rate: float) -> None:
        """Take one optimizer step on each example of ``batch`` in turn, then one Reptile step."""
        before = self.weights.snapshot()
        for row in batch:
            inputs, *targets = (part[row : row + 1] for part in examples)
            self.optimizer.zero_grad(set_to_none=False)
            autograd.backward([self.loss(self.weights.model(inputs), *targets).sum()])
            step_with_boost(self.optimizer, newest_boost if row == NEWEST else 1.0)
            self.weights.restore_frozen(before)
        self.weights.interpolate_from(before, reptile_rate)


def step_with_boost(optimizer: Optimizer, boost: float) -> None:
    """Take one optimizer step with the learning rate multiplied by ``boost`` for this step alone."""
    if boost == 1.0:
        optimizer.step()
        return
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * boost  # a rate that is a tensor stays as it is
    try:
        optimizer.step()
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


class MERUpdate:
    """MER's update of a model from its newest example and draws from memory.

    Args:
        weights: Weights of the model that learns.
        learner: Inner loop, on the same weights.
        parameters: Algorithm, sizes and rates.
        rng: Random generator for the order of the examples within a batch.
        arrange: How the examples come into batches.
    """

    def __init__(
        self,
        weights: FlatWeights,
        learner: SequentialLearner,
        parameters: MERParameters,
        rng: np.random.Generator,
        arrange: Arrange = arrange_batches,
    ) -> None:
        self.weights = weights
        self.learner = learner
        self.parameters = parameters
        self.rng = rng
        self.arrange = arrange
        self.num_draws = parameters.num_draws

    @classmethod
    def for_model(
        cls,
        model: nn.Module,
        loss: Loss,
        make_optimizer: Callable[[list[nn.Parameter]], Optimizer],
        parameters: MERParameters,
        seed: int = 0,
        make_learner: Callable[[FlatWeights, Loss, Optimizer], SequentialLearner] = AutogradLearner,
    ) -> MERUpdate:
        """Return the update of a model, with its weights moved into one vector.

        Args:
            model: Model that learns, already on its device; see `FlatWeights` for what this does to it.
            loss: Per-example loss.
            make_optimizer: Makes the optimizer of the inner loop, such as ``partial(torch.optim.SGD, lr=0.03)``.
            parameters: Algorithm, sizes and rates.
            seed: Seed of the order of the examples within a batch.
            make_learner: Makes the inner loop; ``dqn_mer.make_learner`` takes the fastest exact one.

        Raises:
            TypeError: if ``make_optimizer`` cannot be called, as an optimizer cannot; the model is left as it was.
            ValueError: if the model normalises over a batch, here one example, or the optimizer needs a closure.
        """
        check_makes_optimizers(make_optimizer)
        for name, module in model.named_modules():
            if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
                raise ValueError(
                    f"model: {name or type(module).__name__} normalises over a batch, and MER learns one example at a "
                    "time; use LayerNorm or GroupNorm"
                )
        weights = FlatWeights(model)
        learner = make_learner(weights, loss, make_optimizer([weights.vector]))
        return cls(weights, learner, parameters, np.random.default_rng(seed))

    def update(self, examples: Examples) -> None:
        """Learn the examples in place: θ ← θ + γ (θ_after all batches − θ), Reptile with β after each batch.

        Args:
            examples: Newest example in row 0, then ``num_draws`` draws from memory; while it holds less than a batch
                there may be fewer (or none), the same number for each batch. The code published with the paper draws
                ``min(batch_size, stored)`` for a batch.

        Raises:
            ValueError: if there are more draws, they cannot be divided among the batches, a part has more or fewer
                rows than the inputs, or a parameter of the model was replaced or moved (seen at the first update, then
                at every hundredth).
        """
        p, rows = self.parameters, [len(part) for part in examples]
        if len(set(rows)) != 1:
            raise ValueError(f"examples: must have as many rows in each part, have {rows}")
        draws = rows[0] - 1
        if not 0 <= draws <= p.num_draws or draws % p.num_batches:
            raise ValueError(
                f"examples: must be the newest and at most {p.num_draws} draws, "
                f"a multiple of {p.num_batches}; has {draws}"
            )
        self.weights.check_now_and_then()
        self.weights.tie_gradients()
        batches = self.arrange(p, draws, self.rng)
        within = 1.0 if p.one_big_batch else p.within_batch_rate
        if len(batches) == 1:  # both Reptile steps start from the same weights: they are one, with rate βγ
            self.learner.learn(examples, batches[0], p.current_example_boost, within * p.across_batch_rate)
            return
        before = self.weights.snapshot()
        for batch in batches:
            self.learner.learn(examples, batch, p.current_example_boost, within)
        self.weights.interpolate_from(before, p.across_batch_rate)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of what is kept from update to update, to be saved beside the model's weights."""
        return {"optimizer": deepcopy(self.learner.optimizer.state_dict()), "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from what `state_dict` of an update made the same way gave; load the model's weights in place."""
        self.learner.optimizer.load_state_dict(deepcopy(state["optimizer"]))  # which keeps the tensors that it is given
        self.rng.bit_generator.state = state["rng"]

    def get_state(self) -> State:
        """Return what is kept from update to update, without the weights, in the form of a run's snapshots."""
        optimizer = optimizer_state(self.learner.optimizer, self.weights.vector)
        return {"optimizer": optimizer, "rng": self.rng.bit_generator.state}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what a run's snapshot has of `get_state`."""
        with saved:
            set_optimizer_state(self.learner.optimizer, self.weights.vector, saved.part("optimizer"))
            saved.generator("rng", self.rng)
