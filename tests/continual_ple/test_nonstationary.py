"""The wrapper that changes settings: exactly when it should, and never within an episode."""

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

from continual_ple import NonStationary, Schedule, Setting, default_schedule, schedule_from_values


class Counter(gymnasium.Env[np.ndarray[Any, Any], np.int64]):
    """Ends after `length` frames; remembers the lengths that it was given."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    length = 3

    def __init__(self) -> None:
        self.given: list[float] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.given.append(self.length)
        self.frame = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        self.frame += 1
        return np.zeros(1, np.float32), 1.0, self.frame >= self.length, False, {}


def lengths(*values: int, frames: int, order: tuple[int, ...] | None = None) -> Schedule:
    settings = tuple(Setting(f"length={value}", {"length": value}) for value in values)
    return Schedule(settings, order or tuple(range(len(values))), frames)


def test_trace_worked_by_hand() -> None:
    """Segments of 7 frames, episodes of 3, then of 5: 3, 3, 1 (cut) | 5, 2 (cut) | 3, 3, 3, … (the last one stays)."""
    env = NonStationary(Counter(), lengths(3, 5, frames=7, order=(0, 1, 0)))
    ends = []
    _, info = env.reset()
    for frame in range(1, 25):
        _, _, terminated, truncated, info = env.step(0)
        if terminated or truncated:
            ends.append((frame, terminated, truncated, info["setting"], info["setting_index"], info["segment"]))
            _, info = env.reset()
    assert ends == [
        (3, True, False, "length=3", 0, 0),
        (6, True, False, "length=3", 0, 0),
        (7, False, True, "length=3", 0, 0),
        (12, True, False, "length=5", 1, 1),
        (14, False, True, "length=5", 1, 1),
        (17, True, False, "length=3", 0, 2),
        (20, True, False, "length=3", 0, 2),
        (23, True, False, "length=3", 0, 2),
    ]
    assert env.unwrapped.given == [3, 3, 3, 5, 5, 3, 3, 3, 3]


def test_segments_may_differ_in_length() -> None:
    """Segments of 4, 6 and 2 frames, episodes of 3, then of 5."""
    schedule = dataclasses.replace(lengths(3, 5, frames=1, order=(0, 1, 0)), frames_per_setting=(4, 6, 2))
    env = NonStationary(Counter(), schedule)
    ends = []
    env.reset()
    for frame in range(1, 15):
        _, _, terminated, truncated, info = env.step(0)
        if terminated or truncated:
            ends.append((frame, truncated, info["setting_index"], info["segment"]))
            env.reset()
    assert ends == [(3, False, 0, 0), (4, True, 0, 0), (9, False, 1, 1), (10, True, 1, 1), (13, False, 0, 2)]


def test_an_episode_that_ends_on_the_border_is_both() -> None:
    env = NonStationary(Counter(), lengths(3, 5, frames=3))
    env.reset()
    flags = [env.step(0)[2:4] for _ in range(3)]
    assert flags == [(False, False), (False, False), (True, True)]
    assert env.reset()[1]["setting"] == "length=5"


def test_without_a_reset_it_stays_truncated() -> None:
    env = NonStationary(Counter(), lengths(9, 5, frames=2))
    env.reset()
    assert [env.step(0)[3] for _ in range(4)] == [False, True, True, True]
    env.reset()
    assert not env.step(0)[3]


@pytest.mark.parametrize("limit_outside", [True, False])
def test_composes_with_stock_wrappers(limit_outside: bool) -> None:
    schedule = lengths(100, 50, frames=25)
    env: gymnasium.Env[Any, Any] = Counter()
    if limit_outside:
        env = RecordEpisodeStatistics(TimeLimit(NonStationary(env, schedule), 10))
    else:
        env = NonStationary(RecordEpisodeStatistics(TimeLimit(env, 10)), schedule)
    ends, episode_lengths = [], []
    env.reset()
    for frame in range(1, 51):
        _, _, terminated, truncated, info = env.step(0)
        if terminated or truncated:
            ends.append(frame)
            episode_lengths.append(info.get("episode", {}).get("l"))
            env.reset()
    assert ends == [10, 20, 25, 35, 45]
    # Inside, the statistics do not see the episode that the border cuts, so they belong outside.
    assert episode_lengths == ([10, 10, 5, 10, 10] if limit_outside else [10, 10, None, 10, 10])


def test_other_environments_by_attribute() -> None:
    schedule = Schedule((Setting("light", {"gravity": 5.0}), Setting("heavy", {"gravity": 20.0})), (0, 1), 3)
    env = NonStationary(gymnasium.make("CartPole-v1"), schedule)
    env.reset(seed=0)
    assert env.unwrapped.gravity == 5.0
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]
    env.reset()
    assert env.unwrapped.gravity == 20.0
    wrong = NonStationary(gymnasium.make("CartPole-v1"), Schedule((Setting("a", {"gravity": 1, "pull": 2}),), (0,), 3))
    with pytest.raises(AttributeError, match=r"^CartPoleEnv has no configure\(\) and no attribute pull$"):
        wrong.reset()
    assert wrong.unwrapped.gravity == 9.8


def test_own_apply() -> None:
    given: list[float] = []
    env = NonStationary(Counter(), lengths(3, 5, frames=2), lambda _, parameters: given.extend(parameters.values()))
    for _ in range(3):
        env.reset()
        env.step(0)
        env.step(0)
    assert given == [3, 5]


@pytest.mark.parametrize("game", ["catcher", "flappy_bird"])
def test_default_schedules_on_the_games(game: str) -> None:
    """Every frame is played under the setting that its number asks for, and every episode under one only."""
    env_id = {"catcher": "ContinualPLE/Catcher-v0", "flappy_bird": "ContinualPLE/FlappyBird-v0"}[game]
    schedule = default_schedule(game, frames_per_setting=130)
    env = RecordEpisodeStatistics(NonStationary(gymnasium.make(env_id, observation="state"), schedule))
    env.reset(seed=0)
    lengths = []
    for frame in range(1000):
        in_force = env.unwrapped.parameters
        _, _, terminated, truncated, info = env.step(frame % 2)
        setting = schedule.settings[schedule.indices_at(np.array([frame]))[0]]
        assert info["setting"] == setting.name
        assert in_force.items() >= setting.parameters.items()
        assert truncated == (frame + 1 in schedule.borders)
        if terminated or truncated:
            lengths.append(info["episode"]["l"])
            env.reset()
    assert set(np.cumsum(lengths)) >= set(schedule.borders)


def test_interleaved_trace_worked_by_hand() -> None:
    """Stretches of 4 frames, episodes of 3, of 5, of 9, in segments of 10 frames: 3, 1 (cut) | 4 (cut) | 4 (cut) | …"""
    schedule = dataclasses.replace(lengths(3, 5, 9, frames=10), interleave_frames=4)
    env = NonStationary(Counter(), schedule)
    ends = []
    env.reset()
    for frame in range(1, 37):
        _, _, terminated, truncated, info = env.step(0)
        if terminated or truncated:
            ends.append((frame, truncated, info["setting_index"], info["segment"]))
            env.reset()
    assert ends == [
        (3, False, 0, 0), (4, True, 0, 0), (8, True, 1, 0), (12, True, 2, 0),
        (15, False, 0, 1), (16, True, 0, 1), (20, True, 1, 1), (24, True, 2, 2),
        (27, False, 0, 2), (28, True, 0, 2), (32, True, 1, 2), (36, True, 2, 2),
    ]  # fmt: skip
    assert env.unwrapped.given == [3, 3, 5, 9] * 3 + [3]


@pytest.mark.parametrize("interleave_frames", [0, 7])
@pytest.mark.parametrize("at", [0, 4, 10, 13, 40])
def test_state_survives(at: int, interleave_frames: int) -> None:
    schedule = schedule_from_values(
        "catcher", [0.06, 0.2, 0.06], frames_per_setting=10, interleave_frames=interleave_frames
    )

    def make() -> NonStationary:
        return NonStationary(gymnasium.make("ContinualPLE/Catcher-v0"), schedule)

    env, copy = make(), make()
    env.reset(seed=3)
    for _ in range(at):
        if env.step(1)[3]:
            env.reset()
    copy.reset()
    copy.set_state(env.get_state())
    copy.unwrapped.set_state(env.unwrapped.get_state())
    for _ in range(30):
        ours, theirs = env.step(0), copy.step(0)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]
        if ours[2] or ours[3]:
            np.testing.assert_array_equal(env.reset()[0], copy.reset()[0])


def test_state_of_an_environment_without_one_gets_its_setting() -> None:
    env, copy = (NonStationary(Counter(), lengths(3, 5, frames=2)) for _ in range(2))
    for _ in range(2):
        env.reset()
        env.step(0)
        env.step(0)
    copy.set_state(env.get_state())
    assert copy.unwrapped.length == 5
    assert copy.reset()[1] == env.reset()[1]
