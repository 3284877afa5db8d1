"""MER's inner loop without autograd, for ReLU MLPs and CNNs on a CPU with Numba.

It gives the same weights in a fraction of the time. For one example at a time autograd spends most of its time on
bookkeeping, and SGD on reading and writing every weight. Here both passes are written out (`dense`, `convolution`),
patches that an example repeats are computed once (`dedup_convolution`), and a large dense layer takes the steps of a
batch together. `AutogradLearner` is the oracle, and the way for every other model, loss and device, and without Numba.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from dqn_mer.fast.adam import AdamDense, ExplicitAdam, has_adam_form
from dqn_mer.fast.convolution import ConvolutionStack
from dqn_mer.fast.cuda_graph import GraphLearner
from dqn_mer.fast.dedup_convolution import DistinctStack
from dqn_mer.fast.dense import Array, Dense, DirectDense, LargeDense, LazyDense
from dqn_mer.fast.dense_loop import DenseLoopLearner, fits_dense_loop
from dqn_mer.fast.kernels.dedup import MAX_CHANNELS
from dqn_mer.fast.kernels.dense import COMPILED
from dqn_mer.mer import NEWEST, AutogradLearner, Examples, Loss, SequentialLearner, step_with_boost
from dqn_mer.networks.q_network import ScalePixels, pixel_table
from dqn_mer.networks.weights import FlatWeights, is_large

MAX_DISTINCT_SHARE = 0.42
"""Most of a screen's patches that may be distinct for it to be quicker to look for equal ones.

In Catcher it is 0.07, and an update that looks takes 0.6 of the time with SGD and 0.86 with Adam. In Flappy Bird it is
0.3 to 0.6: at 0.34 an update takes 0.88 of the time with SGD and 0.96 with Adam, at 0.44 the same, at 0.55 1.03 times.
"""


@runtime_checkable
class ExplicitLoss(Protocol):
    """A per-example loss that also gives its gradient in closed form."""

    def __call__(self, outputs: Tensor, *targets: Tensor) -> Tensor:
        """Return the losses, shape ``(n,)``, of ``outputs`` ``(n, k)``."""

    def output_gradient(self, outputs: Array, *targets: Any) -> Array:
        """Return d loss / d outputs, shape ``(k,)``, of one example's ``outputs`` ``(k,)``."""


def make_learner(weights: FlatWeights, loss: Loss, optimizer: Optimizer, cuda_graph: bool = False) -> SequentialLearner:
    """Return the fastest exact inner loop for this model, loss and optimizer; on CUDA, as a graph if asked for."""
    device = weights.vector.device.type
    if COMPILED and device == "cpu" and isinstance(loss, ExplicitLoss) and has_explicit_form(weights.model):
        if fits_dense_loop(weights, loss, is_plain_sgd(optimizer)):
            return DenseLoopLearner(weights, optimizer)
        return ExplicitLearner(weights, loss, optimizer)
    general = AutogradLearner(weights, loss, optimizer)
    if cuda_graph and device == "cuda":
        return GraphLearner(general, capture=True)
    return general


