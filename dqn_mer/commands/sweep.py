"""``sweep``: every combination of games, agents and seeds, each trained in a separate process and folder.

Beside the run folder ``seed-N`` stands its log, ``seed-N.log``. The process that trains holds a lock on the log:
a sweep started again waits for a run that is still in progress, instead of starting it twice.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from rich.console import Console

from continual_ple.observations import sees_images
from continual_ple.settings import Schedule
from continual_ple.tasks import Task
from dqn_mer.analysis.runs import config_differences, saved_config
from dqn_mer.commands.errors import complain
from dqn_mer.commands.sweep_engine import engine_of
from dqn_mer.commands.sweep_job import Job, check_system
from dqn_mer.commands.sweep_options import SweepOptions, options_of_flags, refuse_own
from dqn_mer.commands.sweep_progress import SweepDisplay
from dqn_mer.commands.sweep_report import print_commands, report
from dqn_mer.config.config import Config
from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.flags import parse_known
from dqn_mer.config.seed_lists import read_seeds
from dqn_mer.runs.stopping import how_to_resume, until_stopped
from dqn_mer.storage.escapes import one_line, shown
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.lasting_output import lasting_console
from dqn_mer.storage.run_reader import CONFIG, RunReader


def sweep(options: SweepOptions, train_flags: Sequence[str], console: Console | None = None) -> int:
    """Run every combination that is not finished and return the exit code: 0, or 1 if a run failed.

    Raises:
        ValueError: if a run would not accept its flags.
        ImportError: if the engine that is asked for is missing, or on Windows.
    """
    check_system()
    shown = console or lasting_console()
    jobs = plan(options, train_flags)
    if options.dry_run:
        return print_commands(jobs, shown)
    run_all = engine_of(options.engine, options.jobs, options.out, options.slurm)
    with SweepDisplay(jobs, shown) as display:
        outcomes = run_all(jobs)
        display.count(outcomes)
    return report(outcomes, options.out, shown)


def plan(options: SweepOptions, train_flags: Sequence[str]) -> list[Job]:
    """Return the jobs in order: all combinations of one seed before those of the next.

    Raises:
        ValueError: if a run would not accept its flags, or a folder holds a run with other ones.
    """
    from dqn_mer.config.command_line import parse_config, task_of_flags
    from dqn_mer.runs.folder import check_may_begin, check_may_train

    refuse_own(options, train_flags)
    check_may_begin("out", options.out)
    seeds = read_seeds(options.seeds)

    @cache
    def parsed(what: tuple[str, str], agent: str) -> tuple[Config, Task]:
        """Return the configuration that all seeds share, and its task."""
        # The user's flags come first, so that a stray word is not taken for a second value of one of ours.
        config = parse_config([*train_flags, *what, "--agent", agent, "--seed", str(seeds[0])])
        task = task_of_flags(config)
        from dqn_mer.networks.device import choose_device  # imports PyTorch, which takes seconds

        choose_device(config.device, sees_images(config.observation))
        return config, task

    threads = max(1, options.threads // options.jobs)
    jobs = []
    for seed, what, agent in itertools.product(seeds, options.what, options.agents):
        config, task = parsed(what, agent)
        name = f"{config.game}/{agent}/seed-{seed}"
        run_dir = options.out.absolute() / name
        config = replace(config, seed=seed, threads=threads, run_dir=run_dir)
        damage = ""
        if RunReader(options.out.absolute()).has_folder(name):
            damage = _check_same(run_dir, config, task)
        else:
            check_may_train("out", options.out, run_dir)
        own = [*what, "--agent", agent, "--seed", str(seed)]
        last = ["--threads", str(config.threads), "--run-dir", str(run_dir)]
        flags = (*own, *train_flags, *last)
        frames = config.frames if config.frames is not None else task.schedule.total_frames
        jobs.append(Job(name, run_dir, flags, frames, config.threads, damage, config.task))
    return jobs


def _check_same(run_dir: Path, config: Config, task: Task) -> str:
    """Raise ValueError if the folder holds a run, finished or not, with other flags or another task.

    Returns:
        What is wrong with the folder, in one line, if its ``config.json`` is damaged; else nothing.
    """
    try:
        if not RunReader(run_dir).has(CONFIG):
            return ""  # stopped before it began
        described = RunReader(run_dir).json(CONFIG)
        before, schedule = saved_config(described), described.get("schedule")
        sources = {"task": config.task, "schedule": config.schedule}  # whose content may have changed
        source = next((f"{field}={str(value)!r}" for field, value in sources.items() if value is not None), "")
        changed = bool(source) and Schedule.from_json(schedule) != task.schedule
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        missing = " is missing" if isinstance(error, KeyError) else ""
        said = error if isinstance(error, DamagedError) else f"{run_dir / CONFIG}: {error}{missing}"
        advice = f"{how_to_resume(run_dir)}, which restores the file if a state was saved, or move the folder away"
        return one_line(f"{said}; nothing was done with the run: {advice}")
    wanted = config.to_json()
    for name in config_differences(before, wanted):
        raise ValueError(
            f"{name}={wanted.get(name)!r}: {run_dir} was run with {shown(before.get(name))}; give another out"
        )
    if changed:
        raise ValueError(f"{source}: {run_dir} was run with another schedule; give another out")
    return ""


def main(arguments: Sequence[str]) -> int:
    """Run a sweep as the flags say.

    Returns:
        The exit code: 1 if a run failed, 128 + the number of the signal that stopped the sweep.
    """
    try:
        prog = "python -m dqn_mer sweep"
        options, train_flags = parse_known(SweepOptions, arguments, prog, make=options_of_flags)
        with until_stopped():
            return sweep(options, train_flags)
    except (UsageError, ValueError, ImportError, OSError) as error:
        return complain(str(error))
    except KeyboardInterrupt as stop:
        print("stopped; the same command resumes it", file=sys.stderr)
        return stop.args[0] if stop.args else 130
