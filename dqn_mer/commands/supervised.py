"""``supervised``: learn streams of labelled images by MER and its baselines, and compare them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dqn_mer.commands.errors import complain, load
from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.flags import parse
from dqn_mer.runs.folder import check_may_begin, command_line
from dqn_mer.storage.lasting_output import lasting_output
from dqn_mer.supervised.data import check_is_folder
from dqn_mer.supervised.options import SupervisedOptions


@lasting_output()
def main(arguments: Sequence[str]) -> int:
    """Learn streams of labelled examples as the flags say.

    Returns:
        The exit code: 0; 1 if a run failed; 2 after invalid input; 128 + the number of the signal that stopped them.
    """
    try:
        options = parse(SupervisedOptions, arguments, prog="python -m dqn_mer supervised")
        if options.data is not None:
            check_is_folder(options.data)
        check_may_begin("out", options.out)
        load(f"learning streams for {options.out}", {"PyTorch": "torch", "Numba": "dqn_mer.supervised.command"})
        from dqn_mer.supervised.command import supervised

        return supervised(options, command_line())
    except (UsageError, ValueError, ImportError, OSError) as error:
        return complain(str(error))
    except KeyboardInterrupt as stop:
        print("stopped; the same command resumes", file=sys.stderr)
        return stop.args[0] if stop.args else 130
