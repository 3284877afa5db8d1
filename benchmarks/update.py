"""MER's update against a naive loop and a mini-batch of the same examples: ``python -m benchmarks.update``.

The naive loop is what public attempts do: autograd, a stock optimizer over the parameters, copies of the state dict.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.harness import cores, interleave, read_options, report, spread
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.fast.choose import make_learner
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import Examples, MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import build_network
from dqn_mer.networks.weights import FlatWeights

HIDDEN_SIZES = {"Nature CNN": (512,), "MLP 128-128": (128, 128)}
CASES = [("Nature CNN", "catcher"), ("Nature CNN", "flappy_bird"), ("MLP 128-128", "catcher")]
"""Networks and the games whose observations they learn from; of pixels it matters how often a patch repeats."""
RATES = {"sgd": 1e-3, "adam": 1e-4}
WARM_UP_UPDATES = 50
"""More than Adam's first 540 steps of all, in which ours puts off less (see `dqn_mer.fast.adam`)."""


@dataclass
class Options:
    """Time one update of 17 examples."""

    threads: int = 1
    """Cores to run on, each with a PyTorch thread."""
    repeats: int = 15
    """Measurements of each side."""
    batch_size: int = 16
    """Replayed examples; the newest is one more."""


def make_examples(game: str, observation: str, count: int) -> tuple[Examples, int]:
    """Return observations of random play, random actions and targets; and how many actions there are."""
    rng = np.random.default_rng(0)
    task = game_task(default_config(game=game, observation=observation))
    env, odds = task.make_env(task.schedule.settings[0]), task.action_probabilities
    seen = [env.reset(seed=0)[0]]
    while len(seen) < 1_000:
        following, _, terminated, truncated, _ = env.step(rng.choice(len(odds), p=odds))
        seen.append(env.reset()[0] if terminated or truncated else following)
    env.close()
    inputs = torch.from_numpy(np.stack([seen[place] for place in rng.integers(len(seen), size=count)]))
    actions = torch.from_numpy(rng.integers(len(odds), size=count))
    return (inputs, actions, torch.from_numpy(rng.standard_normal(count, np.float32))), len(odds)


def make_naive(model: torch.nn.Module, optimizer: str, parameters: MERParameters) -> Callable[[Examples], None]:
    """Return the update as one writes it first."""
    kinds: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    stock = kinds[optimizer](model.parameters(), lr=RATES[optimizer])
    loss, rng, rate = HuberTDLoss(), np.random.default_rng(0), parameters.across_batch_rate

    def update(examples: Examples) -> None:
        before = copy.deepcopy(model.state_dict())
        for row in rng.permutation(len(examples[0])):
            inputs, *targets = (part[row : row + 1] for part in examples)
            stock.zero_grad()
            loss(model(inputs), *targets).sum().backward()
            stock.step()
        after = model.state_dict()
        model.load_state_dict({name: before[name] + rate * (after[name] - before[name]) for name in before})

    return update


def measure(network: str, game: str, optimizer: str, options: Options) -> dict[str, Any]:
    """Return one row of the table."""
    pixels, hidden = network == "Nature CNN", HIDDEN_SIZES[network]
    parameters = MERParameters(options.batch_size, across_batch_rate=0.3)
    examples, actions = make_examples(game, "pixels" if pixels else "state", options.batch_size + 1)
    shape = tuple(examples[0].shape[1:])
    loss = HuberTDLoss()
    ours, batch = (FlatWeights(build_network(shape, actions, hidden, 0)) for _ in range(2))
    learner = make_learner(ours, loss, make_optimizer(optimizer, ours, RATES[optimizer]))
    mer = MERUpdate(ours, learner, parameters, np.random.default_rng(0))
    mini = MiniBatchUpdate(batch, loss, make_optimizer(optimizer, batch, RATES[optimizer]), options.batch_size)
    naive = make_naive(build_network(shape, actions, hidden, 0), optimizer, parameters)
    sides = {"ours": lambda: mer.update(examples), "mini-batch": lambda: mini.update(examples)}
    sides["naive"] = lambda: naive(examples)
    for _ in range(WARM_UP_UPDATES):
        mer.update(examples)
    times = interleave(sides, options.repeats, inner=5 if pixels else 50)
    row: dict[str, Any] = {"network": network, "game": game, "optimizer": optimizer}
    for side, seconds in times.items():
        middle, low, high = (1e3 * value for value in spread(seconds))
        row[f"{side} ms"] = middle
        row[f"{side} low-high"] = f"{low:.2f}-{high:.2f}"
    row["ours / mini-batch"] = row["ours ms"] / row["mini-batch ms"]
    row["naive / ours"] = row["naive ms"] / row["ours ms"]
    return row


def main() -> None:
    """Measure all networks and optimizers."""
    options = read_options(Options)
    with cores(options.threads):
        report("update", [measure(*case, optimizer, options) for case in CASES for optimizer in RATES])


if __name__ == "__main__":
    main()
