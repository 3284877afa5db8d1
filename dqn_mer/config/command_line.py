"""The configuration of a run from the words of a command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from continual_ple import GAMES
from continual_ple.messages import shown
from continual_ple.tasks import Task
from dqn_mer.config.agent_registry import agents
from dqn_mer.config.combinations import ODDS_OPTIONS, options_of_agents
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.defaults import default_config
from dqn_mer.config.fields import own_fields
from dqn_mer.config.flag_hints import unknown_hint
from dqn_mer.config.flag_words import UsageError, fields_of_flags, flag_of
from dqn_mer.config.flags import HELP, HIDDEN, Extra, parse, parse_known
from dqn_mer.config.groups import GameFields, ScheduleFields
from dqn_mer.config.task import game_task, seen_in
from dqn_mer.config.task_references import load_task

PROG = "python train.py"
*_FIRST, _LAST = [flag for flag in fields_of_flags(ResumeOptions) if flag != "--resume"]
WITH_RESUME = f"{', '.join(_FIRST)} and {_LAST}"
"""Flags that a resumed run may be given."""
RESUMING = f"""\
Resume a stopped run with `--resume RUN`, where RUN is its folder. It keeps its own flags; only {WITH_RESUME}
may be given as well: `--resume RUN --help` explains them.
"""
_DESCRIBED = {"environment": (*own_fields(GameFields), *ODDS_OPTIONS), "schedule": own_fields(ScheduleFields)}
NOT_WITH_TASK = {
    name: f"a task of yours has its own {what}"
    for what, names in _DESCRIBED.items()
    for name in names
    if name not in ("game", "task", "frames")
}
"""Fields that describe a game or its schedule, with why they are not given together with a task."""
OF_OUR_NETWORKS = ("hidden_sizes", "layer_norm")
"""Fields that nothing reads where a task brings a network."""


def parse_config(arguments: Sequence[str], find_task: Callable[[str], Task] = load_task) -> Config:
    """Read the training flags; the defaults are those that suit the chosen preset, game or task, observation and agent.

    Args:
        arguments: Words of the command line.
        find_task: Returns the task that ``--task`` names, unless the help is wanted.

    Raises:
        UsageError: if a flag is unknown or cannot be read.
        ValueError: if a value is not allowed, or there is no such task.
    """
    find = load_task if HELP.intersection(arguments) else find_task
    extra = Extra(_notes, RESUMING, ("--resume", "--version", "--help"))
    return parse(Config, arguments, prog=PROG, make=partial(_config, find), extra=extra)


def task_of_flags(config: Config) -> Task:
    """Return the task of a configuration that `parse_config` returned; never of one from a file."""
    return game_task(config) if config.task is None else load_task(config.task)


def _config(find_task: Callable[[str], Task], **choices: Any) -> Config:
    """Return the configuration for the flags given; of a task it has the name and what the environment shows."""
    reference = choices.get("task")
    if reference is None:
        return default_config(**choices)
    for name, why in NOT_WITH_TASK.items():
        if name in choices:
            raise UsageError(f"{flag_of(name)}: not allowed with --task: {why}")
    if choices.get("game") in GAMES:
        raise UsageError(f"--game: {choices['game']} is a game of ours; with --task it must be another name")
    task = find_task(reference)
    for name in OF_OUR_NETWORKS:
        if name in choices and task.network is not None:
            raise UsageError(f"{flag_of(name)}: not allowed with --task {reference}: that task has its own network")
    return default_config(**{"game": task.name, **choices, "observation": seen_in(task)})


def parse_resume(arguments: Sequence[str]) -> ResumeOptions:
    """Read the flags that resume a run, which are not those that start one.

    Raises:
        UsageError: if a flag starts a run, is unknown or cannot be read.
        ValueError: if a value is not allowed.
    """
    options, unknown = parse_known(ResumeOptions, arguments, prog=PROG)
    of_new_runs = fields_of_flags(Config)
    if any(word.partition("=")[0].replace("_", "-") in of_new_runs for word in unknown):
        given = " ".join(map(shown, unknown))
        raise UsageError(
            f"flags: {given} not allowed with --resume: a resumed run keeps its own; only {WITH_RESUME} may be given"
        )
    if unknown:
        raise UsageError(unknown_hint(unknown, (*fields_of_flags(ResumeOptions), *of_new_runs)))
    return options


def _notes(config: Config) -> dict[str, str]:
    """Return what the help says besides the texts of the fields: the choices, and the agents that read an option."""
    notes = {"agent": "; ".join(": ".join(filter(None, (kind.name, kind.summary))) for kind in agents()) + "."}
    for agent, names in options_of_agents(Config).items():
        notes |= {name: f"For {agent} alone." for name in names}
    if config.task is not None:
        return {**notes, **dict.fromkeys(NOT_WITH_TASK, HIDDEN)}
    return {**notes, "vary": _parameters(config.game)}


def _parameters(game: str) -> str:
    """Return the parameters of a game that can be varied, for the help."""
    from continual_ple.games.catalogue import game_class

    table = [
        f"{entry.name} ({entry.low:g} to {entry.high:g} {entry.unit})" for entry in game_class(game).parameter_table
    ]
    return f"{game} has {', '.join(table)}."


def peek(arguments: Sequence[str], name: str) -> str | None:
    """Return the value given for a flag, without checking it."""
    value = None
    for position, word in enumerate(arguments):
        flag, equals, rest = word.partition("=")
        if flag.replace("_", "-") != f"--{name}".replace("_", "-"):
            continue
        if equals:
            value = rest
        elif position + 1 < len(arguments):
            value = arguments[position + 1]
    return value
