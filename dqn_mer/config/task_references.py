"""A task of the user's as the command line names it, ``MODULE:NAME``, and the import of that module.

Only words of the command line may reach `load_task`: a run folder also says which task it was trained on, and may come
from a stranger.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated

from continual_ple import GAMES
from continual_ple.tasks import Task
from dqn_mer.config.fields import Flag, bad_value

LONGEST = 200
"""Characters of a reference."""
WANTED = "must be a continual_ple.Task, or a function without required arguments that returns one"

TaskReference = Annotated[str | None, Flag(metavar="MODULE:NAME")]
"""Type of a field that names a task."""


def check_reference(reference: str) -> None:
    """Raise ValueError unless a text is ``MODULE:NAME``, with a module as ``import`` names it; nothing is imported."""
    module, _, name = reference.partition(":")
    words = [*module.split("."), name]
    if len(reference) > LONGEST or not all(word.isidentifier() for word in words):
        form = "MODULE:NAME, with the module as import names it, such as examples.cartpole:pole_task"
        raise bad_value("task", reference, form)


@cache
def load_task(reference: str) -> Task:
    """Import a module, from the current folder too, and return the task that it holds or that its function returns.

    A task that has the name of a game is renamed, as `own_task` does.

    Args:
        reference: ``MODULE:NAME``.

    Raises:
        ValueError: if there is no such task, or an environment of it cannot be made; the message is one line.
    """
    check_reference(reference)
    folder = str(Path.cwd())
    if folder not in sys.path:  # where the installed command, and train.py of another folder, do not look
        sys.path.insert(0, folder)
    module, _, name = reference.partition(":")
    task = _made(reference, _attribute(reference, _imported(reference, module), name))
    try:
        task.make_env(task.schedule.settings[0]).close()
    except Exception as error:  # of the user's own code
        raise _problem(reference, f"its environment cannot be made: {_described(error)}") from error
    return dataclasses.replace(task, name=f"own-{task.name}") if task.name in GAMES else task


def _imported(reference: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module}.".startswith(f"{missing}."):
            where = f"in {Path.cwd()} or elsewhere on Python's path"
            hint = "; a module is named without .py" if missing.endswith(".py") else ""
            raise _problem(reference, f"there is no module {missing} {where}{hint}") from None
        raise _problem(reference, f"importing the module {module} raised {_described(error)}") from error


def _attribute(reference: str, module: ModuleType, name: str) -> object:
    if not hasattr(module, name):
        close = difflib.get_close_matches(name, [other for other in vars(module) if not other.startswith("_")], 3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise _problem(reference, f"there is no {name} in {module.__file__ or module.__name__}{hint}")
    return getattr(module, name)


def _made(reference: str, value: object) -> Task:
    """Return the task that a value is, or that it returns when it is called."""
    if isinstance(value, Task):
        return value
    kind = type(value).__name__
    if not callable(value):
        raise _problem(reference, f"is of type {kind}; {WANTED}")
    try:
        inspect.signature(value).bind()
    except TypeError as error:
        raise _problem(reference, f"{error}; {WANTED}") from None
    except ValueError:  # a function that Python cannot look into
        pass
    try:
        made = value()
    except (Exception, SystemExit) as error:  # whatever the user's function raises
        raise _problem(reference, f"calling it raised {_described(error)}") from error
    if not isinstance(made, Task):
        raise _problem(reference, f"calling it returned a value of type {type(made).__name__}; {WANTED}")
    return made


def _problem(reference: str, reason: str) -> ValueError:
    return ValueError(f"task={reference!r}: {reason}")


def _described(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
