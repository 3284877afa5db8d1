"""The pictures of a run in TensorBoard: the learning curves so far and the agent at play, at borders of the schedule.

They draw from no generator of the training's, and change nothing that is learned.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from continual_ple.frame_skip import FRAMES_PLAYED
from continual_ple.own import RENDER_MODE
from continual_ple.settings import Setting
from continual_ple.tasks import Task, why_not_drawn
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.config.config import Config
from dqn_mer.evaluation.beside_training import print_to_stderr
from dqn_mer.evaluation.evaluator import GreedyPolicy, Policy, RandomPolicy
from dqn_mer.evaluation.worker_process import kind_and_message
from dqn_mer.training.summary import draw_curves_so_far
from dqn_mer.training.tracker import Tracker

STRIP_FRAMES = 4
STRIP_EVERY_FRAMES = 20
MOST_PANELS = 240
"""Panels of learning curves, and strips of play, that a run draws at most; each panel takes about 0.1 s."""


def picture_frames(ends: Sequence[int], settings: int) -> frozenset[int]:
    """Return the ends of segments at which pictures are made: all, or as many as `MOST_PANELS` allow, evenly spaced.

    >>> sorted(picture_frames([10, 20, 30], 2)), sorted(picture_frames([10, 20, 30], 120))
    ([10, 20, 30], [10, 30])
    """
    most = max(1, MOST_PANELS // settings)
    return frozenset(ends[::-1][:: -(-len(ends) // most)])


class BorderPictures:
    """Shows in TensorBoard how the agent plays and how it scored so far, at borders of the schedule.

    Args:
        task: Task that is trained on.
        agent: Agent that learns.
        config: Configuration of the run.
        frames: Frame at which the run ends.
        seed: Seed of the episodes that are shown.
    """

    def __init__(self, task: Task, agent: DQNAgent, config: Config, frames: int, seed: int) -> None:
        self.task, self.config, self.seed = task, config, seed
        self._online = agent.online
        self._policy = GreedyPolicy(agent.online.model, agent.device)
        self._ends = task.schedule.ends(frames)
        self._frames = picture_frames(self._ends, len(task.schedule.settings))

    def show_play(self, tracker: Tracker, frame: int) -> None:
        """Show a strip of the agent's greedy play under every setting, if pictures are made at this frame.

        Where an environment of the user's fails, one line says so, and training continues.
        """
        if frame in self._frames:
            before = self._online.snapshot()  # a network of random play counts its calls among its weights
            with _kept_global_generators():
                self._show_strips(tracker, frame)
            self._online.load(before)

    def _show_strips(self, tracker: Tracker, frame: int) -> None:
        if self.task.is_own and why_not_drawn(self.task) is not None:
            return
        for setting in self.task.schedule.settings:
            try:
                strip = _strip(self.task, setting, self._policy, self.seed)
            except Exception as error:
                if not self.task.is_own:
                    raise
                print_to_stderr(f"no frames in TensorBoard at frame {frame:,}: {kind_and_message(error)}")
                return
            tracker.log_images(f"frames/{setting.name}", strip, frame)

    def show_scores(self, tracker: Tracker, frame: int) -> None:
        """Show the learning curves up to an evaluation, if pictures are made at its frame; the last come at the end."""
        if frame in self._frames and frame < self._ends[-1]:
            png = draw_curves_so_far(tracker.run_dir, self.config, self.task.schedule, self._ends, frame)
            tracker.log_learning_curves(frame, png)


def log_frame_strips(task: Task, tracker: Tracker, seed: int) -> str | None:
    """Show a strip of frames under random play for each setting.

    Returns:
        The reason, in one line, if the environment cannot be drawn; else None.
    """
    reason = why_not_drawn(task) if task.is_own else None
    if reason is not None:
        return f"no frames in TensorBoard: {reason}"
    for setting in task.schedule.settings:
        policy = RandomPolicy(task.action_probabilities, np.random.default_rng(seed))
        tracker.log_images(f"frames/{setting.name}", _strip(task, setting, policy, seed))
    return None


def _strip(task: Task, setting: Setting, policy: Policy, seed: int) -> NDArray[np.uint8]:
    """Return pictures of play under a setting, (n, height, width, 3)."""
    with closing(task.agents_env(setting, render_mode=RENDER_MODE)) as env:
        return np.stack(list(_pictures(env, policy, seed)))


def _pictures(env: gymnasium.Env[Any, Any], policy: Policy, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield `STRIP_FRAMES` pictures, `STRIP_EVERY_FRAMES` frames or a whole step apart."""
    observation, _ = env.reset(seed=seed)
    frame = 0
    for number in range(STRIP_FRAMES):
        while frame < number * STRIP_EVERY_FRAMES:
            observation, _, terminated, truncated, info = env.step(int(policy(observation[np.newaxis])[0]))
            frame += info.get(FRAMES_PLAYED, 1)
            if terminated or truncated:
                observation, _ = env.reset()
        yield np.array(env.render())  # a copy: it may be the buffer that the next frame is drawn into


@contextmanager
def _kept_global_generators() -> Iterator[None]:
    """Leave the global generators as they were: an environment of the user's may draw from them, in training too."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - saves the global state
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002 - restores the global state
        torch.set_rng_state(states[2])
