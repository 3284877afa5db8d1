"""What an optimizer keeps between steps, saved and restored."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from dqn_mer.storage.state import SavedState, State

_MOMENTS = {"step": "", "exp_avg": "", "exp_avg_sq": "", "max_exp_avg_sq": "amsgrad"}
OPTIMIZER_TENSORS: dict[type[Optimizer], dict[str, str]] = {
    torch.optim.SGD: {"momentum_buffer": "momentum"},
    torch.optim.Adam: _MOMENTS,
    torch.optim.AdamW: _MOMENTS,
    torch.optim.RMSprop: {"step": "", "square_avg": "", "grad_avg": "centered", "momentum_buffer": "momentum"},
}
"""Tensors that each optimizer keeps, once it took a step, each with the option without which it is not kept, if any."""


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
    return {name: kept[name].float() if name == "step" else kept[name] for name in _kept_by(optimizer) if kept}


def _kept_by(optimizer: Optimizer) -> tuple[str, ...]:
    options, tensors = optimizer.param_groups[0], OPTIMIZER_TENSORS[type(optimizer)]
    return tuple(name for name, option in tensors.items() if not option or options[option])


def set_optimizer_state(optimizer: Optimizer, vector: Tensor, saved: SavedState) -> None:
    """Restore what `optimizer_state` returned, also that an optimizer took no step."""
    names = _kept_by(optimizer)
    with saved:
        if not any(name in saved for name in names):
            optimizer.state.pop(vector, None)
            return
        moments = vector.detach()[:0].cpu().numpy().dtype, tuple(vector.shape)
        forms = {name: (np.dtype(np.float32), ()) if name == "step" else moments for name in names}
        optimizer.state[vector] = {
            name: torch.from_numpy(saved.array(name, *form).copy()).to(vector.device) for name, form in forms.items()
        }
