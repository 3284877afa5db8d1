"""``python -m dqn_mer supervised``: all runs that the flags name, and the table that compares them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dqn_mer.runs.stopping import until_stopped
from dqn_mer.supervised.execute import Outcome, check_folder, execute, load_cached, stream_of
from dqn_mer.supervised.options import RunSpec, SupervisedOptions, plan
from dqn_mer.supervised.results import LEGEND, results_table


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
        shown.print(results_table(stream, done))
    if done:
        _line(shown, f"{LEGEND}\nData: {load_cached(options.data)[0].name}.")
    codes = [outcome.exit_code for outcome in outcomes if outcome.exit_code]
    return max(codes, default=0)


def run_all(specs: Sequence[RunSpec], command: Sequence[str], console: Console) -> list[Outcome]:
    """Bring runs on the same data to their end, and print a line for each; after a signal the last ones are missing.

    Raises:
        ValueError: if a run cannot be made; nothing is then written.
    """
    options = specs[0].options
    data, _ = load_cached(options.data)
    streams: dict[str, RunSpec] = {}
    for spec in specs:
        check_folder(spec)
        streams.setdefault(spec.stream, spec)
    for spec in streams.values():
        stream_of(spec)
    _line(console, f"data: {data.name}")
    _line(console, f"{len(specs)} runs in {options.out}")
    outcomes: list[Outcome] = []
    for outcome in (_in_processes if options.jobs > 1 else _in_turn)(specs, command, console):
        outcomes.append(outcome)
        _report(outcome, len(outcomes), len(specs), console)
    return outcomes


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


def _in_turn(specs: Sequence[RunSpec], command: Sequence[str], console: Console) -> Iterator[Outcome]:
    """Yield the outcomes of the runs, one after the other, with a bar for the one in progress."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.completed:,.0f}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, auto_refresh=False) as progress:
        bar = progress.add_task("", total=None, visible=False)

        def show(spec: RunSpec, place: int, total: int) -> None:
            if place % 16 == 0:
                progress.update(bar, description=spec.name, completed=place, total=total, visible=True)
                if place % 64 == 0 and console.is_terminal:
                    progress.refresh()

        for spec in specs:
            progress.reset(bar, visible=False)
            outcome = execute(spec, command, show)
            progress.update(bar, visible=False)
            yield outcome
            if outcome.exit_code > 1:  # a signal
                return


def _no_show(spec: RunSpec, place: int, total: int) -> None:
    """Show nothing: another process shows the progress."""


def _in_processes(specs: Sequence[RunSpec], command: Sequence[str], console: Console) -> Iterator[Outcome]:
    """Yield the outcomes of the runs as they end, several at a time, each in a process on one core."""
    context = multiprocessing.get_context("spawn")
    with until_stopped(), ProcessPoolExecutor(specs[0].options.jobs, mp_context=context) as pool:
        futures: dict[Future[Outcome], RunSpec] = {
            pool.submit(execute, spec, tuple(command), _no_show): spec for spec in specs
        }
        try:
            for future in as_completed(futures):
                outcome = _outcome_of(future, futures[future])
                yield outcome
                if outcome.exit_code > 1:  # a signal, perhaps to this process alone of the workers
                    raise KeyboardInterrupt(outcome.exit_code)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # which saves the run in progress
            raise


def _outcome_of(future: Future[Outcome], spec: RunSpec) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return Outcome(spec, problem="its process was killed; the same command resumes it", exit_code=1)
