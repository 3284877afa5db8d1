"""Small problems for MER, and updates on them in every inner loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dqn_mer.fast.choose import make_explicit_learner
from dqn_mer.fast.kernels.dense import COMPILED
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import AutogradLearner, MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import ScalePixels, build_network
from dqn_mer.networks.weights import FlatWeights

MLP, CNN, BIG_CNN = "mlp", "cnn", "nature-cnn"
LONGEST_SUM = {MLP: 17, CNN: 17 * 8 * 9, BIG_CNN: 17 * 20 * 20}
"""Terms of the longest sum in a pass over 17 examples: of the first convolution's gradient over all places."""
ALGORITHMS = {
    "1": MERParameters(batch_size=5, num_batches=3, within_batch_rate=0.7, across_batch_rate=0.3),
    "6": MERParameters(batch_size=5, num_batches=3, across_batch_rate=0.3, one_big_batch=True),
    "7": MERParameters(batch_size=6, across_batch_rate=0.4, current_example_boost=3.0),
    "8": MERParameters(batch_size=16, across_batch_rate=0.3),
}
LEARNERS = {"autograd": AutogradLearner, "explicit": make_explicit_learner}
needs_numba = pytest.mark.skipif(not COMPILED, reason="Numba cannot be imported, so that nothing is written out")
EACH_LEARNER = ["autograd", pytest.param("explicit", marks=needs_numba)]


class CrossEntropy:
    """A supervised loss with its gradient, to show that MER is not tied to DQN."""

    def __call__(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, labels, reduction="none")

    def output_gradient(self, outputs: np.ndarray, label: np.int64) -> np.ndarray:
        gradient = np.exp(outputs - outputs.max())
        gradient /= gradient.sum()
        gradient[label] -= 1
        return gradient


def make_problem(kind: str, count: int, dtype: torch.dtype) -> tuple[nn.Sequential, tuple[torch.Tensor, ...]]:
    """Return a network and examples; they are the same numbers in every dtype."""
    shape, hidden = {MLP: ((6,), (16, 12)), CNN: ((2, 36, 40), (20,)), BIG_CNN: ((4, 84, 84), (512,))}[kind]
    generator = torch.Generator().manual_seed(1)
    model = build_network(shape, 3, hidden, seed=2)
    if kind == MLP:
        inputs = torch.randn(count, *shape, generator=generator).to(dtype)
    else:
        inputs = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
    actions = torch.randint(0, 3, (count,), generator=generator)
    targets = 2 * torch.randn(count, generator=generator).to(dtype)
    return with_dtype(model, dtype), (inputs, actions, targets)


def with_dtype(model: nn.Sequential, dtype: torch.dtype) -> nn.Sequential:
    """Return the model with the same numbers in ``dtype``; pixels are scaled in float32, as ever."""
    model.to(dtype)
    if type(model[0]) is ScalePixels:
        scale = ScalePixels(model[0].scaling)
        model[0].forward = lambda pixels: scale(pixels).to(dtype)
    return model


def nudged(values: torch.Tensor, steps: int) -> torch.Tensor:
    """Return each number's neighbour, so many steps above it or below."""
    towards = torch.tensor(np.copysign(np.inf, steps), dtype=values.dtype)
    for _ in range(abs(steps)):
        values = torch.nextafter(values, towards)
    return values


def sparse(inputs: torch.Tensor) -> torch.Tensor:
    """Return a game's screens, or vectors as they are: black but for a square in each frame."""
    if inputs.dim() == 2:
        return inputs
    screens = torch.zeros_like(inputs)
    for row, screen in enumerate(screens):
        for frame in range(len(screen)):
            screen[frame, 5 + row : 9 + row, 3 + frame : 7 + frame] = 200
    return screens


def make_update(
    weights: FlatWeights, learner: str, parameters: MERParameters, optimizer: str = "sgd", rate: float = 0.05
):
    opt = make_optimizer(optimizer, weights, rate)
    return MERUpdate(weights, LEARNERS[learner](weights, HuberTDLoss(), opt), parameters, np.random.default_rng(3))


def flat(weights: dict[str, torch.Tensor], like: nn.Module) -> torch.Tensor:
    return torch.cat([weights[name].reshape(-1) for name, _ in like.named_parameters()])


def named(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}
