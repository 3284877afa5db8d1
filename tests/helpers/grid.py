"""Random networks and ways to learn, for which every fast path is compared with plain autograd.

Layers of a few weights count as large ones here (`SMALL_IS_LARGE`), so that every order of small and large layers is
cheap to try. The oracle is `oracle.mer_by_autograd`: a stock optimizer over the parameters, autograd, plain copies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import ScalePixels
from dqn_mer.networks.weights import FlatWeights
from tests.helpers.mer_problems import nudged, with_dtype

SMALL_IS_LARGE = 24
"""Dense layers with at least this many weights count as large."""
OPTIMIZERS = ("sgd", "momentum", "sgd-decay", "adam", "adamw", "rmsprop")
RATES = {"sgd": 0.05, "momentum": 0.02, "sgd-decay": 0.05, "adam": 3e-3, "adamw": 3e-3, "rmsprop": 3e-3}


@dataclass(frozen=True)
class Network:
    """What makes a network.

    Attributes:
        shape: of an observation.
        convolutions: channels, kernel and stride of each.
        dense: widths of the dense layers, the last being the actions.
        seed: of the weights.
    """

    shape: tuple[int, ...]
    convolutions: tuple[tuple[int, int, int], ...]
    dense: tuple[int, ...]
    seed: int

    def build(self, dtype: torch.dtype) -> nn.Sequential:
        """Return the network; its numbers in float64 are those in float32."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            layers: list[nn.Module] = []
            if self.convolutions:
                channels, side = self.shape[:2]
                layers.append(ScalePixels())
                for out, kernel, stride in self.convolutions:
                    layers += [nn.Conv2d(channels, out, kernel, stride), nn.ReLU()]
                    channels, side = out, (side - kernel) // stride + 1
                layers.append(nn.Flatten())
            features = channels * side * side if self.convolutions else self.shape[0]
            for width in self.dense:
                layers += [nn.Linear(features, width), nn.ReLU()]
                features = width
            model = nn.Sequential(*layers[:-1])
        return with_dtype(model, dtype)

    def longest_sum(self, examples: int) -> int:
        """Return how many terms the longest sum has in a pass over some examples: over places, or over inputs."""
        with torch.no_grad():
            layers = list(self.build(torch.float32))
            outputs, longest = self.examples(examples, torch.float32, False)[0], 0
            for layer in layers:
                outputs = layer(outputs)
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    longest = max(longest, layer.weight[0].numel(), outputs[:, 0].numel())
        return longest

    def examples(self, count: int, dtype: torch.dtype, sparse: bool, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Return observations, actions and targets; sparse ones are mostly zero, with patches that repeat."""
        rng = np.random.default_rng((self.seed, seed))
        if self.convolutions:
            inputs = rng.integers(0, 256, (count, *self.shape)).astype(np.uint8)
            inputs *= (rng.random(inputs.shape) < 0.05) if sparse else np.uint8(1)
        else:
            inputs = rng.standard_normal((count, *self.shape)).astype(np.float32)
            inputs *= (rng.random(inputs.shape) < 0.4) if sparse else np.float32(1)
        actions, targets = rng.integers(self.dense[-1], size=count), 2 * rng.standard_normal(count, np.float32)
        given = torch.from_numpy(inputs)
        return (
            given if self.convolutions else given.to(dtype),
            torch.from_numpy(actions),
            torch.from_numpy(targets).to(dtype),
        )


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Return networks of one to four dense layers, small and large in every order, with and without convolutions."""
    convolutions = []
    if draw(st.booleans()):
        side = draw(st.integers(5, 9))
        shape: tuple[int, ...] = (draw(st.integers(1, 4)), side, side)
        for _ in range(draw(st.integers(1, 3))):
            kernel, stride = draw(st.integers(1, min(3, side))), draw(st.integers(1, 2))
            convolutions.append((draw(st.integers(1, 5)), kernel, stride))
            side = (side - kernel) // stride + 1
    else:
        shape = (draw(st.integers(1, 9)),)
    inputs = convolutions[-1][0] * side**2 if convolutions else shape[0]
    dense: list[int] = []
    for large in draw(st.lists(st.booleans(), min_size=1, max_size=4)):
        fewest = -(-SMALL_IS_LARGE // inputs)  # outputs of a large layer
        dense.append(draw(st.integers(fewest, fewest + 4) if large else st.integers(1, max(1, fewest - 1))))
        inputs = dense[-1]
    return Network(shape, tuple(convolutions), tuple(dense), draw(st.integers(0, 2**16)))


@st.composite
def mer_parameters(draw: st.DrawFn) -> MERParameters:
    """Return parameters of every algorithm."""
    rates = st.sampled_from([0.3, 0.7, 1.0])
    return MERParameters(
        batch_size=draw(st.integers(0, 6)),
        num_batches=draw(st.integers(1, 3)),
        within_batch_rate=draw(rates),
        across_batch_rate=draw(rates),
        current_example_boost=draw(st.sampled_from([0.5, 1.0, 3.0])),
        one_big_batch=draw(st.booleans()),
    )


def optimizer_of_vector(name: str, weights: FlatWeights, rate: float | None = None) -> torch.optim.Optimizer:
    """Return the project's optimizer over one vector, or one that a user of its learners may bring."""
    rate = RATES[name] if rate is None else rate
    if name == "momentum":
        return torch.optim.SGD([weights.vector], lr=rate, momentum=0.9)
    decay = 0.1 if name in ("sgd-decay", "adamw") else 0.0
    return make_optimizer({"sgd-decay": "sgd", "adamw": "adam"}.get(name, name), weights, rate, decay)


def stock_optimizer(name: str, model: nn.Module, rate: float | None = None) -> torch.optim.Optimizer:
    """Return the same optimizer over the parameters, in PyTorch's plainest form."""
    options: dict[str, Any] = {"lr": RATES[name] if rate is None else rate, "foreach": False}
    parameters = list(model.parameters())
    if name == "rmsprop":
        return torch.optim.RMSprop(parameters, alpha=0.95, eps=0.01, centered=True, **options)
    if name == "adam":
        return torch.optim.Adam(parameters, **options)
    if name == "adamw":
        return torch.optim.AdamW(parameters, weight_decay=0.1, **options)
    more = {"momentum": {"momentum": 0.9}, "sgd-decay": {"weight_decay": 0.1}}.get(name, {})
    return torch.optim.SGD(parameters, **options, **more)


Learn = Callable[[nn.Sequential], None]
"""Moves a network's weights."""


def movement(network: Network, dtype: torch.dtype, learn: Learn, nudge: int = 0) -> Tensor:
    """Return how ``learn`` moves the weights, as float64 ``(weights,)`` in the order of the model's parameters.

    Args:
        network: to build.
        dtype: to compute in.
        learn: moves the weights.
        nudge: start each weight this many numbers above or below where it is.
    """
    model = network.build(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(nudged(parameter, nudge))
    start = flat(model)
    learn(model)
    return flat(model) - start


def flat(model: nn.Module) -> Tensor:
    """Return the weights of a model as float64, in the order of its parameters, whatever their layout."""
    return torch.cat([parameter.detach().double().reshape(-1) for parameter in model.parameters()])
