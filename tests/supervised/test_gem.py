"""Gradient episodic memory: its projection, its learners and what they keep, against slow, obvious ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from dqn_mer.networks.weights import FlatWeights
from dqn_mer.supervised.gem import AGEMLearner, GEMLearner, TaskMemories, shares_of_past
from tests.helpers.closeness import check_same, unit_roundoff
from tests.helpers.stream_problems import make_examples, make_twin, make_weights, vector_of

RATE = 0.2


def project(gradient: torch.Tensor, past: torch.Tensor, margin: float = 0.0) -> torch.Tensor:
    shares = shares_of_past((past @ past.T).numpy(), (past @ gradient).numpy(), margin)
    return gradient + past.T @ torch.from_numpy(shares)


@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_projection_of_gem_equals_brute_force_on_two_tasks(margin: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    gradient, past = (
        torch.randn(30, generator=generator, dtype=torch.float64),
        torch.randn(2, 30, generator=generator, dtype=torch.float64),
    )
    past -= 0.3 * gradient  # so that the tasks object

    def norm(v: np.ndarray) -> float:
        return float((gradient + past.T @ torch.from_numpy(v)).norm())

    low, high = np.full(2, margin), np.full(2, margin + 4.0)
    for _ in range(40):  # the objective is convex: a grid that closes in on its best point
        axes = [np.linspace(low[i], high[i], 9) for i in range(2)]
        best = min((np.array(v) for v in itertools.product(*axes)), key=norm)
        width = (high - low) / 4
        low, high = np.maximum(best - width, margin), best + width
    expected = gradient + past.T @ torch.from_numpy(best)
    torch.testing.assert_close(project(gradient, past, margin), expected, rtol=1e-6, atol=1e-6)
    if margin == 0:
        assert (past @ project(gradient, past) >= -1e-9).all()


def test_the_projection_takes_parallel_equal_and_zero_gradients() -> None:
    gradient = torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    one = torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64)
    expected = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
    for past in (torch.stack([one, one]), torch.stack([one, 3 * one]), torch.stack([one, 0 * one])):
        torch.testing.assert_close(project(gradient, past), expected)
    torch.testing.assert_close(project(gradient, torch.zeros(2, 3, dtype=torch.float64)), gradient)


@pytest.mark.parametrize("seed", range(5))
def test_the_projection_depends_on_no_length_of_a_past_gradient(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    gradient = torch.randn(40, generator=generator, dtype=torch.float64)
    past = torch.randn(12, 40, generator=generator, dtype=torch.float64) - 0.3 * gradient
    expected = project(gradient, past)
    lengths = torch.logspace(-14, 2, 12, dtype=torch.float64).unsqueeze(1)  # of tasks that are fitted, and new ones
    torch.testing.assert_close(project(gradient, lengths * past), expected)
    assert expected.norm() < gradient.norm()  # a projection


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_nearly_parallel_gradients_make_no_long_step(seed: int, margin: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    gradient, one = (torch.randn(30, generator=generator, dtype=torch.float64) for _ in range(2))
    past = one * torch.randn(40, 1, generator=generator, dtype=torch.float64)
    past += 1e-6 * torch.randn(40, 30, generator=generator, dtype=torch.float64)
    longest = (gradient + margin * past.sum(dim=0)).norm()  # without any more of the past gradients
    assert project(gradient, past, margin).norm() <= longest * (1 + 1e-9)


def gradient_of(model: nn.Module, examples: list[tuple[np.ndarray, np.int64]]) -> torch.Tensor:
    model.zero_grad()
    inputs = torch.from_numpy(np.stack([one for one, _ in examples]))
    nn.functional.cross_entropy(model(inputs), torch.tensor([label for _, label in examples])).backward()
    return torch.cat([weight.grad.reshape(-1) for weight in model.parameters()])


def follow(model: nn.Module, step: torch.Tensor) -> None:
    with torch.no_grad():
        start = 0
        for weight in model.parameters():
            weight -= RATE * step[start : start + weight.numel()].view_as(weight)
            start += weight.numel()


def test_gem_follows_the_gradient_that_no_past_task_objects_to() -> None:
    per_task, length = 3, 6
    weights = make_weights()
    twin = make_twin(weights)
    learner = GEMLearner(weights, RATE, 0.2, TaskMemories(per_task, make_examples(1)[0]))
    kept: list[list[tuple[np.ndarray, np.int64]]] = []
    projected = 0
    for place, example in enumerate(make_examples(24, seed=3)):
        if place % length == 0:
            kept.append([])
        kept[-1] = [*kept[-1], example][-per_task:]
        newest = gradient_of(twin, [example])
        step = newest
        if len(kept) > 1:
            past = torch.stack([gradient_of(twin, task) for task in kept[:-1]])
            if (past @ newest < 0).any():
                step, projected = project(newest, past, 0.2), projected + 1
        follow(twin, step)
        learner.observe(example, place // length)
        check_same(weights.vector.detach(), vector_of(twin))
    assert 0 < projected < 18


def test_a_gem_draws_its_batch_from_the_examples_of_all_past_tasks() -> None:
    per_task, length, batch = 3, 7, 4
    weights = make_weights()
    twin = make_twin(weights)
    memories = TaskMemories(per_task, make_examples(1)[0])
    learner = AGEMLearner(weights, RATE, batch, memories, np.random.default_rng(5))
    draws, projected = np.random.default_rng(5), 0
    kept: list[list[tuple[np.ndarray, np.int64]]] = []
    for place, example in enumerate(make_examples(28, seed=3)):
        task, row = divmod(place, length)
        kept += [[]] if row == 0 else []
        kept[task][row % per_task : row % per_task + 1] = [example]
        step = newest = gradient_of(twin, [example])
        if task:
            past = [one for examples in kept[:task] for one in examples]
            reference = gradient_of(twin, [past[pick] for pick in draws.integers(len(past), size=batch)])
            if reference @ newest < 0:
                step, projected = newest - reference * (reference @ newest) / (reference @ reference), projected + 1
        follow(twin, step)
        learner.observe(example, task)
        check_same(weights.vector.detach(), vector_of(twin))
    assert 0 < projected < 21


def test_an_a_gem_step_is_orthogonal_to_the_past_where_they_oppose() -> None:
    weights = make_weights()
    learner = AGEMLearner(weights, RATE, 64, TaskMemories(1, make_examples(1)[0]), np.random.default_rng(0))
    inputs, label = make_examples(1)[0]
    learner.observe((inputs, label), 0)
    reference = gradient_of(make_twin(weights), [(inputs, label)])
    before = weights.snapshot()
    learner.observe((inputs, np.int64((label + 1) % 3)), 1)  # the same input with another label
    assert abs(reference @ (weights.snapshot() - before)) < 1e-12
    assert (weights.snapshot() - before).norm() > 1e-3


@pytest.mark.parametrize("gap", [20.0, 55.0, 85.0])
def test_an_a_gem_step_depends_on_no_length_of_the_past_gradient(gap: float) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[gap / 2, 0], [-gap / 2, 0]]))  # logits of (1, 0) that are gap apart
        model[0].bias.zero_()
    weights, past = FlatWeights(model), (np.array([1, 0], np.float32), np.int64(0))
    learner = AGEMLearner(weights, RATE, 2, TaskMemories(1, past), np.random.default_rng(0))
    learner.memories.add(past, 0)
    before = weights.snapshot()
    learner.observe((np.array([1, 1], np.float32), np.int64(1)), 1)
    step = (before - weights.snapshot()) / RATE
    # The newest gradient is (1, 1), (-1, -1) and (1, -1); the past one has, rounded to float32, only a second row.
    expected = torch.tensor([1.0, 1, 0, -1, 1, 0])
    assert torch.allclose(step, expected, rtol=0, atol=8 * gap * unit_roundoff(np.float32) / RATE)


def test_memories_of_tasks_keep_the_last_examples_of_each() -> None:
    memories = TaskMemories(2, make_examples(1)[0])
    examples = make_examples(6)
    for place, example in enumerate(examples):
        memories.add(example, task=place // 3)
    assert len(memories) == 4
    assert memories.of(1)[0].numpy().tolist() == [examples[5][0].tolist(), examples[4][0].tolist()]
