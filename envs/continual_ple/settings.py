"""Named difficulty settings of any environment, and the schedules in which training moves through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_ple.games.parameters import shown

FRAMES_PER_SETTING = 25_000
MAX_FRAMES_PER_SETTING = 10**9
MAX_SETTINGS, MAX_SEGMENTS = 100, 1_000  # each setting is evaluated all along; the end of each segment is saved
MAX_NAME = 100  # characters
LARGEST_VALUE = 1e300  # of a parameter
RESERVED_NAMES = ("all", "easier", "mean")  # they stand for groups of settings
FILE_KEYS = ("frames_per_setting", "settings", "order", "interleave_frames")


def _whole(field: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{field}={shown(value)}: must be a whole number from {low:,} to {high:,}")
    return value


def _length(field: str, items: Sequence[object], high: int) -> None:
    if not 1 <= len(items) <= high:
        raise ValueError(f"{field}: must hold from 1 to {high:,} entries, holds {len(items):,}")


@dataclass(frozen=True)
class Setting:
    """Parameters of a game under a name.

    Attributes:
        name: Short and unique in its schedule.
        parameters: Values by parameter name; a parameter not named keeps its value.
    """

    name: str
    parameters: Mapping[str, float]

    def __post_init__(self) -> None:
        # The name becomes a TensorBoard tag, a CSV field and a word of a list on the command line.
        if not isinstance(self.name, str) or not self.name.strip() or not self.name.isprintable() or "/" in self.name:
            raise ValueError(f"name={shown(self.name)}: must be one line of text without a slash, not empty")
        if len(self.name) > MAX_NAME:
            raise ValueError(f"name={shown(self.name)}: must have at most {MAX_NAME} characters")
        if "," in self.name or self.name in RESERVED_NAMES:
            raise ValueError(f"name={self.name!r}: must hold no comma and not be {', '.join(RESERVED_NAMES)}")
        if not isinstance(self.parameters, Mapping) or not self.parameters:
            raise ValueError(f"parameters={shown(self.parameters)}: must give at least one parameter a value")
        for name, value in self.parameters.items():  # the name becomes part of a tag and a heading
            if not isinstance(name, str) or not name.isprintable() or "/" in name or not 0 < len(name) <= MAX_NAME:
                raise ValueError(f"parameters: {shown(name)}: must be one line of text without a slash")
            if isinstance(value, bool) or not isinstance(value, Real) or not abs(value) <= LARGEST_VALUE:
                raise ValueError(f"parameters: {name}={shown(value)}: must be a number up to {LARGEST_VALUE:g}")


@dataclass(frozen=True)
class Schedule:
    """Which setting is in force in each segment of training; after the last segment its setting stays.

    Interleaved, all settings take turns all the time, in stretches of some frames; the segments then only say how long
    training is and when it is reported on. Otherwise a stretch is a segment.

    Attributes:
        settings: The distinct settings, in order of first appearance: from easy to hard in the default schedules.
        order: Index in `settings` of each segment's setting.
        frames_per_setting: Length of a segment in environment frames.
        interleave_frames: Length of a stretch in environment frames if all settings are interleaved, else 0.
    """

    settings: tuple[Setting, ...]
    order: tuple[int, ...]
    frames_per_setting: int = FRAMES_PER_SETTING
    interleave_frames: int = 0

    def __post_init__(self) -> None:
        _whole("frames_per_setting", self.frames_per_setting, 1, MAX_FRAMES_PER_SETTING)
        _whole("interleave_frames", self.interleave_frames, 0, MAX_FRAMES_PER_SETTING)
        _length("settings", self.settings, MAX_SETTINGS)
        _length("order", self.order, MAX_SEGMENTS)
        for index in self.order:
            _whole("order", index, 0, len(self.settings) - 1)
        for field in ("name", "parameters"):
            values = [getattr(setting, field) for setting in self.settings]
            for index, value in enumerate(values):
                if value in values[:index]:
                    raise ValueError(
                        f"settings: two have the same {field} {shown(value)}; come back to one with `order`"
                    )
        first = self.settings[0]
        for setting in self.settings:  # else a parameter would stay at what an earlier setting made it
            if set(setting.parameters) != set(first.parameters):
                raise ValueError(f"settings: {setting.name!r} and {first.name!r} must give the same parameters values")
        unused = set(range(len(self.settings))) - set(self.order)
        if unused:
            raise ValueError(f"settings: {self.settings[min(unused)].name!r} is never in `order`")

    def __repr__(self) -> str:
        what = f"{len(self.settings)} settings from {self.settings[0].name} to {self.settings[-1].name}"
        turns = f" in turns of {self.interleave_frames:,} frames" if self.interleave_frames else ""
        return f"<Schedule: {what}{turns}, {len(self.order)} segments of {self.frames_per_setting:,} frames>"

    @property
    def borders(self) -> tuple[int, ...]:
        """The frames before which the segment changes: (25000, 50000, …), one fewer than segments."""
        return tuple(segment * self.frames_per_setting for segment in range(1, len(self.order)))

    @property
    def total_frames(self) -> int:
        """Frames in all segments together."""
        return self.frames_per_setting * len(self.order)

    def ends(self, frames: int) -> list[int]:
        """Return the frame at which each segment ends, for `frames` frames in all: the last one lasts to the end.

        >>> schedule_of_values("speed", range(6)).ends(60_000)
        [25000, 50000, 60000]
        """
        return [*(border for border in self.borders if border < frames), frames]

    def segment_at(self, frame: int) -> int:
        """Return the segment in which environment frame `frame` (counted from 0) is played.

        Raises:
            ValueError: if `frame` is negative.
        """
        if frame < 0:
            raise ValueError(f"frame={frame!r}: must not be negative")
        return min(frame // self.frames_per_setting, len(self.order) - 1)

    def stretch_at(self, frame: int) -> int:
        """Return the stretch in which environment frame `frame` (counted from 0) is played.

        Raises:
            ValueError: if `frame` is negative.
        """
        segment = self.segment_at(frame)
        return frame // self.interleave_frames if self.interleave_frames else segment

    def index_in(self, stretch: int) -> int:
        """Return the index in `settings` of the one that is in force in a stretch."""
        return stretch % len(self.settings) if self.interleave_frames else self.order[stretch]

    def indices_at(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices in `settings` of those under which `frames` (counted from 0) are played."""
        if self.interleave_frames:
            return frames // self.interleave_frames % len(self.settings)
        segments = np.minimum(frames // self.frames_per_setting, len(self.order) - 1)
        return np.asarray(self.order, np.int64)[segments]

    def easier_than(self, name: str) -> tuple[Setting, ...]:
        """Return the settings listed before the named one, which are the easier ones in a schedule that gets harder.

        Raises:
            ValueError: if the setting is unknown.
        """
        names = [setting.name for setting in self.settings]
        if name not in names:
            raise ValueError(f"setting={name!r}: must be one of {', '.join(names)}")
        return self.settings[: names.index(name)]

    def to_json(self) -> dict[str, Any]:
        """Return the schedule as JSON values, in the layout of a schedule file."""
        return {
            "frames_per_setting": self.frames_per_setting,
            "settings": [{"name": setting.name, "parameters": dict(setting.parameters)} for setting in self.settings],
            "order": list(self.order),
            **({"interleave_frames": self.interleave_frames} if self.interleave_frames else {}),
        }

    @classmethod
    def from_json(cls, value: object) -> "Schedule":
        """Return the schedule that `to_json` gave; `order` may be missing and is then each setting once.

        Raises:
            ValueError: if a field is missing, unknown or has a value that is not allowed.
        """
        data = _fields("schedule", value, required=FILE_KEYS[:2], optional=FILE_KEYS[2:])
        listed = _list("settings", data["settings"])
        settings = []
        for index, item in enumerate(listed):
            entry = _fields(f"settings[{index}]", item, required=("name", "parameters"))
            try:
                settings.append(Setting(entry["name"], entry["parameters"]))
            except ValueError as error:
                raise ValueError(f"settings[{index}].{error}") from None
        order = _list("order", data.get("order", list(range(len(settings)))))
        return cls(tuple(settings), tuple(order), data["frames_per_setting"], data.get("interleave_frames", 0))


def _fields(field: str, value: object, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{field}={shown(value)}: must be an object with {', '.join(required)}")
    for key in required:
        if key not in value:
            raise ValueError(f"{field}: {key!r} is missing; it must have {', '.join(required)}")
    for key in value:
        if key not in (*required, *optional):
            raise ValueError(f"{field}: {shown(key)} is unknown; allowed are {', '.join((*required, *optional))}")
    return value


def _list(field: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{field}={shown(value)}: must be a list")
    return value


def schedule_of_values(
    parameter: str,
    values: Sequence[float],
    frames_per_setting: int = FRAMES_PER_SETTING,
    cycles: int = 1,
    interleave_frames: int = 0,
) -> Schedule:
    """Return a schedule of values of one parameter of any environment, as `schedule_from_values` does for a game.

    Raises:
        ValueError: if a value is not allowed.
    """
    _length("settings", values, MAX_SEGMENTS)
    _whole("cycles", cycles, 1, MAX_SEGMENTS // len(values))
    if not isinstance(parameter, str):
        raise ValueError(
            f"parameter={shown(parameter)}: must be the name of one parameter; `apply` may set several by it"
        )
    for value in values:
        Setting("value", {parameter: value})  # which checks both, before they are written into a name
    distinct = list(dict.fromkeys(values))
    digits = len(str(max(len(distinct) - 1, 0)))
    settings = [
        Setting(f"{index:0{digits}}-{parameter}={value:.12g}", {parameter: value})
        for index, value in enumerate(distinct)
    ]
    order = tuple(distinct.index(value) for value in values) * cycles
    return Schedule(tuple(settings), order, frames_per_setting, interleave_frames)
