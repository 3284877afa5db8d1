"""Held actions against stepping by hand, and where an agent plays: evaluation, clips, beside a person."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FrameStackObservation, TimeLimit

from continual_ple import saved_state
from continual_ple.frame_skip import FRAMES_PLAYED, FrameSkip
from continual_ple.tasks import STATISTICS, Task
from dqn_mer.commands.play import Match
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.evaluation.clips import play_greedily
from dqn_mer.evaluation.evaluator import Evaluator
from dqn_mer.evaluation.overlay import Overlay
from tests.helpers.chain import Chain

GAMES = ("catcher", "flappy_bird")


def task_of(game: str, observation: str = "state", frame_skip: int = 1, **choices: Any) -> Task:
    return game_task(default_config(game=game, observation=observation, frame_skip=frame_skip, **choices))


def by_hand(
    env: gymnasium.Env[Any, Any], action: int, frames: int, stack: np.ndarray | None
) -> tuple[Any, float, bool, bool, int, Any]:
    """Play up to so many frames with one action; returns what a step should be."""
    total, played = 0.0, 0
    while played < frames:
        played += 1
        observation, reward, terminated, truncated, info = env.step(action)
        total += float(reward)
        if terminated or truncated:
            break
    if stack is not None:
        observation = np.stack([*stack[1:], observation[-1]])
    return observation, total, terminated, truncated, played, info


@pytest.mark.parametrize("frame_skip", [2, 5])
@pytest.mark.parametrize("observation", ["state", "pixels"])
@pytest.mark.parametrize("game", GAMES)
def test_a_step_is_its_frames_by_hand_over_whole_episodes(game: str, observation: str, frame_skip: int) -> None:
    skipping, plain = task_of(game, observation, frame_skip), task_of(game, observation)
    setting = plain.schedule.settings[3]
    env, other = skipping.agents_env(setting, frame_limit=333), plain.agents_env(setting, frame_limit=333)
    assert isinstance(env, FrameSkip) and not isinstance(other, FrameSkip)
    rng, ends = np.random.default_rng(0), []
    for seed in range(3):
        seen, _ = env.reset(seed=seed)
        np.testing.assert_array_equal(seen, other.reset(seed=seed)[0])
        frames, over = 0, False
        while not over:
            action = (
                int(rng.integers(env.action_space.n)) if game == "catcher" else int(rng.random() > 0.04 * frame_skip)
            )
            stack = seen if observation == "pixels" else None
            seen, reward, terminated, truncated, info = env.step(action)
            observed, *expected, played, last = by_hand(other, action, frame_skip, stack)
            np.testing.assert_array_equal(seen, observed)
            assert [reward, terminated, truncated] == expected
            assert info == last | {FRAMES_PLAYED: played}
            assert played == frame_skip or terminated or truncated
            frames, over = frames + played, terminated or truncated
        ends.append((frames, terminated))
    assert any(terminated for _, terminated in ends)
    assert all(terminated or frames == 333 for frames, terminated in ends)
    assert any(frames % frame_skip for frames, _ in ends)  # a step was cut short


class Colours(Chain):
    """The chain as colour pictures, channels first: three axes that are no stacked frames."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, 40, 40), np.uint8)
        self.steps = 0

    def _observe(self) -> np.ndarray:
        self.steps += 1
        return np.arange(3, dtype=np.uint8).reshape(3, 1, 1).repeat(40, 1).repeat(40, 2) + np.uint8(10 * self.steps)


def test_pictures_that_are_no_stacked_frames_are_shown_as_they_are() -> None:
    env = FrameSkip(Colours(), 3)
    env.reset(seed=0)
    observation, *_ = env.step(0)
    assert observation[:, 0, 0].tolist() == [40, 41, 42]
    assert env.get_state() == {"played": 3}


