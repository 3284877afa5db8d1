"""``train``, the same as ``train.py``: train an agent, or resume a stopped run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dqn_mer.commands.errors import complain, load, say_and_load_task
from dqn_mer.config.command_line import parse_config, parse_resume, peek, task_of_flags
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.task import game_task
from dqn_mer.runs.folder import check_is_run, check_run_folder
from dqn_mer.runs.stopping import RunStopped
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
        print(one_line(f"stopped at once by Ctrl-C; {trainer.saves.how_to_resume()}"), file=sys.stderr)
        return 130
    folder = shlex.quote(str(result.run_dir.parent))
    print(printable(f"results: {result.run_dir}  (tensorboard --logdir {folder})"))
    return 0


def make_trainer(arguments: Sequence[str]) -> Trainer:
    """Return the trainer that trains as the flags say, or resumes a stopped run.

    All that needs no PyTorch, which takes seconds to import, is checked before: flags, game, schedule and folders.
    """
    if peek(arguments, "resume") is not None or arguments[-1:] == ["--resume"]:
        return _resume(parse_resume(arguments))
    return _start(parse_config(arguments, say_and_load_task))


def _start(config: Config) -> Trainer:
    task = task_of_flags(config)
    check_run_folder(config)
    load(f"{config.agent} on {config.game}, {config.observation} observations, seed {config.seed}", TRAINS)
    from dqn_mer.training.trainer import Trainer

    return Trainer(task, config, lasting_console())


def _resume(options: ResumeOptions) -> Trainer:
    check_is_run(options.resume)
    task = None if options.task is None else say_and_load_task(options.task)
    load(f"resuming {options.resume}", TRAINS)
    from dqn_mer.training.resume import open_run
    from dqn_mer.training.trainer import Trainer

    stopped = open_run(options, task)
    task = task or game_task(stopped.config, stopped.schedule)
    return Trainer(task, stopped.config, lasting_console(), stopped)
