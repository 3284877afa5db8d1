"""``python -m dqn_mer supervised``: all runs that the flags name, and the table that compares them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Console
from rich.text import Text

from dqn_mer.fast.kernels.dense import WHY_NOT_COMPILED
from dqn_mer.supervised.execute import Outcome, check_folder, execute, load_cached, stream_of
from dqn_mer.supervised.options import RunSpec, SupervisedOptions, plan
from dqn_mer.supervised.processes import CONTEXT, run_in_processes
from dqn_mer.supervised.progress import RunsProgress
from dqn_mer.supervised.results import LEGEND, results_tables
from dqn_mer.supervised.streams import Stream


def supervised(options: SupervisedOptions, command: Sequence[str] = (), console: Console | None = None) -> int:
    """Bring every run to its end, and print the table; finished runs are skipped, and stopped ones resumed.

    Args:
        options: Options that name the runs.
        command: Words of the command line that asked for them, for the record.
        console: Console that progress is shown on; standard output by default.

    Returns:
        The exit code: 0; 1 if a run failed; 128 + the number of the signal that stopped them.

    Raises:
        ValueError: if a run cannot be made; nothing is then written.
    """
    shown = console or Console()
    specs = plan(options)
    outcomes = run_all(specs, command, shown)
    done = [outcome for outcome in outcomes if not outcome.problem]
    for stream in dict.fromkeys(outcome.spec.stream for outcome in done):
        shown.print(results_tables(stream, done))
    if done:
        shown.print(Text(f"{LEGEND}\nData: {load_cached(options.data)[0].name}."))
        folder = shlex.quote(str(options.out))
        _line(shown, f"results: {options.out}  (python -m dqn_mer compare {folder} --out report)")
    codes = [outcome.exit_code for outcome in outcomes if outcome.exit_code]
    return max(codes, default=0)


def run_all(specs: Sequence[RunSpec], command: Sequence[str], console: Console) -> list[Outcome]:
    """Bring runs on the same data to their end, and print a line for each; after a signal the last ones are missing.

    Raises:
        ValueError: if a run cannot be made; nothing is then written.
    """
    options = specs[0].options
    data, _ = load_cached(options.data)
    for spec in specs:
        check_folder(spec)
    streams = _streams(specs)
    _line(console, f"data: {data.name}")
    several = f", {options.jobs} at a time, each in a process that first loads PyTorch" if options.jobs > 1 else ""
    runs = f"{len(specs)} run{'s' * (len(specs) > 1)} in {options.out}"
    _line(console, f"{runs}{several}; the first examples compile kernels if need be")
    if WHY_NOT_COMPILED:
        _line(console, f"Numba cannot be imported, so PyTorch's autograd learns, more slowly ({WHY_NOT_COMPILED})")
    places = CONTEXT.RawArray("q", len(specs))
    outcomes: list[Outcome] = []
    names, lengths = [spec.name for spec in specs], [streams[spec.stream].total_examples for spec in specs]
    with RunsProgress(names, lengths, places, console) as progress:
        for index, outcome in (run_in_processes if options.jobs > 1 else _in_turn)(specs, command, progress):
            outcomes.append(outcome)
            progress.ended(index, outcome.skipped)
            _report(outcome, len(outcomes), len(specs), console)
    return outcomes


def _streams(specs: Sequence[RunSpec]) -> dict[str, Stream]:
    """Make a stream of each kind, and raise ValueError if the data, or a memory, is too small for it."""
    streams = {}
    for spec in specs:
        if spec.stream not in streams:
            streams[spec.stream] = stream_of(spec)
        tasks = len(streams[spec.stream].tasks)
        if spec.learner in ("gem", "a-gem") and spec.memory < tasks:
            raise ValueError(
                f"memory={spec.memory}: must be at least {tasks} for {spec.learner}, one example for each task"
            )
    return streams


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _report(outcome: Outcome, count: int, total: int, console: Console) -> None:
    """Print a line of how a run ended."""
    if outcome.problem:
        _line(console, f"{count}/{total} {outcome.spec.name}: {' '.join(outcome.problem.split())}", "red")
        return
    metrics = outcome.metrics
    numbers = (
        f"LA {metrics['learning_accuracy']:.1f}  RA {metrics['retained_accuracy']:.1f}  "
        f"BTI {metrics['backward_transfer_interference']:+.1f}"
    )
    how = "was finished before" if outcome.skipped else f"{outcome.wall_s:.0f} s"
    _line(console, f"{count}/{total} {outcome.spec.name}: {numbers}  ({how})")


def _in_turn(specs: Sequence[RunSpec], command: Sequence[str], progress: RunsProgress) -> Iterator[tuple[int, Outcome]]:
    """Yield the index and the outcome of each run, one after the other."""
    for index, spec in enumerate(specs):
        outcome = execute(spec, command, partial(progress.learned, index))
        yield index, outcome
        if outcome.exit_code > 1:  # a signal
            return
