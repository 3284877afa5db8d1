"""Settings and schedules: worked by hand, for any values, and from files that are wrong."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_ple.game_schedules import default_schedule, schedule_from_values
from continual_ple.schedule_files import load_schedule
from continual_ple.settings import Schedule, Setting, schedule_of_values


def test_default_schedules_are_the_papers() -> None:
    schedule = default_schedule("flappy_bird")
    assert [setting.parameters for setting in schedule.settings] == [{"pipe_gap": gap} for gap in range(100, 70, -5)]
    assert [setting.name for setting in schedule.settings][:2] == ["0-pipe_gap=100", "1-pipe_gap=95"]
    assert schedule.order == (0, 1, 2, 3, 4, 5)
    assert schedule.total_frames == 150_000
    speeds = [setting.parameters["fall_speed"] for setting in default_schedule("catcher").settings]
    assert speeds == [0.0608, 0.0908, 0.1208, 0.1508, 0.1808, 0.2108]


def test_segments_change_exactly_at_the_borders() -> None:
    schedule = schedule_from_values("flappy_bird", [100, 75, 100], frames_per_setting=10)
    assert schedule.borders == (10, 20)
    assert [schedule.segment_at(frame) for frame in (0, 9, 10, 19, 20, 29, 30, 10**9)] == [0, 0, 1, 1, 2, 2, 2, 2]
    assert schedule.indices_at(np.array([9, 10, 20, 99])).tolist() == [0, 1, 0, 0]
    ends = {9: [9], 10: [10], 11: [10, 11], 20: [10, 20], 30: [10, 20, 30], 99: [10, 20, 99]}
    assert {frames: schedule.ends(frames) for frames in ends} == ends
    with pytest.raises(ValueError, match=r"^frame=-1: must not be negative$"):
        schedule.segment_at(-1)


def test_each_value_may_have_a_length_of_its_own() -> None:
    schedule = schedule_of_values("speed", [1.0, 2.0, 1.0], frames_per_setting=[10, 30, 5], cycles=2)
    assert schedule.frames_per_setting == schedule.lengths == (10, 30, 5, 10, 30, 5)
    assert schedule.borders == (10, 40, 45, 55, 85) and schedule.total_frames == 90
    assert [schedule.segment_at(frame) for frame in (0, 9, 10, 39, 40, 44, 45, 10**9)] == [0, 0, 1, 1, 2, 2, 3, 5]
    assert schedule.indices_at(np.array([9, 10, 39, 40, 99])).tolist() == [0, 1, 1, 0, 0]
    assert schedule.ends(50) == [10, 40, 45, 50]
    assert schedule.length_words == "5 to 30" and "6 segments of 5 to 30 frames" in repr(schedule)
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule
    equal = schedule_of_values("speed", [1.0, 2.0], frames_per_setting=np.array([7, 7]))
    assert equal == schedule_of_values("speed", [1.0, 2.0], frames_per_setting=7) and equal.length_words == "7"


@given(st.lists(st.integers(1, 20), min_size=1, max_size=9), st.integers(1, 3))
def test_every_segment_lasts_as_long_as_it_says(lengths: list[int], cycles: int) -> None:
    values = list(range(len(lengths)))
    schedule = schedule_of_values("speed", values, lengths, cycles)
    played = schedule.indices_at(np.arange(schedule.total_frames))
    expected = [value for value, length in zip(values, lengths, strict=True) for _ in range(length)] * cycles
    assert played.tolist() == expected == [schedule.order[schedule.segment_at(frame)] for frame in range(len(played))]


def test_cycles_and_other_parameters() -> None:
    schedule = schedule_from_values("flappy_bird", [1.0, 0.5], "gravity", frames_per_setting=7, cycles=2)
    assert [setting.name for setting in schedule.settings] == ["0-gravity=1", "1-gravity=0.5"]
    assert schedule.order == (0, 1, 0, 1) and schedule.total_frames == 28


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [np.arange(8, 10), np.array([8, 9], np.float32), [Fraction(8), np.float64(9)]])
def test_values_of_any_kind_of_number_are_kept_as_plain_ones(values: Any) -> None:
    schedule = schedule_of_values("speed", values)
    assert [setting.name for setting in schedule.settings] == ["0-speed=8", "1-speed=9"]
    assert schedule == schedule_of_values("speed", [8, 9])
    numbers = [*Setting("own", {"a": values[0], "b": values[1]}).parameters.values()]
    assert {type(number) for number in numbers} <= {int, float} and numbers == [8, 9]
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule


@pytest.mark.parametrize("value", [np.float32("nan"), np.inf, 10**400, Fraction(10**400), True, np.bool_(True), 1j])
def test_what_is_no_number_of_a_plain_size_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^parameters: speed=.*: must be a number up to 1e\+300$"):
        Setting("own", {"speed": value})


def test_many_settings_sort_by_name() -> None:
    names = [setting.name for setting in schedule_from_values("flappy_bird", range(100, 88, -1)).settings]
    assert names == sorted(names) and names[0] == "00-pipe_gap=100"


def test_easier_settings_come_first() -> None:
    schedule = default_schedule("flappy_bird")
    assert schedule.easier_than("2-pipe_gap=90") == schedule.settings[:2]
    assert schedule.easier_than("0-pipe_gap=100") == ()
    with pytest.raises(ValueError, match=r"^setting='x': must be one of 0-pipe_gap=100, "):
        schedule.easier_than("x")


@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 9))
def test_interleaved_visits_every_setting_equally(count: int, frames: int, rounds: int) -> None:
    schedule = schedule_from_values(
        "flappy_bird", range(100, 100 - count, -1), frames_per_setting=frames * rounds, interleave_frames=frames
    )
    played = schedule.indices_at(np.arange(schedule.total_frames))
    assert np.bincount(played).tolist() == [frames * rounds] * count
    for early in range(0, len(played), count * frames):  # and so does each round
        assert np.bincount(played[early : early + count * frames]).tolist() == [frames] * count
    assert (
        schedule.borders
        == schedule_from_values("flappy_bird", range(100, 100 - count, -1), frames_per_setting=frames * rounds).borders
    )
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule


@given(
    st.lists(st.integers(40, 300), min_size=1, max_size=9), st.integers(1, 50), st.integers(0, 9), st.integers(0, 999)
)
def test_indices_at_many_frames_are_those_of_each(values: list[int], frames: int, stretch: int, at: int) -> None:
    schedule = schedule_from_values("flappy_bird", values, frames_per_setting=frames, interleave_frames=stretch)
    assert schedule.indices_at(np.array([at])).tolist() == [schedule.index_in(schedule.stretch_at(at))]


@given(st.lists(st.integers(40, 300), min_size=1, max_size=30), st.integers(1, 50), st.integers(1, 3))
def test_any_values(values: list[int], frames: int, cycles: int) -> None:
    schedule = schedule_from_values("flappy_bird", values, frames_per_setting=frames, cycles=cycles)
    played = schedule.indices_at(np.arange(schedule.total_frames))
    assert [schedule.settings[index].parameters["pipe_gap"] for index in played] == [
        value for value in values * cycles for _ in range(frames)
    ]
    assert len(schedule.settings) == len(set(values))
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": 5}, "^settings=5: must be a list$"),
        ({"values": "100,90"}, "^settings='100,90': must be a list$"),
        ({"values": {100: 90}}, "^settings={100: 90}: must be a list$"),
        ({"values": []}, "^settings: must hold from 1 to 1,000 entries, holds 0$"),
        ({"values": [100, 5]}, r"^pipe_gap=5: must be a whole number from 40 to 300 \(px\)$"),
        ({"values": [1], "parameter": "speed"}, "^parameter='speed': must be one of pipe_gap, "),
        ({"values": [100], "cycles": 0}, "^cycles=0: must be a whole number from 1 "),
        ({"values": [100, 90], "cycles": 501}, "^cycles=501: must be a whole number from 1 to 500$"),
        ({"values": range(40, 141)}, "^settings: must hold from 1 to 100 entries, holds 101$"),
        ({"values": [100], "frames_per_setting": 2.5}, r"^frames_per_setting=2\.5: must be a whole number from 1 "),
        ({"values": [100], "frames_per_setting": True}, "^frames_per_setting=True: must be a whole number"),
        ({"values": [100], "frames_per_setting": "10"}, "^frames_per_setting='10': must be a whole number"),
        ({"values": [100, 90, 80], "frames_per_setting": [5, 6]}, "one for each of 3 values; holds 2$"),
        ({"values": [100, 90], "frames_per_setting": [5, 0]}, r"^frames_per_setting\[1\]=0: must be a whole number"),
        ({"values": [100], "frames_per_setting": []}, "^frames_per_setting: must be one number, or one for each of 1 "),
    ],
)
def test_bad_values(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedule_from_values("flappy_bird", **arguments)


def test_screens_that_do_not_fit_are_refused_in_a_schedule() -> None:
    with pytest.raises(ValueError, match=r"^setting '1-height=500': width=64: must be more than 120"):
        schedule_from_values("catcher", [64, 500], "height")


def test_schedules_must_be_consistent() -> None:
    one, other = Setting("a", {"pipe_gap": 100}), Setting("b", {"pipe_gap": 90})
    for settings, order, message in [
        ((one, Setting("a", {"pipe_gap": 90})), (0, 1), "^settings: two have the same name 'a'"),
        ((one, Setting("b", {"pipe_gap": 100})), (0, 1), "^settings: two have the same parameters"),
        ((one, other), (0, 2), "^order=2: must be a whole number from 0 to 1$"),
        ((one, other), (0, 0), "^settings: 'b' is never in `order`$"),
        ((one,), (0,) * 1001, "^order: must hold from 1 to 1,000 entries, holds 1,001$"),
        (one, (0,), r"^settings=Setting.*: must be a list$"),
        (("one",), (0,), r"^settings=\('one',\): must hold a Setting each$"),
        ((one,), 0, "^order=0: must be a list$"),
        ((one,), (), "^order: must hold from 1 to 1,000 entries, holds 0$"),
    ]:
        with pytest.raises(ValueError, match=message):
            Schedule(settings, order, 10)


GOOD = {"frames_per_setting": 10, "settings": [{"name": "wide", "parameters": {"pipe_gap": 120, "gravity": 0.8}}]}


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "schedule.json"
    path.write_text(json.dumps(GOOD))
    schedule = load_schedule(path, "flappy_bird")
    assert schedule == Schedule((Setting("wide", {"pipe_gap": 120, "gravity": 0.8}),), (0,), 10)
    path.write_text(json.dumps(default_schedule("catcher").to_json()))
    assert load_schedule(path, "catcher") == default_schedule("catcher")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", r"schedule=\[\]: must be an object with frames_per_setting, settings$"),
        ("{}", "schedule: 'frames_per_setting' is missing; it must have"),
        ('{"frames_per_setting": NaN, "settings": []}', "NaN is not a number allowed in JSON$"),
        (
            json.dumps(GOOD | {"frames_per_setting": 54321}).replace("54321", "1e999"),
            "frames_per_setting=inf: must be a whole number",
        ),
        (json.dumps(GOOD | {"frames_per_setting": [5, 6]}), "or one for each of 1 segments; holds 2$"),
        (json.dumps(GOOD | {"frames_per_setting": ["5"]}), r"frames_per_setting\[0\]='5': must be a whole number"),
        (json.dumps(GOOD | {"frames_per_setting": {"a": 5}}), "frames_per_setting={'a': 5}: must be a whole number"),
        (json.dumps(GOOD | {"speed": 1}), "schedule: 'speed' is unknown; allowed are"),
        (json.dumps(GOOD | {"settings": {}}), "settings={}: must be a list$"),
        (json.dumps(GOOD | {"settings": [3]}), r"settings\[0\]=3: must be an object with name, parameters$"),
        (json.dumps(GOOD | {"settings": [{"name": 1, "parameters": {}}]}), r"settings\[0\]\.name=1: must be one line"),
        (json.dumps(GOOD | {"settings": [{"name": "a", "parameters": 1}]}), r"settings\[0\]\.parameters=1: must give"),
        (json.dumps(GOOD | {"order": [True]}), "order=True: must be a whole number from 0 to 0$"),
        (json.dumps(GOOD | {"order": "0"}), "order='0': must be a list$"),
        (
            json.dumps(GOOD | {"settings": [{"name": "a", "parameters": {"pipe_gap": "1"}}]}),
            r"settings\[0\]\.parameters: pipe_gap='1': must be a number up to 1e\+300$",
        ),
        (
            json.dumps(GOOD | {"settings": [{"name": "a", "parameters": {"speed": 1}}]}),
            "setting 'a': speed=1: must be one of the parameters of flappy_bird: ",
        ),
        ("[" * 100_000, "cannot be read: "),
        (" " * 1_000_001, "must have at most 1,000,000 bytes$"),
        ('{"order": [0], "order": [1]}', "'order' is given twice$"),
        (json.dumps(GOOD | {"settings": [{"name": "a" * 101, "parameters": {}}]}), "must have at most 100 characters$"),
        ('{"frames_per_setting": ' + "1" * 5000 + "}", "Exceeds the limit"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "schedule.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_schedule(path, "flappy_bird")
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json: cannot be read: No such file or directory$"):
        load_schedule(tmp_path / "none.json", "catcher")
    with pytest.raises(ValueError, match=r"cannot be read: Is a directory$"):
        load_schedule(tmp_path, "catcher")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"bytes\.json: cannot be read: .*utf-8"):
        load_schedule(tmp_path / "bytes.json", "catcher")


def test_settings_must_give_the_same_parameters() -> None:
    """Otherwise training would keep an earlier setting's value where evaluation has the default."""
    with pytest.raises(ValueError, match="'b' and 'a' must give the same parameters values"):
        Schedule((Setting("a", {"gravity": 1.2}), Setting("b", {"pipe_gap": 80})), (0, 1), 10)