def test_a_game_that_shows_something_else_is_not_stacked() -> None:
    task = task_of("catcher", "pixels")
    env, plain = (FrameStackObservation(task.make_env(task.schedule.settings[0]), 2) for _ in range(2))
    env = FrameSkip(env, 2)
    for each in (env, plain):
        each.reset(seed=0)
    plain.step(0)
    np.testing.assert_array_equal(env.step(0)[0], plain.step(0)[0])


def test_a_time_limit_is_in_frames_and_exact() -> None:
    env = FrameSkip(TimeLimit(Chain(), 7), 3)
    env.reset(seed=0)
    steps = [env.step(0) for _ in range(3)]
    assert [info[FRAMES_PLAYED] for *_, info in steps] == [3, 3, 1]
    assert [truncated for _, _, _, truncated, _ in steps] == [False, False, True]


def test_termination_inside_a_step_ends_it() -> None:
    env = FrameSkip(Chain(prize=2.0), 4)
    env.reset(seed=0)
    first, last = env.step(1), env.step(1)
    assert (first[1], first[2], first[4][FRAMES_PLAYED]) == (0.0, False, 4)
    assert (last[1], last[2], last[4][FRAMES_PLAYED]) == (2.0, True, 1)


def test_no_step_crosses_a_border_or_the_end() -> None:
    task = task_of("catcher", frame_skip=4, settings=(0.06, 0.09), frames_per_setting=10)
    env = task.training_env(end_frame=27)
    env.reset(seed=0)
    played, ends = [], []
    for _ in range(8):
        _, _, terminated, truncated, info = env.step(2)
        played.append((info[FRAMES_PLAYED], info["setting_index"], truncated))
        if truncated:
            ends.append((env.get_wrapper_attr("frames"), info[STATISTICS]["l"]))
        assert not terminated  # a pellet takes more than 27 frames to be missed three times
        if truncated:
            env.reset()
    # 10 frames are 4 + 4 + 2; after the last border the setting stays; the run ends at 27
    assert played == [
        (4, 0, False), (4, 0, False), (2, 0, True), (4, 1, False), (4, 1, False), (4, 1, False), (4, 1, False),
        (1, 1, False),
    ]  # fmt: skip
    assert ends == [(10, 10)]


def test_nor_does_one_cross_the_end_of_a_segment_in_the_middle_of_a_turn() -> None:
    task = task_of("catcher", frame_skip=4, settings=(0.06, 0.09), frames_per_setting=10, interleave_frames=7)
    env = task.training_env(end_frame=23)
    env.reset(seed=0)
    steps = []
    while env.played < 23:
        _, _, _, truncated, info = env.step(2)
        steps.append((info[FRAMES_PLAYED], info["setting_index"], truncated))
        if truncated:
            env.reset()
    # Turns end at 7, 14 and 21, the first segment at 10
    assert [played for played, *_ in steps] == [4, 3, 3, 4, 4, 3, 2]
    assert [(index, cut) for _, index, cut in steps] == [
        (0, False), (0, True), (1, False), (1, True), (0, False), (0, True), (1, False),
    ]  # fmt: skip
    assert env.step(2)[4][FRAMES_PLAYED] == 4  # beyond the run nothing stops a step


def test_observations_may_be_kept_and_written_to() -> None:
    task = task_of("catcher", "pixels", 2)
    env, other = (task.agents_env(task.schedule.settings[0]) for _ in range(2))
    observations = [env.reset(seed=0)[0], other.reset(seed=0)[0]]
    for action in (0, 1, 2, 0, 1):
        observations[0].fill(7)
        observations = [each.step(action)[0] for each in (env, other)]
        np.testing.assert_array_equal(*observations)


