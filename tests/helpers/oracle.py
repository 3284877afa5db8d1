"""MER as slowly and plainly as it can be written, to compare the real one with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def naive_mer(
    model: nn.Module,
    loss: Callable[..., Tensor],
    examples: Sequence[Tensor],
    batches: Sequence[Sequence[int]],
    learning_rate: float,
    within_batch_rate: float,
    across_batch_rate: float,
    current_example_boost: float = 1.0,
) -> dict[str, Tensor]:
    """Return the weights after one update, by name; plain SGD, plain loops, plain copies."""

    def weights() -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def move(before: dict[str, Tensor], rate: float) -> None:
        after = weights()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(before[name] + rate * (after[name] - before[name]))

    before_all = weights()
    for batch in batches:
        before_batch = weights()
        for row in batch:
            model.zero_grad()
            inputs, *targets = (part[row : row + 1] for part in examples)
            loss(model(inputs), *targets).sum().backward()
            rate = learning_rate * (current_example_boost if row == 0 else 1.0)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= rate * parameter.grad
        move(before_batch, within_batch_rate)
    move(before_all, across_batch_rate)
    return weights()


def mer_by_autograd(
    model: nn.Module,
    loss: Callable[..., Tensor],
    examples: Sequence[Tensor],
    batches: Sequence[Sequence[int]],
    optimizer: torch.optim.Optimizer,
    within_batch_rate: float,
    across_batch_rate: float,
    current_example_boost: float = 1.0,
) -> None:
    """Take one update in place with any optimizer over the model's parameters; plain loops, plain copies."""

    def weights() -> list[Tensor]:
        return [parameter.detach().clone() for parameter in model.parameters()]

    def move(before: list[Tensor], rate: float) -> None:
        with torch.no_grad():
            for parameter, start in zip(model.parameters(), before, strict=True):
                parameter.copy_(start + rate * (parameter - start))

    (group,) = optimizer.param_groups
    learning_rate = group["lr"]
    before_all = weights()
    for batch in batches:
        before_batch = weights()
        for row in batch:
            inputs, *targets = (part[row : row + 1] for part in examples)
            optimizer.zero_grad()
            loss(model(inputs), *targets).sum().backward()
            group["lr"] = learning_rate * (current_example_boost if row == 0 else 1.0)
            optimizer.step()
        group["lr"] = learning_rate
        move(before_batch, within_batch_rate)
    move(before_all, across_batch_rate)
