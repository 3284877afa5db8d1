"""MER of a user's model on a stream of examples, with its memory and generators."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from dqn_mer.fast.choose import make_learner
from dqn_mer.mer import Loss, MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.ranges import Range
from dqn_mer.supervised.memory import Example, ExampleMemory


class MERLearner:
    """Learns a stream one example at a time, as the learners of the supervised streams do.

    Each example is learned together with draws from a reservoir of the earlier ones, in the fastest exact inner loop
    that the model, loss and device have, and then added to it. While it holds fewer than ``batch_size``, a batch takes
    as many draws as it holds, as in the code published with the paper.

    Args:
        model: Model that learns, already on its device; see `MERUpdate.for_model`.
        loss: Loss with one value for each example, such as `CrossEntropy`.
        make_optimizer: Makes the optimizer of the inner loop, such as ``partial(torch.optim.SGD, lr=0.03)``.
        parameters: Algorithm, sizes and rates.
        capacity: Examples that the reservoir keeps at most, at least 1.
        seed: Seed of what is kept, what is drawn, and the order within a batch.

    Attributes:
        update: Update of the model.
        optimizer: Optimizer of the inner loop.
        memory: Reservoir; None before the first example.

    Raises:
        ValueError: if the model normalises over a batch, or ``capacity`` is below 1.

    >>> from functools import partial
    >>> import torch
    >>> from dqn_mer import CrossEntropy
    >>> sgd = partial(torch.optim.SGD, lr=0.1)
    >>> learner = MERLearner(nn.Linear(3, 2), CrossEntropy(), sgd, MERParameters(batch_size=4), capacity=100)
    >>> for label in (0, 1, 0):
    ...     learner.observe(torch.rand(3), label)
    >>> len(learner.memory)
    3
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        make_optimizer: Callable[[list[nn.Parameter]], Optimizer],
        parameters: MERParameters,
        capacity: int,
        seed: int = 0,
    ) -> None:
        if not Range(1, 2**40, whole=True).allows(capacity):
            raise ValueError(f"capacity={capacity!r}: must be a whole number of at least 1")
        order, kept, drawn = (int(state) for state in np.random.SeedSequence(seed).generate_state(3))
        self.model, self.capacity = model, capacity
        self.update = MERUpdate.for_model(model, loss, make_optimizer, parameters, order, make_learner)
        self.optimizer = self.update.learner.optimizer
        self.memory: ExampleMemory | None = None
        self._kept, self._drawn = np.random.default_rng(kept), np.random.default_rng(drawn)

    def observe(self, *example: Any) -> None:
        """Learn the next example.

        Args:
            example: The model's input and what the loss compares its output with, such as a label: arrays, tensors or
                numbers without a row axis, each of the shape and dtype that those of the first example had.
                Fractions of Python, also in lists, get the dtype of the model's weights.

        Raises:
            ValueError: if a part has another shape or dtype than in the first example.
        """
        vector = self.update.weights.vector
        parts = tuple(_as_array(part, vector.dtype) for part in example)
        memory = self._memory_for(parts)
        parameters = self.update.parameters
        draws = min(parameters.batch_size, len(memory)) * parameters.num_batches
        rows = memory.sample(draws, self._drawn, parts)
        dtypes = [(own if isinstance(own, Tensor) else part).dtype for own, part in zip(example, rows, strict=True)]
        self.update.update(tuple(part.to(vector.device, dtype) for part, dtype in zip(rows, dtypes, strict=True)))
        memory.add(parts)
        self.memory = memory

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything that changes with the stream, the model's weights too, to be saved or loaded."""
        memory = None if self.memory is None else self.memory.state_dict()
        return {
            "model": deepcopy(self.model.state_dict()),
            "update": self.update.state_dict(),
            "memory": memory,
            "kept": self._kept.bit_generator.state,
            "drawn": self._drawn.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from what `state_dict` of a learner made the same way gave.

        Raises:
            ValueError: if it kept other examples than fit.
        """
        self.model.load_state_dict(state["model"])
        self.update.load_state_dict(state["update"])
        self._kept.bit_generator.state, self._drawn.bit_generator.state = state["kept"], state["drawn"]
        if state["memory"] is None:
            self.memory = None
            return
        first = tuple(column[0].cpu().numpy() for column in state["memory"]["columns"])
        self.memory = ExampleMemory(self.capacity, first, self._kept)
        self.memory.load_state_dict(state["memory"])

    def _memory_for(self, parts: Example) -> ExampleMemory:
        """Return the memory, made for the first example; raises ValueError if another one does not fit it."""
        if self.memory is None:  # which the first example that is learned decides on
            return ExampleMemory(self.capacity, parts, self._kept)
        wanted = [(column.shape[1:], column.dtype) for column in self.memory.columns]
        given = [(part.shape, part.dtype) for part in parts]
        if given != wanted:
            raise ValueError(f"example: must have parts of {_described(wanted)}, has {_described(given)}")
        return self.memory


def _as_array(part: Any, dtype: torch.dtype) -> NDArray[Any]:
    """Return a part of an example as an array; fractions of Python, which have no dtype, in that of the weights."""
    if isinstance(part, Tensor):
        return _of_numpy(part.detach().cpu())
    array = np.asarray(part)
    if hasattr(part, "dtype") or array.dtype != np.float64 or not dtype.is_floating_point:
        return array
    return array.astype(_of_numpy(torch.zeros((), dtype=dtype, device="cpu")).dtype)


def _of_numpy(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor as an array; bfloat16, which NumPy lacks, becomes float32 without loss."""
    array: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def _described(forms: list[tuple[tuple[int, ...], np.dtype[Any]]]) -> str:
    return " and ".join(f"shape {shape}, {dtype}" for shape, dtype in forms) or "nothing"
