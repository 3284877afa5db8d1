"""Q-networks, and their descriptions in JSON."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqn_mer.networks.device import float32_by_default
from dqn_mer.networks.own_networks import MakeNetwork, build_own_network
from dqn_mer.networks.random_q_network import RandomQNetwork

SCALINGS = ("unit", "centred")


class NetworkMissing(ValueError):
    """A description is of a network that a user's function builds, and the function was not given."""


class ScalePixels(nn.Module):
    """Turn uint8 pixels (0 to 255) into float32; pixels of another dtype are in [0, 1] already.

    Args:
        scaling: ``unit`` gives ``x / 255``, in [0, 1]; ``centred`` gives ``x / 255 - 0.5``, in [-0.5, 0.5].

    Raises:
        ValueError: if the scaling is unknown.
    """

    def __init__(self, scaling: str = "unit") -> None:
        super().__init__()
        if scaling not in SCALINGS:
            raise ValueError(f"input_scaling={scaling!r}: must be one of {', '.join(SCALINGS)}")
        self.scaling = scaling

    def forward(self, pixels: Tensor) -> Tensor:
        """Scale ``pixels`` of any shape."""
        floats = pixels.to(torch.float32)
        scaled = floats / 255.0 if pixels.dtype == torch.uint8 else floats
        return scaled - 0.5 if self.scaling == "centred" else scaled

    def table(self) -> NDArray[Any]:
        """Return the float value of each of the 256 pixel values, ``(256,)``."""
        values: NDArray[Any] = self(torch.arange(256, dtype=torch.uint8, device="cpu")).numpy()
        return values


def pixel_table(model: nn.Module) -> NDArray[Any]:
    """Return a network's float value of each pixel value, ``(256,)``; of one without pixels, the default table."""
    first = next(model.children())
    return (first if isinstance(first, ScalePixels) else ScalePixels()).table()


@float32_by_default()
def build_network(
    observation_shape: Sequence[int],
    num_actions: int,
    hidden_sizes: Sequence[int],
    seed: int,
    layer_norm: bool = False,
    random_odds: Sequence[float] | None = None,
    input_scaling: str = "unit",
) -> nn.Sequential:
    """Build a Q-network: Mnih et al.'s convolutions for images, a ReLU MLP for vectors.

    The initial weights are PyTorch's defaults, drawn from a separate stream, so that the global generator is left as it
    was.

    Args:
        observation_shape: ``(channels, height, width)`` of pixels, uint8 or float32 in [0, 1], or ``(features,)`` of
            float32.
        num_actions: Number of outputs, at least 1.
        hidden_sizes: Widths of the dense layers before the output.
        seed: Seed of the initial weights.
        layer_norm: Whether to normalise what goes into every ReLU, over all units of its layer; convolutions get a gain
            and a bias per channel (Lyle et al., 2024, arXiv 2402.18762). The other initial weights stay the same.
        random_odds: Probability of each action, to build `RandomQNetwork` instead; None for a network that learns.
        input_scaling: Scaling of pixels, as `ScalePixels` takes it; vectors are never scaled.

    Returns:
        A network from ``(batch, *observation_shape)`` to Q-values ``(batch, num_actions)``.

    Raises:
        ValueError: if the shape is neither, or too small for the convolutions (36 pixels a side), or the scaling is
            unknown.

    >>> build_network((4,), 2, (8,), seed=0)(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """
    if random_odds is not None:
        if len(random_odds) != num_actions:
            raise ValueError(f"random_odds={random_odds}: must be one for each of {num_actions} actions")
        return nn.Sequential(RandomQNetwork(random_odds, seed))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would seed those of all GPUs too
        if len(observation_shape) == 1:
            return nn.Sequential(*_dense_layers([observation_shape[0], *hidden_sizes, num_actions], layer_norm))
        if len(observation_shape) != 3 or min(observation_shape[1:]) < 36:
            raise ValueError(
                f"observation_shape={tuple(observation_shape)}: must be (features,) or (frames, height, width) "
                "with sides of at least 36"
            )
        channels, height, width = observation_shape
        convolutions = [
            nn.Conv2d(channels, 32, kernel_size=8, stride=4),
            nn.Conv2d(32, 64, kernel_size=4, stride=2),
            nn.Conv2d(64, 64, kernel_size=3, stride=1),
        ]
        for layer in convolutions:
            height, width = ((side - layer.kernel_size[0]) // layer.stride[0] + 1 for side in (height, width))
        features = 64 * height * width
        stack: list[nn.Module] = [ScalePixels(input_scaling)]
        for layer in convolutions:
            stack += [layer, *([nn.GroupNorm(1, layer.out_channels)] if layer_norm else []), nn.ReLU()]
        return nn.Sequential(*stack, nn.Flatten(), *_dense_layers([features, *hidden_sizes, num_actions], layer_norm))


def _dense_layers(sizes: Sequence[int], layer_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), *([nn.LayerNorm(outputs)] if layer_norm else []), nn.ReLU()]
    return [*layers, nn.Linear(sizes[-2], sizes[-1])]


