"""What is kept is a copy, where what it came from may be a buffer that is written again."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from continual_ple.settings import Schedule, Setting
from continual_ple.tasks import Task
from dqn_mer.fast.choose import make_explicit_learner
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks import weights as weights_module
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.training.pictures import log_frame_strips
from tests.helpers import grid
from tests.helpers.mer_problems import needs_numba


class OneBufferLoss(HuberTDLoss):
    """Returns the gradient of every example in the same array."""

    def __init__(self) -> None:
        self.buffer = np.zeros(0)

    def output_gradient(self, q: NDArray[Any], action: np.int64, target: np.floating[Any]) -> NDArray[Any]:
        gradient = super().output_gradient(q, action, target)
        if self.buffer.shape != gradient.shape:
            self.buffer = np.empty_like(gradient)
        self.buffer[:] = gradient
        return self.buffer


@needs_numba
@pytest.mark.parametrize("optimizer", grid.OPTIMIZERS)
@pytest.mark.parametrize("large", [False, True])
def test_a_losss_gradient_may_be_one_buffer(optimizer: str, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "LARGE_WEIGHTS", 24 if large else 1_000)
    network, moved = grid.Network((5,), (), (6,), 0), []
    for loss in (HuberTDLoss(), OneBufferLoss()):
        weights = FlatWeights(network.build(torch.float64))
        learner = make_explicit_learner(weights, loss, grid.optimizer_of_vector(optimizer, weights))
        MERUpdate(weights, learner, MERParameters(6), np.random.default_rng(0)).update(
            network.examples(7, torch.float64, sparse=False)
        )
        moved.append(weights.snapshot())
    assert torch.equal(*moved)


class OneScreen(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Draws every frame into the same array."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    render_mode = "rgb_array"

    def __init__(self) -> None:
        self.screen = np.zeros((2, 2, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self.screen[:] = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        self.screen += 1
        return np.zeros(1, np.float32), 0.0, False, False, {}

    def render(self) -> NDArray[np.uint8]:
        return self.screen


def test_a_frame_strip_shows_frames_of_an_environment_that_draws_into_one_buffer() -> None:
    class Strips:
        def log_images(self, tag: str, images: NDArray[np.uint8]) -> None:
            self.levels = images[:, 0, 0, 0].tolist()

    task = Task(
        lambda setting, frame_limit=None, render_mode=None: OneScreen(),
        Schedule((Setting("a", {"lives": 1.0}),), (0,), 10), "lives", np.array([0.5, 0.5]),
    )  # fmt: skip
    strips = Strips()
    log_frame_strips(task, strips, seed=0)
    assert len(strips.levels) > 1 and len(set(strips.levels)) == len(strips.levels)