def has_explicit_form(model: nn.Module) -> bool:
    """Whether ``model`` is ``[ScalePixels, (Conv2d, ReLU)+, Flatten,] (Linear, ReLU)*, Linear`` and nothing else.

    Convolutions must have no padding, dilation or groups, and all layers biases. Frozen or shared weights are
    left to autograd.
    """
    if type(model) is not nn.Sequential or len(list(model.children())) != len(model):
        return False
    if not all(parameter.requires_grad for parameter in model.parameters()):
        return False
    kinds = "".join(_KIND_LETTERS.get(type(layer), "?") for layer in model)
    dense = kinds
    if kinds.startswith("S"):
        convolutions, flatten, dense = kinds[1:].partition("F")
        if not flatten or not convolutions or convolutions != "CR" * (len(convolutions) // 2):
            return False
    if dense != "LR" * (len(dense) // 2) + "L":
        return False
    return all(_is_plain(layer) for layer in model)


_KIND_LETTERS: dict[type[nn.Module], str] = {
    ScalePixels: "S",
    nn.Conv2d: "C",
    nn.ReLU: "R",
    nn.Flatten: "F",
    nn.Linear: "L",
}


def _is_plain(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        plain = layer.padding == (0, 0) and layer.dilation == (1, 1) and layer.groups == 1
        return plain and layer.bias is not None
    if isinstance(layer, nn.Flatten):
        return (layer.start_dim, layer.end_dim) == (1, -1)
    return not isinstance(layer, nn.Linear) or layer.bias is not None


def is_plain_sgd(optimizer: Optimizer) -> bool:
    """Whether a step of ``optimizer`` is ``θ -= learning_rate * gradient`` and nothing else."""
    if type(optimizer) is not torch.optim.SGD or len(optimizer.param_groups) != 1:
        return False
    return not any(optimizer.param_groups[0][name] for name in ("momentum", "weight_decay", "nesterov", "maximize"))


class ExplicitLearner:
    """The inner loop for a model with an explicit form, on a CPU with Numba.

    With plain SGD every layer steps its own weights; with any other optimizer the layers write the gradient and
    the optimizer takes the step, example by example.

    Args:
        weights: of a model for which `has_explicit_form` holds.
        loss: with its gradient in closed form.
        optimizer: over ``weights.vector``.
    """

    def __init__(self, weights: FlatWeights, loss: ExplicitLoss, optimizer: Optimizer) -> None:
        self.weights = weights
        self.loss = loss
        self.optimizer = optimizer
        self.plain_sgd = is_plain_sgd(optimizer)
        self.adam = ExplicitAdam(optimizer, weights) if has_adam_form(optimizer) else None
        self.stacked = [layer for layer in weights.model.children() if isinstance(layer, nn.Conv2d)]
        self.by_example: ConvolutionStack | None = None
        self.table = pixel_table(weights.model)
        self.by_patch = DistinctStack(self.stacked, self.table) if self._takes_patches() else None
        self.convolutions: ConvolutionStack | DistinctStack | None = None
        linear = [layer for layer in weights.model.children() if isinstance(layer, nn.Linear)]
        self.dense: list[Dense] = [self._dense(layer, relu=layer is not linear[-1]) for layer in linear]
        # The parts of the weight vector whose steps are taken at once, and so need a Reptile step of their own.
        self.direct = weights.spans_without(
            [
                weights.span_of(layer.weight)
                for layer, dense in zip(linear, self.dense, strict=True)
                if isinstance(dense, LazyDense | AdamDense)
            ]
        )

    def _takes_patches(self) -> bool:
        return bool(self.stacked) and self.stacked[0].in_channels <= MAX_CHANNELS

    def _dense(self, layer: nn.Linear, relu: bool) -> Dense:
        if not is_large(layer.weight.shape):
            return DirectDense(layer, relu)
        if self.plain_sgd:
            return LazyDense(layer, relu)
        if self.adam is not None:
            return AdamDense(layer, self.weights.span_of(layer.weight), relu, self.adam)
        return LargeDense(layer, relu)

    @torch.no_grad()
    def learn(self, examples: Examples, batch: NDArray[np.int64], newest_boost: float, reptile_rate: float) -> None:
        """Take one optimizer step on each example of ``batch`` in turn, then one Reptile step."""
        vector = self.weights.vector.detach()
        before = [vector[span].clone() for span in self.direct] if reptile_rate != 1.0 else []
        observations, *targets = (part.numpy() for part in examples)
        if self.stacked:
            self.convolutions = self._convolutions(observations)
        if self.adam is not None:
            self.adam.begin(len(batch))
        for layer in self.dense:
            layer.begin(len(batch))
        for row in batch.tolist():
            boost = newest_boost if row == NEWEST else 1.0
            self._learn_one(observations[row : row + 1], [target[row] for target in targets], boost)
        for layer in self.dense:
            layer.finish(reptile_rate)
        for span, start in zip(self.direct, before, strict=False):
            vector[span] = torch.lerp(start, vector[span], reptile_rate)

    def _convolutions(self, pixels: Array) -> ConvolutionStack | DistinctStack:
        """Return the quicker form of the convolutions, by the newest example's screen."""
        if self.by_patch is not None and pixels.dtype == np.uint8:
            if self.by_patch.distinct_share(pixels[:1]) <= MAX_DISTINCT_SHARE:
                return self.by_patch
        if self.by_example is None:
            self.by_example = ConvolutionStack(self.stacked, pixels.shape[1:], self.table)
        return self.by_example

    def _learn_one(self, observation: Array, targets: list[Any], boost: float) -> None:
        """Take the optimizer step for one example, whose ``observation`` is ``(1, ...)``."""
        rate = boost * self.optimizer.param_groups[0]["lr"] if self.plain_sgd else None
        outputs = observation if self.convolutions is None else self.convolutions.forward(observation)
        outputs = outputs[0]
        for layer in self.dense:
            outputs = layer.forward(outputs)
        gradient = self.loss.output_gradient(outputs, *targets)
        for position, layer in reversed(list(enumerate(self.dense))):
            gradient = layer.backward(gradient, rate, pass_on=position > 0 or self.convolutions is not None)
        if self.convolutions is not None:
            self.convolutions.backward(gradient[np.newaxis], rate)
        if self.adam is not None:
            self.adam.step(boost)
        elif rate is None:
            step_with_boost(self.optimizer, boost)
