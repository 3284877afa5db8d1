"""All of a network's weights as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dqn_mer.networks.optimizer_state import steps_vector

UPDATES_PER_CHECK = 100
"""Updates from one look at whether the model's parameters still are the vector's to the next: it takes microseconds."""

LARGE_WEIGHTS = 2**18
"""Dense layers with at least this many weights (1 MB) are bound by memory, and are laid out and stepped apart."""


class FlatWeights:
    """All weights of a model as one vector, and all gradients as another.

    The model's parameters become views of ``vector`` and their gradients views of ``vector.grad``. So a copy
    of the weights, a Reptile interpolation or an optimizer step is one operation on one tensor, and a write
    through either name is seen through the other.

    Args:
        model: Module whose parameters are moved into the vector, in the order of ``model.parameters()``. Wrap a
            model once, after it has been moved to its device; a second wrap, or ``model.to(...)``, breaks
            the tie with the first.

    Attributes:
        frozen: Parts of the vector whose parameters require no gradient. Weight decay would move them all the same.

    Raises:
        ValueError: if the model has no parameters, or they differ in dtype or device.

    >>> model = nn.Linear(2, 1)
    >>> weights = FlatWeights(model)
    >>> _ = weights.vector.detach().fill_(7)
    >>> model.bias.item()
    7.0
    """

    def __init__(self, model: nn.Module) -> None:
        parameters = list(model.parameters())
        kinds = {(parameter.dtype, parameter.device) for parameter in parameters}
        if len(kinds) != 1:
            raise ValueError(f"model: must have parameters of one dtype on one device, has {sorted(map(str, kinds))}")
        self.model = model
        self.vector = nn.Parameter(torch.cat([_flattened(parameter.detach()) for parameter in parameters]))
        gradient = torch.zeros_like(self.vector)
        self._gradients: list[tuple[nn.Parameter, Tensor]] = [(self.vector, gradient)]
        self.frozen: list[slice] = []
        self._spans: dict[int, slice] = {}
        self._until_check = 0
        offset = 0
        for parameter in parameters:
            span = slice(offset, offset + parameter.numel())
            parameter.data = _laid_out(self.vector.data[span], parameter.shape)
            self._gradients.append((parameter, _laid_out(gradient[span], parameter.shape)))
            self._spans[id(parameter)] = span
            if not parameter.requires_grad:
                self.frozen.append(span)
            offset = span.stop
        self.tie_gradients()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be copied and to be pickled, by which the parameters of the model would leave the vector."""
        raise TypeError(
            "weights: cannot be copied or pickled with what learns them; make a copy of the model, then its weights or "
            "update anew, and load the state_dict() into these"
        )

    def tie_gradients(self) -> None:
        """Make the gradients views of one vector, again where ``zero_grad`` or another backward pass replaced them."""
        for parameter, gradient in self._gradients:
            if parameter.grad is not gradient:
                parameter.grad = gradient

    def span_of(self, parameter: Tensor) -> slice:
        """Return the part of the vector that holds a parameter of the model."""
        return self._spans[id(parameter)]

    def spans_without(self, left_out: Sequence[slice]) -> list[slice]:
        """Return the parts of the vector between the spans ``left_out``, neighbours joined."""
        spans: list[slice] = []
        for span in self._spans.values():
            if span in left_out:
                continue
            if spans and spans[-1].stop == span.start:
                spans[-1] = slice(spans[-1].start, span.stop)
            else:
                spans.append(span)
        return spans

    def are_stepped_by(self, optimizer: Optimizer) -> bool:
        """Return whether an optimizer steps the vector, and nothing else."""
        return steps_vector(optimizer, self.vector)

    def check_tied(self) -> None:
        """Raise ValueError unless all parameters still are views of the vector, and the same ones are frozen."""
        size, start = self.vector.element_size(), self.vector.data_ptr()
        for name, parameter in self.model.named_parameters():
            span = self._spans.get(id(parameter))
            place = parameter.data_ptr() if parameter.numel() else None  # what is empty lies nowhere
            if span is None or place not in (None, start + size * span.start) or parameter.dtype != self.vector.dtype:
                raise ValueError(
                    f"model: its parameter {name} was replaced or moved, and is no longer trained; "
                    "change a model before its weights become one vector"
                )
            if parameter.requires_grad == (span in self.frozen):
                raise ValueError(
                    f"model: its parameter {name} was {'unfrozen' if parameter.requires_grad else 'frozen'} after its "
                    "weights became one vector; make the update anew"
                )

    def check_now_and_then(self) -> None:
        """Call `check_tied` at the first update, and then at every hundredth."""
        if self._until_check == 0:
            self.check_tied()
        self._until_check = (self._until_check or UPDATES_PER_CHECK) - 1

    def snapshot(self) -> Tensor:
        """Return a real copy of the weights, shape ``(weights,)``; later training does not change it."""
        return self.vector.detach().clone()

    @torch.no_grad()
    def load(self, values: Tensor) -> None:
        """Overwrite the weights with ``values`` of shape ``(weights,)``.

        Raises:
            ValueError: if the values are of another shape.
        """
        if values.shape != self.vector.shape:  # one number would be copied to all
            raise ValueError(f"values: must be of shape {tuple(self.vector.shape)}, are {tuple(values.shape)}")
        self.vector.copy_(values)

    @torch.no_grad()
    def restore_frozen(self, before: Tensor) -> None:
        """Set the frozen weights to what they are in ``before``, a `snapshot`."""
        for span in self.frozen:
            self.vector[span] = before[span]

    @torch.no_grad()
    def interpolate_from(self, before: Tensor, rate: float) -> None:
        """Set the weights to ``before + rate * (weights - before)``: the Reptile step.

        Exact at both ends: rate 0 restores ``before`` and rate 1 keeps the weights, both bit-identical.
        """
        if rate != 1.0:
            self.vector.copy_(before if rate == 0.0 else torch.lerp(before, self.vector.detach(), rate))
        self.restore_frozen(before)  # infinite ones, as masks have, have become NaN


def _flattened(weight: Tensor) -> Tensor:
    """Return a weight as a vector, in the order in which the explicit inner loop meets it.

    Convolutions are channels-last, so that a patch of maps meets them as one row; large dense layers lie input by
    input, so that inputs of zero can be passed over.
    """
    if weight.dim() == 4:
        return weight.permute(0, 2, 3, 1).reshape(-1)
    return (weight.t() if is_large(weight.shape) else weight).reshape(-1)


def is_large(shape: torch.Size) -> bool:
    """Return whether a weight of this shape is a large dense layer's: laid out input by input, and stepped apart."""
    return len(shape) == 2 and shape.numel() >= LARGE_WEIGHTS


def _laid_out(part: Tensor, shape: torch.Size) -> Tensor:
    """Return ``part`` of a vector as a view of a weight's shape: the inverse of `_flattened`."""
    if is_large(shape):
        return part.view(shape[1], shape[0]).t()
    if len(shape) != 4 or shape[1] == 1:
        return part.view(shape)  # one channel lies so either way; by other strides oneDNN returns what it never wrote
    outputs, channels, height, width = shape
    return part.view(outputs, height, width, channels).permute(0, 3, 1, 2)
