"""MER's inner loop written out for ReLU networks on a CPU: the autograd loop's weights at a fraction of its time.

For one example autograd spends most of its time on bookkeeping. Here forward, backward and the SGD step are
explicit matrix-vector products on views of the weights; the outer product of the weight gradient is added to
the weights by BLAS (``ger``) and never formed. `AutogradLearner` is the oracle, and takes every other case.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs
from torch import Tensor, nn
from torch.optim import Optimizer

from dqn_mer.mer import NEWEST, AutogradLearner, Examples, Loss, SequentialLearner, step_with_boost
from dqn_mer.networks import FlatWeights

Array = NDArray[Any]


@runtime_checkable
class ExplicitLoss(Protocol):
    """A per-example loss that also gives its gradient in closed form."""

    def __call__(self, outputs: Tensor, *targets: Tensor) -> Tensor:
        """Return the losses, shape ``(n,)``, of ``outputs`` ``(n, k)``."""

    def output_gradient(self, outputs: Array, *targets: Any) -> Array:
        """Return d loss / d outputs, shape ``(k,)``, of one example's ``outputs`` ``(k,)``."""


def make_learner(weights: FlatWeights, loss: Loss, optimizer: Optimizer) -> SequentialLearner:
    """Return the fastest exact inner loop for this model, loss and optimizer."""
    on_cpu = weights.vector.device.type == "cpu"
    if on_cpu and isinstance(loss, ExplicitLoss) and is_relu_mlp(weights.model):
        return ExplicitMLPLearner(weights, loss, optimizer)
    return AutogradLearner(weights, loss, optimizer)


def is_relu_mlp(model: nn.Module) -> bool:
    """Whether ``model`` is ``Linear, ReLU, ..., Linear``, with biases, and nothing else."""
    if type(model) is not nn.Sequential or len(model) % 2 == 0:
        return False
    return all(
        (type(layer) is nn.Linear and layer.bias is not None) if position % 2 == 0 else type(layer) is nn.ReLU
        for position, layer in enumerate(model)
    )


def is_plain_sgd(optimizer: Optimizer) -> bool:
    """Whether a step of ``optimizer`` is ``θ -= learning_rate * gradient`` and nothing else."""
    if type(optimizer) is not torch.optim.SGD or len(optimizer.param_groups) != 1:
        return False
    return not any(optimizer.param_groups[0][name] for name in ("momentum", "weight_decay", "nesterov", "maximize"))


class ExplicitMLPLearner:
    """The inner loop for a ReLU MLP on a CPU, without autograd.

    With plain SGD the weights are stepped in place, layer by layer; with any other optimizer the gradient is
    written out and the optimizer takes the step.

    Args:
        weights: of a model for which `is_relu_mlp` holds.
        loss: with its gradient in closed form.
        optimizer: over ``weights.vector``.
    """

    def __init__(self, weights: FlatWeights, loss: ExplicitLoss, optimizer: Optimizer) -> None:
        layers = [layer for layer in weights.model.children() if isinstance(layer, nn.Linear)]
        self.weights = weights
        self.loss = loss
        self.optimizer = optimizer
        self.plain_sgd = is_plain_sgd(optimizer)
        self.matrices = [_view(layer.weight) for layer in layers]
        self.biases = [_view(layer.bias) for layer in layers]
        self.matrix_gradients = [_gradient_view(layer.weight) for layer in layers]
        self.bias_gradients = [_gradient_view(layer.bias) for layer in layers]
        self.add_outer_product = get_blas_funcs("ger", (self.matrices[0],))

    def learn(self, examples: Examples, batch: NDArray[np.int64], newest_boost: float, reptile_rate: float) -> None:
        """Take one optimizer step on each example of ``batch`` in turn, then one Reptile step."""
        before = self.weights.snapshot()
        inputs, *targets = (part.numpy() for part in examples)
        for row in batch.tolist():
            boost = newest_boost if row == NEWEST else 1.0
            self._learn_one(inputs[row], [target[row] for target in targets], boost)
        self.weights.interpolate_from(before, reptile_rate)

    def _learn_one(self, inputs: Array, targets: list[Any], boost: float) -> None:
        activations = [inputs]
        outputs = inputs
        for matrix, bias in zip(self.matrices, self.biases, strict=True):
            if len(activations) > 1:
                outputs = np.maximum(outputs, 0)
                activations[-1] = outputs
            outputs = matrix @ outputs
            outputs += bias
            activations.append(outputs)
        gradient = self.loss.output_gradient(outputs, *targets)
        rate = boost * self.optimizer.param_groups[0]["lr"]
        for layer in reversed(range(len(self.matrices))):
            below = activations[layer]
            gradient_below = gradient @ self.matrices[layer] if layer else gradient
            if self.plain_sgd:
                self.add_outer_product(-rate, below, gradient, a=self.matrices[layer].T, overwrite_a=True)
                self.biases[layer] -= rate * gradient
            else:
                np.multiply.outer(gradient, below, out=self.matrix_gradients[layer])
                self.bias_gradients[layer][:] = gradient
            gradient = gradient_below
            if layer:
                gradient *= below > 0
        if not self.plain_sgd:
            step_with_boost(self.optimizer, boost)


def _view(parameter: Tensor) -> Array:
    """Return the NumPy array that shares memory with ``parameter``."""
    array: Array = parameter.detach().numpy()
    return array


def _gradient_view(parameter: Tensor) -> Array:
    assert parameter.grad is not None  # FlatWeights gave it one
    return _view(parameter.grad)
