"""Exit codes, and the one-line report of invalid input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.flags import parse
from dqn_mer.storage.escapes import message, say
from dqn_mer.storage.lasting_output import lasting_console

T = TypeVar("T")


def complain(complaint: str) -> int:
    """Print a complaint in one line on standard error and return exit code 2."""
    print("error: " + message(complaint), file=sys.stderr)
    return 2


def say_loading(doing: str, what: str = "PyTorch") -> None:
    """Report what is about to be done before imports that take seconds: nobody looks at an empty screen."""
    say(lasting_console(), f"{doing}: loading {what}")


def run_command(
    name: str,
    kind: type[T],
    command: Callable[[T], object],
    arguments: Sequence[str],
    doing: Callable[[T], str],
    loads: str = "PyTorch",
) -> int:
    """Read the flags of a command, run it and return the exit code.

    Args:
        name: Name of the command, for its help.
        kind: Dataclass of its options.
        command: Function of the options, which imports what is slow.
        arguments: Words of the command line.
        doing: What the command does with the options, in a few words, which are shown at once.
        loads: What it imports.

    Returns:
        0; 2 after invalid input, reported in one line; 130 after Ctrl-C.
    """
    try:
        options = parse(kind, arguments, prog=f"python -m dqn_mer {name}")
        say_loading(doing(options), loads)
        command(options)
    except (UsageError, ValueError, ImportError, OSError) as error:
        return complain(str(error))
    except MemoryError as error:
        return complain(f"memory: {str(error) or 'there is not enough'}")
    except KeyboardInterrupt:
        return 130
    return 0
