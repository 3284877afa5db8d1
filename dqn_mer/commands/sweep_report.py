"""What a sweep prints besides its progress: the commands of a dry run, and at the end how its runs ended."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dqn_mer.commands.sweep_job import Job, JobOutcome, words_without_changes
from dqn_mer.storage.escapes import one_line, printable, say
from dqn_mer.storage.files import DamagedError


def print_commands(jobs: Sequence[Job], console: Console) -> int:
    """Print the command of every run that is not finished; return the exit code: 1 if a run has none, else 0."""
    failed = False
    for job in (job for job in jobs if not job.finished):
        try:
            if job.damage:
                raise DamagedError(job.damage)
            words = words_without_changes(job)
        except ValueError as error:
            advice = "" if job.damage else f"; nothing in {job.run_dir} can be resumed: move the folder away"
            print(f"failed: {job.name}: {one_line(error)}{printable(advice)}", file=sys.stderr)
            failed = True
        else:
            say(console, shlex.join(["python", "-m", "dqn_mer", "train", *words]))
    return int(failed)


def report(outcomes: Sequence[JobOutcome], out: Path, console: Console) -> int:
    """Print how the runs ended, the failed ones last; return the exit code."""

    def line(text: str, style: str = "") -> None:
        say(console, text, style)

    failed = [outcome for outcome in outcomes if outcome.exit_code != 0]
    skipped = sum(outcome.skipped for outcome in outcomes)
    runs = f"{len(outcomes)} run{'s' * (len(outcomes) > 1)}"
    trained = len(outcomes) - skipped - len(failed)
    line(f"{runs}: {trained} trained, {skipped} were finished before, {len(failed)} failed")
    if len(failed) < len(outcomes):
        words = [Path(sys.executable).name, "-m", "dqn_mer", "compare", str(out), "--out", f"{out}-report"]
        line(f"compare them: {shlex.join(words)}")
    for outcome in failed:
        line(f"failed: {outcome.name}: exit code {outcome.exit_code}, log {outcome.log}", "red")
        line(f"  {outcome.last_line}")
    return 1 if failed else 0
