"""The training run: play, learn, evaluate on every setting, log, and save."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from dqn_mer.agents import Streams, build_agent, build_exploration, choose_device, spawn_streams
from dqn_mer.checkpoint import save_checkpoint, weights_digest
from dqn_mer.config import Config
from dqn_mer.display import ProgressDisplay
from dqn_mer.dqn import DQNAgent, Exploration, LearningStatistics
from dqn_mer.evaluation import Evaluator, GreedyPolicy, Policy, RandomPolicy
from dqn_mer.metrics import continual_summary
from dqn_mer.networks import network_spec
from dqn_mer.replay import Transition, planned_bytes
from dqn_mer.report import read_evaluations, save_learning_curves, score_matrix, summary_table, write_matrix
from dqn_mer.runfolder import create_run_folder, describe_run, write_json
from dqn_mer.tasks import Task, game_task
from dqn_mer.tracking import Tracker, metric_columns
from envs.settings import Schedule

STRIP_FRAMES = 6
STRIP_EVERY_FRAMES = 15


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


@dataclass
class RecentEpisodes:
    """Training episodes that ended since the last row of metrics.csv, and the last score of all."""

    scores: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    last_score: float | None = None

    def add(self, info: dict[str, Any]) -> None:
        """Take in an ended episode from its last ``info``."""
        episode = info["episode"]
        self.last_score = float(info.get("score", episode["r"]))
        self.scores.append(self.last_score)
        self.returns.append(float(episode["r"]))
        self.lengths.append(float(episode["l"]))

    def take(self) -> dict[str, float]:
        """Return the means as tags, nothing if no episode ended, and start anew."""
        if not self.scores:
            return {}
        columns = {"score": self.scores, "return": self.returns, "episode_length": self.lengths}
        means = {f"train/{name}": float(np.mean(values)) for name, values in columns.items()}
        self.scores, self.returns, self.lengths = [], [], []
        return means


def segment_ends(schedule: Schedule, frames: int) -> list[int]:
    """Return the frame at which training on each segment ended, for a run of ``frames`` frames.

    The last segment goes on to the end of the run, wherever the run ends.
    """
    borders = [frame for frame in schedule.borders if frame < frames]
    return [*borders, frames]


def train(config: Config, arguments: Sequence[str] = (), console: Console | None = None) -> RunResult:
    """Train as ``config`` says and leave a run folder that explains itself.

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
    set_threads(config)
    trainer = Trainer(task, config, console or Console())
    try:
        return trainer.run(arguments)
    finally:
        trainer.close()


def set_threads(config: Config) -> None:
    """Set PyTorch's CPU threads: as told, or one for vectors, where more only wait, and all cores for pixels."""
    cores = os.cpu_count() or 1
    torch.set_num_threads(config.threads or (cores if config.observation == "pixels" else 1))


