"""The training run: play, learn, evaluate on every setting, log, and save."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from dqn_mer.agents import build_agent, build_exploration, build_meter, choose_device, describe_network
from dqn_mer.checkpoint import save_checkpoint
from dqn_mer.config import RANGES, Config
from dqn_mer.display import ProgressDisplay
from dqn_mer.dqn import DQNAgent
from dqn_mer.evaluation import Evaluator, RandomPolicy
from dqn_mer.evaluation_worker import EvaluationPlan, InlineEvaluation, WorkerEvaluation
from dqn_mer.processor import default_threads, processor
from dqn_mer.recording import Recorder, log_frame_strips
from dqn_mer.replay import Transition, largest_bytes
from dqn_mer.runfolder import check_run_folder, create_run_folder, describe_run, write_json
from dqn_mer.streams import spawn_streams
from dqn_mer.summary import segment_ends, summarise
from dqn_mer.tags import metric_columns
from dqn_mer.tasks import Task, game_task
from dqn_mer.tracking import Tracker


@dataclass(frozen=True)
class RunResult:
    """What a finished run leaves.

    Attributes:
        run_dir: its folder.
        summary: the content of ``summary.json``.
        agent: the trained agent.
    """

    run_dir: Path
    summary: dict[str, Any]
    agent: DQNAgent


def train(config: Config, arguments: Sequence[str] = (), console: Console | None = None) -> RunResult:
    """Train on a game as ``config`` says and leave a run folder that explains itself.

    Args:
        config: of the run.
        arguments: the command that asked for it, for the record.
        console: where progress goes; standard output by default.

    Raises:
        ValueError: in one line, before anything is written, if the configuration cannot be run here.
    """
    return train_on(game_task(config), config, arguments, console)


def train_on(task: Task, config: Config, arguments: Sequence[str] = (), console: Console | None = None) -> RunResult:
    """Train on any `Task`; of ``config``, what concerns the games is only recorded."""
    with Trainer(task, config, console or Console()) as trainer:
        return trainer.run(arguments)


class Trainer(AbstractContextManager["Trainer"]):
    """One run: builds every part and then its folder, and plays the frames in order.

    Args:
        task: what to learn.
        config: of the run.
        console: where progress goes.

    Raises:
        ValueError: in one line, if the run cannot be made; then nothing was written.
    """

    def __init__(self, task: Task, config: Config, console: Console) -> None:
        check_run_folder(config)
        self.task = task
        self.config = config
        self.console = console
        self.frames = config.frames if config.frames is not None else task.schedule.total_frames
        RANGES["frames"].check("frames", self.frames)  # a whole schedule may be longer
        self.streams = spawn_streams(config.seed)
        self.device = choose_device(config.device)
        self.env = task.training_env()
        self.network = describe_network(config, self.env, task.action_probabilities)
        self._announce_memory()
        self.agent = build_agent(config, self.env, self.streams, task.action_probabilities)
        self.exploration = build_exploration(config, task.action_probabilities, self.streams)
        self.meter = build_meter(config, self.agent, task.schedule, self.streams)
        plan = EvaluationPlan(
            task, self.network, config.eval_episodes, config.eval_frame_limit, self.streams.evaluation
        )
        self.evaluation = WorkerEvaluation(plan) if config.eval_worker else InlineEvaluation(plan, self.device)
        try:
            self.run_dir = create_run_folder(config)
        except ValueError:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        """Close the environments and end the evaluation."""
        self.env.close()
        self.evaluation.close()

    def run(self, arguments: Sequence[str] = ()) -> RunResult:
        """Train from the first frame to the last; returns what the run leaves."""
        with processor(self.config.threads or default_threads(self.config.observation)):
            return self._run(arguments)

    def _run(self, arguments: Sequence[str]) -> RunResult:
        schedule, run_dir = self.task.schedule, self.run_dir
        description = describe_run(self.config, schedule, arguments)
        write_json(run_dir / "config.json", description)
        self.console.print(f"run folder: {run_dir}", soft_wrap=True, highlight=False, markup=False)
        names = [setting.name for setting in schedule.settings]
        with Tracker(run_dir, names, self.task.parameter, metric_columns(names, self.task.parameter)) as tracker:
            started_s = time.perf_counter()
            tracker.log_text(_as_markdown(description["config"]))
            log_frame_strips(self.task, tracker, self.streams.evaluation)
            random_scores = self._random_scores()
            with ProgressDisplay(self.frames, console=self.console) as display:
                self._play(run_dir, tracker, display)
            wall_s = time.perf_counter() - started_s
            summary, table = summarise(run_dir, self.config, self.task, self.agent, random_scores, wall_s)
            tracker.log_hparams(self.config.hyperparameters(), summary["metrics"])
        self.console.print(table)
        return RunResult(run_dir, summary, self.agent)

    def _play(self, run_dir: Path, tracker: Tracker, display: ProgressDisplay) -> None:
        """Play, learn, log and evaluate, frame by frame."""
        config, env, agent, exploration = self.config, self.env, self.agent, self.exploration
        recorder = Recorder(self.task, agent, tracker, self.meter)
        ends = set(segment_ends(self.task.schedule, self.frames))
        observation, info = env.reset(seed=self.streams.environment)
        recorder.setting(0, info)
        self._evaluate(0, tracker)
        for frame in range(1, self.frames + 1):
            action = exploration.random_action(frame - 1)
            if action is None:
                action = agent.greedy_action(observation)
            next_observation, reward, terminated, truncated, info = env.step(action)
            transition = Transition(observation, action, float(reward), next_observation, bool(terminated))
            logging = frame % config.log_every == 0 or self.meter.due(frame)
            statistics = agent.observe(transition, measure=logging)
            observation = next_observation
            if terminated or truncated:
                recorder.episodes.add(info)
            if logging:
                recorder.metrics(frame, exploration.schedule.at(frame), statistics)
                self._log_evaluations(tracker)
            if frame in ends or frame % config.eval_every == 0:
                self._evaluate(frame, tracker)
            if frame in ends:
                self._save(run_dir, frame, info)
            display.update(frame, info["setting"], recorder.episodes.last_score, exploration.schedule.at(frame))
            if (terminated or truncated) and frame < self.frames:
                setting = info["setting_index"]
                observation, info = env.reset()
                if info["setting_index"] != setting:
                    recorder.setting(frame + 1, info)
        self._log_evaluations(tracker, wait=True)

    def _evaluate(self, frame: int, tracker: Tracker) -> None:
        self.evaluation.submit(frame, self.agent.online.vector)
        self._log_evaluations(tracker)

    def _log_evaluations(self, tracker: Tracker, wait: bool = False) -> None:
        for frame, rows in self.evaluation.finished(wait):
            tracker.log_evaluation(frame, rows)

    def _random_scores(self) -> list[float]:
        """Return the mean score of random play on each setting: the floor, and the base of forward transfer."""
        task, config = self.task, self.config
        evaluator = Evaluator(
            lambda setting: task.make_env(setting, frame_limit=config.eval_frame_limit),
            task.schedule.settings,
            config.eval_episodes,
            self.streams.evaluation,
        )
        results = evaluator.run(RandomPolicy(task.action_probabilities, self.streams.random_policy))
        evaluator.close()
        return [result.row().score_mean for result in results]

    def _save(self, run_dir: Path, frame: int, info: dict[str, Any]) -> None:
        description = {
            "frame": frame,
            "trained_on_last": info["setting"],
            "network": self.network,
            "config": self.config.to_json(),
            "schedule": self.task.schedule.to_json(),
        }
        save_checkpoint(run_dir / "checkpoints" / f"frame-{frame:09d}", self.agent.online.model, description)

    def _announce_memory(self) -> None:
        space = self.env.observation_space
        assert space.shape is not None and space.dtype is not None
        size = largest_bytes(self.config.capacity, space.shape, space.dtype)
        self.console.print(
            f"memory: {self.config.capacity:,} transitions, at most {size / 1e6:,.0f} MB", highlight=False
        )


def _as_markdown(config: dict[str, Any]) -> str:
    return "| field | value |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in config.items())
