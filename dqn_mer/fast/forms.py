"""Forms of networks, losses and optimizers whose arithmetic is written out in this folder."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dqn_mer.fast.kernels.dedup import MAX_CHANNELS
from dqn_mer.fast.kernels.dense import Array
from dqn_mer.networks.q_network import ScalePixels
from dqn_mer.networks.weights import FlatWeights, is_large

_LETTERS: dict[type[nn.Module], str] = {
    ScalePixels: "S",
    nn.Conv2d: "C",
    nn.ReLU: "R",
    nn.Flatten: "F",
    nn.Linear: "L",
}


@runtime_checkable
class ExplicitLoss(Protocol):
    """A per-example loss that also gives its gradient in closed form."""

    def __call__(self, outputs: Tensor, *targets: Tensor) -> Tensor:
        """Return the losses, shape ``(n,)``, of ``outputs`` ``(n, k)``."""

    def output_gradient(self, outputs: Array, *targets: Any) -> Array:
        """Return d loss / d outputs, shape ``(k,)``, of one example's ``outputs`` ``(k,)``."""


def has_explicit_gradient(loss: object) -> TypeGuard[ExplicitLoss]:
    """Return whether a loss gives its own gradient in closed form.

    A class that overrides what is called, but not ``output_gradient``, has inherited the gradient of another loss.
    """
    if not isinstance(loss, ExplicitLoss):
        return False
    for place in (loss, *type(loss).__mro__):
        names = getattr(place, "__dict__", {})
        if "output_gradient" in names:
            return True
        if "__call__" in names or "forward" in names:
            return False
    return True


class Layers(NamedTuple):
    """The layers with weights of a model that has an explicit form, in order; a ReLU follows all but the last."""

    convolutions: list[nn.Conv2d]
    linear: list[nn.Linear]


def layers_of(model: nn.Module) -> Layers:
    """Return the layers of a model for which `has_explicit_form` holds."""
    layers = list(model.children())
    return Layers(
        [layer for layer in layers if isinstance(layer, nn.Conv2d)],
        [layer for layer in layers if isinstance(layer, nn.Linear)],
    )


def has_explicit_form(model: nn.Module) -> bool:
    """Return whether a model is ``[ScalePixels, (Conv2d, ReLU)+, Flatten,] (Linear, ReLU)*, Linear`` and nothing else.

    Convolutions must have no padding, dilation or groups, and all layers biases. Frozen or shared weights, weights of
    other sizes than their layer was made with, and hooks on layers or weights, are left to autograd.
    """
    if type(model) is not nn.Sequential or len(list(model.children())) != len(model):
        return False
    weights = list(model.parameters())
    if not all(weight.requires_grad for weight in weights) or _has_hooks(model):
        return False
    if len(weights) < sum(len(list(layer.parameters())) for layer in model):  # two layers share one
        return False
    kinds = "".join(_LETTERS.get(type(layer), "?") for layer in model)
    return re.fullmatch(r"(S(CR)+F)?(LR)*L", kinds) is not None and all(_is_plain(layer) for layer in model)


def _has_hooks(model: nn.Module) -> bool:
    """Return whether anything is called in a pass: PyTorch's pruning and weight normalisation are hooks too."""
    of_modules = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    of_weights = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return any(getattr(module, name) for module in model.modules() for name in of_modules) or any(
        getattr(weight, name) for weight in model.parameters() for name in of_weights
    )


def _is_plain(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        plain = layer.padding == (0, 0) and layer.dilation == (1, 1) and layer.groups == 1
        return plain and _has_shapes(layer, (layer.out_channels, layer.in_channels, *layer.kernel_size))
    if isinstance(layer, nn.Flatten):
        return (layer.start_dim, layer.end_dim) == (1, -1)
    return not isinstance(layer, nn.Linear) or _has_shapes(layer, (layer.out_features, layer.in_features))


def _has_shapes(layer: nn.Conv2d | nn.Linear, shape: tuple[int, ...]) -> bool:
    """Return whether a layer has a bias, and weights of the shape that it was made with; a head may have grown."""
    return layer.bias is not None and (layer.weight.shape, layer.bias.shape) == (shape, shape[:1])


class InputForm:
    """The shape and dtype of the last inputs, to look at others before kernels read and write without looking.

    Args:
        model: Model for which `has_explicit_form` holds.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.axes = 4 if layers_of(model).convolutions else 2
        self.form: tuple[Any, ...] = ()

    @torch.no_grad()
    def check(self, inputs: Tensor) -> None:
        """Raise what the model does for inputs that it cannot take, or ValueError if they have more or fewer axes."""
        form = inputs.shape[1:], inputs.dtype
        if form == self.form:
            return
        if inputs.dim() != self.axes:
            raise ValueError(f"inputs: must have {self.axes} axes, are of shape {tuple(inputs.shape)}")
        self.model(inputs[:1])
        self.form = form


def has_patch_form(model: nn.Module) -> bool:
    """Return whether equal patches of a model's pixels can be found: it has an explicit form and few channels.

    A model without convolutions has no patches, and has the form too.
    """
    convolutions = layers_of(model).convolutions
    return not convolutions or convolutions[0].in_channels <= MAX_CHANNELS


def is_small_mlp(weights: FlatWeights) -> bool:
    """Return whether a model that has an explicit form has dense layers alone, none of them large.

    Their weights must lie in the vector layer by layer, each matrix before its bias, which is not so where a parameter
    was replaced or is shared.
    """
    convolutions, linear = layers_of(weights.model)
    if convolutions:
        return False
    parameters = [parameter for layer in linear for parameter in (layer.weight, layer.bias)]
    own = [id(parameter) for parameter in weights.model.parameters()]
    return own == [id(parameter) for parameter in parameters] and not any(is_large(p.shape) for p in parameters)


def rounds_otherwise() -> bool:
    """Return whether PyTorch's mixed precision is on, which autograd follows and nothing here."""
    return torch.is_autocast_enabled("cpu")


def is_plain_sgd(optimizer: Optimizer, weights: FlatWeights) -> bool:
    """Return whether a step of ``optimizer`` is ``θ -= learning_rate * gradient`` of all weights and nothing else."""
    return _is_only(optimizer, weights, torch.optim.SGD, ("momentum", "weight_decay", "nesterov", "maximize"))


def has_adam_form(optimizer: Optimizer, weights: FlatWeights) -> bool:
    """Return whether a step of ``optimizer`` is that of Kingma and Ba, 2015, of all weights and nothing else."""
    return _is_only(optimizer, weights, torch.optim.Adam, ("weight_decay", "amsgrad", "maximize"))


def _is_only(optimizer: Optimizer, weights: FlatWeights, kind: type[Optimizer], extras: tuple[str, ...]) -> bool:
    if type(optimizer) is not kind or not weights.are_stepped_by(optimizer) or _has_own_step(optimizer):
        return False
    return not any(optimizer.param_groups[0][name] for name in extras)


def _has_own_step(optimizer: Optimizer) -> bool:
    """Return whether a step is more than its class says: hooks, as for clipping, or a function of the user's."""
    replaced = vars(optimizer).get("step")  # PyTorch's schedulers put one there, which counts
    counts = replaced is None or hasattr(replaced, "_wrapped_by_lr_sched")
    return bool(optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks) or not counts
