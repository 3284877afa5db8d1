"""The authors' network, and the mean gradient of any network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, autograd, nn

from dqn_mer.fast.choose import make_batch_network, make_small_mlp
from dqn_mer.losses import CrossEntropy
from dqn_mer.mer import Examples
from dqn_mer.networks.weights import FlatWeights


def build_mlp(sizes: Sequence[int], seed: int) -> nn.Sequential:
    """Build a ReLU MLP whose weights start as in the code published with the paper: Glorot's uniform, biases zero.

    Args:
        sizes: Inputs, units of each hidden layer, outputs; at least two numbers.
        seed: Seed of the initial weights; the global generator is left as it was.

    >>> build_mlp((4, 3, 2), seed=0)(torch.zeros(5, 4)).shape
    torch.Size([5, 2])
    """
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")  # no draw of the global generator
        bound = math.sqrt(6.0 / (inputs + outputs))
        with torch.no_grad():
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.zero_()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def make_gradient(weights: FlatWeights) -> Callable[[Examples], Tensor]:
    """Return the fastest exact function from inputs and labels to the gradient of their mean cross-entropy.

    The gradient, ``(weights,)``, is ``weights.vector.grad`` itself: the next call overwrites it.
    """
    gradient = weights.vector.grad
    assert gradient is not None  # FlatWeights gives the vector one
    loss = CrossEntropy()
    network, mlp = make_batch_network(weights), make_small_mlp(weights)

    def by_autograd(examples: Examples) -> Tensor:
        inputs, labels = examples
        gradient.zero_()
        autograd.backward([loss(weights.model(inputs), labels).mean()])
        return gradient

    def written_out(examples: Examples) -> Tensor:
        inputs, labels = examples
        assert network is not None
        if not network.takes(examples[0]):
            return by_autograd(examples)
        network.backward(loss.mean_gradient(network.forward(inputs), labels), None)
        return gradient

    def compiled(examples: Examples) -> Tensor:
        assert mlp is not None
        if not mlp.takes(examples[0]):
            return written_out(examples)
        mlp.set_mean_gradient(examples, loss)
        return gradient

    if mlp is not None:
        return compiled
    return by_autograd if network is None else written_out
