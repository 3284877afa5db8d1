"""Evaluate a saved agent on settings it was, or was never, trained on."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.console import Console

from continual_ple import ArcadeEnv, saved_state
from continual_ple.observations import sees_images
from continual_ple.settings import Schedule, Setting
from continual_ple.tasks import Task
from dqn_mer.analysis.statistics import mean_interval
from dqn_mer.config.config import Config
from dqn_mer.config.fields import check_range
from dqn_mer.config.task import check_game_parameters, game_task, is_own
from dqn_mer.evaluation.agent_options import EvaluateOptions, PlayerFields
from dqn_mer.evaluation.checkpoint import Checkpoint, load_checkpoint
from dqn_mer.evaluation.checkpoint_folders import CheckpointError, OwnNetworkError, OwnTaskError
from dqn_mer.evaluation.choose_settings import choose_settings
from dqn_mer.evaluation.evaluator import Evaluator, GreedyPolicy, SettingResult, observation_rows
from dqn_mer.evaluation.pretrained import agent_folder
from dqn_mer.evaluation.scores_table import scores_table, what_is_played
from dqn_mer.networks.device import choose_device, processor
from dqn_mer.ranges import COUNT_OR_0
from dqn_mer.storage.escapes import say, shown
from dqn_mer.storage.files import write_new_file
from dqn_mer.storage.json_files import as_json
from dqn_mer.storage.lasting_output import lasting_console


@dataclass(frozen=True)
class SavedAgent:
    """A saved agent with what it was trained on.

    Attributes:
        checkpoint: The loaded checkpoint.
        config: Configuration of its run.
        task: Task of its run, with the schedule of that run.
        frame: Frames that the agent was trained for.
        trained_on_last: Name of the setting trained on last.
        observation_space: What the agent sees in the environments of ``task``.
        action_space: Actions of the agent, from 0.
    """

    checkpoint: Checkpoint
    config: Config
    task: Task
    frame: int
    trained_on_last: str
    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]

    def __repr__(self) -> str:
        who = f"{self.config.agent} on {self.config.game} from {self.config.observation}"
        return f"<SavedAgent: {who}, {self.frame:,} frames, last on {self.trained_on_last}; {self.checkpoint.path}>"

    def predict(
        self, observation: ArrayLike, state: None = None, episode_start: object = None, deterministic: bool = True
    ) -> tuple[NDArray[np.int64], None]:
        """Choose greedy actions, with the arguments and the result of Stable-Baselines3's ``predict``.

        Args:
            observation: One observation of an environment that ``task.agents_env`` makes, where each action is held for
                as many frames as in training; or several, ``(n, ...)``.
            state: Must be None: the agent has no memory of the episode.
            episode_start: Not used.
            deterministic: Must be True: a saved agent does not explore.

        Returns:
            The action ``()``, or the actions ``(n,)``, and None for the state.

        Raises:
            ValueError: if an argument is not allowed, or the observations do not fit the network.
        """
        if state is not None:
            raise ValueError(f"state={shown(state)}: must be None; the agent has no memory of the episode")
        if not deterministic:
            raise ValueError(f"deterministic={deterministic!r}: must be True; a saved agent plays greedily")
        given = np.asarray(observation)
        rows, model = observation_rows(given, self.observation_space), self.checkpoint.model
        actions = GreedyPolicy(model, next(model.parameters()).device)(rows)
        return (actions if rows.ndim == given.ndim else actions.reshape(())), None


def load_agent(options: PlayerFields, task: Task | None = None) -> SavedAgent:
    """Load the agent and set up its game as ``options`` say.

    Args:
        options: Options that name the saved agent.
        task: Task that it was trained on; needed only for tasks of your own.

    Raises:
        CheckpointError: if its description is not valid or does not fit its network, or its task is missing.
        ValueError: if the options do not fit the game.
    """
    try:
        checkpoint = load_checkpoint(agent_folder(options.path), None if task is None else task.network)
    except OwnNetworkError as error:
        raise OwnTaskError(f"{error}; {_how_to_give(_stated_task(error.config))}") from None
    description, given = checkpoint.description, task
    try:
        config = Config.from_json(description["config"])
        schedule = Schedule.from_json(description["schedule"])
        frame, trained_on_last = description["frame"], description["trained_on_last"]
        check_range("frame", frame, COUNT_OR_0)
        schedule.easier_than(trained_on_last)
        backend = options.backend or config.backend
        if task is not None:
            task = dataclasses.replace(task, schedule=schedule, frame_skip=config.frame_skip)
        elif not is_own(config) and backend == config.backend:
            task = game_task(config, schedule)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{checkpoint.path}: bad description: {error}") from None
    if given is not None:
        _check_varies(given.schedule, schedule)
        if options.backend is not None:
            raise ValueError(f"backend={options.backend!r}: a task of yours has its own environment")
    if backend != config.backend and not is_own(config):
        # Upstream rounds as the installed pygame does, however the run rounded.
        config = dataclasses.replace(config, backend=backend, rounding="nearest")
        task = game_task(config, schedule)
    if task is None:
        raise OwnTaskError(f"{checkpoint.path}: {config.game} is no game of ours; {_how_to_give(config.task)}")
    env = task.make_env(schedule.settings[0])
    seen, chosen = env.observation_space, env.action_space
    env.close()
    spec = checkpoint.description["network"]
    if list(seen.shape or ()) != spec["observation_shape"] or getattr(chosen, "n", None) != spec["num_actions"]:
        raise CheckpointError(f"{checkpoint.path}: bad description: the network does not fit {config.game}")
    check_game_parameters(options.game_parameters, schedule, task.check)
    return SavedAgent(checkpoint, config, task, frame, trained_on_last, seen, chosen)


def _stated_task(config: Any) -> str | None:
    """Return the task that the configuration in a folder names, if it is sound and names one."""
    try:
        return Config.from_json(config).task
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _how_to_give(task: str | None) -> str:
    """Return in words how to give the task of an agent whose folder, which may be a stranger's, names it or not."""
    if task is not None:
        return f"evaluate and watch take --task {shlex.quote(task)}, as its folder says, if that is yours"
    return (
        "evaluate and watch take its --task MODULE:NAME; in Python pass the task, as in evaluate(PATH, task); or "
        "install a package with its entry point of the group continual_ple.games"
    )


