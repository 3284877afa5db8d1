"""Exit codes, the one-line report of invalid input, and what is said while a command loads."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

from continual_ple.tasks import Task
from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.flags import parse
from dqn_mer.config.task_references import check_reference, load_task
from dqn_mer.evaluation.agent_options import PlayerFields
from dqn_mer.evaluation.pretrained import as_typed, check_agent
from dqn_mer.storage.escapes import message, say
from dqn_mer.storage.lasting_output import lasting_console

T = TypeVar("T")

PLAYS = {"PyTorch": "dqn_mer.evaluation.saved_agent"}
"""What a saved agent needs to play, for `load`."""


TRACEBACK = "DQN_MER_TRACEBACK"
"""Environment variable: where it is set, the traceback of an error stands above its line."""


def complain(complaint: str) -> int:
    """Print a complaint in one line on standard error and return exit code 2."""
    if os.environ.get(TRACEBACK) and sys.exc_info()[0] is not None:
        traceback.print_exc()
    print("error: " + message(complaint), file=sys.stderr)
    return 2


def load(doing: str, modules: Mapping[str, str] = PLAYS) -> None:
    """Say what is about to be done, and import what takes seconds, with a line that grows meanwhile.

    Args:
        doing: What is about to be done, in a few words.
        modules: What is loaded, as the user knows it, and the name of a module that loads it; or of a function that
            does, as ``module:function``.
    """
    console = lasting_console()
    say(console, doing)
    before, collecting = "loading ", gc.isenabled()
    gc.disable()  # a fifth of the time would go into a search for garbage in what is being loaded
    try:
        for what, name in modules.items():
            say(console, before + what, end="")
            module, _, function = name.partition(":")
            loaded = import_module(module)
            if function:
                getattr(loaded, function)()
            before = ", "
    finally:
        say(console, "")
        if collecting:
            gc.enable()


def say_and_load_task(reference: str) -> Task:
    """Return the task that a flag names, as `load_task`, after saying so: its module may take seconds to import."""
    check_reference(reference)
    say(lasting_console(), f"task {reference}")
    return load_task(reference)


def run_command(
    name: str,
    kind: type[T],
    command: Callable[[T], object],
    arguments: Sequence[str],
    doing: Callable[[T], str],
    modules: Mapping[str, str] = PLAYS,
    check: Callable[[T], object] = lambda options: None,
) -> int:
    """Read the flags of a command, run it and return the exit code.

    Args:
        name: Name of the command, for its help.
        kind: Dataclass of its options.
        command: Function of the options.
        arguments: Words of the command line.
        doing: What the command does with the options, in a few words, which are shown at once.
        modules: What it needs, as for `load`.
        check: Function of the options that raises ValueError for what can be known to be wrong without loading.

    Returns:
        0; 2 after invalid input, reported in one line; 130 after Ctrl-C.
    """
    try:
        options = parse(kind, arguments, prog=f"python -m dqn_mer {name}")
        check(options)
        load(doing(options), modules)
        command(options)
    except (UsageError, ValueError, ImportError, OSError) as error:
        return complain(str(error))
    except MemoryError as error:
        return complain(f"memory: {str(error) or 'there is not enough'}")
    except KeyboardInterrupt:
        return 130
    return 0


def run_agent_command(
    name: str, kind: type[Any], command: Callable[[Any], object], arguments: Sequence[str], doing: str
) -> int:
    """Run a command on the saved agent in the ``path`` of its options, as `run_command`; ``doing`` is one word."""

    def check(options: Any) -> None:
        check_agent(options.path)
        if isinstance(options, PlayerFields) and options.task is not None:
            say_and_load_task(options.task)

    return run_command(name, kind, command, arguments, lambda options: f"{doing} {as_typed(options.path)}", check=check)


def own_task_of(options: PlayerFields) -> Task | None:
    """Return the task that a user named for a saved agent, None if they named none."""
    return None if options.task is None else load_task(options.task)
