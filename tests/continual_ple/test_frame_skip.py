"""Held actions against stepping by hand: rewards, what is seen, where a step is cut short; and whole runs of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
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
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.evaluation.agent_options import EvaluateOptions
from dqn_mer.evaluation.clips import play_greedily
from dqn_mer.evaluation.evaluator import Evaluator
from dqn_mer.evaluation.overlay import Overlay
from dqn_mer.evaluation.saved_agent import evaluate_checkpoint
from dqn_mer.training.loop import TrainingLoop
from dqn_mer.training.trainer import train
from tests.helpers.chain import Chain, chain_task
from tests.training.test_trainer import quiet, rows_of, tiny_run

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
    env = FrameSkip(FrameStackObservation(task.make_env(task.schedule.settings[0]), 2), 2)
    env.reset(seed=0)
    assert env.step(0)[0].shape == (2, 4, 84, 84)


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
    with pytest.raises(ValueError, match="frame_skip=0: must be at least 1"):
        FrameSkip(Chain(), 0)


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


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list that takes the frame of each evaluation, and that of the agent when it was asked for."""
    frames: list[tuple[int, int]] = []
    evaluate: Callable[[TrainingLoop, int], None] = TrainingLoop._evaluate

    def note(loop: TrainingLoop, frame: int) -> None:
        frames.append((frame, loop.agent.frames))
        evaluate(loop, frame)

    monkeypatch.setattr(TrainingLoop, "_evaluate", note)
    return frames


@pytest.mark.parametrize("game", GAMES)
def test_a_run_counts_frames_and_is_evaluated_where_it_should(
    game: str, evaluated: list[tuple[int, int]], tmp_path: Path
) -> None:
    result = tiny_run(
        tmp_path / "run", game=game, frame_skip=3, frames=200, frames_per_setting=100, eval_every=20, log_every=25,
        settings=(0.06, 0.09) if game == "catcher" else (100, 90), eval_frame_limit=6,
    )  # fmt: skip
    agent = result.agent
    assert agent.frames == agent.memory.frames == 200
    assert agent.target_syncs == 200 // 60
    assert 200 / 3 <= agent.memory.seen < 200 / 2  # a few steps were cut short
    after_warmup = int((agent.memory.born[: agent.memory.seen] > 50).sum())
    assert agent.updates == after_warmup
    assert {100, 200} <= set(agent.memory.born.tolist())  # the border and the end are ends of steps
    assert [frame for frame, _ in evaluated] == list(range(0, 201, 20))
    assert all(of_agent <= frame < of_agent + 3 for frame, of_agent in evaluated)  # as it is at that frame
    assert any(of_agent < frame for frame, of_agent in evaluated)
    rows = rows_of(tmp_path / "run" / "evaluations.csv")
    assert sorted({int(row["frame"]) for row in rows}) == list(range(0, 201, 20))
    logged = [int(row["frame"]) for row in rows_of(tmp_path / "run" / "metrics.csv")]
    assert [frame // 25 for frame in logged] == list(range(1, 9)) and logged[3] == 100 and logged[7] == 200
    settings = [row["setting/index"] for row in rows_of(tmp_path / "run" / "metrics.csv")]
    assert settings == ["0"] * 4 + ["1"] * 4
    assert result.summary["frames"] == 200


def test_evaluation_periods_change_nothing_that_is_learned(tmp_path: Path) -> None:
    runs = [
        tiny_run(
            tmp_path / str(every),
            frame_skip=3,
            frames=150,
            frames_per_setting=75,
            settings=(0.06, 0.09),
            eval_every=every,
            log_every=log,
            eval_frame_limit=6,
        )
        for every, log in ((150, 50), (7, 11))
    ]
    assert len({run.summary["weights_sha256"] for run in runs}) == 1


def test_a_saved_agent_is_evaluated_with_its_skip(tmp_path: Path) -> None:
    tiny_run(tmp_path / "run", frame_skip=3, frames=60, frames_per_setting=60, settings=(0.06,), eval_every=60)
    played = evaluate_checkpoint(EvaluateOptions(tmp_path / "run", episodes=1, frame_limit=20), quiet())
    skips = []
    step = FrameSkip.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FrameSkip, "step", lambda env, action: skips.append(env.frame_skip) or step(env, action))
        again = evaluate_checkpoint(EvaluateOptions(tmp_path / "run", episodes=1, frame_limit=20), quiet())
    assert again == played and skips == [3] * 7
    assert played["settings"][0]["length_mean_frames"] == 20


def test_an_environment_of_ones_own_is_skipped_too(tmp_path: Path) -> None:
    config = Config(
        agent="dqn", observation="state", hidden_sizes=(8,), warmup_frames=20, eval_every=200, eval_episodes=1,
        eval_frame_limit=30, eval_worker=False, frame_skip=2, frames=200, run_dir=tmp_path / "run",
    )  # fmt: skip
    result = train(config, chain_task(frames_per_setting=200), console=quiet())
    assert result.agent.frames == 200 and result.agent.memory.seen < 120
    task = chain_task(frames_per_setting=200)
    played = evaluate_checkpoint(EvaluateOptions(tmp_path / "run", episodes=1), quiet(), task)
    assert played["settings"][0]["length_mean_frames"] in (5, 30)
