"""Q-networks that a user's function builds: trained, checked, saved, and measured like ours."""

from __future__ import annotations

import functools
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, autograd, nn

from dqn_mer.analysis.gradient_agreement import gradient_dots
from dqn_mer.analysis.plasticity import activations
from dqn_mer.commands import play
from dqn_mer.commands.watch import watch
from dqn_mer.evaluation.agent_options import EvaluateOptions, ExportOptions, PlayerFields, WatchOptions
from dqn_mer.evaluation.checkpoint import CheckpointError, load_checkpoint
from dqn_mer.evaluation.checkpoint_folders import OwnTaskError
from dqn_mer.evaluation.export import export_agent
from dqn_mer.evaluation.inline import InlineEvaluation
from dqn_mer.evaluation.saved_agent import evaluate_checkpoint, load_agent
from dqn_mer.losses import HuberTDLoss
from tests.helpers.closeness import check_sums
from tests.helpers.own_envs import QUIET, Count, count_task, play_tiny, train_tiny


class Duelling(nn.Module):
    """Values and advantages; its last weight is not one of an action's."""

    def __init__(self, shape: tuple[int, ...], actions: int) -> None:
        super().__init__()
        self.shape = shape
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 7), nn.ReLU(inplace=True))
        self.advantage, self.value = nn.Linear(7, actions), nn.Linear(7, 1)

    def forward(self, observations: Tensor) -> Tensor:
        assert observations.dtype == torch.float32 and observations.shape[1:] == self.shape
        assert observations.min() >= 0 and observations.max() <= 1
        features = self.body(observations)
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(dim=1, keepdim=True)


SMALL_IMAGE = functools.partial(
    Count, box=spaces.Box(0, 255, (7, 6, 3), np.uint8), show=lambda count: np.full((7, 6, 3), 12 * count, np.uint8)
)


def test_a_network_of_ones_own_trains_is_saved_and_plays(tmp_path: Path) -> None:
    task = count_task(SMALL_IMAGE, network=Duelling)
    result = train_tiny(task, tmp_path, agent="dqn-mer", optimizer="sgd")
    model = result.agent.online.model
    assert isinstance(model[-1], Duelling) and result.agent.target.model[-1].shape == (7, 6, 3)
    assert result.agent.updates == 100 and result.agent.memory.dtype == np.uint8
    for path, network in ((result.run_dir, Duelling), (result.run_dir / "checkpoints" / "frame-000000120", Duelling)):
        loaded = load_checkpoint(path, network).model
        inputs = torch.randint(0, 256, (5, 7, 6, 3), dtype=torch.uint8)
        torch.testing.assert_close(loaded(inputs), model(inputs), rtol=0, atol=0)
    evaluate_checkpoint(EvaluateOptions(result.run_dir, episodes=1), QUIET, task)
    watch(WatchOptions(result.run_dir, out=tmp_path / "clips", format="gif", frame_limit=3), QUIET, task)


class Recurrent(nn.Module):
    """Keeps its first state for as long as there are as many rows."""

    def __init__(self, shape: tuple[int, ...], actions: int) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(shape[0], 5), nn.Linear(5, actions)
        self.first = torch.zeros(0, 5)

    def forward(self, observations: Tensor) -> Tensor:
        if len(self.first) != len(observations):
            self.first = torch.zeros(len(observations), 5)
        values: Tensor = self.out(self.cell(observations, self.first))
        return values


def test_tensors_that_a_network_keeps_while_it_plays_can_be_learned_with(tmp_path: Path) -> None:
    task = count_task(network=Recurrent)
    result = train_tiny(task, tmp_path, agent="dqn-mer", epsilon_start=0.0, epsilon_end=0.0)
    assert result.agent.updates == 100


