"""``evaluate``: play a saved agent and report how well it does on each setting."""

from __future__ import annotations

from collections.abc import Sequence

from dqn_mer.commands.errors import own_task_of, run_agent_command
from dqn_mer.evaluation.agent_options import EvaluateOptions


def main(arguments: Sequence[str]) -> int:
    """Evaluate a saved agent as the flags say, and return the exit code."""
    return run_agent_command("evaluate", EvaluateOptions, _evaluate, arguments, "evaluating")


def _evaluate(options: EvaluateOptions) -> None:
    from dqn_mer.evaluation.saved_agent import evaluate_checkpoint  # imports all that plays, which takes seconds

    evaluate_checkpoint(options, task=own_task_of(options))
