"""``train``, the same as ``train.py``: train an agent, or resume a stopped run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dqn_mer.commands.errors import complain, load
from dqn_mer.config.command_line import parse_config, parse_resume, peek
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.flag_words import UsageError
from dqn_mer.runs.stopping import RunStopped, how_to_resume
from dqn_mer.storage.escapes import message, one_line, printable
from dqn_mer.storage.lasting_output import lasting_console, lasting_output

if TYPE_CHECKING:
    from dqn_mer.training.trainer import Trainer

TRAINS = {
    "PyTorch": "torch",
    "its compiler": "dqn_mer.networks.optimizers:load_compiler",
    "Matplotlib": "dqn_mer.analysis.learning_curves",
    "Numba": "dqn_mer.training.trainer",
}
"""What a run needs, for `load`."""


@lasting_output()
def main(arguments: Sequence[str]) -> int:
    """Train as the flags say, or resume a stopped run.

    Returns:
        The exit code: 0; 2 after invalid input; 1 after an error that stopped the run; 128 + the number of the signal
        that did.
    """
    try:
        trainer = make_trainer(arguments)
    except (UsageError, ValueError, ImportError) as error:
        return complain(str(error))
    except RunStopped as stopped:
        print(one_line(stopped))
        return stopped.exit_code
    except KeyboardInterrupt:
        print("stopped by Ctrl-C before the first frame", file=sys.stderr)
        return 130
    try:  # errors from here on are not the user's mistakes, and keep their traceback
        with trainer:
            result = trainer.run()
    except RunStopped as stopped:
        print(message(stopped), file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        print(one_line(f"stopped at once by Ctrl-C; {how_to_resume(trainer.run_dir)}"), file=sys.stderr)
        return 130
    folder = shlex.quote(str(result.run_dir.parent))
    print(printable(f"results: {result.run_dir}  (tensorboard --logdir {folder})"))
    return 0


def make_trainer(arguments: Sequence[str]) -> Trainer:
    """Return the trainer that trains as the flags say, or resumes a stopped run.

    The flags are parsed and the action is announced before PyTorch is imported, which takes seconds, so that --help and
    mistakes are reported at once.
    """
    resume = peek(arguments, "resume") is not None or arguments[-1:] == ["--resume"]
    parsed = parse_resume(arguments) if resume else parse_config(arguments)
    load(_described(parsed), TRAINS)
    console = lasting_console()
    from dqn_mer.config.task import game_task
    from dqn_mer.training.resume import open_run
    from dqn_mer.training.trainer import Trainer

    if isinstance(parsed, Config):
        return Trainer(game_task(parsed), parsed, console)
    stopped = open_run(parsed)
    return Trainer(game_task(stopped.config, stopped.schedule), stopped.config, console, stopped)


def _described(options: Config | ResumeOptions) -> str:
    """Return the line that announces what is about to be done."""
    if isinstance(options, ResumeOptions):
        return f"resuming {options.resume}"
    return f"{options.agent} on {options.game}, {options.observation} observations, seed {options.seed}"
