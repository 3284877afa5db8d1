"""Q-networks that a user's function builds, checked for what the agents need from any network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dqn_mer.networks.device import float32_by_default

MakeNetwork = Callable[[tuple[int, ...], int], Any]
"""Function from the shape of an observation and the number of actions to a `torch.nn.Module`."""
EXAMPLES = 3
ALONE = 1e-2
"""Most that rounding may change values with the size of a batch, against the largest: reduced precision has 1e-3."""


class OwnNetwork(nn.Sequential):
    """A user's module, behind the scaling of pixels if observations are bytes.

    Attributes:
        num_actions: Number of its outputs.
    """

    def __init__(self, num_actions: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.num_actions = num_actions


@float32_by_default()
def build_own_network(
    make: MakeNetwork, observation_shape: tuple[int, ...], num_actions: int, scaling: nn.Module | None
) -> OwnNetwork:
    """Call a user's function and return the network, which must be a fixed function of its weights and its inputs.

    Args:
        make: Function that makes the module.
        observation_shape: Shape of one observation.
        num_actions: Number of outputs.
        scaling: How bytes become float32, where observations are bytes.

    Raises:
        ValueError: if the module cannot be a Q-network here.
    """
    module = make(observation_shape, num_actions)
    if not isinstance(module, nn.Module):
        raise ValueError(f"network: must build a torch.nn.Module, built a {type(module).__name__}")
    dtypes = {str(parameter.dtype) for parameter in module.parameters()}
    if dtypes != {"torch.float32"}:
        raise ValueError(f"network: must have weights, all of float32, has {', '.join(sorted(dtypes)) or 'none'}")
    if not all(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError("network: must have no frozen weights")
    inputs = torch.rand(EXAMPLES, *observation_shape, generator=torch.Generator().manual_seed(0))
    before, kept = _buffers(module), inputs.clone()
    with torch.no_grad():
        outputs, again = _values(module, inputs), _values(module, inputs)
    if not isinstance(outputs, Tensor) or (outputs.shape, outputs.dtype) != ((EXAMPLES, num_actions), torch.float32):
        given = f"{outputs.dtype} of shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs)
        raise ValueError(f"network: must return float32 of shape (n, {num_actions}), for n=3 returns {given}")
    if not outputs.isfinite().all():
        raise ValueError("network: must give finite values, gives NaN or infinity")
    if not torch.equal(inputs, kept):  # which an agent remembers
        raise ValueError("network: must leave its inputs as they are; it changes them in place")
    if not torch.equal(outputs, again):
        raise ValueError("network: must give equal values for equal inputs; it has dropout or noise")
    if any(not torch.equal(one, other) for one, other in zip(before, _buffers(module), strict=True)):
        raise ValueError("network: must keep nothing from one call to the next, as batch normalisation does")
    _check_alone(module, inputs, outputs)
    with torch.enable_grad():
        if not _values(module, inputs).requires_grad:
            raise ValueError("network: must give values that its weights learn from; they have no gradient")
    return OwnNetwork(num_actions, *([] if scaling is None else [scaling]), module)


def check_same_buffers(one: nn.Module, other: nn.Module) -> None:
    """Raise ValueError unless two networks that were built the same way differ in their weights at most."""
    if not all(torch.equal(*pair) for pair in zip(one.buffers(), other.buffers(), strict=True)):
        raise ValueError("network: must have the same buffers each time it is built; draw them by PyTorch alone")


def num_outputs(model: nn.Module) -> int:
    """Return the number of actions of a Q-network."""
    if isinstance(model, OwnNetwork):
        return model.num_actions
    return list(model.parameters())[-1].shape[0]


def _values(module: nn.Module, inputs: Tensor) -> Any:
    try:
        return module(inputs)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"network: fails on an input of shape (n, {', '.join(map(str, inputs.shape[1:]))}): "
            f"{' '.join(str(error).split())}"
        ) from error


@torch.no_grad()
def _check_alone(module: nn.Module, inputs: Tensor, outputs: Tensor) -> None:
    """Raise ValueError unless the values for an input are the same without the others of a batch, within rounding."""
    alone = torch.cat([_values(module, inputs[row : row + 1]) for row in range(EXAMPLES)])
    if alone.shape != outputs.shape or (alone - outputs).abs().max() > ALONE * outputs.abs().max():
        raise ValueError("network: must give an input the same values, and rows, alone as in a batch")


def _buffers(module: nn.Module) -> list[Tensor]:
    return [buffer.clone() for buffer in module.buffers()]
