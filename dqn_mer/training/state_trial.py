"""Whether the saved state of what a user wrote resumes it, tried before a run relies on it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium
import numpy as np

from continual_ple import saved_state
from continual_ple.nonstationary import NonStationary
from continual_ple.settings import Schedule
from continual_ple.tasks import Task
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.evaluation.worker_process import kind_and_message
from dqn_mer.storage.snapshots import find_state, save_state, with_arrays, without_arrays
from dqn_mer.storage.state import SavedState, State

FRAMES_BEFORE, FRAMES_AFTER = 7, 30

Env = gymnasium.Env[Any, Any]


class UnsavableError(Exception):
    """An environment's state cannot be saved, or could not be read again; the message is one line."""


def savable_state(env: Env) -> State:
    """Return the state of an environment, which may have become one that cannot be saved since it was tried.

    Raises:
        UnsavableError: if it cannot be saved, or a method of the environment fails.
    """
    try:
        state = saved_state.get_state(env)
        arrays: dict[str, Any] = {}
        text = json.dumps(without_arrays(state, "", arrays), allow_nan=False)
        SavedState({"env": with_arrays(json.loads(text), arrays)}).plain("env")
    except Exception as error:  # of the user's own methods, which may raise anything
        raise UnsavableError(kind_and_message(error)[:300]) from error
    return state


def env_under_change(task: Task) -> Env:
    """Return an environment of a task as a run has it, whose setting changes within `FRAMES_BEFORE` frames.

    When a run is resumed its environment is made under the first setting, and gets the one in force with its state.
    """
    settings = task.schedule.settings
    lengths = [FRAMES_BEFORE // 2, *([FRAMES_BEFORE + 2 * FRAMES_AFTER] * (len(settings) - 1))]
    schedule = Schedule(settings, tuple(range(len(settings))), lengths)
    return NonStationary(task.make_env(settings[0]), schedule, task.apply)


def why_not_saved(make_env: Callable[[], Env]) -> str | None:
    """Return in one line why an environment's state cannot be saved and resumed exactly, or None if it can.

    One environment is saved after a few frames, and another resumed from the file must then play the same as the
    first. What only shows later, such as a global random generator that is seldom drawn from, is not seen.

    Args:
        make_env: Makes an environment with Discrete actions, the same one each time; `env_under_change` is one.
    """
    first, second = make_env(), make_env()
    try:
        lacking = saved_state.without_state(first)
        if lacking:
            return f"{' and '.join(lacking)} must have get_state() and set_state(state)"
        rng = np.random.default_rng(0)
        first.reset(seed=0)
        _play(first, rng, FRAMES_BEFORE)
        _play_into_an_episode(first, rng)
        with _through_a_file({"env": savable_state(first)}) as saved:
            state = saved.plain("env")
        saved_state.set_state(second, state)  # without a reset, as when a run is resumed
        actions = rng.bit_generator.state
        played = _play(first, rng, FRAMES_AFTER)
        rng.bit_generator.state = actions
        again = _play(second, rng, FRAMES_AFTER)
    except UnsavableError as error:
        return str(error)
    except Exception as error:  # of the user's own methods, which may raise anything
        return kind_and_message(error)[:300]
    finally:
        first.close()
        second.close()
    return None if _equal(played, again) else "after set_state(get_state()) an environment plays differently"


def _play_into_an_episode(env: Env, rng: np.random.Generator) -> None:
    """Play on to a frame that no episode ends at, since after a reset little differs from a new environment."""
    for _ in range(FRAMES_AFTER):
        if len(_play(env, rng, 1)[-1]) > 1:
            return


def why_agent_not_saved(agent: DQNAgent, make_agent: Callable[[], DQNAgent]) -> str | None:
    """Return in one line why the parts of an agent cannot be saved and read back, or None if they can.

    Args:
        agent: Agent before its first frame; it stays as it is.
        make_agent: Makes another one in the same way, whose parts must take the state of the first one's.
    """
    try:
        with _through_a_file({"replay": agent.replay.get_state(), "memory": agent.memory.get_state()}) as saved:
            other = make_agent()
            other.replay.set_state(saved.part("replay"))
            other.memory.set_state(saved.part("memory"))
    except Exception as error:  # of the user's own methods, which may raise anything
        return kind_and_message(error)[:300]
    return None


def _equal(played: list[tuple[Any, ...]], again: list[tuple[Any, ...]]) -> bool:
    if [len(step) for step in played] != [len(step) for step in again]:
        return False
    pairs = zip(itertools.chain(*played), itertools.chain(*again), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


@contextmanager
def _through_a_file(state: dict[str, Any]) -> Iterator[SavedState]:
    """Give a state after it was saved to a file, to be read there."""
    with TemporaryDirectory() as folder:
        save_state(Path(folder), 0, {}, state)
        kept = find_state(Path(folder))
        assert kept is not None  # it was saved just now
        yield SavedState(kept.state)


def _play(env: Env, rng: np.random.Generator, frames: int) -> list[tuple[Any, ...]]:
    """Play on at random for some frames, into new episodes, and return all that was seen."""
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)
    seen: list[tuple[Any, ...]] = []
    for _ in range(frames):
        observation, reward, terminated, truncated, _ = env.step(int(rng.integers(env.action_space.n)))
        seen.append((observation, reward, terminated, truncated))
        if terminated or truncated:
            seen.append((env.reset()[0],))
    return seen
