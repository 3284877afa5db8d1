"""Watch a saved agent play: in a window, as clips with a contact sheet, or in TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dqn_mer.commands.errors import own_task_of, run_agent_command
from dqn_mer.evaluation.agent_options import WatchOptions

if TYPE_CHECKING:
    from rich.console import Console

    from continual_ple.tasks import Task


def watch(options: WatchOptions, console: Console | None = None, task: Task | None = None) -> None:
    """Show or record a saved agent's play as ``options`` say.

    Args:
        options: What to watch, and how.
        console: Console that the scores are printed on; standard output by default.
        task: Task that the agent was trained on; needed only for tasks of your own.

    Raises:
        ValueError: if the checkpoint or an option is bad, or no window can be opened.
        ImportError: if clips of the format cannot be written here.
    """
    from dqn_mer.commands.watch_agent import watch_agent  # imports all that plays, which takes seconds

    watch_agent(options, console, task)


def main(arguments: Sequence[str]) -> int:
    """Show or record a saved agent's play as the flags say, and return the exit code."""
    return run_agent_command("watch", WatchOptions, _watch, arguments, "watching")


def _watch(options: WatchOptions) -> None:
    watch(options, task=own_task_of(options))
