"""Which models MER takes, and what may be done to them afterwards."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from dqn_mer import (
    CrossEntropy,
    ExampleMemory,
    FlatWeights,
    MERLearner,
    MERParameters,
    MERUpdate,
    MiniBatchUpdate,
    make_learner,
)
from dqn_mer.fast.choose import make_mini_batch
from dqn_mer.fast.mini_batch import ExplicitMiniBatchUpdate
from dqn_mer.mer import AutogradLearner
from dqn_mer.networks.weights import UPDATES_PER_CHECK


def make_model(hidden: int = 0) -> nn.Sequential:
    """Return a small model, or one with layers of ``hidden`` units, of which 600 make a large one."""
    if not hidden:
        return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    return nn.Sequential(nn.Linear(3, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2))


def update_of(model: nn.Module, make: Any = make_learner) -> MERUpdate:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    return MERUpdate.for_model(model, CrossEntropy(), optimizer, MERParameters(batch_size=2), make_learner=make)


def replace_head(model: nn.Sequential) -> None:
    model[2] = nn.Linear(4, 2)


def add_layer(model: nn.Sequential) -> None:
    model.append(nn.Linear(2, 2))


def replay_of(model: nn.Module, kind: Any) -> Any:
    weights = FlatWeights(model)
    return kind(weights, CrossEntropy(), torch.optim.SGD([weights.vector], lr=0.1), 2)


def load_in_place_of_the_old(model: nn.Sequential) -> None:
    model.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()}, assign=True)


@pytest.mark.parametrize(
    "update",
    [
        update_of,
        partial(update_of, make=AutogradLearner),
        *(partial(replay_of, kind=kind) for kind in (MiniBatchUpdate, ExplicitMiniBatchUpdate, make_mini_batch)),
    ],
)
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (nn.Module.double, "0.weight"),
        (load_in_place_of_the_old, "0.weight"),
        (replace_head, "2.weight"),
        (add_layer, "3.weight"),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_a_parameter_that_left_the_vector_is_an_error(
    change: Callable[[nn.Sequential], object], name: str, update: Any, before: int
) -> None:
    model, examples = make_model(), (torch.randn(3, 3), torch.tensor([0, 1, 0]))
    replay = update(model)
    for _ in range(before * UPDATES_PER_CHECK):
        replay.update(examples)
    change(model)
    with pytest.raises(
        ValueError, match=f"model: its parameter {name} was replaced or moved, and is no longer trained"
    ):
        replay.update(examples)


@pytest.mark.parametrize("take", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_that_would_train_no_model_is_refused(take: Callable[[object], object]) -> None:
    mer = update_of(make_model())
    learner = MERLearner(make_model(), CrossEntropy(), partial(torch.optim.SGD, lr=0.1), MERParameters(), capacity=9)
    for tied in (mer.weights, *((mer, learner) if take is not copy.copy else ())):
        with pytest.raises(TypeError, match=r"^weights: cannot be copied or pickled with what learns them"):
            take(tied)
    again = copy.deepcopy(mer.weights.model)  # the model alone can be, and is then free
    before = mer.weights.snapshot()
    nn.init.zeros_(again[0].weight)
    assert torch.equal(mer.weights.snapshot(), before)


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm1d(4), nn.SyncBatchNorm(4), nn.BatchNorm1d(4, track_running_stats=False).eval()]
)
def test_batch_normalisation_is_refused_unless_it_is_frozen(layer: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(3, 4), layer, nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="model: 1 normalises over a batch, and MER learns one example at a time"):
        update_of(model)
    layer.eval()
    if isinstance(layer, nn.BatchNorm1d) and layer.track_running_stats:
        update_of(model).update((torch.randn(3, 3), torch.tensor([0, 1, 0])))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 2.5}, r"batch_size=2\.5: must be a whole number"),
        ({"num_batches": True}, "num_batches=True: must be a whole number"),
        ({"across_batch_rate": "0.3"}, "across_batch_rate='0.3': must be a number"),
        ({"within_batch_rate": None}, "within_batch_rate=None: must be a number"),
        ({"one_big_batch": 1}, "one_big_batch=1: must be true or false"),
        ({"across_batch_rate": float("nan")}, r"across_batch_rate=nan: must be in \[0, 1\]"),
    ],
)
def test_parameters_of_a_wrong_type_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        MERParameters(**wrong)


def test_parameters_may_be_numbers_of_numpy() -> None:
    assert MERParameters(batch_size=np.int64(3), across_batch_rate=np.float32(0.5)).num_draws == 3


def learned(model: nn.Module, make_optimizer: Any, make: Any, updates: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    mer = MERUpdate.for_model(model, CrossEntropy(), make_optimizer, MERParameters(batch_size=2), make_learner=make)
    for _ in range(updates):
        mer.update((torch.randn(3, 3, generator=generator), torch.tensor([0, 1, 0])))
    return mer.weights.snapshot()


def halve_outputs(model: nn.Sequential) -> None:
    model[0].register_forward_hook(lambda module, inputs, outputs: outputs / 2)


def prune_half(model: nn.Sequential) -> None:
    prune.l1_unstructured(model[0], "weight", 0.5)


def clamp_gradient(model: nn.Sequential) -> None:
    model[0].weight.register_hook(lambda gradient: gradient.clamp(-0.01, 0.01))


@pytest.mark.parametrize("change", [halve_outputs, prune_half, clamp_gradient])
def test_hooks_of_a_model_are_called_by_every_inner_loop(change: Callable[[nn.Sequential], None]) -> None:
    weights = []
    for make in (make_learner, AutogradLearner):
        torch.manual_seed(0)
        model = make_model()
        change(model)
        weights.append(learned(model, partial(torch.optim.SGD, lr=0.1), make))
    assert torch.equal(*weights)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("mini_batch", [False, True])
def test_weight_decay_leaves_frozen_weights_alone(kind: Any, mini_batch: bool) -> None:
    model, make_optimizer = make_model(), partial(kind, lr=0.1, weight_decay=0.5)
    model[0].requires_grad_(False)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    if mini_batch:
        weights = FlatWeights(model)
        replay = MiniBatchUpdate(weights, CrossEntropy(), make_optimizer([weights.vector]), 2)
        replay.update((torch.randn(3, 3), torch.tensor([0, 1, 0])))
    else:
        learned(model, make_optimizer, make_learner)
    same = [torch.equal(one, two) for one, two in zip(before, model.parameters(), strict=True)]
    assert same == [True, True, False, False]


class Masked(nn.Module):
    """Has an empty parameter, and a frozen one that holds an infinite number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.empty = nn.Linear(3, 2), nn.Parameter(torch.zeros(2, 0))
        self.mask = nn.Parameter(torch.tensor([0.0, -torch.inf]), requires_grad=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs)


