"""Signs that a network loses its ability to learn: units that are never active, and features that are alike."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

DORMANT_THRESHOLD = 0.025
"""τ of Sokar et al., 2023 (arXiv 2302.12902)."""
RANK_TOLERANCE = 0.01
"""δ of Kumar et al., 2021 (arXiv 2010.14498)."""


@torch.no_grad()
def activations(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Return the outputs of every `nn.ReLU` of ``model``, however deep, each ``(n, units, ...)``, in order of use."""
    outputs: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, output: outputs.append(output.clone()))
        for layer in model.modules()
        if isinstance(layer, nn.ReLU)
    ]
    try:
        model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def dormant_share(layers: Sequence[Tensor], threshold: float = DORMANT_THRESHOLD) -> float:
    """Return the share of dormant units among all hidden units: ReDo's measure (arXiv 2302.12902, definition 3.1).

    A unit is dormant if its mean absolute activation is at most ``threshold`` times the mean over its layer. A channel
    of a convolution is one unit.

    Args:
        layers: Activations of the hidden layers, each ``(n, units, ...)``; at least one.
        threshold: Threshold τ, at least 0.

    >>> dormant_share([torch.tensor([[0.0, 1.0], [0.0, 3.0]]), torch.tensor([[1.0, 1.0], [1.0, 1.0]])])
    0.25
    """
    dormant = units = 0
    for layer in layers:
        mean = layer.abs().transpose(0, 1).flatten(1).mean(dim=1)
        dormant += int((mean <= threshold * mean.mean()).sum())
        units += len(mean)
    return dormant / units


def effective_rank(features: Tensor, tolerance: float = RANK_TOLERANCE) -> int:
    """Return the number of singular values that hold ``1 - tolerance`` of their sum: srank (arXiv 2010.14498).

    Args:
        features: ``(n, features)``; the rank is at most the smaller of the two.
        tolerance: Tolerance δ, in (0, 1).

    >>> effective_rank(torch.diag(torch.tensor([70.0, 29.5, 0.5])))
    2
    """
    values = torch.linalg.svdvals(features.cpu().double())  # MPS has no double
    if not values.sum() > 0:
        return 0
    return int((values.cumsum(0) / values.sum() < 1 - tolerance).sum()) + 1
