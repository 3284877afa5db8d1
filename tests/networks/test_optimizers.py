"""Which optimizers can take the steps of an update."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from dqn_mer import CrossEntropy, FlatWeights, MERParameters, MERUpdate, MiniBatchUpdate, make_learner
from dqn_mer.mer import AutogradLearner

EXAMPLES = torch.randn(3, 3), torch.tensor([0, 1, 0])
COMPLAINT = r"^optimizer: LBFGS\.step\(\) needs a closure; must step by gradients alone, as SGD and Adam do$"


def make_model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize("make", [make_learner, AutogradLearner])
def test_an_optimizer_that_needs_a_closure_is_refused_at_once(make: Any) -> None:
    with pytest.raises(ValueError, match=COMPLAINT):
        MERUpdate.for_model(
            make_model(), CrossEntropy(), torch.optim.LBFGS, MERParameters(batch_size=2), make_learner=make
        )
    weights = FlatWeights(make_model())
    with pytest.raises(ValueError, match=COMPLAINT):
        MiniBatchUpdate(weights, CrossEntropy(), torch.optim.LBFGS([weights.vector]), 2)


class AnyArguments(torch.optim.SGD):
    """Hands on whatever its step is given, as wrappers do."""

    def step(self, *args: Any, **kwargs: Any) -> Any:
        return super().step(*args, **kwargs)


@pytest.mark.parametrize(
    "kind", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop", ""]
)
def test_all_others_learn(kind: str) -> None:
    model = make_model()
    make: type[Optimizer] = getattr(torch.optim, kind) if kind else AnyArguments
    mer = MERUpdate.for_model(model, CrossEntropy(), partial(make, lr=0.1), MERParameters(batch_size=2))
    torch.optim.lr_scheduler.ExponentialLR(mer.learner.optimizer, 0.9)  # which wraps the step
    before = mer.weights.snapshot()
    mer.update(EXAMPLES)
    assert not torch.equal(mer.weights.vector, before)
    MiniBatchUpdate(mer.weights, CrossEntropy(), mer.learner.optimizer, 2).update(EXAMPLES)
