"""``compare``: groups of runs side by side, as figures, tables and one page of Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console

from continual_ple.games.catalogue import GAMES, game_class
from continual_ple.settings import Setting
from dqn_mer.analysis.comparison import Comparison, compare_runs
from dqn_mer.analysis.runs import Run, find_runs, load_runs
from dqn_mer.analysis.words import OF_STREAMS
from dqn_mer.commands.errors import run_command
from dqn_mer.config.fields import Flag, check_fields
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.ranges import Range
from dqn_mer.storage.escapes import say
from dqn_mer.storage.files import check_may_make, replace_file
from dqn_mer.storage.lasting_output import lasting_console
from dqn_mer.storage.run_reader import RunReader


@dataclass(frozen=True)
class CompareOptions:
    """Compare finished runs, by agent: figures, tables and a page of Markdown for each game."""

    runs: Annotated[tuple[Path, ...], Flag(positional=True)]
    """Run folders, or folders that hold some, such as that of a sweep."""
    out: Path
    """Folder for the report, with a folder inside it for each game."""
    baseline: str = ""
    """Group that the others are measured against (empty: dqn, or else the first by name)."""
    by: str = "agent"
    """Config fields that make the groups, as A,B,...; for example agent,learning_rate."""
    unseen: Annotated[tuple[float, ...], Range(-1e9, 1e9)] = ()
    """Values of the varied game parameter, never trained on, that the saved agents also play, as V,V,..."""
    overwrite: bool = False
    """Replace the files of an earlier report in the folder."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError naming the field."""
        check_fields(self)
        if not self.runs:
            raise ValueError("runs: none given; must be run folders, or folders that hold some")


def compare(options: CompareOptions, console: Console | None = None) -> tuple[Comparison, ...]:
    """Write a report as ``options`` say, print its tables and remarks, and return the comparisons.

    Raises:
        ValueError: if the runs cannot be compared, or the folder cannot be written to.
    """
    from dqn_mer.analysis.report import comparison_table, report_files  # imports Matplotlib

    shown = console or lasting_console()
    _check_out(options)
    finished, unfinished = find_runs(options.runs)
    for path in unfinished:
        say(shown, f"left out: {path}: not finished", "yellow")
    say(shown, f"reading {len(finished)} runs")
    runs, damaged = load_runs(finished, options.runs)
    fields = tuple(dict.fromkeys(options.by.split(",")))
    comparisons = compare_runs(runs, fields, options.baseline or None)
    left_out = tuple(f"Left out: {reason}." for reason in damaged)
    comparisons = tuple(dataclasses.replace(each, remarks=left_out + each.remarks) for each in comparisons)
    if options.unseen:
        comparisons = _with_unseen(comparisons, tuple(dict.fromkeys(options.unseen)), shown)
    files: dict[Path, bytes] = {}
    for comparison in comparisons:
        say(shown, f"drawing the figures of {comparison.game}")
        files |= {options.out / comparison.game / name: content for name, content in report_files(comparison).items()}
    _check_no_links(options.out, {path.parent for path in files})
    for path, content in files.items():  # all is drawn before anything is written
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    _drop_old_files(options.out, files)
    for comparison in comparisons:
        shown.print(comparison_table(comparison))
        for remark in comparison.remarks:
            say(shown, f"beware: {remark}", "yellow")
        page = options.out / comparison.game / "report.md"
        say(shown, f"report: {page}")
    return comparisons


def _check_out(options: CompareOptions) -> None:
    """Raise ValueError unless the report's folder is new, empty, or may be overwritten."""
    out = options.out
    check_may_make("out", out, out)
    if out.exists() and any(out.iterdir()) and not options.overwrite:
        raise ValueError(f"out={str(out)!r}: is not empty; must be a new folder, unless overwrite is given")


def _check(options: CompareOptions) -> None:
    """Raise ValueError for what can be known to be wrong before figures can be drawn."""
    find_runs([path for path in options.runs if not path.exists()])  # of a path that is not there it says what must be
    _check_out(options)