def test_the_example_trains_and_plays(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "examples" / "own_network.py"
    task = runpy.run_path(str(path))["car_task"](frames_per_setting=15)
    assert task.make_env(task.schedule.settings[0]).observation_space.shape == (4, 2)
    result = train_tiny(task, tmp_path, eval_frame_limit=10)
    assert result.run_dir.name.startswith("make_car-state-dqn-") and result.agent.updates == 25
    evaluate_checkpoint(EvaluateOptions(result.run_dir, settings="0.0027", episodes=1), QUIET, task)


def test_a_checkpoint_without_its_function_says_what_it_needs(tmp_path: Path) -> None:
    task = count_task(SMALL_IMAGE, network=Duelling)
    play_tiny(task, tmp_path)
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    needs = (
        r"checkpoint.json: bad network: built by a function of the user's own, "
        r"tests.networks.test_own_networks.Duelling: hand in its `task` or `network`"
    )
    with pytest.raises(CheckpointError, match=f"{needs}$"):
        load_checkpoint(checkpoint)
    how = "; evaluate and watch take its --task MODULE:NAME; in Python pass the task"
    with pytest.raises(OwnTaskError, match=needs + how):
        load_agent(PlayerFields(checkpoint), count_task(SMALL_IMAGE))
    description = json.loads((checkpoint / "checkpoint.json").read_text())
    for stated, said in (("mine:task", "evaluate and watch take --task mine:task, as its folder says"), (7, how)):
        description["config"]["task"] = stated
        (checkpoint / "checkpoint.json").write_text(json.dumps(description))
        with pytest.raises(OwnTaskError, match=needs + f".*{said}"):
            load_agent(PlayerFields(checkpoint))
    with pytest.raises(ValueError, match="an agent of an environment of your own is not exported"):
        export_agent(ExportOptions(checkpoint, tmp_path / "shared"))
    with pytest.raises(ValueError, match=r"^against=.*: plays an environment of your own; must play catcher$"):
        play._set_up(play.PlayOptions("catcher", against=checkpoint))
    with pytest.raises(CheckpointError, match="tensors do not fit the network"):
        load_checkpoint(checkpoint, lambda shape, actions: nn.Sequential(nn.Flatten(), nn.Linear(126, actions)))


@pytest.mark.slow
def test_the_worker_evaluates_a_network_and_an_environment_that_no_module_has(tmp_path: Path) -> None:
    task = count_task(lambda: SMALL_IMAGE(start=2), network=lambda shape, actions: Duelling(shape, actions), frames=15)
    tables = []
    for worker in (False, True):
        result = train_tiny(task, tmp_path, eval_worker=worker)
        tables.append((result.run_dir / "evaluations.csv").read_text())
    assert tables[0] == tables[1] and tables[0].count("\n") > 4


class RandomFeatures(nn.Module):
    """Learns from random features, which are drawn when it is made and are none of its weights."""

    def __init__(self, shape: tuple[int, ...], actions: int, keep: str = "buffer", draw: Any = torch.randn) -> None:
        super().__init__()
        features = torch.as_tensor(draw(shape[0], 9), dtype=torch.float32)
        if keep == "attribute":
            self.features = features
        else:
            self.register_buffer("features", features, persistent=keep == "buffer")
        self.out = nn.Linear(9, actions)

    def forward(self, observations: Tensor) -> Tensor:
        values: Tensor = self.out(torch.cos(observations @ self.features))
        return values


@pytest.mark.parametrize("keep", ["buffer", "non-persistent buffer", "attribute"])
def test_what_a_network_draws_besides_its_weights_is_the_same_wherever_it_plays(keep: str, tmp_path: Path) -> None:
    task = count_task(network=functools.partial(RandomFeatures, keep=keep))
    loop = play_tiny(task, tmp_path)
    assert isinstance(loop.evaluation, InlineEvaluation)
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    inputs = torch.rand(4, 1)
    loop.evaluation.weights.load(loop.agent.online.vector)
    values = loop.agent.online.model(inputs)
    assert torch.equal(loop.evaluation.policy.model(inputs), values)
    assert torch.equal(load_checkpoint(checkpoint, task.network).model(inputs), values)
    loop.agent.target.load(loop.agent.online.vector)
    assert torch.equal(loop.agent.target.model(inputs), values)


def test_random_play_has_no_network_of_ones_own(tmp_path: Path) -> None:
    play_tiny(count_task(SMALL_IMAGE, network=Duelling), tmp_path, agent="random")
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    assert load_checkpoint(checkpoint).description["network"]["random_odds"] == [0.5, 0.5]


def test_initial_weights_follow_the_seed_and_leave_the_global_generator(tmp_path: Path) -> None:
    task = count_task(SMALL_IMAGE, network=Duelling, frames=10)
    before = torch.get_rng_state()
    vectors = [
        play_tiny(task, tmp_path / str(run), 10, seed=seed).agent.online.vector.detach()
        for run, seed in enumerate((1, 1, 2))
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(vectors[0], vectors[1]) and not torch.equal(vectors[0], vectors[2])


def frozen(shape: tuple[int, ...], actions: int) -> nn.Module:
    return nn.Linear(1, actions).requires_grad_(False)


class Root(nn.Module):
    """The square root, of negative numbers NaN."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.sqrt()


class Centred(nn.Linear):
    """Takes the mean of a batch from its values."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        values = super().forward(inputs)
        return values - values.mean(0, keepdim=True)


class Clamped(nn.Linear):
    """Clamps what it is given, in place."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs.clamp_(0.0, 0.5))


class Detached(nn.Linear):
    """Cuts its values off from its weights."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs).detach()


def drawn_by_numpy(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng().standard_normal(shape)


REFUSED = [
    (lambda shape, actions: 3, "must build a torch.nn.Module, built a int"),
    (lambda shape, actions: nn.Identity(), "must have weights, all of float32, has none"),
    (lambda shape, actions: nn.Linear(1, actions).double(), "must have weights, all of float32, has torch.float64"),
    (frozen, "must have no frozen weights"),
    (
        lambda shape, actions: nn.Linear(1, actions + 1),
        r"must return float32 of shape \(n, 2\), for n=3 returns",
    ),
    (lambda shape, actions: nn.Linear(9, actions), r"fails on an input of shape \(n, 1\): mat1 and mat2 shapes"),
    (lambda shape, actions: nn.Sequential(nn.Linear(1, actions), nn.Dropout(0.9)), "must give equal values for equal"),
    (lambda shape, actions: nn.Sequential(nn.Linear(1, actions), nn.LogSigmoid(), Root()), "must give finite values"),
    (functools.partial(RandomFeatures, draw=drawn_by_numpy), "must have the same buffers each time"),
    (lambda shape, actions: nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, actions)), "must keep nothing from one call"),
    (
        lambda shape, actions: nn.Sequential(nn.Linear(1, actions), nn.BatchNorm1d(actions, track_running_stats=False)),
        r"fails on an input of shape \(n, 1\): Expected more than 1 value",
    ),
    (lambda shape, actions: Clamped(1, actions), "must leave its inputs as they are"),
    (lambda shape, actions: Detached(1, actions), "must give values that its weights learn from"),
    (lambda shape, actions: Centred(1, actions), "must give an input the same values, and rows, alone as in a batch"),
]


@pytest.mark.parametrize(("network", "message"), REFUSED)
def test_modules_that_cannot_be_a_q_network_are_refused_in_one_line(network: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^network: {message}") as error:
        train_tiny(count_task(network=network), tmp_path)
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []


class Shared(nn.Module):
    """Uses a layer twice, ties two layers, adds axes, and looks at its values."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.tied, self.other = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.other.weight = self.tied.weight
        self.points, self.out = nn.Linear(2, 3), nn.Linear(15, 3, bias=False)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.twice(torch.tanh(self.twice(inputs)))
        hidden = self.other(torch.tanh(self.tied(hidden)))
        if bool(hidden.sum() > 1e9):
            hidden = hidden * 2
        points = self.points(inputs.reshape(-1, 3, 2)).flatten(1)
        return self.out(torch.cat([hidden * self.scale, points], dim=1))


class InPlace(nn.Module):
    """Changes the outputs of a layer in place, as many published networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 7), nn.ReLU(inplace=True))
        self.value, self.advantage = nn.Linear(7, 1), nn.Linear(7, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.body(inputs)
        return self.advantage(features).add_(self.value(features))


@pytest.mark.parametrize("kind", [Shared, InPlace])
def test_gradients_of_any_module_are_those_taken_one_by_one(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = kind().double()
    count = 9
    examples = (
        torch.rand(count, 6, dtype=torch.float64), torch.randint(0, 3, (count,)), torch.rand(count, dtype=torch.float64)
    )  # fmt: skip
    rows = []
    for row in range(count):
        inputs, *targets = (part[row : row + 1] for part in examples)
        gradients = autograd.grad(HuberTDLoss()(model(inputs), *targets).sum(), list(model.parameters()))
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    each = torch.stack(rows)
    dots = gradient_dots(model, HuberTDLoss(), examples)
    terms = each.abs() @ each.abs().T
    check_sums(dots.numpy(), (each @ each.T).numpy(), terms.numpy(), each.shape[1] + 2)  # each factor is rounded
    assert not any(layer._forward_hooks for layer in model.modules())


def test_units_of_any_module_are_seen() -> None:
    model = Duelling((6,), 3)
    (units,) = activations(model, torch.rand(4, 6))
    assert units.shape == (4, 7) and not any(layer._forward_hooks for layer in model.modules())
