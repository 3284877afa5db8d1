"""The configuration of a run from the words of a command line."""

from __future__ import annotations

from collections.abc import Sequence

from continual_ple.games.parameters import shown
from dqn_mer.config.agent_registry import agents
from dqn_mer.config.combinations import options_of_agents
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.defaults import default_config
from dqn_mer.config.flag_hints import unknown_hint
from dqn_mer.config.flag_words import UsageError, fields_of_flags
from dqn_mer.config.flags import Extra, parse, parse_known

PROG = "python train.py"
WITH_RESUME = " and ".join(flag for flag in fields_of_flags(ResumeOptions) if flag != "--resume")
"""Flags that a resumed run may be given."""
RESUMING = f"""\
Resume a stopped run with `--resume RUN`, where RUN is its folder. It keeps its own flags; only {WITH_RESUME}
may be given as well: `--resume RUN --help` explains them.
"""


def parse_config(arguments: Sequence[str]) -> Config:
    """Read the training flags; the defaults are those that suit the chosen preset, game, observation and agent.

    Raises:
        UsageError: if a flag is unknown or cannot be read.
        ValueError: if a value is not allowed.
    """
    extra = Extra(_notes, RESUMING, ("--resume", "--version", "--help"))
    return parse(Config, arguments, prog=PROG, make=default_config, extra=extra)


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
