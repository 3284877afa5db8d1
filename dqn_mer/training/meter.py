"""The transfer-interference meter: the agreement of gradients that MER aims at, measured on an agent's memory.

It draws from a separate stream of random numbers and writes to no weight, gradient or moment, so that training is
bit-identical with and without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from continual_ple.settings import Schedule
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.analysis.gradient_agreement import InterferenceRow, agreement, cosines, gradient_dots, pair_means
from dqn_mer.analysis.plasticity import activations, dormant_share, effective_rank
from dqn_mer.config.agent_registry import find_agent
from dqn_mer.config.config import Config
from dqn_mer.config.seeds import Streams
from dqn_mer.storage.state import SavedState, State

EXAMPLES = 128
"""Examples of one measurement: 8,128 pairs."""


@dataclass(frozen=True)
class Measurement:
    """One measurement.

    Attributes:
        values: Value of every tag that can be measured yet.
        rows: One row for each two settings with a pair of examples.
    """

    values: dict[str, float]
    rows: list[InterferenceRow]


class Meter:
    """Measures the gradients of examples in memory, and the hidden units that they activate.

    In the middle between two copies into the target network, unless it is to measure more often than there are copies.
    Right after a copy all targets have moved, mostly the same way, and gradients agree because of that: in a run on
    Catcher their mean cosine was 0.14 to 0.26 right after copies, and 0.00 to 0.05 in the middle. Where copies are
    counted in episodes, nobody knows when the next one will be: then the middle is that of the meter's periods, which
    copies do not follow, so that some measurements come soon after one and most do not.

    Args:
        agent: Agent whose memory and network are measured.
        schedule: Gives the setting of an example from the frame it was stored at; the agent does not know it.
        every_frames: Frames between measurements, 0 for never. Each is moved to the middle of its target period, if
            that is counted in frames.
        rng: Random generator for drawing the examples to measure.
    """

    def __init__(self, agent: DQNAgent, schedule: Schedule, every_frames: int, rng: np.random.Generator) -> None:
        self.agent = agent
        self.schedule = schedule
        self.every_frames = every_frames
        self.rng = rng

    def due(self, frame: int, frames: int = 1) -> bool:
        """Return whether there is a measurement after ``frame`` frames, the last ``frames`` of which were one step."""
        return any(self._is_due_at(each) for each in range(frame - frames + 1, frame + 1))

    def _is_due_at(self, frame: int) -> bool:
        if not self.every_frames:
            return False
        period = min(self.agent.parameters.target_sync_frames or self.every_frames, self.every_frames)
        start = frame - period // 2
        if start < 0 or start % period:
            return False
        return (start + period - 1) // self.every_frames > max(start - 1, 0) // self.every_frames

    def sample(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw about `EXAMPLES` slots of the memory: equally many from each setting with enough, at least a pair.

        Returns:
            The slots, no one twice, and the index of each one's setting, both ``(n,)``.
        """
        memory = self.agent.memory
        settings = self.schedule.indices_at(memory.born[: len(memory)] - 1)
        present = np.unique(settings)
        share, slots = max(2, EXAMPLES // len(present)), []
        for setting in present:
            kept = np.flatnonzero(settings == setting)
            slots.append(self.rng.choice(kept, min(len(kept), share), replace=False))
        chosen = np.concatenate(slots)
        return chosen, settings[chosen]

    def measure(self) -> Measurement:
        """Measure now; the memory must not be empty."""
        agent, model = self.agent, self.agent.online.model
        slots, settings = self.sample()
        examples = agent.examples_of(agent.memory.read(slots))
        dots = gradient_dots(model, agent.loss, examples).cpu().double().numpy()
        values, rows = agreement(dots, settings, [setting.name for setting in self.schedule.settings])
        values |= self._factors(cosines(dots), agent.td_errors(examples), settings)
        values["plasticity/weight_norm"] = float(agent.online.vector.detach().norm())
        layers = activations(model, examples[0])
        if layers and bool(layers[-1].isfinite().all()):  # else learning has diverged, which is reported elsewhere
            values["plasticity/dormant_share"] = dormant_share(layers)
            values["plasticity/feature_rank"] = float(effective_rank(layers[-1].flatten(1)))
        return Measurement({tag: value for tag, value in values.items() if not math.isnan(value)}, rows)

    def _factors(self, cosine: NDArray[np.float64], errors: Tensor, settings: NDArray[np.int64]) -> dict[str, float]:
        """Return the factors of the cosines of loss gradients: of gradients of Q, and whether errors share a sign."""
        signs = errors.sign().cpu().double().numpy()
        same = np.outer(signs, signs)
        factors = {"cosine_q": cosine * same, "same_sign": same}
        means = {name: pair_means(each, settings, len(self.schedule.settings)) for name, each in factors.items()}
        return {
            **{f"gradients/{name}_within": mean.within() for name, mean in means.items()},
            **{f"gradients/{name}_between": mean.between() for name, mean in means.items()},
        }

    def get_state(self) -> State:
        """Return what a later measurement depends on, besides the agent."""
        return {"rng": self.rng.bit_generator.state}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            saved.generator("rng", self.rng)


def build_meter(config: Config, agent: DQNAgent, schedule: Schedule, streams: Streams) -> Meter:
    """Return the meter of an agent, which is never due for one that does not learn."""
    return Meter(agent, schedule, config.meter_every if find_agent(config.agent).learns else 0, streams.meter)