class Trainer:
    """One run: builds every part, then plays the frames in order.

    Args:
        task: what to learn.
        config: of the run.
        console: where progress goes.
    """

    def __init__(self, task: Task, config: Config, console: Console) -> None:
        self.task = task
        self.config = config
        self.console = console
        self.frames = config.frames if config.frames is not None else task.schedule.total_frames
        self.streams: Streams = spawn_streams(config.seed)
        self.device = choose_device(config.device)
        self.env = task.training_env()
        self.evaluator = Evaluator(
            lambda setting: task.make_env(setting, frame_limit=config.eval_frame_limit),
            task.schedule.settings,
            config.eval_episodes,
            self.streams.evaluation,
        )
        self._announce_memory()
        self.agent = build_agent(config, self.env, self.streams)
        self.exploration: Exploration = build_exploration(config, task.action_probabilities, self.streams)
        self.recent = RecentEpisodes()

    def close(self) -> None:
        """Close the environments."""
        self.env.close()
        self.evaluator.close()

    def run(self, arguments: Sequence[str]) -> RunResult:
        """Train from the first frame to the last; returns what the run leaves."""
        schedule = self.task.schedule
        run_dir = create_run_folder(self.config)
        description = describe_run(self.config, schedule, arguments)
        write_json(run_dir / "config.json", description)
        self.console.print(f"run folder: {run_dir}", soft_wrap=True, highlight=False)
        names = [setting.name for setting in schedule.settings]
        columns = metric_columns(names, self.task.parameter)
        with (
            Tracker(run_dir, names, self.task.parameter, columns) as tracker,
            ProgressDisplay(self.frames, console=self.console) as display,
        ):
            started_s = time.perf_counter()
            tracker.log_text(_as_markdown(description["config"]))
            self._log_frame_strips(tracker)
            random_scores = self._evaluate_random()
            self._play(run_dir, tracker, display)
            wall_s = time.perf_counter() - started_s
            summary = self._summarise(run_dir, random_scores, wall_s)
            tracker.log_hparams(description["config"], summary["metrics"])
        return RunResult(run_dir, summary, self.agent)

    def _play(self, run_dir: Path, tracker: Tracker, display: ProgressDisplay) -> None:
        """Play, learn, log and evaluate, frame by frame."""
        config, env, agent = self.config, self.env, self.agent
        ends = set(segment_ends(self.task.schedule, self.frames))
        policy = GreedyPolicy(agent.online.model, self.device)
        observation, info = env.reset(seed=self.streams.environment)
        self._log_setting(tracker, 0, info)
        self._evaluate(0, policy, tracker)
        clock = RateClock(time.perf_counter)
        for frame in range(1, self.frames + 1):
            action = self.exploration.random_action(frame - 1)
            if action is None:
                action = agent.greedy_action(observation)
            next_observation, reward, terminated, truncated, info = env.step(action)
            transition = Transition(observation, action, float(reward), next_observation, bool(terminated))
            logging = frame % config.log_every == 0
            statistics = agent.observe(transition, measure=logging)
            observation = next_observation
            if logging:
                tracker.log(frame, self._metrics(frame, statistics, clock.rate(frame)))
            display.update(frame, info["setting"], self.recent.last_score, self.exploration.schedule.at(frame))
            if frame in ends or frame % config.eval_every == 0:
                self._evaluate(frame, policy, tracker)
            if frame in ends:
                self._save(run_dir, frame, info)
            if terminated or truncated:
                self.recent.add(info)
                segment = info["segment"]
                observation, info = env.reset()
                if info["segment"] != segment:
                    self._log_setting(tracker, frame + 1, info)

    def _log_setting(self, tracker: Tracker, frame: int, info: dict[str, Any]) -> None:
        setting = self.task.schedule.settings[info["setting_index"]]
        tracker.log_setting(frame, info["setting_index"], setting.parameters.get(self.task.parameter, float("nan")))

    def _evaluate(self, frame: int, policy: Policy, tracker: Tracker) -> None:
        results = self.evaluator.run(policy)
        tracker.log_evaluation(frame, [result.row() for result in results])

    def _evaluate_random(self) -> list[float]:
        results = self.evaluator.run(RandomPolicy(self.task.action_probabilities, self.streams.random_policy))
        return [result.row().score_mean for result in results]

    def _metrics(self, frame: int, statistics: LearningStatistics | None, rate: float) -> dict[str, float]:
        agent = self.agent
        values = self.recent.take()
        values["train/epsilon"] = self.exploration.schedule.at(frame)
        if statistics is not None:
            values |= {f"train/{name}": value for name, value in statistics._asdict().items()}
        ages = agent.memory.ages()
        values["memory/fill"] = len(agent.memory) / agent.memory.capacity
        values["memory/age_mean_frames"] = float(ages.mean())
        values["memory/age_std_frames"] = float(ages.std())
        values |= self._memory_shares(ages)
        values["speed/frames_per_s"] = rate
        values["updates/count"] = agent.updates
        values["updates/target_syncs"] = agent.target_syncs
        return values

    def _memory_shares(self, ages: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, float]:
        schedule = self.task.schedule
        born = self.agent.memory.seen - ages
        segments = np.minimum((born - 1) // schedule.frames_per_setting, len(schedule.order) - 1)
        indices = np.asarray(schedule.order)[segments]
        counts = np.bincount(indices, minlength=len(schedule.settings))
        return {
            f"memory/share/{setting.name}": float(count) / len(ages)
            for setting, count in zip(schedule.settings, counts, strict=True)
        }

    def _save(self, run_dir: Path, frame: int, info: dict[str, Any]) -> None:
        space = self.env.observation_space
        assert space.shape is not None  # build_agent took only Box observations
        spec = network_spec(space.shape, len(self.task.action_probabilities), self.config.hidden_sizes)
        description = {
            "frame": frame,
            "trained_on_last": info["setting"],
            "network": spec,
            "config": self.config.to_json(),
            "schedule": self.task.schedule.to_json(),
        }
        save_checkpoint(run_dir / "checkpoints" / f"frame-{frame:09d}", self.agent.online.model, description)

    def _log_frame_strips(self, tracker: Tracker) -> None:
        """Show a strip of frames under random play for each setting."""
        for setting in self.task.schedule.settings:
            env = self.task.make_env(setting, render_mode="rgb_array")
            rng = np.random.default_rng(self.streams.evaluation)
            env.reset(seed=self.streams.evaluation)
            strip = []
            for frame in range(STRIP_FRAMES * STRIP_EVERY_FRAMES):
                if frame % STRIP_EVERY_FRAMES == 0:
                    strip.append(np.asarray(env.render()))
                action = rng.choice(len(self.task.action_probabilities), p=self.task.action_probabilities)
                _, _, terminated, truncated, _ = env.step(int(action))
                if terminated or truncated:
                    env.reset()
            env.close()
            tracker.log_images(f"frames/{setting.name}", np.stack(strip))

    def _announce_memory(self) -> None:
        space = self.env.observation_space
        assert space.shape is not None and space.dtype is not None
        size = planned_bytes(self.config.capacity, space.shape, space.dtype)
        self.console.print(f"memory: {self.config.capacity:,} transitions, {size / 1e6:,.0f} MB", highlight=False)

    def _summarise(self, run_dir: Path, random_scores: list[float], wall_s: float) -> dict[str, Any]:
        """Write matrix.csv, summary.json and learning_curves.png, and print the table."""
        schedule, config, agent = self.task.schedule, self.config, self.agent
        names = [setting.name for setting in schedule.settings]
        frames, scores = read_evaluations(run_dir / "evaluations.csv", len(names))
        ends = segment_ends(schedule, self.frames)
        matrix = score_matrix(frames, scores, ends)
        order = list(schedule.order[: len(ends)])
        trained = [names[index] for index in order]
        write_matrix(run_dir / "matrix.csv", matrix, names, trained)
        metrics = continual_summary(matrix, order, random_scores, frames, scores)
        summary = {
            "metrics": metrics,
            "random_scores": dict(zip(names, random_scores, strict=True)),
            "final_scores": dict(zip(names, matrix[-1].tolist(), strict=True)),
            "best_scores": dict(zip(names, scores.max(axis=0).tolist(), strict=True)),
            "frames": self.frames,
            "updates": agent.updates,
            "target_syncs": agent.target_syncs,
            "weights_sha256": weights_digest(agent.online.model),
            "wall_s": round(wall_s, 1),
            "frames_per_s": round(self.frames / wall_s, 1),
        }
        write_json(run_dir / "summary.json", summary)
        caption = f"{config.agent}, seed {config.seed}, {config.observation} observations"
        save_learning_curves(run_dir, names, order, schedule.frames_per_setting, self._title(), caption)
        self.console.print(summary_table(matrix, names, trained, order, metrics))
        return summary

    def _title(self) -> str:
        return f"{self.config.game.replace('_', ' ').title()}: evaluation score on each setting"


class RateClock:
    """Frames per second since it was last asked."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.last = (clock(), 0)

    def rate(self, frame: int) -> float:
        """Return the frames per second between the last call and now, at ``frame``."""
        now = (self.clock(), frame)
        seconds, frames = now[0] - self.last[0], now[1] - self.last[1]
        self.last = now
        return frames / seconds if seconds > 0 else 0.0


def _as_markdown(config: dict[str, Any]) -> str:
    return "| field | value |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in config.items())
