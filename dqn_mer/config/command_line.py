"""The configuration of a run from the words of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from dqn_mer.config.combinations import TARGET_PERIODS
from dqn_mer.config.config import Config
from dqn_mer.config.defaults import default_config
from dqn_mer.config.flag_texts import NONE
from dqn_mer.config.flags import Extra, parse

DECIDES_DEFAULTS = ("preset", "game", "observation", "agent", "schedule")
RESUMING = """\
Resume a stopped run with `--resume RUN`, where RUN is its folder. It keeps its own flags; only --save-every and
--save-minutes may be given as well: `--resume RUN --help` explains them.
"""


def parse_config(arguments: Sequence[str]) -> Config:
    """Read the training flags; the defaults are those that suit the chosen preset, game, observation and agent.

    Raises:
        UsageError: for a flag that is unknown or cannot be read.
        ValueError: for a value that is not allowed.
    """
    chosen: dict[str, Any] = {name: peek(arguments, name) for name in DECIDES_DEFAULTS}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    for name in TARGET_PERIODS:
        if (word := peek(arguments, name)) is not None:
            with suppress(ValueError):  # the parser words the complaint
                chosen[name] = None if word.lower() == NONE else int(word)
    try:
        default = default_config(**chosen)
    except ValueError:
        default = Config()  # the parser words the complaint
    notes = {"vary": _parameters(default.game)} if {"-h", "--help"} & set(arguments) else {}
    extra = Extra(notes, RESUMING, ("--resume", "--version", "--help"))
    return parse(Config, arguments, prog="python train.py", default=default, extra=extra)


def _parameters(game: str) -> str:
    """Return what can be varied in a game, for the help."""
    from continual_ple.games.catalogue import game_class

    table = [
        f"{entry.name} ({entry.low:g} to {entry.high:g} {entry.unit})" for entry in game_class(game).parameter_table
    ]
    return f"{game} has {', '.join(table)}."


def peek(arguments: Sequence[str], name: str) -> str | None:
    """Return the value given for a flag, without judging it."""
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
