"""What an optimizer keeps between steps, saved and restored."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from dqn_mer.storage.state import SavedState, State

OPTIMIZER_TENSORS: dict[type[Optimizer], tuple[str, ...]] = {
    torch.optim.SGD: ("momentum_buffer",),
    torch.optim.Adam: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.RMSprop: ("step", "square_avg", "grad_avg"),
}
"""Tensors that each optimizer keeps, once it took a step, in the forms that `dqn_mer.networks.optimizers` makes."""


def steps_vector(optimizer: Optimizer, vector: Tensor) -> bool:
    """Return whether an optimizer steps one vector of weights, and nothing else."""
    stepped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return len(stepped) == 1 and stepped[0] is vector


def optimizer_state(optimizer: Optimizer, vector: Tensor) -> State:
    """Return what an optimizer over one vector of weights keeps between steps.

    Raises:
        ValueError: if it is of another class than `OPTIMIZER_TENSORS` has, or steps something else.
    """
    if type(optimizer) not in OPTIMIZER_TENSORS or not steps_vector(optimizer, vector):
        raise ValueError(
            f"optimizer: must be {', '.join(kind.__name__ for kind in OPTIMIZER_TENSORS)} over the weights as one "
            f"vector, for its state to be taken, is {type(optimizer).__name__}; save its state_dict()"
        )
    kept = optimizer.state[vector]
    return {name: kept[name] for name in _kept_by(optimizer) if kept}


def _kept_by(optimizer: Optimizer) -> tuple[str, ...]:
    plain = type(optimizer) is torch.optim.SGD and not optimizer.param_groups[0]["momentum"]
    return () if plain else OPTIMIZER_TENSORS[type(optimizer)]


def set_optimizer_state(optimizer: Optimizer, vector: Tensor, saved: SavedState) -> None:
    """Restore what `optimizer_state` returned; nothing for an optimizer that took no step."""
    names = _kept_by(optimizer)
    with saved:
        if not any(name in saved for name in names):
            return
        shapes = {name: () if name == "step" else tuple(vector.shape) for name in names}
        optimizer.state[vector] = {
            name: torch.from_numpy(saved.array(name, np.float32, shape).copy()).to(vector.device)
            for name, shape in shapes.items()
        }
