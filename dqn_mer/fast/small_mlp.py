"""Updates and forward passes of small ReLU MLPs as compiled functions, with a loss of `dqn_mer.losses`, on a CPU.

`sequential` and `mini_batch` call each layer from Python, which for a small MLP takes most of the time. Here MER's
inner loop with its Reptile step, the gradient of a mini-batch and a forward pass are one call each. Needs Numba.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from dqn_mer.fast.adam import ExplicitAdam
from dqn_mer.fast.dense import Array, shared
from dqn_mer.fast.forms import has_adam_form, is_plain_sgd, layers_of, rounds_otherwise
from dqn_mer.fast.kernels.mlp import add_mean_gradient, forward, learn_by_adam, learn_by_sgd
from dqn_mer.fast.mini_batch import BatchNetwork
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import NEWEST, AutogradLearner, Examples, Loss
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.weights import FlatWeights

MOST_EXAMPLES = 40
"""With more examples in an update BLAS is quicker, a call for each layer: for 128-128 from 100 on, for 500-500 here."""

MOST_PRODUCTS = 2**19
"""With more products of a weight and an input in a forward pass BLAS is quicker: for 128-128 from 30 rows on."""


class SmallMLP:
    """The weights of a small MLP as arrays, and its passes.

    Args:
        weights: Weights of a model for which `forms.is_small_mlp` holds.
    """

    def __init__(self, weights: FlatWeights) -> None:
        linear = layers_of(weights.model).linear
        self.sizes = np.array([linear[0].in_features, *(layer.out_features for layer in linear)], np.int64)
        self.dtype = weights.vector.dtype
        self.vector, self.gradient = (part.numpy() for part in shared(weights.vector))
        self.network = BatchNetwork(weights)

    def takes(self, inputs: Tensor) -> bool:
        """Return whether a batch has few examples, of the shape and dtype of the network's inputs, and no autocast."""
        few = not rounds_otherwise() and 0 < len(inputs) <= MOST_EXAMPLES
        return few and inputs.shape[1:] == (self.sizes[0],) and inputs.dtype == self.dtype

    def values(self, inputs: Tensor) -> Tensor:
        """Return the outputs ``(n, outputs)`` of ``inputs`` ``(n, inputs)``."""
        if not self.takes(inputs) or len(inputs) * self.vector.size > MOST_PRODUCTS:
            return self.network.values(inputs)
        outputs = np.empty((len(inputs), self.sizes[-1]), self.vector.dtype)
        forward(self.vector, self.sizes, np.ascontiguousarray(inputs.detach().numpy()), outputs)
        return torch.from_numpy(outputs)

    def set_mean_gradient(self, examples: Examples, loss: Loss) -> None:
        """Write the gradient of the mean loss over examples.

        Args:
            examples: As `columns` takes them.
            loss: `CrossEntropy` or `HuberTDLoss`.
        """
        columns = self.columns(examples, loss)
        self.gradient[:] = 0
        add_mean_gradient(self.vector, self.gradient, self.sizes, columns, isinstance(loss, HuberTDLoss))

    def columns(self, examples: Examples, loss: Loss) -> tuple[Array, Array, Array]:
        """Return inputs, labels and targets for the kernels, which check nothing; cross-entropy has no targets.

        Args:
            examples: Inputs ``(n, inputs)`` of the weights' dtype and labels ``(n,)``, whole numbers; for the Huber
                loss targets ``(n,)`` as well.
            loss: `CrossEntropy` or `HuberTDLoss`.

        Raises:
            ValueError: if the columns are others.
            IndexError: if a label is no output.
        """
        with_targets = isinstance(loss, HuberTDLoss)
        if len(examples) != 2 + with_targets:
            raise ValueError(
                f"examples: must have {2 + with_targets} columns for {type(loss).__name__}, have {len(examples)}"
            )
        inputs, labels, *rest = examples
        targets = rest[0] if rest else inputs.new_zeros(0)
        rows, kind = len(inputs), self.dtype
        if inputs.shape != (rows, self.sizes[0]) or inputs.dtype != kind:
            raise ValueError(f"inputs: must be (n, {self.sizes[0]}) {kind}, are {tuple(inputs.shape)} {inputs.dtype}")
        if labels.shape != (rows,) or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ValueError(f"labels: must be ({rows},) whole numbers, are {tuple(labels.shape)} {labels.dtype}")
        if targets.shape != (rows * with_targets,) or targets.dtype != kind:
            raise ValueError(f"targets: must be ({rows},) {kind}, are {tuple(targets.shape)} {targets.dtype}")
        numbers = labels.numpy()
        if rows and not (0 <= numbers.min() and numbers.max() < self.sizes[-1]):
            wrong = numbers[(numbers < 0) | (numbers >= self.sizes[-1])][0]
            raise IndexError(f"label={wrong}: must be from 0 to {self.sizes[-1] - 1}")
        arrays = (np.ascontiguousarray(part.detach().numpy()) for part in (inputs, targets))
        return next(arrays), np.ascontiguousarray(numbers), next(arrays)


