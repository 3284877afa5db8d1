"""Optimizers over all weights of a network as one vector."""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from torch.optim import Optimizer

from dqn_mer.networks.weights import FlatWeights


def make_optimizer(
    name: str,
    weights: FlatWeights,
    learning_rate: float,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> Optimizer:
    """Return an optimizer over all weights as one vector, made once and kept for the whole run.

    Adam is fused where PyTorch has it (one pass over the weights instead of many); RMSprop is centred, with the
    constants of Mnih et al., 2015. With weight decay every step also takes ``learning_rate * weight_decay`` of each
    weight (decoupled: AdamW; SGD is that by itself, unless it has momentum, which repeats the decay as it does the
    gradient; RMSprop has none). Momentum is SGD's, Nesterov's or the plain kind.
    """
    on_cuda = weights.vector.device.type == "cuda"  # then its counters stay there, as a graph needs them
    if name == "sgd":
        return torch.optim.SGD(
            [weights.vector], lr=learning_rate, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov
        )
    if name == "adam":
        fused = weights.vector.device.type != "mps"
        options: dict[str, Any] = {"lr": learning_rate, "fused": fused, "capturable": on_cuda}
        if weight_decay:
            return torch.optim.AdamW([weights.vector], weight_decay=weight_decay, **options)
        return torch.optim.Adam([weights.vector], **options)
    return torch.optim.RMSprop(
        [weights.vector], lr=learning_rate, alpha=0.95, eps=0.01, centered=True, capturable=on_cuda
    )


def check_makes_optimizers(make_optimizer: object) -> None:
    """Raise TypeError unless it can be called, as an optimizer cannot, whose weights are moved after it was made."""
    if not callable(make_optimizer):
        kind = "an optimizer, " if isinstance(make_optimizer, Optimizer) else ""
        rule = "must be a function from a list of weights to an optimizer, such as partial(torch.optim.SGD, lr=0.1)"
        raise TypeError(f"make_optimizer: {rule}; is {kind}{type(make_optimizer).__name__}")


def check_takes_gradients(optimizer: Optimizer) -> None:
    """Raise ValueError if an optimizer's ``step`` takes more than gradients: a closure, as L-BFGS evaluates again."""
    closure = signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        name = type(optimizer).__name__
        raise ValueError(f"optimizer: {name}.step() needs a closure; must step by gradients alone, as SGD and Adam do")


def load_compiler() -> None:
    """Load what PyTorch loads when its first optimizer is made: its compiler, which takes as long as PyTorch itself."""
    torch.optim.SGD([torch.zeros(1, device="cpu")], lr=1.0)
