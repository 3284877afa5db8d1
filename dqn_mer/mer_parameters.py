"""The numbers of MER, for `dqn_mer.mer` and for the options of a run; loads no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Annotated

from dqn_mer.ranges import RATE, Range

_KINDS: dict[type, tuple[type, str]] = {
    bool: (bool, "true or false"), int: (Integral, "a whole number"), float: (Real, "a number"),
}  # fmt: skip
"""What may be given where the default is of a type, NumPy's numbers too, and what that is in words."""


@dataclass(frozen=True)
class ReplayParameters:
    """What is drawn from memory for an update."""

    batch_size: Annotated[int, Range(0, 65_536, whole=True)] = 16
    """Examples (an agent's transitions) replayed from memory per batch (the paper's k-1); the newest is one more."""


@dataclass(frozen=True)
class MERParameters(ReplayParameters):
    """The choices that make one of the published algorithms.

    | algorithm | choice |
    |---|---|
    | 1 (and 8, within DQN) | ``num_batches`` of ``batch_size``, rates β and γ |
    | 6, one big batch | ``one_big_batch=True``; β is not used |
    | 7, current-example rate | ``num_batches=1``, ``within_batch_rate=1``, ``current_example_boost=s`` |

    The ranges noted below are those of a run's flags and files. A program may give more examples and batches, and any
    finite boost above 0.

    Raises:
        ValueError: if a value has no meaning; the message names the field.
    """

    num_batches: Annotated[int, Range(1, 1_000, whole=True)] = 1
    """Batches per update (the paper's steps)."""
    within_batch_rate: Annotated[float, RATE] = 1.0
    """Reptile rate after each batch (the paper's beta)."""
    across_batch_rate: Annotated[float, RATE] = 0.3
    """Reptile rate after all batches of an update (the paper's gamma)."""
    current_example_boost: Annotated[float, Range(1e-6, 1_000_000)] = 1.0
    """Multiple of the learning rate for the newest example (the paper's s, Algorithm 7)."""
    one_big_batch: bool = False
    """Learn all batches of an update as one sequence, with the newest example once for each (Algorithm 6)."""

    def __post_init__(self) -> None:
        """Check what the algorithms need."""
        for field in fields(self):
            value, (kind, words) = getattr(self, field.name), _KINDS[type(field.default)]
            if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
                raise ValueError(f"{field.name}={value!r}: must be {words}")
        if self.batch_size < 0:
            raise ValueError(f"batch_size={self.batch_size}: must be at least 0")
        if self.num_batches < 1:
            raise ValueError(f"num_batches={self.num_batches}: must be at least 1")
        for name in ("within_batch_rate", "across_batch_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)}: must be in [0, 1]")
        if not 0.0 < self.current_example_boost < float("inf"):
            raise ValueError(f"current_example_boost={self.current_example_boost}: must be above 0 and finite")

    @property
    def num_draws(self) -> int:
        """Examples to draw from memory for one update."""
        return self.batch_size * self.num_batches