def test_empty_and_infinite_frozen_parameters_stay_as_they_are() -> None:
    model, learn = Masked(), partial(learned, make_optimizer=partial(torch.optim.SGD, lr=0.1), make=make_learner)
    before = model.layer.weight.detach().clone()
    learn(model, updates=UPDATES_PER_CHECK + 1)
    assert model.mask.tolist() == [0.0, -torch.inf] and not torch.equal(model.layer.weight, before)


@pytest.mark.parametrize("make", [make_learner, AutogradLearner])
@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_frozen_does_not_change_unnoticed(make: Any, frozen: bool) -> None:
    model = make_model()
    model[2].weight.requires_grad_(not frozen)
    mer = update_of(model, make)
    model[2].weight.requires_grad_(frozen)
    change = "unfrozen" if frozen else "frozen"
    with pytest.raises(ValueError, match=f"model: its parameter 2.weight was {change} after its weights became one"):
        mer.update((torch.randn(3, 3), torch.tensor([0, 1, 0])))


@pytest.mark.parametrize("make", [make_learner, AutogradLearner])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.Adagrad])
def test_an_update_and_its_memory_are_saved_and_resumed_bit_identically(kind: Any, make: Any, tmp_path: Path) -> None:
    parameters, stream = MERParameters(batch_size=3), [(row, np.int64(row[0] > 0)) for row in np.eye(3, dtype="f4")] * 9

    def parts() -> tuple[nn.Module, MERUpdate, ExampleMemory]:
        model = make_model()
        mer = MERUpdate.for_model(model, CrossEntropy(), partial(kind, lr=0.1), parameters, make_learner=make)
        return model, mer, ExampleMemory(5, like=stream[0], rng=np.random.default_rng(0))

    def learn(mer: MERUpdate, memory: ExampleMemory, examples: Any) -> None:
        for example in examples:
            draws = parameters.num_draws if len(memory) else 0
            mer.update(memory.sample(draws, np.random.default_rng(memory.seen), example))
            memory.add(example)

    model, mer, memory = parts()
    learn(mer, memory, stream[:12])
    torch.save(
        {"model": model.state_dict(), "mer": mer.state_dict(), "memory": memory.state_dict()}, tmp_path / "saved"
    )
    learn(mer, memory, stream[12:])
    again, other, other_memory = parts()
    saved = torch.load(tmp_path / "saved")
    again.load_state_dict(saved["model"])
    other.load_state_dict(saved["mer"])
    other_memory.load_state_dict(saved["memory"])
    learn(other, other_memory, stream[12:])
    assert torch.equal(other.weights.vector, mer.weights.vector)
    with pytest.raises(ValueError, match=r"^columns: must be 4 of"):
        ExampleMemory(4, like=stream[0], rng=np.random.default_rng(0)).load_state_dict(saved["memory"])


def test_the_state_of_another_optimizer_is_not_taken_silently() -> None:
    model = make_model()
    for make in (torch.optim.Adagrad, lambda _: torch.optim.SGD(model.parameters(), lr=0.1)):
        mer = MERUpdate.for_model(model, CrossEntropy(), make, MERParameters())
        with pytest.raises(ValueError, match=r"^optimizer: must be SGD, Adam, AdamW, RMSprop over the weights as one"):
            mer.get_state()
