"""The numbers that a run logs while it trains, from the agent and its episodes, under the tags of `tags`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from continual_ple.tasks import STATISTICS, Task
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.learning_statistics import LearningStatistics
from dqn_mer.evaluation.evaluator import episode_score
from dqn_mer.storage.state import SavedState, State
from dqn_mer.training.meter import Meter
from dqn_mer.training.tracker import Tracker


@dataclass
class RecentEpisodes:
    """Training episodes that ended since the last row of metrics.csv, and the last score of all."""

    scores: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    last_score: float | None = None

    def add(self, info: dict[str, Any]) -> None:
        """Take in an ended episode from its last ``info``."""
        episode = info[STATISTICS]
        self.last_score = episode_score(info, float(episode["r"]))
        self.scores.append(self.last_score)
        self.returns.append(float(episode["r"]))
        self.lengths.append(float(episode["l"]))

    def get_state(self) -> State:
        """Return the numbers as JSON values."""
        last = [] if self.last_score is None else [self.last_score]
        return {"scores": self.scores, "returns": self.returns, "lengths": self.lengths, "last_score": last}

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""
        with saved:
            self.scores, self.returns, self.lengths = (saved.numbers(name) for name in ("scores", "returns", "lengths"))
            self.last_score = next(iter(saved.numbers("last_score")), None)

    def take(self) -> dict[str, float]:
        """Return the means as tags, nothing if no episode ended, and start anew."""
        if not self.scores:
            return {}
        columns = {"score": self.scores, "return": self.returns, "episode_length": self.lengths}
        means = {f"train/{name}": float(np.mean(values)) for name, values in columns.items()}
        self.scores, self.returns, self.lengths = [], [], []
        return means


class RateClock:
    """Frames per second since it was last asked."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.last = (clock(), 0)

    def rate(self, frame: int) -> float:
        """Return the frames per second between the last call and now, at ``frame``."""
        now = (self.clock(), frame)
        seconds, frames = now[0] - self.last[0], now[1] - self.last[1]
        self.last = now
        return frames / seconds if seconds > 0 else 0.0


def memory_numbers(task: Task, agent: DQNAgent) -> dict[str, float]:
    """Return the memory's fill and age, and the share of it that each setting gave, from its dates alone."""
    memory, schedule = agent.memory, task.schedule
    ages = memory.ages()
    counts = np.bincount(schedule.indices_at(memory.frames - ages - 1), minlength=len(schedule.settings))
    values = {
        "memory/fill": len(memory) / memory.capacity,
        "memory/megabytes": memory.nbytes / 1e6,
        "memory/age_mean_frames": float(ages.mean()),
        "memory/age_std_frames": float(ages.std()),
    }
    for setting, count in zip(schedule.settings, counts, strict=True):
        values[f"memory/share/{setting.name}"] = float(count) / len(memory)
    return values


def update_numbers(task: Task, agent: DQNAgent) -> dict[str, float]:
    """Return the amount that the agent has learned: updates and copies into the target network."""
    return {"updates/count": agent.updates, "updates/target_syncs": agent.target_syncs}


SOURCES: tuple[Callable[[Task, DQNAgent], dict[str, float]], ...] = (memory_numbers, update_numbers)
"""Numbers of the agent in every row of metrics.csv, by tags of `tags.LOGGED`."""


class Recorder:
    """Gathers the training numbers of a run and hands them to its tracker.

    Args:
        task: Task that is trained on.
        agent: Agent that learns.
        tracker: Writer of the logs of the run.
        meter: Meter of interference and plasticity.
    """

    def __init__(self, task: Task, agent: DQNAgent, tracker: Tracker, meter: Meter) -> None:
        self.task = task
        self.agent = agent
        self.tracker = tracker
        self.meter = meter
        self.episodes = RecentEpisodes()
        self.clock = RateClock()

    def resume(self, frame: int, episodes: RecentEpisodes) -> None:
        """Resume at ``frame`` with episodes that are not logged yet."""
        self.episodes = episodes
        self.clock.rate(frame)

    def setting(self, frame: int, info: dict[str, Any]) -> None:
        """Log the setting that ``info`` names as in force from ``frame`` on."""
        value = self.task.schedule.settings[info["setting_index"]].parameters.get(self.task.parameter, float("nan"))
        self.tracker.log_setting(frame, info["setting_index"], value)

    def metrics(
        self, frame: int, epsilon: float, statistics: LearningStatistics | None, measuring: bool = False
    ) -> None:
        """Log a row of metrics.csv, with a measurement of the meter if it is ``measuring``."""
        values = {"train/epsilon": epsilon, **self.episodes.take()}
        if statistics is not None:
            values |= {f"train/{name}": value for name, value in statistics._asdict().items()}
        for numbers_of in SOURCES:
            values |= numbers_of(self.task, self.agent)
        values["speed/frames_per_s"] = self.clock.rate(frame)
        if measuring:
            measurement = self.meter.measure()
            self.tracker.log_interference(frame, measurement.rows)
            values |= measurement.values
        self.tracker.log(frame, values)