@pytest.mark.parametrize("observation", ["state", "pixels"])
def test_its_state_goes_on_to_the_bit(observation: str) -> None:
    task = task_of("flappy_bird", observation, 3, settings=(100, 90), frames_per_setting=60)
    whole, resumed = task.training_env(100), task.training_env(100)
    whole.reset(seed=1)
    resumed.reset(seed=2)
    for _ in range(7):
        whole.step(1)
    state = copy.deepcopy(saved_state.get_state(whole))
    saved_state.set_state(resumed, state)
    number = 0
    while whole.played < 100:
        number += 1
        steps = [env.step(number % 9 > 0) for env in (whole, resumed)]
        np.testing.assert_array_equal(steps[0][0], steps[1][0])
        assert steps[0][1:4] == steps[1][1:4] and steps[0][4][FRAMES_PLAYED] == steps[1][4][FRAMES_PLAYED]
        if steps[0][2] or steps[0][3]:
            np.testing.assert_array_equal(*(env.reset()[0] for env in (whole, resumed)))
    assert whole.played == resumed.played == 100


@pytest.mark.parametrize(
    "change", [{"played": -1}, {"played": 101}, {"played": True}, {"stack": np.zeros((4, 84, 83), np.uint8)}, {"x": 1}]
)
def test_states_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    env = task_of("catcher", "pixels", 2).training_env(100)
    env.reset(seed=0)
    state = copy.deepcopy(saved_state.get_state(env))
    state["0-FrameSkip"] |= change
    with pytest.raises(ValueError, match=r"environment: not a state of 0-FrameSkip"):
        saved_state.set_state(env, state)


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_it_is_a_proper_environment() -> None:
    task = task_of("catcher", "pixels", 4)
    check_env(task.agents_env(task.schedule.settings[0]), skip_render_check=True)


@pytest.mark.parametrize("frames", [0, -1, 2.5])
def test_an_action_is_held_for_a_whole_number_of_frames(frames: Any) -> None:
    with pytest.raises(ValueError, match=rf"^frame_skip={frames}: must be a whole number of at least 1$"):
        FrameSkip(Chain(), frames)


def test_evaluation_plays_and_counts_frames() -> None:
    task = task_of("catcher", frame_skip=4)
    evaluator = Evaluator(lambda setting: task.agents_env(setting, 90), task.schedule.settings, episodes=2, seed=0)
    calls = []

    def stay(observations: np.ndarray) -> np.ndarray:
        calls.append(len(observations))
        return np.full(len(observations), 2)

    lengths = np.concatenate([result.lengths for result in evaluator.run(stay)])
    assert len(calls) == 23 and lengths.max() == 90  # 22 steps of 4 frames, and one of 2


def overlay_of(frame_skip: int) -> Overlay:
    task = task_of("catcher", frame_skip=frame_skip)
    env = task.agents_env(task.schedule.settings[0], frame_limit=10, render_mode="rgb_array")
    return Overlay(env, "agent", "slow", lambda observation: np.array([0, 0, 1], np.float32))


def test_a_clip_has_a_picture_for_every_frame() -> None:
    skipping, plain = (list(play_greedily(overlay_of(skip), seed=3)) for skip in (4, 1))
    assert len(skipping) == len(plain) == 11
    screen = skipping[0].shape[1] - 208
    same = [bool((mine[:, :screen] == other[:, :screen]).all()) for mine, other in zip(skipping, plain, strict=True)]
    assert [same[frame] for frame in (0, 4, 8, 10)] == [True] * 4  # the last frame of each step
    assert (skipping[1] == skipping[4]).all() and (skipping[9] == skipping[10]).all()


def test_beside_a_person_it_plays_as_many_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = overlay_of(1), overlay_of(4)
    monkeypatch.setattr(Match, "_wait_for_key", lambda match: None)
    seen = []
    monkeypatch.setattr(Match, "_show", lambda match: seen.append((match.mine.frame, match.theirs.frame)))

    class Still:
        def action(self) -> int:
            return 2

    Match(None, mine, theirs, Still()).play(seed=3)
    assert seen == [(0, 0), (1, 4), (2, 4), (3, 4), (4, 4), (5, 8), (6, 8), (7, 8), (8, 8), (9, 10)]
