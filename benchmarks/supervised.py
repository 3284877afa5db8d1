"""MER on a stream of labelled examples against loops in autograd: ``python -m benchmarks.supervised``.

Examples of the stream per second, the draws from memory included, for the authors' network and rates on Rotations with
500 memories. The naive loop is what public implementations do, the authors' among them: autograd, a stock optimizer
over the parameters, copies of the state dict. Avalanche's own loop is timed as well where it is installed
(``pip install avalanche-lib``). Mammoth's MER takes one step on the mean loss of a batch instead of one for each
example, which is not the published algorithm: the mini-batch is what it computes.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.harness import cores, interleave, read_options, report, spread
from dqn_mer.losses import CrossEntropy
from dqn_mer.mer import AutogradLearner, MERUpdate
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.supervised.build import mer_parameters
from dqn_mer.supervised.learners import ReplayLearner, make_mer, make_replay, make_sgd
from dqn_mer.supervised.memory import Example, ExampleMemory
from dqn_mer.supervised.model import build_mlp
from dqn_mer.supervised.presets import Rates, published_rates

SIZES = (784, 100, 100, 10)
MEMORY = 500
Side = Callable[[], None]


@dataclass
class Options:
    """Time a learner on one example of the stream after the other."""

    repeats: int = 9
    """Measurements of each side."""
    examples: int = 20
    """Examples of a measurement."""


def make_example(rng: np.random.Generator) -> Example:
    """Return an example with as many inputs of zero as a digit of MNIST."""
    return (rng.random(784) * (rng.random(784) < 0.19)).astype(np.float32), np.int64(rng.integers(10))


def make_memory(rng: np.random.Generator) -> ExampleMemory:
    """Return a full memory."""
    memory = ExampleMemory(MEMORY, make_example(rng), rng)
    for _ in range(MEMORY):
        memory.add(make_example(rng))
    return memory


def observing(learner: ReplayLearner, rng: np.random.Generator) -> Side:
    """Return what learns one more example."""
    example = make_example(rng)
    return lambda: learner.observe(example, 0)


def naive(name: str, rates: Rates, memory: ExampleMemory, rng: np.random.Generator) -> Side:
    """Return the update as one writes it first, and as the authors do."""
    model, parameters, example = build_mlp(SIZES, seed=0), mer_parameters(name, rates), make_example(rng)
    optimizer, loss = torch.optim.SGD(model.parameters(), lr=rates.learning_rate), nn.CrossEntropyLoss()

    def reptile(before: dict[str, Any], rate: float) -> None:
        after = model.state_dict()
        model.load_state_dict({key: before[key] + rate * (after[key] - before[key]) for key in before})

    def update() -> None:
        first = copy.deepcopy(model.state_dict())
        for _ in range(parameters.num_batches):
            before = copy.deepcopy(model.state_dict())
            inputs, labels = memory.sample(parameters.batch_size, rng, example)
            for row in rng.permutation(len(labels)).tolist():
                optimizer.zero_grad()
                boost = parameters.current_example_boost if row == 0 else 1.0
                (boost * loss(model(inputs[row : row + 1]), labels[row : row + 1])).backward()
                optimizer.step()
            reptile(before, parameters.within_batch_rate)
        reptile(first, parameters.across_batch_rate)

    return update


def autograd(name: str, rates: Rates, memory: ExampleMemory, rng: np.random.Generator) -> Side:
    """Return ours with autograd in the inner loop: what any other model or loss gets."""
    weights = FlatWeights(build_mlp(SIZES, seed=0))
    inner = AutogradLearner(weights, CrossEntropy(), make_sgd(weights, rates.learning_rate))
    update = MERUpdate(weights, inner, mer_parameters(name, rates), rng)
    return observing(ReplayLearner(weights, update, memory, rng), rng)


def mini_batch(rates: Rates, memory: ExampleMemory, rng: np.random.Generator) -> Side:
    """Return experience replay of as many draws in one batch."""
    weights = FlatWeights(build_mlp(SIZES, seed=0))
    draws = rates.batch_size * rates.num_batches
    return observing(make_replay(weights, rates.learning_rate, draws, memory, rng), rng)


def avalanche(rates: Rates, memory: ExampleMemory, rng: np.random.Generator) -> Side:
    """Return Avalanche's own inner and outer updates on its own buffer's batches of our examples."""
    from avalanche.training.supervised.mer import MER

    model = build_mlp(SIZES, seed=0)
    stock = torch.optim.SGD(model.parameters(), lr=rates.learning_rate)
    strategy: Any = MER(
        model=model, optimizer=stock, mem_size=MEMORY, batch_size_mem=rates.batch_size,
        n_inner_steps=rates.num_batches, beta=rates.within_batch_rate, gamma=rates.across_batch_rate,
    )  # fmt: skip
    columns = [torch.from_numpy(column) for column in memory.columns]
    strategy.buffer.storage_policy.buffer = [(inputs, int(label), 0) for inputs, label in zip(*columns, strict=True)]
    inputs, label = make_example(rng)
    strategy.mbatch = [torch.from_numpy(inputs[None]), torch.tensor([label]), torch.tensor([0])]

    def update() -> None:
        strategy._before_inner_updates()
        strategy._inner_updates()
        strategy._outer_update()

    return update


def measure(name: str, options: Options) -> dict[str, Any]:
    """Return one row of the table."""
    rates, _ = published_rates(name, "rotations", MEMORY)
    rng = np.random.default_rng(0)
    memory = make_memory(rng)
    weights = FlatWeights(build_mlp(SIZES, seed=0))
    ours = make_mer(weights, rates.learning_rate, mer_parameters(name, rates), memory, rng, rng)
    sides: dict[str, Side] = {
        "ours": observing(ours, rng),
        "mini-batch": mini_batch(rates, memory, rng),
        "autograd": autograd(name, rates, memory, rng),
        "naive": naive(name, rates, memory, rng),
    }
    if name == "mer-1" and importlib.util.find_spec("avalanche") is not None:
        sides["avalanche"] = avalanche(rates, memory, rng)
    times = interleave(sides, options.repeats, inner=options.examples)
    row: dict[str, Any] = {"learner": name, "steps": rates.num_batches * (rates.batch_size + 1)}
    for side in ("ours", "mini-batch", "autograd", "naive", "avalanche"):
        row[f"{side} examples/s"] = 1 / spread(times[side])[0] if side in times else ""
    row["ours low-high"] = "-".join(f"{1 / value:.0f}" for value in reversed(spread(times["ours"])[1:]))
    row["naive / ours"] = spread(times["naive"])[0] / spread(times["ours"])[0]
    return row


def main() -> None:
    """Measure the three forms of MER."""
    options = read_options(Options)
    with cores(1):
        report("supervised", [measure(name, options) for name in ("mer-1", "mer-6", "mer-7")])


if __name__ == "__main__":
    main()
