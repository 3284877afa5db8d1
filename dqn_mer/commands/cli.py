"""The command line: flags made from the dataclasses, and every mistake answered in one line with exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dqn_mer.config.combinations import TARGET_PERIODS
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.defaults import default_config
from dqn_mer.config.flag_texts import NONE, version
from dqn_mer.config.flags import Extra, UsageError, parse, parse_known
from dqn_mer.storage.escapes import message, one_line, printable
from dqn_mer.storage.lasting_output import lasting_console, lasting_output
from dqn_mer.training.stopping import RunStopped, how_to_go_on

if TYPE_CHECKING:
    from dqn_mer.training.trainer import Trainer

T = TypeVar("T")
DECIDES_DEFAULTS = ("preset", "game", "observation", "agent", "schedule")
RESUMING = """\
Resume a stopped run with `--resume RUN`, where RUN is its folder. It keeps its own flags; only --save-every and
--save-minutes may be given as well: `--resume RUN --help` explains them.
"""


class Command(NamedTuple):
    """A command: what it does in a line, and the function from its flags to the exit code."""

    summary: str
    run: Callable[[Sequence[str]], int]


@lasting_output()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dqn-mer COMMAND ...`` and return its exit code."""
    commands = {
        "train": Command("train an agent on a game that changes (the same as train.py)", train_command),
        "evaluate": Command("play a saved agent and say how well it does on each setting", evaluate_command),
        "sweep": Command("train all combinations of games, agents and seeds, several at once", sweep_command),
        "compare": Command("compare finished runs: figures, tables and a page for each game", compare_command),
        "watch": Command("watch a saved agent in a window, as clips or in TensorBoard", watch_command),
        "play": Command("play a game yourself, beside a saved agent if you like", play_command),
    }
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["-h"], ["--help"]):
        print("usage: python -m dqn_mer COMMAND [flags]\n\ncommands:")
        print("".join(f"  {name:10}{command.summary}\n" for name, command in commands.items()))
        print("`python -m dqn_mer COMMAND --help` explains the flags of one.\n`--version` prints the version.")
        return 0
    if given[:1] == ["--version"]:
        print(version())
        return 0
    if not given or given[0] not in commands:
        name = repr(given[0]) if given else "nothing"
        return _complain(f"command: {name} given; must be one of {', '.join(commands)}")
    return commands[given[0]].run(given[1:])


@lasting_output()
def train_command(arguments: Sequence[str]) -> int:
    """Train as the flags say, or go on with a stopped run.

    Returns:
        The exit code: 0; 2 after a mistake in the flags; 1 after an error that stopped the run; 128 + the number of the
        signal that did.
    """
    try:
        trainer = make_trainer(arguments)
        from dqn_mer.training.folder import command_line
    except (UsageError, ValueError, ImportError) as error:
        return _complain(str(error))
    except RunStopped as stopped:
        print(one_line(stopped))
        return stopped.exit_code
    try:  # errors from here on are no mistakes of the user's, and keep their traceback
        with trainer:
            result = trainer.run(command_line())
    except RunStopped as stopped:
        print(message(stopped), file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        print(one_line(f"stopped at once by Ctrl-C; {how_to_go_on(trainer.run_dir)}"), file=sys.stderr)
        return 130
    print(printable(f"results: {result.run_dir}  (tensorboard --logdir {result.run_dir.parent})"))
    return 0


def make_trainer(arguments: Sequence[str]) -> Trainer:
    """Return what trains as the flags say, or goes on with a stopped run.

    The flags are parsed first, so that --help and mistakes answer at once: training takes seconds to import.
    """
    resume = _peek(arguments, "resume") is not None or arguments[-1:] == ["--resume"]
    parsed = parse(ResumeOptions, arguments, prog="python train.py") if resume else parse_config(arguments)
    from dqn_mer.config.task import game_task
    from dqn_mer.training.resume import open_run
    from dqn_mer.training.trainer import Trainer

    if isinstance(parsed, Config):
        return Trainer(game_task(parsed), parsed, lasting_console())
    stopped = open_run(parsed)
    return Trainer(game_task(stopped.config, stopped.schedule), stopped.config, lasting_console(), stopped)


def evaluate_command(arguments: Sequence[str]) -> int:
    """Evaluate a saved agent as the flags say, and return the exit code."""
    from dqn_mer.evaluation.saved_agent import EvaluateOptions, evaluate_checkpoint

    return _run("evaluate", EvaluateOptions, evaluate_checkpoint, arguments)


@lasting_output()
def sweep_command(arguments: Sequence[str]) -> int:
    """Run a sweep as the flags say.

    Returns:
        The exit code: 1 if a run failed, 128 + the number of the signal that stopped the sweep.
    """
    from dqn_mer.commands.sweep import SweepOptions, sweep, until_stopped

    try:
        options, train_flags = parse_known(SweepOptions, arguments, prog="python -m dqn_mer sweep")
        with until_stopped():
            return sweep(options, train_flags)
    except (UsageError, ValueError, ImportError, OSError) as error:
        return _complain(str(error))
    except KeyboardInterrupt as stop:
        print("stopped; the same command goes on", file=sys.stderr)
        return stop.args[0] if stop.args else 130


def compare_command(arguments: Sequence[str]) -> int:
    """Compare finished runs as the flags say, and return the exit code."""
    from dqn_mer.commands.compare import CompareOptions, compare

    return _run("compare", CompareOptions, compare, arguments)


def watch_command(arguments: Sequence[str]) -> int:
    """Show or record a saved agent's play as the flags say, and return the exit code."""
    from dqn_mer.commands.watch import WatchOptions, watch

    return _run("watch", WatchOptions, watch, arguments)


def play_command(arguments: Sequence[str]) -> int:
    """Let a person play as the flags say, and return the exit code."""
    from dqn_mer.commands.play import PlayOptions, play

    return _run("play", PlayOptions, play, arguments)


@lasting_output()
def _run(name: str, kind: type[T], command: Callable[[T], object], arguments: Sequence[str]) -> int:
    """Read a command's flags, run it and return the exit code: 0, or 2 after a mistake, told in one line."""
    try:
        command(parse(kind, arguments, prog=f"python -m dqn_mer {name}"))
    except (UsageError, ValueError, ImportError, OSError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def parse_config(arguments: Sequence[str]) -> Config:
    """Read the training flags; the defaults are those that suit the chosen preset, game, observation and agent.

    Raises:
        UsageError: for a flag that is unknown or cannot be read.
        ValueError: for a value that is not allowed.
    """
    chosen: dict[str, Any] = {name: _peek(arguments, name) for name in DECIDES_DEFAULTS}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    for name in TARGET_PERIODS:
        if (word := _peek(arguments, name)) is not None:
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


def _peek(arguments: Sequence[str], name: str) -> str | None:
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


def _complain(complaint: str) -> int:
    print("error: " + message(complaint), file=sys.stderr)
    return 2
