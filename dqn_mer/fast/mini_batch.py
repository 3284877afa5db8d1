"""A network's two passes over a mini-batch without autograd, for ReLU MLPs and CNNs on a CPU with Numba.

As in `sequential` both passes are written out, here for all examples at once, with every distinct patch computed once
(`kernels.dedup`). `MiniBatchUpdate` is the oracle, and the way for every other model and device.
"""

from __future__ import annotations

import torch
from torch import Tensor, autograd, nn
from torch.optim import Optimizer

from dqn_mer.fast.dedup_convolution import DistinctStack
from dqn_mer.fast.dense import shared, step_product
from dqn_mer.fast.forms import InputForm, is_plain_sgd, layers_of, rounds_otherwise
from dqn_mer.fast.kernels.dense import product
from dqn_mer.mer import Examples, Loss
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.q_network import pixel_table
from dqn_mer.networks.weights import FlatWeights


class ExplicitMiniBatchUpdate(MiniBatchUpdate):
    """Ordinary experience replay with both passes written out; with plain SGD every layer steps its own weights.

    Args:
        weights: Weights of a model for which `has_explicit_form` and `has_patch_form` hold.
        loss: Per-example loss.
        optimizer: Optimizer over ``weights.vector``.
        batch_size: Examples to draw from memory; the newest is one more.
    """

    def __init__(self, weights: FlatWeights, loss: Loss, optimizer: Optimizer, batch_size: int) -> None:
        super().__init__(weights, loss, optimizer, batch_size)
        self.network = BatchNetwork(weights)

    def update(self, examples: Examples) -> None:
        """Take one optimizer step on the mean loss of ``examples``."""
        inputs, *targets = examples
        if not self.network.takes(inputs):
            super().update(examples)
            return
        self.weights.check_now_and_then()
        outputs = self.network.forward(inputs).requires_grad_()
        (gradient,) = autograd.grad(self.loss(outputs, *targets).mean(), outputs)
        if is_plain_sgd(self.optimizer, self.weights):
            self.network.backward(gradient, float(self.optimizer.param_groups[0]["lr"]))
        else:
            self.network.backward(gradient, None)
            self.weights.tie_gradients()
            self.optimizer.step()


class BatchNetwork:
    """Forward pass, backward pass and SGD step of a model for whole batches.

    Args:
        weights: Weights of a model for which `has_explicit_form` and `has_patch_form` hold.
    """

    def __init__(self, weights: FlatWeights) -> None:
        self.model = weights.model
        self.inputs = InputForm(self.model)
        convolutions, linear = layers_of(self.model)
        self.convolutions = DistinctStack(convolutions, pixel_table(self.model)) if convolutions else None
        self.dense = [BatchDense(layer, relu=layer is not linear[-1]) for layer in linear]

    def takes(self, inputs: Tensor) -> bool:
        """Return whether the written-out passes know how ``inputs`` are computed: pixels must be bytes."""
        return not rounds_otherwise() and (self.convolutions is None or inputs.dtype == torch.uint8)

    @torch.no_grad()
    def values(self, inputs: Tensor) -> Tensor:
        """Return the outputs ``(n, outputs)`` of ``inputs`` ``(n, ...)``; what `backward` needs is left as it is."""
        if not self.takes(inputs):
            return torch.as_tensor(self.model(inputs))
        self.inputs.check(inputs)
        outputs = inputs
        if self.convolutions is not None:
            outputs = torch.from_numpy(self.convolutions.features(inputs.contiguous().numpy()))
        for layer in self.dense:
            outputs = layer.values(outputs)
        return outputs

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs ``(n, outputs)`` of ``inputs`` ``(n, ...)``, of a kind that `takes` allows."""
        self.inputs.check(inputs)
        outputs = inputs
        if self.convolutions is not None:
            outputs = torch.from_numpy(self.convolutions.forward(inputs.contiguous().numpy()))
        for layer in self.dense:
            outputs = layer.forward(outputs)
        return outputs

    @torch.no_grad()
    def backward(self, gradient: Tensor, rate: float | None) -> None:
        """Take the step for d loss / d outputs of the last forward pass; with no rate, write the weights' gradient."""
        for position, layer in reversed(list(enumerate(self.dense))):
            gradient = layer.backward(gradient, rate, pass_on=position > 0 or self.convolutions is not None)
        if self.convolutions is not None:
            self.convolutions.backward(gradient.numpy(), rate)


class BatchDense:
    """A dense layer for a batch."""

    def __init__(self, layer: nn.Linear, relu: bool) -> None:
        self.matrix, self.matrix_gradient = shared(layer.weight)
        self.bias, self.bias_gradient = shared(layer.bias)
        self.relu = relu
        self.inputs = self.outputs = self.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs ``(n, outputs)`` of ``inputs`` ``(n, inputs)``, and keep both until `backward`."""
        self.inputs, self.outputs = inputs, self.values(inputs)
        return self.outputs

    def values(self, inputs: Tensor) -> Tensor:
        """Return the outputs ``(n, outputs)`` of ``inputs`` ``(n, inputs)``."""
        by_input = self.matrix.t()
        if len(inputs) == 1 and by_input.is_contiguous():  # a large layer, of which inputs of zero need no weights
            outputs = self.bias + torch.from_numpy(product(by_input.numpy(), inputs[0].numpy())).unsqueeze(0)
        else:
            outputs = torch.addmm(self.bias, inputs, by_input)
        return outputs.clamp_(min=0) if self.relu else outputs

    def backward(self, gradient: Tensor, rate: float | None, pass_on: bool) -> Tensor:
        """Take the step for d loss / d outputs; return d loss / d inputs if it is to be passed on."""
        if self.relu:
            gradient = gradient * (self.outputs > 0)
        below = gradient @ self.matrix if pass_on else gradient
        step_product(self.matrix, self.matrix_gradient, gradient, self.inputs, rate)
        torch.sum(gradient, dim=0, out=self.bias_gradient)
        if rate is not None:
            self.bias -= rate * self.bias_gradient
        return below