def _check_varies(given: Schedule, trained: Schedule) -> None:
    """Raise ValueError if a task varies other parameters than the one that the agent was trained on."""
    names, others = (", ".join(sorted(schedule.settings[0].parameters)) for schedule in (given, trained))
    if names != others:
        raise ValueError(f"task: must vary {others}, as when the agent was trained, varies {names}")


def evaluate_checkpoint(
    options: EvaluateOptions, console: Console | None = None, task: Task | None = None
) -> dict[str, Any]:
    """Evaluate as ``options`` say, print a table, and return what ``--json`` writes.

    Args:
        options: Options of the evaluation.
        console: Console that the table is printed on; standard output by default.
        task: Task that the agent was trained on; needed only for tasks of your own.

    Raises:
        ValueError: if the checkpoint or an option is bad.
    """
    agent = load_agent(options, task)
    settings = settings_to_play(options, agent)
    frame_limit = options.frame_limit or agent.config.eval_frame_limit
    device = choose_device(options.device, sees_images(agent.config.observation))
    say(console or lasting_console(), what_is_played(options.episodes, len(settings), frame_limit))
    make_env = partial(agent.task.agents_env, frame_limit=frame_limit)
    # One thread as in a run, so that scores depend on no number of threads.
    with closing(Evaluator(make_env, settings, options.episodes, options.seed)) as evaluator, processor(1):
        results = evaluator.run(GreedyPolicy(agent.checkpoint.model.to(device), device))
        played = [
            dict(env.unwrapped.parameters if isinstance(env.unwrapped, ArcadeEnv) else setting.parameters)
            for (env, *_), setting in zip(evaluator.envs, settings, strict=True)
        ]
        limit = saved_state.frame_limit(evaluator.envs[0][0])
    content = {
        "checkpoint": str(agent.checkpoint.path),
        "frame": agent.frame,
        "trained_on_last": agent.trained_on_last,
        "interleaved": agent.task.schedule.interleave_frames > 0,
        "game": agent.config.game,
        "backend": agent.config.backend,
        "rounding": agent.config.rounding if agent.config.backend == "native" else None,
        "observation": agent.config.observation,
        "frame_skip": agent.config.frame_skip,
        "episodes": options.episodes,
        "seed": options.seed,
        "frame_limit": limit,
        "settings": [result_json(result, parameters) for result, parameters in zip(results, played, strict=True)],
    }
    (console or lasting_console()).print(scores_table(content))
    if options.json is not None:
        write_new_file(options.json, as_json(content))
    return content


def settings_to_play(options: PlayerFields, agent: SavedAgent) -> list[Setting]:
    """Return the settings that ``options`` name, with the parameters that they change."""
    return [
        Setting(setting.name, {**setting.parameters, **options.game_parameters})
        for setting in choose_settings(options.settings, agent.task, agent.trained_on_last)
    ]


def result_json(result: SettingResult, parameters: Mapping[str, float]) -> dict[str, Any]:
    """Return the results of one setting as JSON values: scores with mean, 95% interval and best, return and length."""
    mean, low, high = mean_interval(result.scores)
    return {
        "setting": result.setting.name,
        "parameters": dict(parameters),
        "score_mean": mean,
        "score_interval_95": [low, high],
        "score_best": float(result.scores.max()),
        "return_mean": float(result.returns.mean()),
        "length_mean_frames": float(result.lengths.mean()),
        "scores": result.scores.tolist(),
    }
