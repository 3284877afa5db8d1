"""``export``: write an agent of a run, with its scores in a model card, as a folder to share."""

from __future__ import annotations

from collections.abc import Sequence

from dqn_mer.commands.errors import run_agent_command
from dqn_mer.evaluation.agent_options import ExportOptions


def main(arguments: Sequence[str]) -> int:
    """Export an agent as the flags say, and return the exit code."""
    return run_agent_command("export", ExportOptions, _export, arguments, "exporting")


def _export(options: ExportOptions) -> None:
    from dqn_mer.evaluation.export import export_agent  # imports all that plays, which takes seconds

    export_agent(options)