class SmallMLPLearner:
    """The inner loop of MER, for a small MLP.

    Args:
        weights: Weights of the model that learns.
        loss: `CrossEntropy` or `HuberTDLoss`.
        optimizer: Plain SGD, or an optimizer for which `has_adam_form` holds, over ``weights.vector``.
    """

    def __init__(self, weights: FlatWeights, loss: Loss, optimizer: Optimizer) -> None:
        self.weights = weights
        self.loss = loss
        self.optimizer = optimizer
        self.mlp = SmallMLP(weights)
        self.adam = ExplicitAdam(optimizer, weights) if has_adam_form(optimizer, weights) else None
        self.general = AutogradLearner(weights, loss, optimizer)

    def learn(self, examples: Examples, batch: NDArray[np.int64], newest_boost: float, reptile_rate: float) -> None:
        """Take one step on each example of ``batch`` in turn, then one Reptile step.

        Raises:
            ValueError: if the examples are not as `SmallMLP.columns` takes them.
            IndexError: if a label is no output.
        """
        form = is_plain_sgd if self.adam is None else has_adam_form
        if rounds_otherwise() or not form(self.optimizer, self.weights):  # something has added to its steps since
            self.general.learn(examples, batch, newest_boost, reptile_rate)
            return
        mlp, columns, kind = self.mlp, self.mlp.columns(examples, self.loss), self.mlp.vector.dtype
        boosts, reptile = np.where(batch == NEWEST, newest_boost, 1.0), kind.type(reptile_rate)
        huber = isinstance(self.loss, HuberTDLoss)
        if self.adam is None:
            rates = (float(self.optimizer.param_groups[0]["lr"]) * boosts).astype(kind)
            learn_by_sgd(mlp.vector, mlp.sizes, columns, huber, batch, rates, reptile)
        else:
            moments = self.adam.begin_all(boosts)
            learn_by_adam(mlp.vector, mlp.gradient, mlp.sizes, columns, huber, batch, moments, reptile)


class SmallMLPMiniBatch(MiniBatchUpdate):
    """Ordinary experience replay, for a small MLP and any optimizer; the arguments are `MiniBatchUpdate`'s."""

    def __init__(self, weights: FlatWeights, loss: Loss, optimizer: Optimizer, batch_size: int) -> None:
        super().__init__(weights, loss, optimizer, batch_size)
        self.mlp = SmallMLP(weights)

    def update(self, examples: Examples) -> None:
        """Take one optimizer step on the mean loss of ``examples``."""
        if not self.mlp.takes(examples[0]):
            super().update(examples)
            return
        self.weights.check_now_and_then()
        self.mlp.set_mean_gradient(examples, self.loss)
        if is_plain_sgd(self.optimizer, self.weights):
            self.mlp.vector -= float(self.optimizer.param_groups[0]["lr"]) * self.mlp.gradient
        else:
            self.weights.tie_gradients()
            self.optimizer.step()
