"""The written-out passes learn what autograd learns, over whole runs and not only over one update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from dqn_mer.agents import build, dqn, draws, makers
from dqn_mer.config.defaults import default_config
from dqn_mer.fast import adam
from dqn_mer.fast.mini_batch import ExplicitMiniBatchUpdate
from dqn_mer.fast.sequential import ExplicitLearner
from dqn_mer.fast.small_mlp import SmallMLPLearner, SmallMLPMiniBatch
from dqn_mer.mer import AutogradLearner, MERUpdate
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.training.trainer import RunResult, train
from tests.helpers.mer_problems import needs_numba
from tests.training.test_trainer import rows_of

pytestmark = needs_numba
FRAMES = 2_000
COLUMNS = ("train/loss", "train/td_error", "train/q_mean", "train/gradient_norm", "train/update_norm")


def run(folder: Path, agent: str, observation: str, optimizer: str, game: str = "catcher") -> RunResult:
    """Train on random play, so that the two runs see the same frames whatever rounding does to a greedy choice."""
    config = default_config(
        game=game,
        agent=agent,
        observation=observation,
        optimizer=optimizer,
        learning_rate={"sgd": 1e-2, "adam": 1e-4}[optimizer],
        frames=FRAMES,
        frames_per_setting=FRAMES // 2,
        warmup_frames=50,
        target_sync_frames=200,
        epsilon_end=1.0,
        eval_every=FRAMES,
        eval_episodes=1,
        eval_frame_limit=50,
        eval_worker=False,
        log_every=50,
        threads=1,
        run_dir=folder,
    )
    return train(config, console=Console(quiet=True))


def take_autograd(patch: pytest.MonkeyPatch) -> None:
    """Leave out all that is written out: the inner loop, mini-batches, targets and greedy actions."""
    patch.setattr(makers, "make_learner", lambda weights, loss, optimizer, _: AutogradLearner(weights, loss, optimizer))
    patch.setattr(makers, "make_mini_batch", MiniBatchUpdate)
    for module in (dqn, draws):
        patch.setattr(module, "make_forward", lambda weights: weights.model)


def check_paths(fast: RunResult, slow: RunResult) -> None:
    """Check that one run was learned by what is written out, and the other by autograd."""
    assert type(slow.agent.replay) in (MERUpdate, MiniBatchUpdate)
    if isinstance(fast.agent.replay, MERUpdate):
        assert isinstance(fast.agent.replay.learner, ExplicitLearner | SmallMLPLearner)
        assert isinstance(slow.agent.replay.learner, AutogradLearner)
    else:
        assert type(fast.agent.replay) in (ExplicitMiniBatchUpdate, SmallMLPMiniBatch)


def curve(folder: Path, column: str) -> NDArray[np.float64]:
    """Return a column of the log, without the frames before the first update."""
    return np.array([float(row[column]) for row in rows_of(folder / "metrics.csv")[1:]])


def distance(one: RunResult, two: RunResult) -> float:
    """Return how far apart two runs' weights have come, against their size."""
    first, second = (run.agent.online.snapshot() for run in (one, two))
    return float((first - second).norm() / second.norm())


def initial_weights(patch: pytest.MonkeyPatch, change: Callable[[nn.Sequential], None]) -> None:
    """Change the networks that agents are built with."""
    original = build.network_from_spec

    def build_and_change(spec: dict[str, Any], seed: int | None = None) -> nn.Sequential:
        model = original(spec, seed)
        change(model)
        return model

    patch.setattr(build, "network_from_spec", build_and_change)


def make_double(model: nn.Sequential) -> None:
    """Let a network for pixels compute in float64, of the same numbers."""
    scale = type(model[0])()
    model.double()
    model[0].forward = lambda pixels: scale(pixels).double()


@torch.no_grad()
def nudge(model: nn.Sequential, towards: float) -> None:
    """Move every weight to its neighbour in one direction."""
    for parameter in model.parameters():
        parameter.copy_(torch.nextafter(parameter, torch.tensor(towards, dtype=parameter.dtype)))


def check_as_near_as_rounding(patch: pytest.MonkeyPatch, folder: Path, **choices: str) -> RunResult:
    """Check that our run is as near to autograd's as autograd's own are, from initial weights moved by their last bit.

    Rounding grows along the way, with Adam from pixels until the weights are 30 to 40% apart; nothing but such runs can
    say how far. Where learning forgets how it began, what is left is the rounding of every update: √n u of n updates.
    Returns autograd's run.
    """
    fast = run(folder / "fast", **choices)
    take_autograd(patch)
    slow = run(folder / "slow", **choices)
    check_paths(fast, slow)
    others = []
    for name, towards in (("above", torch.inf), ("below", -torch.inf)):
        with pytest.MonkeyPatch.context() as moved:
            initial_weights(moved, partial(nudge, towards=towards))
            others.append(run(folder / name, **choices))
    rounding = FRAMES**0.5 * torch.finfo(slow.agent.online.vector.dtype).eps / 2
    for column in COLUMNS:
        mine, other, above, below = (curve(folder / name, column) for name in ("fast", "slow", "above", "below"))
        assert len(mine) == FRAMES // 50 - 1
        usual = max(np.median(np.abs(moved - other)) for moved in (above, below))
        assert np.median(np.abs(mine - other)) <= 4 * (usual + rounding * np.median(np.abs(other))), column
    assert distance(fast, slow) <= 4 * (max(distance(other, slow) for other in others) + rounding)
    return slow


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["dqn-mer", "dqn"])
@pytest.mark.parametrize(
    ("game", "observation", "optimizer"),
    [
        ("catcher", "state", "sgd"),
        ("catcher", "state", "adam"),
        ("catcher", "pixels", "sgd"),  # few of its patches are distinct, in Flappy Bird most: two ways to learn
        ("flappy_bird", "pixels", "sgd"),
        ("catcher", "pixels", "adam"),
    ],
)
def test_two_thousand_frames(
    agent: str, game: str, observation: str, optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_as_near_as_rounding(
        monkeypatch, tmp_path, agent=agent, observation=observation, optimizer=optimizer, game=game
    )


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["dqn-mer", "dqn"])
def test_adam_from_pixels_in_float64(agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam divides by the root of tiny gradients, so its rounding grows faster: what is the same shows in float64.

    Steps that `AdamDense` puts off are taken singly here, since taking them at once is exact to float32 only.
    """
    monkeypatch.setattr(adam, "MAX_EPSILON_DRIFT", -1.0)
    initial_weights(monkeypatch, make_double)
    slow = check_as_near_as_rounding(monkeypatch, tmp_path, agent=agent, observation="pixels", optimizer="adam")
    assert slow.agent.online.vector.dtype == torch.float64
