"""An agent as a user's package would add it: reservoir replay with weights that shrink, with noise, now and then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dqn_mer import register_agent
from dqn_mer.agents.dqn import ReplayUpdate
from dqn_mer.agents.makers import AgentContext, mini_batch, reservoir
from dqn_mer.mer import Examples
from dqn_mer.ranges import Range
from dqn_mer.storage.state import SavedState, State


@dataclass(frozen=True)
class ShrinkOptions:
    every_updates: Annotated[int, Range(1, 1_000, whole=True)] = 20
    share: Annotated[float, Range(0, 1)] = 0.9
    noisy: bool = True


class Shrinking:
    """A replay step with a count and a generator, which a resumed run must find as they were."""

    def __init__(self, parts: AgentContext, inner: ReplayUpdate) -> None:
        self.parts, self.inner, self.updates = parts, inner, 0
        self.num_draws = inner.num_draws

    def update(self, examples: Examples) -> None:
        options: ShrinkOptions = self.parts.options
        self.inner.update(examples)
        self.updates += 1
        if self.updates % options.every_updates == 0:
            noise = self.parts.streams.ordering.random() if options.noisy else 1.0
            self.parts.weights.load(self.parts.weights.vector.detach() * (1 - (1 - options.share) * noise))

    def get_state(self) -> State:
        rng = self.parts.streams.ordering.bit_generator.state
        return {"inner": self.inner.get_state(), "updates": self.updates, "rng": rng}

    def set_state(self, saved: SavedState) -> None:
        with saved:
            self.inner.set_state(saved.part("inner"))
            self.updates = saved.whole("updates")
            saved.generator("rng", self.parts.streams.ordering)


def shrinking(parts: AgentContext) -> Shrinking:
    return Shrinking(parts, mini_batch(parts))


def register(name: str = "shrinking") -> None:
    register_agent(
        name, reservoir, shrinking, options=ShrinkOptions, defaults={"learning_rate": 0.002}, summary="it shrinks"
    )
