"""Transfer and interference between examples: dot products of their loss gradients (Riemer et al., 2019, section 3).

Learning one of two examples lowers the loss of the other, to first order, by the learning rate times the dot product of
their gradients: above zero they transfer, below zero they interfere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, autograd, nn
from torch.func import functional_call, grad, vmap

Loss = Callable[..., Tensor]
"""``loss(outputs (n, ...), *targets (n, ...)) -> (n,)``: one loss per example."""
CHUNK_EXAMPLES = 32
"""Examples whose gradients are taken at a time, which bounds the memory that it takes."""


@dataclass(frozen=True, slots=True)
class InterferenceRow:
    """The loss gradients of pairs of different examples, one of each of two settings, or both of the same one.

    Attributes:
        setting: of one example of each pair.
        other_setting: of the other; the two are in the order of the schedule.
        pairs: how many there are.
        dot_mean: mean dot product.
        cosine_mean: mean cosine.
    """

    setting: str
    other_setting: str
    pairs: int
    dot_mean: float
    cosine_mean: float


def gradient_dots(model: nn.Sequential, loss: Loss, examples: tuple[Tensor, ...]) -> Tensor:
    """Return the dot products ``(n, n)`` of the loss gradients of n examples, over all weights of ``model``.

    The gradient of a dense layer from one example is the outer product of ``gradient`` and ``inputs``, so that the dot
    product of two is ``(gradient · gradient') (inputs · inputs' + 1)``, the 1 being the bias's: the 1.6 million weights
    of the Nature network's largest layer are never written out. The other layers' gradients are.

    Args:
        model: whose dense layers come once each, and get inputs ``(n, features)``.
        loss: per-example loss.
        examples: ``(inputs, *targets)``, each with one row per example.
    """
    inputs, *targets = examples
    dense: list[tuple[nn.Linear, Tensor, Tensor]] = []
    outputs = inputs
    for layer in model:
        before, outputs = outputs, layer(outputs)
        if isinstance(layer, nn.Linear):
            dense.append((layer, before.detach(), outputs))
    total = loss(outputs, *targets).sum()
    gradients = autograd.grad([total], [layer_outputs for *_, layer_outputs in dense])
    dots = outputs.new_zeros(len(inputs), len(inputs))
    for (layer, before, _), gradient in zip(dense, gradients, strict=True):
        dots += (gradient @ gradient.T) * (before @ before.T + (layer.bias is not None))
    others = _gradients_of_others(model, loss, examples)
    return dots if others is None else dots + others @ others.T


def _gradients_of_others(model: nn.Sequential, loss: Loss, examples: tuple[Tensor, ...]) -> Tensor | None:
    """Return each example's gradient over the weights of all layers that are not dense, ``(n, weights)``, if any."""
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    names = [name for name in weights if not isinstance(model.get_submodule(name.rpartition(".")[0]), nn.Linear)]
    if not names:
        return None

    def loss_of_one(others: dict[str, Tensor], *example: Tensor) -> Tensor:
        inputs, *targets = (part.unsqueeze(0) for part in example)
        return loss(functional_call(model, {**weights, **others}, (inputs,)), *targets).sum()

    others = {name: weights[name] for name in names}
    each = vmap(grad(loss_of_one), in_dims=(None, *[0] * len(examples)), chunk_size=CHUNK_EXAMPLES)(others, *examples)
    return torch.cat([gradient.flatten(1) for gradient in each.values()], dim=1)


def cosines(dots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosines ``(n, n)`` between vectors of the dot products ``(n, n)``; 0 for a vector that is zero.

    >>> cosines(np.array([[4.0, -2.0], [-2.0, 4.0]])).round(2).tolist()
    [[1.0, -0.5], [-0.5, 1.0]]
    """
    norms = np.sqrt(np.diag(dots))
    scale = np.outer(norms, norms)
    cosine: NDArray[np.float64] = np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0)
    return cosine


class PairMeans(NamedTuple):
    """Means over pairs of different examples, by the groups of the two.

    Attributes:
        means: ``(groups, groups)``, NaN where there is no pair.
        pairs: ``(groups, groups)`` int64, unordered pairs.
    """

    means: NDArray[np.float64]
    pairs: NDArray[np.int64]

    def within(self) -> float:
        """Return the mean of the groups' own means, NaN without any."""
        return _mean(np.diag(self.means))

    def between(self) -> float:
        """Return the mean over pairs of different groups of their means, NaN without any."""
        return _mean(self.means[np.triu_indices(len(self.means), 1)])


def pair_means(values: NDArray[np.float64], groups: Sequence[int] | NDArray[np.int64], count: int) -> PairMeans:
    """Return the means of ``values`` over pairs of different examples.

    Args:
        values: one for each pair, ``(n, n)``, symmetric.
        groups: of the examples, ``(n,)``, from 0 to ``count - 1``.
        count: of groups.

    >>> pair_means(np.array([[9.0, 2.0, 4.0], [2.0, 9.0, 6.0], [4.0, 6.0, 9.0]]), [0, 0, 1], 2).means.tolist()
    [[2.0, 5.0], [5.0, nan]]
    """
    member = np.eye(count)[np.asarray(groups, np.int64)]
    sizes = member.sum(axis=0)
    ordered = np.outer(sizes, sizes) - np.diag(sizes)
    sums = member.T @ (values - np.diag(np.diag(values))) @ member
    means = np.divide(sums, ordered, out=np.full_like(sums, np.nan), where=ordered > 0)
    pairs = np.where(np.eye(count, dtype=bool), ordered / 2, ordered)
    return PairMeans(means, pairs.astype(np.int64))


def _mean(values: NDArray[np.float64]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")
