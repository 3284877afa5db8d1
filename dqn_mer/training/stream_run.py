"""A run of somebody else's agent on the changing stream, filed as the runs of our agents are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from continual_ple.frame_skip import FRAMES_PLAYED
from continual_ple.tasks import Task
from dqn_mer.config.agent_registry import known_agent
from dqn_mer.config.combinations import check_chooses_no_schedule
from dqn_mer.config.config import ALLOWED, OF_EVERY_RUN, RANGES
from dqn_mer.config.defaults import default_config
from dqn_mer.config.fields import check_range
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.config.task import game_task, name_after
from dqn_mer.evaluation.evaluator import AnyPolicy, as_policy
from dqn_mer.evaluation.inline import EvaluationPlan, make_evaluator, score_random_play
from dqn_mer.periods import reaches_multiple
from dqn_mer.runs.folder import create_run_folder, describe_run
from dqn_mer.storage.json_files import write_json
from dqn_mer.training.recorder import RateClock, RecentEpisodes
from dqn_mer.training.summary import speed, summarise_scores
from dqn_mer.training.tags import metric_columns
from dqn_mer.training.tracker import Tracker


class StreamRun(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The changing stream as a Gymnasium environment, which evaluates and records the agent that learns from it.

    Any library can train on it. Its steps are counted; at the frames at which our agents are evaluated, it plays
    `policy` greedily on every setting, on the same episodes, with what was learned before the step. The run folder is
    that of our runs without checkpoints and snapshots: `compare` shows it beside them, but it cannot be resumed.

    Args:
        agent: Name of the agent in comparisons; not that of an agent of this package.
        task: Task to learn, if that is none of the games.
        options: Hyper-parameters of the agent to record, which are numbers; in `compare` and TensorBoard they stand
            where those of our agents do.
        choices: Fields of `Config` that describe the game, the schedule unless it is that of ``task``, the evaluations
            and the run folder. The others describe our agents, and are not recorded.

    Attributes:
        policy: Greedy policy to evaluate, to be set before the first reset: a function from observations ``(n, ...)``
            to actions ``(n,)``, or an object with ``predict(observations, deterministic)``, as Stable-Baselines3 has;
            one without a memory of the episode. It gets this environment's own observations, without what wrappers
            around it do to them.
        frames: Frames of the run. Further steps are played, but not recorded.
        frame: Frames played so far.
        run_dir: Folder of the run.

    Raises:
        ValueError: if the name is taken, or a field is not allowed.
    """

    def __init__(
        self, agent: str, task: Task | None = None, options: Mapping[str, float] | None = None, **choices: Any
    ) -> None:
        if known_agent(agent) is not None:
            raise ValueError(f"agent={agent!r}: is an agent of this package; must be another name")
        for name, value in choices.items():
            if name in ALLOWED and name not in OF_EVERY_RUN:
                raise ValueError(f"{name}={value!r}: is for agents of this package; must be one of options, if at all")
        if task is not None:
            check_chooses_no_schedule(choices)
        config = default_config(agent="random", **choices)
        config = dataclasses.replace(config, agent=agent, agent_options=dict(options or {}))
        self.config = config if task is None else name_after(task, config)
        task = game_task(config) if task is None else task
        self.task = dataclasses.replace(task, frame_skip=config.frame_skip)
        self.frames = config.frames if config.frames is not None else task.schedule.total_frames
        check_range("frames", self.frames, RANGES["frames"])
        super().__init__(self.task.training_env(self.frames))
        self.policy: AnyPolicy | None = None
        self.frame = 0
        self.ends = set(task.schedule.ends(self.frames))
        self.streams = spawn_streams(config.seed)
        self.run_dir: Path | None = None
        self._summary: dict[str, Any] | None = None
        self._evaluating: int | None = None  # frame of an evaluation that has begun, until it is recorded
        self._open = ExitStack()
        self._episodes, self._clock = RecentEpisodes(), RateClock()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; the first reset makes the run folder and evaluates the untrained agent.

        Raises:
            ValueError: if there is no `policy` yet, or one that cannot be evaluated, the folder cannot be made, or an
                evaluation has failed.
        """
        self._check_evaluated()
        first = self.run_dir is None
        if first:
            self._begin()
            seed = self.streams.environment if seed is None else seed
        observation, info = self.env.reset(seed=seed, options=options)
        if first or (info["setting_index"] != self._setting and self.frame < self.frames):
            self._log_setting(self.frame + (not first), info)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one step, and record what is due after it.

        Raises:
            ValueError: if the run is finished, or an evaluation of it has failed.
        """
        if self._summary is not None:
            raise ValueError(f"frame={self.frame:,}: the run is finished; make another StreamRun")
        self._check_evaluated()
        observation, reward, terminated, truncated, info = self.env.step(int(np.asarray(action)))
        if self.frame < self.frames:
            before, self.frame = self.frame, self.frame + info.get(FRAMES_PLAYED, 1)
            if terminated or truncated:
                self._episodes.add(info)
            self._record(before)
        return observation, float(reward), bool(terminated), bool(truncated), info

    def finish(self) -> dict[str, Any]:
        """End the run: write matrix.csv, learning_curves.png and summary.json, whose content is returned.

        A second call returns it again.

        Raises:
            ValueError: if the run has not reached its last frame, or an evaluation of it has failed.
        """
        if self._summary is not None:
            return self._summary
        self._check_evaluated()
        if self.run_dir is None or self.frame < self.frames:
            raise ValueError(f"frame={self.frame:,}: must be {self.frames:,}, the last of the run")
        results = summarise_scores(self.run_dir, self.config, self.task, self.frame, self.random_scores)
        summary, _, learning_curves = results
        self.tracker.log_learning_curves(self.frame, learning_curves)
        summary |= {"frames": self.frame, **speed(self.frame, time.perf_counter() - self._started_s)}
        fields = _of_every_run(self.config.hyperparameters())
        self.tracker.log_hparams({**fields.pop("agent_options"), **fields}, summary["metrics"])
        self.tracker.close()
        write_json(self.run_dir / "summary.json", summary)
        self._summary = summary
        return summary

    def close(self) -> None:
        """Close the environments and the logs; a run that was evaluated after its last frame is finished before."""
        try:
            if self.run_dir is not None and self.frame >= self.frames and self._evaluating is None:
                self.finish()
        finally:
            self._open.close()
            super().close()

    def _begin(self) -> None:
        policy, space = as_policy(self.policy), self.observation_space
        policy(np.zeros((1, *(space.shape or ())), space.dtype))  # one that gives no actions leaves no folder behind
        self.run_dir = create_run_folder(self.config).absolute()  # wherever the program goes meanwhile
        write_json(
            self.run_dir / "config.json",
            describe_run({"config": _of_every_run(self.config.to_json())}, self.task.schedule.to_json()),
        )
        names, parameter = [setting.name for setting in self.task.schedule.settings], self.task.parameter
        self.tracker = Tracker(self.run_dir, self.config.game, names, parameter, metric_columns(names, parameter))
        self._open.callback(self.tracker.close)
        self._started_s = time.perf_counter()
        episodes, limit = self.config.eval_episodes, self.config.eval_frame_limit
        plan = EvaluationPlan(self.task, {}, episodes, limit, self.streams.evaluation)
        self.random_scores = score_random_play(plan, self.streams.random_policy)
        self.evaluator = make_evaluator(plan)
        self._open.callback(self.evaluator.close)
        self._evaluate(0)
        self._clock.rate(0)  # the speed of the first row is that of its frames alone

    def _record(self, before: int) -> None:
        config = self.config
        if reaches_multiple(before, self.frame, config.log_every):
            values = {**self._episodes.take(), "speed/frames_per_s": self._clock.rate(self.frame)}
            self.tracker.log(self.frame, values)
        for frame in range(before + 1, self.frame + 1):  # more than one in a step of several frames
            if frame in self.ends or frame % config.eval_every == 0:
                self._evaluate(frame)

    def _evaluate(self, frame: int) -> None:
        self._evaluating = frame
        self.tracker.log_evaluation(frame, [result.row() for result in self.evaluator.run(as_policy(self.policy))])
        self._evaluating = None

    def _check_evaluated(self) -> None:
        """Raise ValueError if an evaluation failed: without it the run would be summarised by an earlier one."""
        if self._evaluating is not None:
            raise ValueError(f"policy: failed when evaluated at frame {self._evaluating:,}; make another StreamRun")

    def _log_setting(self, frame: int, info: Mapping[str, Any]) -> None:
        self._setting = info["setting_index"]
        parameters = self.task.schedule.settings[self._setting].parameters
        self.tracker.log_setting(frame, self._setting, parameters.get(self.task.parameter, float("nan")))


def _of_every_run(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without those of our agents, which are none of another library's agent."""
    return {name: value for name, value in values.items() if name in OF_EVERY_RUN}
