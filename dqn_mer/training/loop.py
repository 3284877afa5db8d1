"""A run in progress, frame by frame: what plays, learns, evaluates and logs, and the state of all of it."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from continual_ple import saved_state
from continual_ple.frame_skip import FRAMES_PLAYED, FrameSkip
from continual_ple.observations import sees_images
from continual_ple.tasks import Task
from dqn_mer.agents.build import build_agent, build_exploration, describe_network
from dqn_mer.agents.learning_statistics import LearningStatistics
from dqn_mer.agents.memory import Transition
from dqn_mer.config.config import RANGES, Config
from dqn_mer.config.fields import check_range
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.evaluation.beside_training import WorkerEvaluation
from dqn_mer.evaluation.checkpoint import save_checkpoint
from dqn_mer.evaluation.inline import EvaluationPlan, InlineEvaluation, score_random_play
from dqn_mer.networks.device import choose_device
from dqn_mer.networks.q_network import spec_as_json
from dqn_mer.periods import reaches_multiple
from dqn_mer.runs.stopping import NotFiniteError
from dqn_mer.storage.state import SavedState, State, StateError
from dqn_mer.training.meter import build_meter
from dqn_mer.training.pictures import BorderPictures, log_frame_strips
from dqn_mer.training.recorder import RecentEpisodes, Recorder
from dqn_mer.training.state_trial import savable_state
from dqn_mer.training.tags import metric_columns
from dqn_mer.training.tracker import Tracker


class TrainingLoop(AbstractContextManager["TrainingLoop"]):
    """Everything of a run that changes with its frames. Call `begin` or `resume`, and then `step` for each step.

    A step is one frame, or up to ``config.frame_skip`` frames; all counts and periods are in frames.

    Args:
        task: Task to learn.
        config: Configuration of the run.

    Attributes:
        frame: Frames done.
        frames: Frame at which the run ends.
        random_scores: Mean score of random play on each setting: the floor, and the base of forward transfer.

    Raises:
        ValueError: if the run cannot be made.
    """

    def __init__(self, task: Task, config: Config) -> None:
        self.task, self.config = dataclasses.replace(task, frame_skip=config.frame_skip), config
        self.frame = 0
        self.frames = config.frames if config.frames is not None else task.schedule.total_frames
        check_range("frames", self.frames, RANGES["frames"])  # a whole schedule may be longer
        self.ends = set(task.schedule.ends(self.frames))
        self.random_scores: list[float] = []
        self.streams = spawn_streams(config.seed)
        device = choose_device(config.device, sees_images(config.observation))
        self.env = self.task.training_env(self.frames)
        self.network = describe_network(config, self.env, task.action_probabilities, task.network, self.streams.network)
        self.agent = build_agent(config, self.env, self.streams, task.action_probabilities, task.network)
        self.exploration = build_exploration(config, task.action_probabilities, self.streams)
        self.meter = build_meter(config, self.agent, task.schedule, self.streams)
        self.plan = plan = EvaluationPlan(
            self.task, self.network, config.eval_episodes, config.eval_frame_limit, self.streams.evaluation
        )
        self.evaluation = WorkerEvaluation(plan) if config.eval_worker else InlineEvaluation(plan, device)
        self.pictures = BorderPictures(self.task, self.agent, config, self.frames, self.streams.evaluation)
        self._open = ExitStack()  # whatever is open by the end, the logs only from `begin` or `resume` on
        self._open.callback(self.evaluation.close)
        self._open.callback(self.env.close)

    def __exit__(self, *error: object) -> None:
        """Close the logs and the environments, and end the evaluation."""
        self._open.close()

    def begin(self, run_dir: Path, config_markdown: str) -> str | None:
        """Open the logs and play up to the first frame: random scores, evaluation of the untrained agent, reset.

        Returns:
            A line for the user, if there is something that they should know.
        """
        self._open_logs(run_dir, None)
        self.tracker.log_text(config_markdown)
        note = log_frame_strips(self.task, self.tracker, self.streams.evaluation)
        self.random_scores = score_random_play(self.plan, self.streams.random_policy)
        self.observation, info = self.env.reset(seed=self.streams.environment)
        self.recorder.setting(0, info)
        self._evaluate(0)
        self.recorder.clock.rate(0)  # the speed of the first row is that of its frames alone
        return note

    def resume(self, run_dir: Path, saved: SavedState) -> None:
        """Resume a run from where `get_state` was called; the logs are cut back to that point only if all of it fits.

        Raises:
            StateError: if the state does not fit.
            ValueError: if a log is missing or shorter than it was.
        """
        episodes = RecentEpisodes()
        with saved, saved.part("evaluation") as evaluation:
            self.frame = saved.whole("frame", high=self.frames)
            self.random_scores = saved.numbers("random_scores")
            if len(self.random_scores) != len(self.task.schedule.settings):
                raise StateError(f"{saved.path}.random_scores: must be one for each setting")
            self.agent.set_state(saved.part("agent"))
            self.exploration.set_state(saved.part("exploration"))
            self.meter.set_state(saved.part("meter"))
            self._set_env(saved)
            frames = [int(frame) for frame in evaluation.numbers("frames")]
            weights = evaluation.array("weights", np.float32, (len(frames), self.agent.online.vector.numel()))
            episodes.set_state(saved.part("episodes"))
            logs = saved.part("tracker")
        self._open_logs(run_dir, logs)
        self.recorder.resume(self.frame, episodes)
        for frame, vector in zip(frames, weights, strict=True):
            self.evaluation.submit(frame, torch.from_numpy(vector))
        self._log_evaluations()

    def get_state(self) -> State:
        """Return everything that `resume` needs; what was logged so far is then safe on the disk.

        Raises:
            UnsavableError: if the state of the environment cannot be saved.
        """
        waiting = self.evaluation.waiting()
        weights = np.frombuffer(b"".join(data for _, data in waiting), np.float32)
        return {
            "frame": self.frame,
            "random_scores": self.random_scores,
            "observation": np.asarray(self.observation),
            "env": savable_state(self.env),
            "agent": self.agent.get_state(),
            "exploration": self.exploration.get_state(),
            "meter": self.meter.get_state(),
            "episodes": self.recorder.episodes.get_state(),
            "evaluation": {
                "frames": [frame for frame, _ in waiting],
                "weights": weights.reshape(len(waiting), self.agent.online.vector.numel()),
            },
            "tracker": self.tracker.get_state(),
        }

    def step(self) -> dict[str, Any]:
        """Play one step: act, learn, log and evaluate; return its ``info``.

        An evaluation that is due at a frame inside the step uses the weights from before the step's update, which are
        the agent's at that frame, and is logged after the step.

        Raises:
            NotFiniteError: if learning has diverged at a log row or an evaluation.
        """
        before, config = self.frame, self.config
        action = self.exploration.random_action(before)
        if action is None:
            action = self.agent.greedy_action(self.observation)
        observation, reward, terminated, truncated, info = self.env.step(action)
        played = info.get(FRAMES_PLAYED, 1)
        frame = before + played
        self._evaluate_inside(before, frame)
        measuring = self.meter.due(frame, played)
        logging = measuring or reaches_multiple(before, frame, config.log_every)
        transition = Transition(self.observation, action, float(reward), observation, bool(terminated))
        statistics = self.agent.observe(transition, logging, bool(truncated), played)
        self.frame, self.observation = frame, observation
        if terminated or truncated:
            self.recorder.episodes.add(info)
        if logging:
            self.check_finite(statistics)
            self.recorder.metrics(frame, self.exploration.schedule.at(frame), statistics, measuring)
            self._log_evaluations()
        if frame in self.ends or frame % config.eval_every == 0:
            self.check_finite()
            self._evaluate(frame)
        if frame in self.ends:
            self._save_agent(info)
            self.pictures.show_play(self.tracker, frame)
        if (terminated or truncated) and frame < self.frames:
            self.observation, following = self.env.reset()
            if following["setting_index"] != info["setting_index"]:
                self.recorder.setting(frame + 1, following)
        return info

    def finish(self) -> None:
        """Wait for the evaluations that are not done, and log them."""
        self._log_evaluations(wait=True)

    def check_finite(self, statistics: LearningStatistics | None = None) -> None:
        """Raise NotFiniteError if a weight, or the loss that was measured, is NaN or infinite."""
        if not torch.isfinite(self.agent.online.vector).all():
            raise NotFiniteError("a weight of the network")
        if statistics is not None and not np.isfinite(statistics.loss):
            raise NotFiniteError("the loss")

    def _open_logs(self, run_dir: Path, saved: SavedState | None) -> None:
        names, parameter = [setting.name for setting in self.task.schedule.settings], self.task.parameter
        self.run_dir = run_dir
        self.tracker = Tracker(run_dir, self.config.game, names, parameter, metric_columns(names, parameter), saved)
        self._open.callback(self.tracker.close)
        self.recorder = Recorder(self.task, self.agent, self.tracker, self.meter)

    def _set_env(self, saved: SavedState) -> None:
        space = self.env.observation_space
        assert space.shape is not None and space.dtype is not None  # build_agent took only Box observations
        self.observation = saved.array("observation", space.dtype, space.shape)
        saved_state.set_state(self.env, saved.plain("env"))
        counts = [self.env.get_wrapper_attr("frames"), self.agent.frames, self.agent.memory.frames]
        counts += [self.env.played] if isinstance(self.env, FrameSkip) else []
        if set(counts) != {self.frame}:
            raise StateError(f"{saved.path}.frame={self.frame}: environment, agent and memory are at {counts}")

    def _evaluate(self, frame: int) -> None:
        self.evaluation.submit(frame, self.agent.online.vector)
        self._log_evaluations()

    def _evaluate_inside(self, before: int, frame: int) -> None:
        """Evaluate the agent at what is due between two frames, both left out: inside a step of several frames."""
        for inside in range(before + 1, frame):
            if inside % self.config.eval_every == 0:
                self.check_finite()
                self._evaluate(inside)

    def _log_evaluations(self, wait: bool = False) -> None:
        for frame, rows in self.evaluation.finished(wait):
            self.tracker.log_evaluation(frame, rows)
            self.pictures.show_scores(self.tracker, frame)

    def _save_agent(self, info: dict[str, Any]) -> None:
        description = {
            "frame": self.frame,
            "trained_on_last": info["setting"],
            "network": spec_as_json(self.network),
            "config": self.config.to_json(),
            "schedule": self.task.schedule.to_json(),
        }
        save_checkpoint(self.run_dir / "checkpoints" / f"frame-{self.frame:09d}", self.agent.online.model, description)
