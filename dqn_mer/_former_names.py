"""The modules that version 0.1.0 documented for import, which lead to the public names with a DeprecationWarning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

FORMER = {
    "dqn_mer.defaults": {"default_config": ("dqn_mer", "default_config")},
    "dqn_mer.tasks": {"own_task": ("continual_ple", "own_task")},
    "dqn_mer.sequential": {"make_learner": ("dqn_mer", "make_learner")},
}
"""Module of version 0.1.0 -> its documented names, each with the module and name of today."""


class FormerModule(ModuleType):
    """A module that no longer exists: its documented names are looked up where they are now."""

    def __getattr__(self, name: str) -> Any:
        """Return a documented name, with a warning that says where it is."""
        if name not in FORMER[self.__name__]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        home, today = FORMER[self.__name__][name]
        warnings.warn(f"{self.__name__}.{name}: use `from {home} import {today}`", DeprecationWarning, stacklevel=2)
        return getattr(import_module(home), today)


def install() -> None:
    """Let the former modules be imported."""
    for name in FORMER:
        sys.modules.setdefault(name, FormerModule(name))


def former_train_on(train: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``train_on(task, config, ...)`` of version 0.1.0."""

    def train_on(task: Any, config: Any, *arguments: Any, **options: Any) -> Any:
        warnings.warn("train_on(task, config): use `dqn_mer.train(config, task)`", DeprecationWarning, stacklevel=2)
        return train(config, task, *arguments, **options)

    return train_on
