"""Efficient MER for any training loop: three lines beside any model, optimizer and data loader."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class ReptileEvery:
    """Every ``every`` optimizer steps, move the model back to ``before + rate * (now - before)``.

    ``before`` is what the last of these Reptile steps left, at first the weights at construction. Over ordinary
    replay this is Efficient MER (Abbes et al., 2025, arXiv 2508.01908: 500 steps and rate 0.1 in language-model
    pre-training). It costs one copy of the weights and next to no time. The optimizer's moments are left as they are,
    as in that paper's code, and so are buffers, such as BatchNorm's running means.

        reptile = ReptileEvery(model, every=500, rate=0.1)
        for batch in loader:
            ...                    # zero_grad, forward, backward, optimizer.step(): as always
            reptile.step()

    Args:
        model: Any module, on any device and of any floating dtypes; make the hook once its weights are on their device.
            A parameter that two layers share is moved once.
        every: Optimizer steps between Reptile steps, at least 1.
        rate: Reptile rate, from 0 to 1. With 1 the hook has no effect: training is bit-identical without it. With 0
            every Reptile step restores the weights exactly.

    Attributes:
        steps: Calls of `step` since the start.

    Raises:
        ValueError: if an argument is out of range, or the model has no floating parameters; the message names the
            argument.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> before = model.weight.item()
    >>> reptile = ReptileEvery(model, every=2, rate=0.5)
    >>> for _ in range(2):
    ...     _ = model.weight.data.add_(1.0)  # stands for an optimizer step
    ...     _ = reptile.step()
    >>> round(model.weight.item() - before, 5)
    1.0
    """

    def __init__(self, model: nn.Module, every: int = 500, rate: float = 0.1) -> None:
        if isinstance(every, bool) or not isinstance(every, (int, np.integer)) or every < 1:
            raise ValueError(f"every={every!r}: must be a whole number of at least 1")
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"rate={rate!r}: must be a number from 0 to 1")
        self.model = model
        self.parameters = _moved_by(model)
        if not self.parameters:
            raise ValueError("model: must have parameters of a floating dtype")
        self.every = int(every)
        self.rate = rate
        self.steps = 0
        self.before = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def step(self) -> bool:
        """Count an optimizer step, and take the Reptile step if it is due; return whether it was.

        Raises:
            ValueError: if it is due, and a parameter of the model was replaced, added or moved since the hook was made.
        """
        self.steps += 1
        if self.steps % self.every:
            return False
        self._check_tied()
        for parameter, before in zip(self.parameters, self.before, strict=True):
            # Where they are equal they stay: between two infinite weights, as masks have, there is only NaN.
            ends = {0.0: before, 1.0: parameter}
            moved = ends[self.rate] if self.rate in ends else torch.lerp(before, parameter, self.rate)
            before.copy_(torch.where(before == parameter, before, moved))
            parameter.copy_(before)
        return True

    def _check_tied(self) -> None:
        """Raise ValueError if the model was moved or has other parameters, of which the hook has no copy."""
        now, made = (set(map(id, parameters)) for parameters in (_moved_by(self.model), self.parameters))
        if now != made:
            raise ValueError("model: has other parameters than before; make the hook after they are replaced or added")
        for parameter, before in zip(self.parameters, self.before, strict=True):
            kinds = [f"{tensor.dtype} on {tensor.device}" for tensor in (before, parameter)]
            if kinds[0] != kinds[1]:
                raise ValueError(f"model: was {kinds[0]}, is {kinds[1]}; make the hook after the model is moved")

    def state_dict(self) -> dict[str, Any]:
        """Return the count and the copy of the weights, to be saved beside the model's and the optimizer's."""
        return {"steps": self.steps, "before": [before.clone() for before in self.before]}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from what `state_dict` of a hook on the same kind of model gave.

        Raises:
            ValueError: if the weights have other shapes.
        """
        saved: list[Tensor] = state["before"]
        shapes = [[tuple(tensor.shape) for tensor in tensors] for tensors in (saved, self.before)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"before: must be tensors of shapes {shapes[1]}, are {shapes[0]}")
        self.steps = int(state["steps"])
        for mine, theirs in zip(self.before, saved, strict=True):
            mine.copy_(theirs)


def _moved_by(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that a Reptile step moves, each once."""
    return [parameter for parameter in model.parameters() if parameter.is_floating_point()]
