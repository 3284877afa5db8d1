"""Exit codes, and the one-line report of invalid input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.flags import parse
from dqn_mer.storage.escapes import message

T = TypeVar("T")


def complain(complaint: str) -> int:
    """Print a complaint in one line on standard error and return exit code 2."""
    print("error: " + message(complaint), file=sys.stderr)
    return 2


def run_command(name: str, kind: type[T], command: Callable[[T], object], arguments: Sequence[str]) -> int:
    """Read the flags of a command, run it and return the exit code.

    Args:
        name: Name of the command, for its help.
        kind: Dataclass of its options.
        command: Function of the options.
        arguments: Words of the command line.

    Returns:
        0; 2 after invalid input, reported in one line; 130 after Ctrl-C.
    """
    try:
        command(parse(kind, arguments, prog=f"python -m dqn_mer {name}"))
    except (UsageError, ValueError, ImportError, OSError) as error:
        return complain(str(error))
    except MemoryError as error:
        return complain(f"memory: {str(error) or 'there is not enough'}")
    except KeyboardInterrupt:
        return 130
    return 0