def _check_no_links(out: Path, folders: Collection[Path]) -> None:
    """Raise ValueError if a folder of the report is a link, and its files would land elsewhere."""
    for folder in folders:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise ValueError(f"out={str(out)!r}: {folder} must be a folder or new")


def _drop_old_files(out: Path, files: Collection[Path]) -> None:
    """Remove what an earlier report in ``out`` had and this one does not: a figure, or a whole game."""
    from dqn_mer.analysis.report import ALWAYS, report_file_names

    folders = [path for path in out.iterdir() if not path.is_symlink()]
    for folder in (path for path in folders if all((path / name).is_file() for name in ALWAYS)):
        for path in (folder / name for name in report_file_names()):
            if path not in files:
                path.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def _with_unseen(
    comparisons: tuple[Comparison, ...], values: Sequence[float], console: Console
) -> tuple[Comparison, ...]:
    """Let every saved agent play the settings with these values, on the episodes of its evaluations."""
    given = ",".join(f"{value:.12g}" for value in values)
    if len(comparisons) > 1:
        games = " and ".join(comparison.game for comparison in comparisons)
        raise ValueError(f"unseen={given}: must be for one game; runs are {games}")
    (comparison,) = comparisons
    if comparison.words is OF_STREAMS:
        raise ValueError(
            f"unseen={given}: must be for a game; {comparison.game} are supervised runs, which keep no agent"
        )
    if comparison.game not in GAMES:
        raise ValueError(
            f"unseen={given}: must be for a game that is known by name; agents of {comparison.game} are played from "
            "Python, by evaluate(RUN, task, settings=VALUES)"
        )
    name = comparison.parameter
    trained = {setting.parameters[name] for setting in comparison.schedule.settings}
    for value in values:
        if value in trained:
            raise ValueError(f"unseen={value:.12g}: is one of the values that were trained on")
        game_class(comparison.game).check_parameters({name: value})
    like = _trained_on_last(comparison)  # which gives all other parameters their values, as in `evaluate`
    settings = tuple(Setting(f"{name}={value:.12g}", {**like.parameters, name: value}) for value in values)
    groups, missing = [], []
    for group in comparison.groups:
        runs = []
        for run in group.runs:
            say(console, f"playing unseen settings: {run.path}")
            runs.append(_played(run, values))
        missing += [str(run.path) for run in runs if not run.unseen]
        groups.append(dataclasses.replace(group, runs=tuple(runs)))
    remarks = list(comparison.remarks)
    if missing:
        remarks.append(f"No saved agent, so no scores on unseen settings: {', '.join(missing)}.")
    return (dataclasses.replace(comparison, groups=tuple(groups), unseen=settings, remarks=tuple(remarks)),)


def _trained_on_last(comparison: Comparison) -> Setting:
    """Return the setting in force at the end of training."""
    last = comparison.schedule.stretch_at(int(comparison.frames[-1]) - 1)
    return comparison.schedule.settings[comparison.schedule.index_in(last)]


def _played(run: Run, values: Sequence[float]) -> Run:
    """Return the run with its saved agent's scores under these values; without them if there is no saved agent."""
    from dqn_mer.evaluation.agent_options import EvaluateOptions
    from dqn_mer.evaluation.saved_agent import evaluate_checkpoint  # imports all that plays

    if not RunReader(run.path).frames("checkpoints"):
        return run
    options = EvaluateOptions(
        path=run.path,
        settings=",".join(f"{value:.12g}" for value in values),
        seed=spawn_streams(run.config["seed"]).evaluation,
        episodes=run.config["eval_episodes"],
    )
    rows = evaluate_checkpoint(options, Console(quiet=True))["settings"]
    return dataclasses.replace(run, unseen={row["setting"]: row["score_mean"] for row in rows})


def main(arguments: Sequence[str]) -> int:
    """Compare finished runs as the flags say, and return the exit code."""
    modules = {"Matplotlib": "dqn_mer.analysis.report", "SciPy": "scipy.stats"}
    doing = "comparing runs for {}"
    return run_command(
        "compare", CompareOptions, compare, arguments, lambda options: doing.format(options.out), modules, _check
    )
