"""``evaluate``: play a saved agent and report how well it does on each setting."""

from __future__ import annotations

from collections.abc import Sequence

from dqn_mer.commands.errors import run_command
from dqn_mer.evaluation.saved_agent import EvaluateOptions, evaluate_checkpoint


def main(arguments: Sequence[str]) -> int:
    """Evaluate a saved agent as the flags say, and return the exit code."""
    return run_command("evaluate", EvaluateOptions, evaluate_checkpoint, arguments)
