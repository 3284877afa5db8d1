"""Transfer and interference between examples: dot products of their loss gradients (Riemer et al., 2019, section 3).

Learning one of two examples lowers the loss of the other, to first order, by the learning rate times the dot product of
their gradients: above zero they transfer, below zero they interfere.
"""

from __future__ import annotations

from collections import Counter
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
        setting: Setting of one example of each pair.
        other_setting: Setting of the other example; the two are in the order of the schedule.
        pairs: Number of pairs.
        dot_mean: Mean dot product of the gradients of a pair.
        cosine_mean: Mean cosine between the gradients of a pair.
    """

    setting: str
    other_setting: str
    pairs: int
    dot_mean: float
    cosine_mean: float


def gradient_dots(model: nn.Module, loss: Loss, examples: tuple[Tensor, ...]) -> Tensor:
    """Return the dot products ``(n, n)`` of the loss gradients of n examples, over all weights of ``model``.

    The gradient of a dense layer from one example is the outer product of ``gradient`` and ``inputs``, so that the dot
    product of two is ``(gradient · gradient') (inputs · inputs' + 1)``, the 1 being the bias's: the 1.6 million weights
    of the Nature network's largest layer are never written out. The other layers' gradients are, and those of dense
    layers that are used more than once, share weights or get inputs of more axes than ``(n, features)``.

    Args:
        model: Any module whose examples do not influence each other.
        loss: Loss of each example.
        examples: ``(inputs, *targets)``, each with one row per example.
    """
    inputs, *targets = examples
    outputs, dense = _run_with_dense_layers(model, inputs)
    total = loss(outputs, *targets).sum()
    gradients = autograd.grad([total], [use.outputs for use in dense]) if dense else ()
    dots = outputs.new_zeros(len(inputs), len(inputs))
    for use, gradient in zip(dense, gradients, strict=True):
        dots += (gradient @ gradient.T) * (use.inputs @ use.inputs.T + (use.layer.bias is not None))
    covered = {id(weight) for use in dense for weight in use.layer.parameters()}
    names = [name for name, weight in model.named_parameters() if id(weight) not in covered]
    if names:
        others = _gradients_of(names, model, loss, examples)
        dots += others @ others.T
    return dots


class DenseUse(NamedTuple):
    """A dense layer with its inputs, ``(n, features)``, and its outputs, ``(n, outputs)``."""

    layer: nn.Linear
    inputs: Tensor
    outputs: Tensor


def _run_with_dense_layers(model: nn.Module, inputs: Tensor) -> tuple[Tensor, list[DenseUse]]:
    """Return the outputs of a model and the dense layers whose gradients are outer products."""
    uses: list[DenseUse] = []

    def note(layer: nn.Module, given: tuple[Tensor, ...], returned: Tensor) -> Tensor:
        assert isinstance(layer, nn.Linear)
        uses.append(DenseUse(layer, given[0].detach().clone(), returned))
        return returned.clone()  # which the next layer may change in place

    hooks = [layer.register_forward_hook(note) for layer in model.modules() if type(layer) is nn.Linear]
    try:
        outputs: Tensor = model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    users = Counter(id(weight) for module in model.modules() for weight in module._parameters.values())
    calls = Counter(id(use.layer) for use in uses)
    plain = [
        use
        for use in uses
        if calls[id(use.layer)] == 1
        and use.inputs.dim() == 2
        and len(use.inputs) == len(inputs)
        and all(users[id(weight)] == 1 for weight in use.layer.parameters())
    ]
    return outputs, plain


def _gradients_of(names: Sequence[str], model: nn.Module, loss: Loss, examples: tuple[Tensor, ...]) -> Tensor:
    """Return each example's gradient over the named weights, ``(n, weights)``."""
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    others = {name: weights[name] for name in names}

    def loss_of_one(others: dict[str, Tensor], *example: Tensor) -> Tensor:
        inputs, *targets = (part.unsqueeze(0) for part in example)
        return loss(functional_call(model, {**weights, **others}, (inputs,)), *targets).sum()

    each_gradient = grad(loss_of_one)
    try:
        each = vmap(each_gradient, in_dims=(None, *[0] * len(examples)), chunk_size=CHUNK_EXAMPLES)(others, *examples)
    except RuntimeError:  # a module that cannot be vectorised, such as one that looks at its values
        rows = [each_gradient(others, *example) for example in zip(*examples, strict=True)]
        each = {name: torch.stack([row[name] for row in rows]) for name in names}
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
        values: One value for each pair, ``(n, n)``, symmetric.
        groups: Group of each example, ``(n,)``, from 0 to ``count - 1``.
        count: Number of groups.

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


def agreement(
    dots: NDArray[np.float64], groups: NDArray[np.int64], names: Sequence[str]
) -> tuple[dict[str, float], list[InterferenceRow]]:
    """Return how far the gradients of examples agree: values by tag, NaN without a pair, and a row for each two groups.

    Args:
        dots: Dot products of the examples' gradients, ``(n, n)``.
        groups: Group of each example, ``(n,)``.
        names: Name of each group: of a setting, or a task. Two groups without a pair have no row.
    """
    dot, cosine = (pair_means(values, groups, len(names)) for values in (dots, cosines(dots)))
    values = {
        "gradients/dot_within": dot.within(),
        "gradients/dot_between": dot.between(),
        "gradients/cosine_within": cosine.within(),
        "gradients/cosine_between": cosine.between(),
    }
    rows = [
        InterferenceRow(names[i], names[j], int(dot.pairs[i, j]), dot.means[i, j].item(), cosine.means[i, j].item())
        for i, j in np.transpose(np.triu_indices(len(names))).tolist()
        if dot.pairs[i, j]
    ]
    return values, rows


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
