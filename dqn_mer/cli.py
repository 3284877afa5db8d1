"""The command line: flags made from the dataclasses, and every mistake answered in one line with exit code 2."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, get_args

import tyro
from rich.console import Console
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from dqn_mer.config import RANGES, Config
from dqn_mer.defaults import default_config
from dqn_mer.runfolder import command_line

T = TypeVar("T")
DECIDES_DEFAULTS = ("preset", "game", "observation", "agent", "schedule")


class UsageError(ValueError):
    """The command line cannot be understood; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dqn-mer COMMAND ...`` and return its exit code."""
    commands: dict[str, Callable[[Sequence[str]], int]] = {"train": train_command, "evaluate": evaluate_command}
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["-h"], ["--help"]):
        print("usage: python -m dqn_mer COMMAND [flags]\n\ncommands: " + ", ".join(commands))
        print("`python -m dqn_mer COMMAND --help` explains one.")
        return 0
    if not given or given[0] not in commands:
        name = repr(given[0]) if given else "nothing"
        return _complain(f"command: {name} given; must be one of {', '.join(commands)}")
    return commands[given[0]](given[1:])


def train_command(arguments: Sequence[str]) -> int:
    """Train as the flags say, and return the exit code: 0, or 2 after a mistake in them."""
    try:
        config = parse_config(arguments)
        from dqn_mer.tasks import game_task  # after parsing, so that --help and mistakes answer at once
        from dqn_mer.training import Trainer

        trainer = Trainer(game_task(config), config, Console())
    except (ValueError, ImportError) as error:  # later ones are no mistakes of the user's, and keep their traceback
        return _complain(str(error))
    try:
        with trainer:
            result = trainer.run(command_line())
    except KeyboardInterrupt:
        print(f"stopped by Ctrl-C; what was logged and saved so far is in {trainer.run_dir}", file=sys.stderr)
        return 130
    print(f"results: {result.run_dir}  (tensorboard --logdir {result.run_dir.parent})")
    return 0


def evaluate_command(arguments: Sequence[str]) -> int:
    """Evaluate a saved agent as the flags say, and return the exit code."""
    from dqn_mer.saved_agents import EvaluateOptions, evaluate_checkpoint

    try:
        evaluate_checkpoint(parse(EvaluateOptions, arguments, prog="python -m dqn_mer evaluate"))
    except (ValueError, ImportError, OSError) as error:
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
    chosen = {name: _peek(arguments, name) for name in DECIDES_DEFAULTS}
    try:
        default = default_config(**{name: value for name, value in chosen.items() if value is not None})
    except ValueError:
        default = Config()  # the parser words the complaint
    return parse(Config, arguments, prog="python train.py", default=default)


def parse(kind: type[T], arguments: Sequence[str], prog: str, default: T | None = None) -> T:
    """Read flags into a dataclass.

    Raises:
        UsageError: in one line, for a flag that is unknown or cannot be read.
        ValueError: from the dataclass's own checks.
    """
    complaint = io.StringIO()
    options: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint), _unwrapped(arguments):
            parsed: T = tyro.cli(
                kind,
                prog=prog,
                args=list(arguments),
                registry=_registry(),
                **options,
            )
            return parsed
    except SystemExit as leaving:
        if leaving.code in (0, None):
            raise
        raise UsageError(_one_line(complaint.getvalue(), arguments)) from None


@contextlib.contextmanager
def _unwrapped(arguments: Sequence[str]) -> Iterator[None]:
    """Let the parser write a complaint without breaking its lines; help keeps the terminal's width."""
    if {"-h", "--help"} & set(arguments):
        yield
        return
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "10000"
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if width is not None:
            os.environ["COLUMNS"] = width


def _registry() -> ConstructorRegistry:
    """Return rules for values written with commas."""
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def commas(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        kinds = get_args(info.type)
        if kinds in ((int, ...), (float, ...)):
            number = kinds[0]
            return PrimitiveConstructorSpec(
                nargs=1,
                metavar="N,N,..." if number is int else "V,V,...",
                instance_from_str=lambda words: tuple(number(word) for word in words[0].split(",") if words[0]),
                is_instance=lambda value: isinstance(value, tuple),
                str_from_instance=lambda value: [",".join(f"{item:g}" for item in value)],
            )
        if kinds == (str, float):
            return PrimitiveConstructorSpec(
                nargs=1,
                metavar="NAME=V,...",
                instance_from_str=lambda words: _named_values(words[0]),
                is_instance=lambda value: isinstance(value, dict),
                str_from_instance=lambda value: [",".join(f"{name}={item:g}" for name, item in value.items())],
            )
        return None

    return registry


def _named_values(text: str) -> dict[str, float]:
    values = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or name in values:
            raise ValueError(f"{part!r} must be NAME=VALUE, each name once")
        values[name] = float(value)
    return values


def _peek(arguments: Sequence[str], name: str) -> str | None:
    """Return the value given for a flag, without judging it."""
    value = None
    for position, word in enumerate(arguments):
        if word == f"--{name}" and position + 1 < len(arguments):
            value = arguments[position + 1]
        elif word.startswith(f"--{name}="):
            value = word.partition("=")[2]
    return value


def _one_line(box: str, arguments: Sequence[str]) -> str:
    """Return what the parser's box says between its title and its next rule, or what the flag allows."""
    lines = [line.strip(" │╭╮╰╯─-") for line in box.splitlines()][1:]
    said = itertools.takewhile(bool, itertools.dropwhile(lambda line: not line, lines))
    message = re.sub(r"\s+", " ", " ".join(said)) or "flags: not understood"
    message = re.sub(r"^Error parsing \w+: ", "", message)  # the dataclass's own words
    flag = re.search(r"parsing --([a-z-]+):", message)
    field = flag.group(1).replace("-", "_") if flag else ""
    if flag and field in RANGES:
        return f"{field}={_peek(arguments, flag.group(1))!r}: must be {RANGES[field].describe()}"
    return message


def _complain(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2
