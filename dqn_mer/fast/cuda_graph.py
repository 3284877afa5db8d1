"""MER's inner loop as one CUDA graph, so that the GPU is not kept waiting between its many small steps.

Never run on a GPU so far. What can be run without one is tested: the fixed buffers, and undoing the warm-up.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqn_mer.mer import AutogradLearner, Examples

WARM_UPS = 3
"""Runs before the capture, in which libraries choose their kernels and take their memory."""


class GraphLearner:
    """The general inner loop, recorded once for each length of batch and then replayed on new examples.

    The examples are copied into buffers in the order of learning; everything after that is the same sequence of kernels
    each time. The learning rate is recorded with them, so a boosted newest example takes the general loop. So does the
    first update after a scheduler, or a state that was loaded, has changed what is recorded; then it is recorded anew.

    Args:
        general: Loop to record, whose optimizer can be captured.
        capture: Whether to record a graph; otherwise the loop just runs on the buffers.
    """

    def __init__(self, general: AutogradLearner, capture: bool) -> None:
        self.general = general
        self.optimizer = general.optimizer
        self.capture = capture
        self._recorded: dict[tuple[Any, ...], tuple[Examples, Callable[[], None]]] = {}
        self._fixed = self._constants()

    def learn(self, examples: Examples, batch: NDArray[np.int64], newest_boost: float, reptile_rate: float) -> None:
        """Take one optimizer step on each example of ``batch`` in turn, then one Reptile step."""
        changed = self._constants() != self._fixed
        if changed:
            self._recorded.clear()
        if changed or newest_boost != 1.0:
            self.general.learn(examples, batch, newest_boost, reptile_rate)
            self._fixed = self._constants()
            return
        rows = torch.from_numpy(batch).to(examples[0].device, non_blocking=True)
        arranged = tuple(part[rows] for part in examples)
        key = reptile_rate, *((part.shape, part.dtype) for part in arranged)
        if key not in self._recorded:
            self._recorded[key] = arranged, self._record(arranged, reptile_rate)
        buffers, replay = self._recorded[key]
        for buffer, part in zip(buffers, arranged, strict=True):
            buffer.copy_(part)
        replay()
        self._fixed = self._constants()

    def _constants(self) -> list[Any]:
        """Return what a recording holds fast: the optimizer's numbers, and where its state lies."""
        options = [value for group in self.optimizer.param_groups for name, value in group.items() if name != "params"]
        numbers = [value for value in options if not isinstance(value, Tensor)]
        return [*numbers, *(part.data_ptr() for part in self._state())]

    def _state(self) -> list[Tensor]:
        """Return the tensors that the optimizer keeps, of the vector or of each parameter."""
        stepped = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        kept = [self.optimizer.state.get(parameter, {}) for parameter in stepped]
        return [part for of_one in kept for part in of_one.values() if isinstance(part, Tensor)]

    def _record(self, buffers: Examples, reptile_rate: float) -> Callable[[], None]:
        """Return the function that learns from the ``buffers``, leaving weights and optimizer as they were."""
        order = np.arange(len(buffers[0]))

        def run() -> None:
            self.general.learn(buffers, order, 1.0, reptile_rate)

        if not self.capture:
            return run
        saved = self._save()
        try:
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call] # PyTorch gives Stream no annotations
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UPS):
                    run()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                run()
        except RuntimeError as error:
            warnings.warn(f"no CUDA graph, the general loop instead: {error}", stacklevel=2)
            return run
        finally:
            self._restore(saved)
        return graph.replay

    def _save(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights and optimizer state, each tensor with a copy; a state not yet made is made first, as zeros."""
        optimizer, vector = self.general.optimizer, self.general.weights.vector
        before = vector.detach().clone()
        new = not self._state()
        if new:
            optimizer.step()
            vector.data.copy_(before)
        state = self._state()
        copies = [torch.zeros_like(part) if new else part.clone() for part in state]
        return [(vector.data, before), *zip(state, copies, strict=True)]

    def _restore(self, saved: list[tuple[Tensor, Tensor]]) -> None:
        for tensor, copy in saved:
            tensor.copy_(copy)
