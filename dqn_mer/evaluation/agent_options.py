"""Options of what loads a saved agent; it imports nothing that is slow, so that mistakes are reported at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from dqn_mer.config.fields import Flag, bad_value, check_fields
from dqn_mer.config.task_references import TaskReference
from dqn_mer.ranges import COUNT, Range
from dqn_mer.storage.files import check_may_make, check_may_write, is_taken, naming_field

LICENCE = r"[a-z0-9.-]{1,50}"
"""Form of a licence's identifier."""


@dataclass(frozen=True)
class PlayerFields:
    """Who plays, and what."""

    path: Annotated[Path, Flag(positional=True)]
    """A run folder (its latest checkpoint is taken), a checkpoint or an exported agent; where there is no such path,
    pretrained/NAME is an agent of this package and hf://USER/REPO one of the Hugging Face hub."""
    settings: Annotated[str, Flag(aliases=("--setting",))] = "all"
    """all: of the run's schedule; easier: those before the one trained on last; or names or values, as A,B,..."""
    seed: Annotated[int, Range(0, 2**63 - 1, whole=True)] = 1
    """Seed of the episodes."""
    task: TaskReference = None
    """Task that the agent was trained on, if that is one of yours, as `train` takes it."""
    backend: Literal["native", "ple"] | None = None
    """Backend to play on (none: the run's)."""
    game_parameters: Mapping[str, float] = field(default_factory=dict)
    """Game parameters to change on every setting, as NAME=VALUE,..."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the network lives (auto: CUDA for pixels if there is one, else the CPU)."""


@dataclass(frozen=True)
class LengthFields:
    """How long, and where the result goes."""

    episodes: Annotated[int, Range(1, 100_000, whole=True)] = 20
    """Episodes per setting."""
    frame_limit: Annotated[int | None, COUNT] = None
    """Frames after which an episode is truncated, unless the environment's own limit is smaller (none: as in the run's
    own evaluations)."""
    json: Path | None = None
    """Also write the result to this file; it must not exist."""


@dataclass(frozen=True)
class EvaluateOptions(LengthFields, PlayerFields):
    """Play a saved agent greedily and say how well it does on each setting."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError naming the field."""
        check_fields(self)
        if self.json is not None:
            _check_new("json", self.json, "file")
            check_may_write("json", self.json, self.json.parent)


@dataclass(frozen=True)
class ShowFields:
    """How long, and where it is shown."""

    episodes: Annotated[int, Range(1, 1_000, whole=True)] = 1
    """Episodes per setting; the first ones that `evaluate` plays under the same seed."""
    frame_limit: Annotated[int, Range(1, 10_000, whole=True)] = 600
    """Frames after which an episode is cut; 30 are a second."""
    out: Path | None = None
    """Write clips and contact_sheet.png into this folder instead of opening a window; it must not exist."""
    format: Literal["mp4", "gif"] = "mp4"
    """Of the clips; mp4 needs moviepy (pip install 'dqn-mer[video]')."""
    tensorboard: bool = False
    """Add the first clip of each setting to the run's TensorBoard images, instead of opening a window."""


@dataclass(frozen=True)
class WatchOptions(ShowFields, PlayerFields):
    """Watch a saved agent play greedily, with score, setting and Q values on screen; ESC closes the window."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError naming the field."""
        check_fields(self)
        if self.out is not None:
            _check_new("out", self.out, "folder")
            check_may_make("out", self.out, self.out)
        elif self.format != "mp4" and not self.tensorboard:
            raise ValueError(f"format={self.format!r}: only with out, a new folder for the clips; a window has none")


@dataclass(frozen=True)
class ExportOptions:
    """Write an agent as a folder to share: weights, description, and a model card with its scores on every setting."""

    path: Annotated[Path, Flag(positional=True)]
    """A run folder or one checkpoint folder."""
    out: Annotated[Path, Flag(positional=True)]
    """Folder to make, whose name is the agent's; it must not exist."""
    checkpoint: Literal["last", "best"] = "last"
    """Which one of a run: the last, or that with the highest mean score over all settings in the run's evaluations."""
    dtype: Literal["auto", "float32", "float16"] = "auto"
    """What weights are stored as; in use they are float32 (auto: float16 if they would take more than 4 MB)."""
    license: str = ""
    """Licence of the weights, as the Hugging Face hub names it, such as mit or cc-by-4.0 (empty: that of an exported
    agent, else none)."""
    episodes: Annotated[int, Range(1, 100_000, whole=True)] = 100
    """Episodes per setting for the scores in the card."""
    seed: Annotated[int, Range(0, 2**63 - 1, whole=True)] = 1
    """Seed of the episodes."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the network lives (auto: CUDA for pixels if there is one, else the CPU)."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError naming the field."""
        check_fields(self)
        _check_new("out", self.out, "folder")
        check_may_write("out", self.out, self.out.parent)
        if self.license and not re.fullmatch(LICENCE, self.license):
            raise bad_value("license", self.license, "an identifier such as mit or cc-by-4.0")


def _check_new(field: str, path: Path, kind: str) -> None:
    """Raise ValueError if there is a file or folder already."""
    with naming_field(field, path):
        if is_taken(path):
            raise ValueError(f"{field}={str(path)!r}: exists already; must be a new {kind}")
