"""MER's inner loop without autograd, for ReLU MLPs and CNNs on a CPU with Numba.

It gives the same weights in a fraction of the time. For one example at a time autograd spends most of its time on
bookkeeping, and SGD on reading and writing every weight. Here both passes are written out (`dense`, `convolution`),
patches that an example repeats are computed once (`dedup_convolution`), and a large dense layer takes the steps of a
batch together. `AutogradLearner` is the oracle, and the way for every other model, loss and device, and without Numba.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import Optimizer

from dqn_mer.fast.adam import AdamDense, ExplicitAdam
from dqn_mer.fast.convolution import ConvolutionStack
from dqn_mer.fast.dedup_convolution import DistinctStack
from dqn_mer.fast.dense import Array, Dense, LazyDense
from dqn_mer.fast.forms import ExplicitLoss, InputForm, has_adam_form, is_plain_sgd, layers_of, rounds_otherwise
from dqn_mer.mer import NEWEST, AutogradLearner, Examples, step_with_boost
from dqn_mer.networks.weights import FlatWeights

Stack = ConvolutionStack | DistinctStack


class ExplicitLearner:
    """The inner loop for a model with an explicit form, on a CPU with Numba; `choose.make_explicit_learner` makes it.

    With plain SGD every layer steps its own weights; with any other optimizer the layers write the gradient and
    the optimizer takes the step, example by example.

    Args:
        weights: Weights of a model for which `has_explicit_form` holds.
        loss: Per-example loss, with its gradient in closed form.
        optimizer: Optimizer over ``weights.vector``.
        dense: The model's dense layers, in order.
        choose_convolutions: Gives the form of the convolutions for a batch of pixels; None for a model without any.
        adam: Takes the steps, if the optimizer is Adam.

    Raises:
        ValueError: if a step of the optimizer needs a closure.
    """

    def __init__(
        self,
        weights: FlatWeights,
        loss: ExplicitLoss,
        optimizer: Optimizer,
        dense: Sequence[Dense],
        choose_convolutions: Callable[[Array], Stack] | None,
        adam: ExplicitAdam | None,
    ) -> None:
        self.general = AutogradLearner(weights, loss, optimizer)
        self.weights = weights
        self.loss = loss
        self.optimizer = optimizer
        self.dense = dense
        self.choose_convolutions = choose_convolutions
        self.convolutions: Stack | None = None
        self.adam = adam
        self.inputs = InputForm(weights.model)
        self.plain_sgd = is_plain_sgd(optimizer, weights)
        linear = layers_of(weights.model).linear
        # The parts of the weight vector whose steps are taken at once, and so need a separate Reptile step.
        self.direct = weights.spans_without(
            [
                weights.span_of(layer.weight)
                for layer, form in zip(linear, dense, strict=True)
                if isinstance(form, LazyDense | AdamDense)
            ]
        )

    def learn(self, examples: Examples, batch: NDArray[np.int64], newest_boost: float, reptile_rate: float) -> None:
        """Take one optimizer step on each example of ``batch`` in turn, then one Reptile step.

        Raises:
            ValueError: if the inputs have more or fewer axes than the model's, or the loss gives a gradient of another
                shape than the outputs.
            RuntimeError: if they are others that the model cannot take.
        """
        if self._steps_are_written_out():
            self._learn(examples, batch, newest_boost, reptile_rate)
        else:
            self.general.learn(examples, batch, newest_boost, reptile_rate)

    def _steps_are_written_out(self) -> bool:
        """Return whether no mixed precision, scheduler or hook has changed the steps since the layers were made."""
        if rounds_otherwise():
            return False
        if self.plain_sgd:
            return is_plain_sgd(self.optimizer, self.weights)
        return self.adam is None or has_adam_form(self.optimizer, self.weights)

    @torch.no_grad()
    def _learn(self, examples: Examples, batch: NDArray[np.int64], newest_boost: float, reptile_rate: float) -> None:
        self.inputs.check(examples[0])
        vector = self.weights.vector.detach()
        before = [vector[span].clone() for span in self.direct] if reptile_rate != 1.0 else []
        observations, *targets = (part.numpy() for part in examples)
        if self.choose_convolutions is not None:
            self.convolutions = self.choose_convolutions(observations)
        if self.adam is not None:
            self.adam.begin(len(batch))
        for layer in self.dense:
            layer.begin(len(batch))
        for row in batch.tolist():
            boost = newest_boost if row == NEWEST else 1.0
            self._learn_one(observations[row : row + 1], [target[row] for target in targets], boost)
        for layer in self.dense:
            layer.finish(reptile_rate)
        for span, start in zip(self.direct, before, strict=False):
            vector[span] = torch.lerp(start, vector[span], reptile_rate)

    def _learn_one(self, observation: Array, targets: list[Any], boost: float) -> None:
        """Take the optimizer step for one example, whose ``observation`` is ``(1, ...)``."""
        rate = boost * float(self.optimizer.param_groups[0]["lr"]) if self.plain_sgd else None
        outputs = observation if self.convolutions is None else self.convolutions.forward(observation)
        outputs = outputs[0]
        for layer in self.dense:
            outputs = layer.forward(outputs)
        gradient = self.loss.output_gradient(outputs, *targets)
        if np.shape(gradient) != outputs.shape:
            raise ValueError(
                f"loss: output_gradient must be of shape {outputs.shape}, as the outputs, is of {np.shape(gradient)}"
            )
        for position, layer in reversed(list(enumerate(self.dense))):
            gradient = layer.backward(gradient, rate, pass_on=position > 0 or self.convolutions is not None)
        if self.convolutions is not None:
            self.convolutions.backward(gradient[np.newaxis], rate)
        if self.adam is not None:
            self.adam.step(boost)
        elif rate is None:
            step_with_boost(self.optimizer, boost)
