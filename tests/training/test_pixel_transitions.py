"""What agents remember and learn of a run from pixels, against a game that is stepped by hand and seen afresh."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.memory import Transition
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.config.task import game_task
from dqn_mer.training.trainer import train
from tests.training.test_trainer import quiet

STACK = 4
BORDER = 75  # frames; no multiple of the frames of a step


class Step(NamedTuple):
    """What the agent was told of one step, besides the pictures."""

    action: int
    frames: int
    ended: bool


def by_hand(config: Config, steps: list[Step]) -> Iterator[Transition]:
    """Yield the transitions of these steps: the screens after each step, reduced one by one, the oldest first."""
    schedule = game_task(config).schedule
    env = game_task(config).make_env(schedule.settings[0])
    env.reset(seed=spawn_streams(config.seed).environment)

    def screen() -> np.ndarray:
        return env.unwrapped.game.thumbnail(84).copy()

    frame, stack = 0, [screen()] * STACK
    for action, frames, ended in steps:
        before, reward = np.stack(stack), 0.0
        for _ in range(frames):
            _, points, terminated, _, _ = env.step(action)
            reward += points
        frame += frames
        stack = [*stack[1:], screen()]
        yield Transition(before, action, float(np.clip(reward, -1, 1)), np.stack(stack), terminated)
        if ended:
            if frame == BORDER:
                env.unwrapped.configure(**schedule.settings[1].parameters)
            env.reset()
            stack = [screen()] * STACK


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Record the steps that an agent observes, and the examples and targets of its updates, in the lists returned."""
    lists: dict[str, list[Any]] = {"steps": [], "updates": []}
    observe, examples_of = DQNAgent.observe, DQNAgent.examples_of

    def note_step(agent: DQNAgent, transition: Transition, measure: bool, truncated: bool, frames: int) -> Any:
        lists["steps"].append(Step(transition.action, frames, transition.terminated or truncated))
        statistics = observe(agent, transition, measure, truncated, frames)
        for array in (transition.observation, transition.next_observation):
            assert array.flags.writeable  # it is the reader's own
        transition.observation.fill(77)  # what is remembered and stacked from now on must be copies
        return statistics

    def note_update(agent: DQNAgent, batch: Any, next_q: torch.Tensor | None = None) -> Any:
        examples = examples_of(agent, batch, next_q)
        with torch.no_grad():
            values = agent.target.model(torch.from_numpy(batch.next_observations)).amax(dim=1)
        copies = [part.copy() for part in batch]
        lists["updates"].append((len(lists["steps"]), copies, [part.clone() for part in examples], values))
        return examples

    monkeypatch.setattr(DQNAgent, "observe", note_step)
    monkeypatch.setattr(DQNAgent, "examples_of", note_update)
    return lists


@pytest.mark.parametrize(
    ("game", "frame_skip", "agent"),
    [("catcher", 2, "dqn"), ("flappy_bird", 1, "dqn-mer"), ("flappy_bird", 2, "dqn"), ("flappy_bird", 2, "dqn-mer")],
)
def test_transitions_are_those_of_the_game_at_ends_of_episodes_and_settings_too(
    game: str, frame_skip: int, agent: str, told: dict[str, list[Any]], tmp_path: Path
) -> None:
    config = default_config(
        game=game, agent=agent, frame_skip=frame_skip, clip_rewards=True, input_scaling="centred", capacity=40,
        settings=(0.2108, 0.1808) if game == "catcher" else (100, 90), frames=2 * BORDER, frames_per_setting=BORDER,
        warmup_frames=100, target_sync_frames=20, eval_every=1_000, eval_episodes=1, eval_frame_limit=5,
        hidden_sizes=(128,), meter_every=0, eval_worker=False, run_dir=tmp_path / "run",
    )  # fmt: skip
    learner = train(config, console=quiet()).agent
    expected = list(by_hand(config, told["steps"]))
    frames = np.cumsum([step.frames for step in told["steps"]]).tolist()
    assert BORDER in frames and frames[-1] == 2 * BORDER
    assert sum(transition.terminated for transition in expected) > 1  # episodes end by themselves as well
    kept = learner.memory.read(np.arange(len(learner.memory)))
    places = [frames.index(born) for born in learner.memory.born[: len(learner.memory)]]
    assert len(places) == 40 < len(expected)
    for row, place in enumerate(places):
        check_row(kept, row, expected[place])
    check_updates(told["updates"], expected)


def check_row(batch: Any, row: int, expected: Transition) -> None:
    for column, value in zip(batch, expected, strict=True):
        np.testing.assert_array_equal(column[row], value)


def check_updates(updates: list[Any], expected: list[Transition]) -> None:
    """Check that row 0 is the newest transition, the others are earlier ones, and targets are made of them."""
    assert updates
    for step, batch, (observations, actions, targets), values in updates:
        check_row(batch, 0, expected[step - 1])
        earlier = {as_bytes(transition) for transition in expected[: step - 1]}
        assert earlier.issuperset(as_bytes(row) for row in itertools.islice(zip(*batch, strict=True), 1, None))
        np.testing.assert_array_equal(observations, batch[0])
        np.testing.assert_array_equal(actions, batch[1])
        by_definition = torch.from_numpy(batch[2]) + 0.99 * values * ~torch.from_numpy(batch[4])
        torch.testing.assert_close(targets, by_definition, rtol=1e-5, atol=1e-5)


def as_bytes(transition: Iterable[Any]) -> bytes:
    observation, action, reward, following, terminated = transition
    return b"".join((observation.tobytes(), bytes([action, int(reward) + 1, bool(terminated)]), following.tobytes()))
