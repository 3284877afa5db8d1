"""The commands as functions for a program or a notebook."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from rich.console import Console

from continual_ple.tasks import Task
from dqn_mer.commands import compare as compare_command
from dqn_mer.commands import watch as watch_command
from dqn_mer.config.combinations import check_chooses_no_schedule
from dqn_mer.config.defaults import default_config
from dqn_mer.config.fields import check_range
from dqn_mer.config.flag_hints import unknown_field
from dqn_mer.config.task import game_task
from dqn_mer.evaluation import agent_options, saved_agent
from dqn_mer.evaluation.evaluator import AnyPolicy, Evaluator, as_policy
from dqn_mer.networks.device import processor
from dqn_mer.ranges import Range

if TYPE_CHECKING:
    from dqn_mer.analysis.comparison import Comparison

AnyOptions = TypeVar("AnyOptions")
LISTS = ("settings", "by")
"""Options that a flag takes as text, A,B,..., and a function also as a list, an array or a single number."""


def load_agent(path: Path | str, task: Task | None = None) -> saved_agent.SavedAgent:
    """Load a saved agent with what it was trained on.

    Args:
        path: A run folder, whose latest checkpoint is taken, one checkpoint folder, or ``pretrained/NAME``.
        task: Task that it was trained on, if that is none of the games.

    Raises:
        ValueError: if there is no sound checkpoint.
    """
    return saved_agent.load_agent(agent_options.PlayerFields(Path(path)), task)


def evaluate(
    path: Path | str, task: Task | None = None, console: Console | None = None, **options: Any
) -> Mapping[str, Any]:
    """Play a saved agent greedily on settings, as ``python -m dqn_mer evaluate`` does.

    Args:
        path: A run folder, whose latest checkpoint is taken, one checkpoint folder, or ``pretrained/NAME``.
        task: Task that it was trained on, if that is none of the games.
        console: Console that the table is printed on; none by default.
        options: Flags of the command: ``settings="easier"``, ``episodes=50``, ``seed=1``, ... Settings may be a
            value, or a list or array of names or of values.

    Returns:
        What ``--json`` writes: the scores of each setting, with their mean and 95% interval.

    Raises:
        ValueError: if the checkpoint or an option is bad.
    """
    chosen = _options(agent_options.EvaluateOptions, options, path=Path(path))
    return saved_agent.evaluate_checkpoint(chosen, console or Console(quiet=True), task)


def watch(path: Path | str, task: Task | None = None, console: Console | None = None, **options: Any) -> None:
    """Show or record a saved agent's greedy play, as ``python -m dqn_mer watch`` does.

    Args:
        path: A run folder, whose latest checkpoint is taken, one checkpoint folder, or ``pretrained/NAME``.
        task: Task that it was trained on, if that is none of the games.
        console: Console that the scores of clips are printed on; none by default.
        options: Flags of the command: ``out="clips"`` for clips in a new folder instead of a window, ``format="gif"``,
            ``settings="easier"``, ... Settings may be a list of names or of values.

    Raises:
        ValueError: if the checkpoint or an option is bad, or no window can be opened.
        ImportError: if clips of the format cannot be written here.
    """
    chosen = _options(agent_options.WatchOptions, options, path=Path(path))
    watch_command.watch(chosen, console or Console(quiet=True), task)


def _options(kind: Callable[..., AnyOptions], options: Mapping[str, Any], **own: Any) -> AnyOptions:
    """Return the options of a command; raises ValueError if one is unknown, or is an argument of the function."""
    known = {field.name for field in dataclasses.fields(cast(Any, kind))} - own.keys() - {"task"}
    for name in options:
        if name not in known:
            raise ValueError(unknown_field(name, known))
    return kind(**own, **{name: _as_flag(value) if name in LISTS else value for name, value in options.items()})


def _as_flag(value: Any) -> Any:
    """Return a number, or a sequence or array of numbers or names, as the text that a flag takes; others as is."""
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else value


def benchmark(
    policy: AnyPolicy, task: Task | None = None, episodes: int = 20, seed: int = 1, **choices: Any
) -> list[dict[str, Any]]:
    """Play any policy on every setting of a schedule, on the episodes that ``evaluate`` plays.

    Args:
        policy: Function from observations ``(n, ...)`` to actions ``(n,)``, or an object with
            ``predict(observations, deterministic)``, as a `SavedAgent` and the agents of Stable-Baselines3 have; one
            without a memory of the episode.
        task: Task to play, if that is none of the games; that of a `SavedAgent` is its ``task``.
        episodes: Episodes on each setting, at least 1.
        seed: Seed of the episodes.
        choices: Fields of `Config` that describe the frame limit of an episode, the ``frame_skip`` that the policy was
            trained with, by default that of ``task``, and, without a task, the game and the schedule.

    Returns:
        For each setting its name, parameters, scores, their mean and 95% interval, and mean return and length.

    Raises:
        ValueError: if a field is not allowed, as those of a schedule beside a task's own, the policy is neither a
            function nor such an object, or its actions are no whole numbers.
    """
    play = as_policy(policy)
    check_range("episodes", episodes, Range(1, 100_000, whole=True))
    if task is not None:
        check_chooses_no_schedule(choices)
    config = default_config(agent="random", **choices)
    task = game_task(config) if task is None else task
    task = dataclasses.replace(task, frame_skip=choices.get("frame_skip", task.frame_skip))
    make_env = partial(task.agents_env, frame_limit=config.eval_frame_limit)
    as_evaluate_plays = processor(1) if isinstance(policy, saved_agent.SavedAgent) else nullcontext()
    with closing(Evaluator(make_env, task.schedule.settings, episodes, seed)) as evaluator, as_evaluate_plays:
        results = evaluator.run(play)
    return [saved_agent.result_json(result, result.setting.parameters) for result in results]


def compare(
    runs: Sequence[Path | str] | Path | str, out: Path | str, console: Console | None = None, **options: Any
) -> tuple[Comparison, ...]:
    """Compare finished runs and write a report, as ``python -m dqn_mer compare`` does.

    Args:
        runs: Run folders, or folders that hold some.
        out: Folder for the report.
        console: Console that the tables are printed on; none by default.
        options: Flags of the command: ``by="agent,learning_rate"`` or a list of fields, ``baseline="dqn"``,
            ``overwrite=True``, ...

    Returns:
        One comparison for each game.

    Raises:
        ValueError: if the runs cannot be compared, or the folder cannot be written to.
    """
    paths = [runs] if isinstance(runs, (str, Path)) else runs
    chosen = _options(compare_command.CompareOptions, options, runs=tuple(map(Path, paths)), out=Path(out))
    return compare_command.compare(chosen, console or Console(quiet=True))
