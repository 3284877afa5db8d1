"""Every option of a training run in one frozen dataclass, made of the groups; the command line is made from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from dqn_mer.config.agent_registry import AgentFields, all_options
from dqn_mer.config.combinations import ODDS_OPTIONS, check_combinations
from dqn_mer.config.fields import allowed_values, bad_value, check_fields
from dqn_mer.config.groups import (
    DQNParameters,
    EfficientMERParameters,
    EvaluationFields,
    ExplorationParameters,
    GameFields,
    HareTortoiseParameters,
    MemoryFields,
    NetworkFields,
    OptimizerFields,
    RunFields,
    ScheduleFields,
    StartFields,
)
from dqn_mer.config.task_references import TaskReference
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.ranges import COUNT_OR_0, SAVE_MINUTES


@dataclass(frozen=True)
class Config(
    RunFields,
    EvaluationFields,
    ExplorationParameters,
    NetworkFields,
    DQNParameters,
    HareTortoiseParameters,
    EfficientMERParameters,
    MERParameters,
    OptimizerFields,
    MemoryFields,
    AgentFields,
    ScheduleFields,
    GameFields,
    StartFields,
):
    """Train a DQN agent on a game that changes as it plays; evaluate it all along.

    Defaults shown suit the other flags given: try --game flappy_bird --help.
    """

    # The bases are the groups of the help; a dataclass takes their fields from the last base to the first.

    def __post_init__(self) -> None:
        """Check every value, and complete ``agent_options`` with the agent's defaults.

        Raises:
            ValueError: if a value is not allowed; the message names the field, its value and what is allowed.
        """
        check_fields(self)
        check_combinations(self)
        object.__setattr__(self, "agent_options", all_options(self))

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON types, by field name."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def hyperparameters(self) -> dict[str, Any]:
        """Return the options that may change the result, by field name: all but `RunFields` and `EvaluationFields`."""
        left_out = {f.name for kind in (RunFields, EvaluationFields) for f in dataclasses.fields(kind)}
        return {name: value for name, value in self.to_json().items() if name not in left_out}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Config:
        """Return the configuration that `to_json` described; a field that is missing has its default.

        Raises:
            ValueError: if a field is unknown or not allowed; the message names it.
        """
        if not isinstance(values, Mapping):
            raise bad_value("config", values, "an object")
        allowed = allowed_values(cls)
        for name in sorted(set(values) - set(allowed)):
            raise ValueError(f"{name}: unknown")
        return cls(**values)


@dataclass(frozen=True)
class ResumeOptions:
    """Resume a stopped run, to the same end as if it had never been stopped.

    The run keeps its own flags; only those that cannot change its results may be given.
    """

    resume: Path = Path()
    """Folder of the run."""
    save_every: Annotated[int | None, COUNT_OR_0] = None
    """Frames between saves (none: as before)."""
    save_minutes: Annotated[float | None, SAVE_MINUTES] = None
    """Minutes between saves (none: as before)."""
    task: TaskReference = None
    """Task of the run, if that is one of yours: the one that its folder names is never imported."""

    def __post_init__(self) -> None:
        """Check every value; raises ValueError naming the field."""
        check_fields(self)


ALLOWED = allowed_values(Config)
RANGES = {name: allowed.range for name, allowed in ALLOWED.items() if allowed.range is not None}
CHOICES = {name: allowed.choices for name, allowed in ALLOWED.items() if allowed.choices}
INCIDENTAL = frozenset({"preset", *(f.name for f in dataclasses.fields(RunFields))})
"""Fields by which two runs may differ and yet be the same: how a run is made, and the preset, whose effects are in the
other fields."""
OF_EVERY_RUN = frozenset({
    *("frame_skip", *ODDS_OPTIONS),  # how the game is played, by random play too
    *("log_every", "log_dir", "run_dir"),
    *(f.name for kind in (StartFields, GameFields, ScheduleFields, AgentFields, EvaluationFields)
      for f in dataclasses.fields(kind)),
})  # fmt: skip
"""Fields that describe a run whoever learns; the others are those of the agents that are registered, and of how they
are trained."""


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