def network_spec(
    observation_shape: Sequence[int],
    num_actions: int,
    hidden_sizes: Sequence[int],
    layer_norm: bool = False,
    random_odds: Sequence[float] | None = None,
    input_scaling: str = "unit",
) -> dict[str, Any]:
    """Describe a network in JSON, so that a checkpoint can rebuild it; the arguments are `build_network`'s."""
    return {
        "observation_shape": list(observation_shape),
        "num_actions": num_actions,
        "hidden_sizes": list(hidden_sizes),
        "layer_norm": layer_norm,
        "random_odds": None if random_odds is None else list(random_odds),
        "input_scaling": input_scaling,
    }


def own_network_spec(spec: Mapping[str, Any], make: MakeNetwork, bytes_in: bool, seed: int) -> dict[str, Any]:
    """Describe a network that a user's function builds; only what `spec_as_json` leaves can be saved.

    Args:
        spec: Description of the network that would be built without the function.
        make: Function that makes the module.
        bytes_in: Whether observations are uint8.
        seed: Seed of the initial weights. The function may draw buffers too, or anything else that stays as it is:
            under this seed it builds the network again with the same ones, wherever that plays.
    """
    name = f"{getattr(make, '__module__', None)}.{getattr(make, '__qualname__', type(make).__qualname__)}"
    return {**spec, "own_network": name, "bytes_in": bytes_in, "seed": seed, "make": make}


def spec_as_json(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description without the function that builds the network."""
    return {name: value for name, value in spec.items() if name != "make"}


def network_from_spec(spec: Mapping[str, Any], seed: int = 0, device: str = "cpu") -> nn.Sequential:
    """Build the network that `network_spec` or `own_network_spec` described; one of an earlier version has no options.

    Args:
        spec: Description of the network.
        seed: Seed of the initial weights, unless the description has one.
        device: Device of the network, whatever the program's default is.

    Raises:
        KeyError: if a field is missing.
        TypeError: if a field is of another kind.
        NetworkMissing: if a user's function builds it, and was not given.
        ValueError: if `build_network` or `build_own_network` refuses the description.
    """
    with torch.device(device):
        return _network_from_spec(spec, seed)


def _network_from_spec(spec: Mapping[str, Any], seed: int) -> nn.Sequential:
    if spec.get("own_network") is not None:
        if "make" not in spec:
            name = str(spec["own_network"])[:200]
            raise NetworkMissing(f"built by a function of the user's own, {name}: hand in its `task` or `network`")
        shape, scaling = (
            tuple(spec["observation_shape"]),
            ScalePixels(spec.get("input_scaling", SCALINGS[0])) if spec["bytes_in"] else None,
        )
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(spec.get("seed", seed))
            return build_own_network(spec["make"], shape, spec["num_actions"], scaling)
    options = {name: spec[name] for name in ("layer_norm", "random_odds", "input_scaling") if name in spec}
    return build_network(spec["observation_shape"], spec["num_actions"], spec["hidden_sizes"], seed, **options)
