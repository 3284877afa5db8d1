"""Named difficulty settings of any environment, and the schedules in which training moves through them."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_ple.checks import entries, json_fields, json_list, whole, whole_or_each
from continual_ple.messages import shown

FRAMES_PER_SETTING = 25_000
MAX_FRAMES_PER_SETTING = 10**9
MAX_SETTINGS, MAX_SEGMENTS = 100, 1_000  # each setting is evaluated all along; the end of each segment is saved
MAX_NAME = 100  # characters
LARGEST_VALUE = 1e300  # of a parameter
RESERVED_NAMES = ("all", "easier", "mean")  # they stand for groups of settings
FILE_KEYS = ("frames_per_setting", "settings", "order", "interleave_frames")


FramesPerSetting = int | Sequence[int]
"""Length of every segment in environment frames, or one length for each."""


def _check_lengths(value: object, of_what: str, count: int) -> int | tuple[int, ...]:
    return whole_or_each("frames_per_setting", value, 1, MAX_FRAMES_PER_SETTING, of_what, count)


def _plain_number(name: str, value: object) -> float:
    """Return the value of a parameter as an `int` or a `float`, which can be written as JSON; NumPy's cannot."""
    if isinstance(value, Real) and not isinstance(value, bool):
        with suppress(OverflowError):
            number = float(value)
            if abs(number) <= LARGEST_VALUE:
                return int(value) if isinstance(value, Integral) else number
    raise ValueError(f"parameters: {name}={shown(value)}: must be a number up to {LARGEST_VALUE:g}")


@dataclass(frozen=True)
class Setting:
    """Parameters of a game under a name.

    Attributes:
        name: Short and unique in its schedule.
        parameters: Values by parameter name, as plain numbers; a parameter not named keeps its value.
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
        for name in self.parameters:  # the name becomes part of a tag and a heading
            if not isinstance(name, str) or not name.isprintable() or "/" in name or not 0 < len(name) <= MAX_NAME:
                raise ValueError(f"parameters: {shown(name)}: must be one line of text without a slash")
        numbers = {name: _plain_number(name, value) for name, value in self.parameters.items()}
        object.__setattr__(self, "parameters", numbers)


@dataclass(frozen=True)
class Schedule:
    """Which setting is in force in each segment of training; after the last segment its setting stays.

    Interleaved, all settings take turns all the time, in stretches of some frames; the segments then only say how long
    training is and when it is reported on. Otherwise a stretch is a segment.

    Attributes:
        settings: The distinct settings, in order of first appearance: from easy to hard in the default schedules.
        order: Index in `settings` of each segment's setting.
        frames_per_setting: Length of a segment in environment frames, or a tuple of one for each segment of `order`.
        interleave_frames: Length of a stretch in environment frames if all settings are interleaved, else 0.
    """

    settings: tuple[Setting, ...]
    order: tuple[int, ...]
    frames_per_setting: FramesPerSetting = FRAMES_PER_SETTING
    interleave_frames: int = 0

    def __post_init__(self) -> None:
        settings = entries("settings", self.settings, MAX_SETTINGS)
        if not all(isinstance(setting, Setting) for setting in settings):
            raise ValueError(f"settings={shown(settings)}: must hold a Setting each")
        order = [whole("order", index, 0, len(settings) - 1) for index in entries("order", self.order, MAX_SEGMENTS)]
        lengths = _check_lengths(self.frames_per_setting, "segments", len(order))
        stretch = whole("interleave_frames", self.interleave_frames, 0, MAX_FRAMES_PER_SETTING)
        own = {"settings": settings, "order": tuple(order), "frames_per_setting": lengths, "interleave_frames": stretch}
        for field, checked in own.items():
            object.__setattr__(self, field, checked)
        for field in ("name", "parameters"):
            values = [getattr(setting, field) for setting in self.settings]
            for index, value in enumerate(values):
                if value in values[:index]:
                    raise ValueError(f"settings: two have the same {field} {shown(value)}; repeat one with `order`")
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
        return f"<Schedule: {what}{turns}, {len(self.order)} segments of {self.length_words} frames>"

    @property
    def lengths(self) -> tuple[int, ...]:
        """Length of each segment in environment frames."""
        given = self.frames_per_setting
        return (given,) * len(self.order) if isinstance(given, int) else tuple(given)

    @property
    def length_words(self) -> str:
        """Length of a segment, or the shortest and the longest one, for a sentence: "25,000", "500 to 2,000"."""
        return " to ".join(f"{length:,}" for length in sorted({min(self.lengths), max(self.lengths)}))

    @cached_property
    def borders(self) -> tuple[int, ...]:
        """The frames before which the segment changes: (25000, 50000, …), one fewer than segments."""
        return tuple(accumulate(self.lengths[:-1]))

    @property
    def total_frames(self) -> int:
        """Frames in all segments together."""
        return sum(self.lengths)

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
        return bisect_right(self.borders, frame)

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
        return np.asarray(self.order, np.int64)[np.searchsorted(self.borders, frames, side="right")]

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
        lengths = self.frames_per_setting
        return {
            "frames_per_setting": lengths if isinstance(lengths, int) else list(lengths),
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
        data = json_fields("schedule", value, required=FILE_KEYS[:2], optional=FILE_KEYS[2:])
        listed = json_list("settings", data["settings"])
        settings = []
        for index, item in enumerate(listed):
            entry = json_fields(f"settings[{index}]", item, required=("name", "parameters"))
            try:
                settings.append(Setting(entry["name"], entry["parameters"]))
            except ValueError as error:
                raise ValueError(f"settings[{index}].{error}") from None
        order = json_list("order", data.get("order", list(range(len(settings)))))
        return cls(tuple(settings), tuple(order), data["frames_per_setting"], data.get("interleave_frames", 0))


def schedule_of_values(
    parameter: str,
    values: Sequence[float],
    frames_per_setting: FramesPerSetting = FRAMES_PER_SETTING,
    cycles: int = 1,
    interleave_frames: int = 0,
) -> Schedule:
    """Return a schedule of values of one parameter of any environment, as `schedule_from_values` does for a game.

    Raises:
        ValueError: if a value is not allowed.
    """
    values = entries("settings", values, MAX_SEGMENTS)
    cycles = whole("cycles", cycles, 1, MAX_SEGMENTS // len(values))
    if not isinstance(parameter, str):
        raise ValueError(
            f"parameter={shown(parameter)}: must be the name of one parameter; `apply` may set several by it"
        )
    # A setting checks both before they are written into a name.
    values = [Setting("value", {parameter: value}).parameters[parameter] for value in values]
    distinct = list(dict.fromkeys(values))
    digits = len(str(max(len(distinct) - 1, 0)))
    settings = [
        Setting(f"{index:0{digits}}-{parameter}={value:.12g}", {parameter: value})
        for index, value in enumerate(distinct)
    ]
    order = tuple(distinct.index(value) for value in values) * cycles
    lengths = _check_lengths(frames_per_setting, "values", len(values))
    lengths = lengths if isinstance(lengths, int) else lengths * cycles
    return Schedule(tuple(settings), order, lengths, interleave_frames)
