"""The one place that chooses: which form of the arithmetic a network, a loss, an optimizer and a device get.

| what | where | else |
|---|---|---|
| inner loop of a small MLP, a loss of `losses`, plain SGD or Adam | `small_mlp` | the next |
| small mini-batches of a small MLP with such a loss, and few rows forward | `small_mlp` | the next |
| inner loop of a ReLU MLP or CNN, a loss with its gradient | `sequential` | the next |
| inner loop on CUDA, as one graph if asked for | `cuda_graph` | `AutogradLearner` |
| mini-batches and forward passes of a ReLU MLP or CNN | `mini_batch` | autograd |

What is not of autograd needs a CPU and Numba, the graph aside. All give the same weights within rounding;
`AutogradLearner` and `MiniBatchUpdate` are the oracles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dqn_mer.fast.adam import AdamDense, ExplicitAdam
from dqn_mer.fast.convolution import ConvolutionStack
from dqn_mer.fast.cuda_graph import GraphLearner
from dqn_mer.fast.dedup_convolution import DistinctStack
from dqn_mer.fast.dense import Array, Dense, DirectDense, LargeDense, LazyDense
from dqn_mer.fast.forms import (
    ExplicitLoss,
    has_adam_form,
    has_explicit_form,
    has_explicit_gradient,
    has_patch_form,
    is_plain_sgd,
    is_small_mlp,
    layers_of,
)
from dqn_mer.fast.kernels.dense import COMPILED
from dqn_mer.fast.mini_batch import BatchNetwork, ExplicitMiniBatchUpdate
from dqn_mer.fast.sequential import ExplicitLearner
from dqn_mer.fast.small_mlp import MOST_EXAMPLES, SmallMLP, SmallMLPLearner, SmallMLPMiniBatch
from dqn_mer.losses import CrossEntropy, HuberTDLoss
from dqn_mer.mer import AutogradLearner, Loss, SequentialLearner
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.q_network import pixel_table
from dqn_mer.networks.weights import FlatWeights, is_large

MAX_DISTINCT_SHARE = 0.42
"""Most of a screen's patches that may be distinct for it to be quicker to look for equal ones.

In Catcher it is 0.07, and an update that looks takes 0.6 of the time with SGD and 0.86 with Adam. In Flappy Bird it is
0.3 to 0.6: at 0.34 an update takes 0.88 of the time with SGD and 0.96 with Adam, at 0.44 the same, at 0.55 1.03 times.
"""

COMPILED_LOSSES = (CrossEntropy, HuberTDLoss)
"""Losses that `small_mlp` has compiled; not what a subclass makes of them."""


def make_learner(weights: FlatWeights, loss: Loss, optimizer: Optimizer, cuda_graph: bool = False) -> SequentialLearner:
    """Return the fastest exact inner loop for this model, loss and optimizer; on CUDA, as a graph if asked for."""
    if _is_written_out(weights):
        vars(optimizer)["_opt_called"] = True  # PyTorch's schedulers would warn that ``step`` was never called
        if is_small_mlp(weights) and type(loss) in COMPILED_LOSSES:
            if is_plain_sgd(optimizer, weights) or has_adam_form(optimizer, weights):
                return SmallMLPLearner(weights, loss, optimizer)
        if has_explicit_gradient(loss):
            return make_explicit_learner(weights, loss, optimizer)
    general = AutogradLearner(weights, loss, optimizer)
    if cuda_graph and weights.vector.device.type == "cuda":
        return GraphLearner(general, capture=True)
    return general


def make_mini_batch(weights: FlatWeights, loss: Loss, optimizer: Optimizer, batch_size: int) -> MiniBatchUpdate:
    """Return the fastest exact mini-batch update; the arguments are `MiniBatchUpdate`'s."""
    if not _is_written_out(weights) or not has_patch_form(weights.model):
        return MiniBatchUpdate(weights, loss, optimizer, batch_size)
    if is_small_mlp(weights) and type(loss) in COMPILED_LOSSES and batch_size < MOST_EXAMPLES:
        return SmallMLPMiniBatch(weights, loss, optimizer, batch_size)
    return ExplicitMiniBatchUpdate(weights, loss, optimizer, batch_size)


def make_forward(weights: FlatWeights) -> Callable[[Tensor], Tensor]:
    """Return the fastest exact forward pass from ``(n, ...)`` to ``(n, outputs)``, to be called without gradients."""
    passes = make_small_mlp(weights) or make_batch_network(weights)
    return weights.model if passes is None else passes.values


def make_batch_network(weights: FlatWeights) -> BatchNetwork | None:
    """Return the written-out passes over mini-batches, or None for a model or device that has none."""
    return BatchNetwork(weights) if _is_written_out(weights) and has_patch_form(weights.model) else None


def make_small_mlp(weights: FlatWeights) -> SmallMLP | None:
    """Return the compiled passes of a small MLP, or None for another model or device."""
    return SmallMLP(weights) if _is_written_out(weights) and is_small_mlp(weights) else None


def dense_layers(model: nn.Module) -> list[nn.Linear] | None:
    """Return the layers of a model of dense layers with a ReLU between and nothing else, or None for another model."""
    layers = layers_of(model) if has_explicit_form(model) else None
    return None if layers is None or layers.convolutions else layers.linear


def _is_written_out(weights: FlatWeights) -> bool:
    whole = weights.vector.dtype in (torch.float32, torch.float64)
    return COMPILED and whole and weights.vector.device.type == "cpu" and has_explicit_form(weights.model)


def make_explicit_learner(weights: FlatWeights, loss: ExplicitLoss, optimizer: Optimizer) -> ExplicitLearner:
    """Return the inner loop of a model with an explicit form, each layer in the form that suits size and optimizer."""
    convolutions, linear = layers_of(weights.model)
    adam = ExplicitAdam(optimizer, weights) if has_adam_form(optimizer, weights) else None

    def dense(layer: nn.Linear) -> Dense:
        relu = layer is not linear[-1]
        if not is_large(layer.weight.shape):
            return DirectDense(layer, relu)
        if is_plain_sgd(optimizer, weights):
            return LazyDense(layer, relu)
        if adam is not None:
            return AdamDense(layer, weights.span_of(layer.weight), relu, adam)
        return LargeDense(layer, relu)

    choice = ConvolutionChoice(convolutions, weights.model) if convolutions else None
    return ExplicitLearner(weights, loss, optimizer, [dense(layer) for layer in linear], choice, adam)


class ConvolutionChoice:
    """The convolutions of a model in both of their forms, of which each batch gets the quicker.

    Args:
        layers: Convolutions of the model, in order.
        model: Model that they are of, which has an explicit form.
    """

    def __init__(self, layers: Sequence[nn.Conv2d], model: nn.Module) -> None:
        self.layers = layers
        self.table = pixel_table(model)
        self.by_patch = DistinctStack(layers, self.table) if has_patch_form(model) else None
        self.by_example: ConvolutionStack | None = None
        self.shape: tuple[int, ...] = ()

    def __call__(self, pixels: Array) -> ConvolutionStack | DistinctStack:
        """Return the quicker form, by the newest example's screen, the first of ``pixels``."""
        if self.by_patch is not None and pixels.dtype == np.uint8:
            if self.by_patch.distinct_share(pixels[:1]) <= MAX_DISTINCT_SHARE:
                return self.by_patch
        if self.by_example is None or self.shape != pixels.shape[1:]:
            self.shape = pixels.shape[1:]
            self.by_example = ConvolutionStack(self.layers, pixels.shape[1:], self.table)
        return self.by_example
