"""``sweep``: every combination of games, agents and seeds, each trained in a separate process and folder.

Beside the run folder ``seed-N`` stands its log, ``seed-N.log``. The process that trains holds a lock on the log:
a sweep started again waits for a run that is still in progress, instead of starting it twice.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args, get_type_hints

from rich.console import Console

from continual_ple import GAMES
from continual_ple.observations import sees_images
from dqn_mer.analysis.runs import config_differences, saved_config
from dqn_mer.commands.errors import complain
from dqn_mer.commands.sweep_engine import engine_of
from dqn_mer.commands.sweep_job import Job, check_system
from dqn_mer.commands.sweep_progress import SweepDisplay
from dqn_mer.commands.sweep_report import print_commands, report
from dqn_mer.commands.sweep_slurm import check_slurm
from dqn_mer.config.agent_registry import AGENTS, ENTRY_POINTS, check_installed, known_agent
from dqn_mer.config.config import Config
from dqn_mer.config.fields import bad_value, check_fields
from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.flags import parse_known
from dqn_mer.config.seed_lists import MOST_RUNS, read_seeds
from dqn_mer.ranges import Range
from dqn_mer.runs.stopping import how_to_resume, until_stopped
from dqn_mer.storage.escapes import one_line, shown
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.lasting_output import lasting_console
from dqn_mer.storage.run_reader import CONFIG, RunReader


@dataclass(frozen=True)
class Sets:
    """Which flags of `train` an option of a sweep gives to each run: for ``Annotated[str, Sets("seed")]``."""

    fields: tuple[str, ...]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True)
class SweepOptions:
    """Train every combination of games, agents and seeds; all other flags go to each run, as `train` takes them.

    Started again, it skips the runs that are finished, and resumes those that are not.
    """

    games: Annotated[tuple[str, ...], Sets("game")] = ("catcher",)
    """Games to play, as A,B,..."""
    agents: Annotated[tuple[str, ...], Sets("agent")] = ("dqn", "dqn-mer")
    """Agents to train, as A,B,..."""
    seeds: Annotated[str, Sets("seed")] = "0-4"
    """Seeds, as numbers and ranges: 0-4 or 0,1,7-9."""
    out: Annotated[Path, Sets("run_dir", "log_dir", "resume")] = Path("runs/sweep")
    """Folder of the sweep; its runs are OUT/GAME/AGENT/seed-N, their logs beside them."""
    jobs: Annotated[int, Range(1, 10_000, whole=True)] = 1
    """Runs at a time."""
    threads: Annotated[int, Range(0, 100_000, whole=True)] = 0
    """CPU threads of all jobs together (0: one each); each job gets an equal share, at least one."""
    engine: Literal["local", "ray", "slurm"] = "local"
    """Where jobs run: on this machine, on the Ray cluster that RAY_ADDRESS names (none: a new one here), or on a Slurm
    cluster, as a Slurm job for each run."""
    slurm: Mapping[str, str] = dataclass_field(default_factory=dict)
    """Options of sbatch for each Slurm job, such as time=240,partition=gpu,mem=8G; time, in minutes, is needed."""
    dry_run: bool = False
    """Print the command of every run that is not finished, for a scheduler of yours, and run nothing."""

    def __post_init__(self) -> None:
        """Check the values, and leave out repeated ones; raises ValueError naming the field."""
        check_fields(self)
        outside = tuple(name for name in self.agents if name not in AGENTS and known_agent(name))
        for field, choices, group in (("games", tuple(GAMES), GAMES.group), ("agents", AGENTS + outside, ENTRY_POINTS)):
            for name in getattr(self, field):
                if name not in choices:
                    known = f"words of {', '.join(choices)}, with commas"
                    raise bad_value(
                        field, name, f"{known}, or a package offers it as an entry point of the group {group}"
                    )
            if not getattr(self, field):
                raise ValueError(f"{field}: empty; must hold at least one of {', '.join(choices)}")
            object.__setattr__(self, field, tuple(dict.fromkeys(getattr(self, field))))
        for name in outside:
            check_installed("agents", name)
        runs = len(read_seeds(self.seeds)) * len(self.games) * len(self.agents)
        if runs > MOST_RUNS:
            raise ValueError(f"seeds={self.seeds!r}: makes {runs:,} runs; must be at most {MOST_RUNS:,}")
        if self.engine == "ray" and self.jobs < 2:
            raise ValueError(f"jobs={self.jobs}: must be at least 2 with engine=ray, else nothing leaves this process")
        if self.engine == "slurm":
            check_slurm(self.slurm)
        elif self.slurm:
            raise ValueError(f"slurm={','.join(self.slurm)}: only with engine=slurm")


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
    from dqn_mer.config.command_line import parse_config
    from dqn_mer.config.task import game_task
    from dqn_mer.runs.folder import check_may_begin, check_may_train

    _refuse_own(train_flags)
    check_may_begin("out", options.out)
    seeds = read_seeds(options.seeds)

    @cache
    def parsed(game: str, agent: str) -> tuple[Config, int]:
        """Return the configuration that all seeds share, and the frames that it takes."""
        config = parse_config(["--game", game, "--agent", agent, "--seed", str(seeds[0]), *train_flags])
        task = game_task(config)
        from dqn_mer.networks.device import choose_device  # imports PyTorch, which takes seconds

        choose_device(config.device, sees_images(config.observation))
        return config, config.frames if config.frames is not None else task.schedule.total_frames

    threads = max(1, options.threads // options.jobs)
    jobs = []
    for seed, game, agent in itertools.product(seeds, options.games, options.agents):
        config, frames = parsed(game, agent)
        run_dir = options.out.absolute() / game / agent / f"seed-{seed}"
        config = replace(config, seed=seed, threads=threads, run_dir=run_dir)
        damage = ""
        if RunReader(options.out.absolute()).has_folder(f"{game}/{agent}/seed-{seed}"):
            damage = _check_same(run_dir, config)
        else:
            check_may_train("out", options.out, run_dir)
        own = ["--game", game, "--agent", agent, "--seed", str(seed)]
        last = ["--threads", str(config.threads), "--run-dir", str(run_dir)]
        flags = (*own, *train_flags, *last)
        jobs.append(Job(f"{game}/{agent}/seed-{seed}", run_dir, flags, frames, config.threads, damage))
    return jobs


def _refuse_own(train_flags: Sequence[str]) -> None:
    """Raise ValueError for a flag whose value the sweep itself gives to each run."""
    hints = get_type_hints(SweepOptions, include_extras=True)
    notes = [(name, note) for name, hint in hints.items() for note in get_args(hint) if isinstance(note, Sets)]
    own = {field: name for name, note in notes for field in note.fields}
    for word in train_flags:
        flag = word.partition("=")[0]
        name = flag.lstrip("-").replace("-", "_")
        if word.startswith("--") and name in own:
            raise ValueError(f"{flag}: a sweep sets it for each run; give --{own[name]} instead")


def _check_same(run_dir: Path, config: Config) -> str:
    """Raise ValueError if the folder holds a run, finished or not, with other flags.

    Returns:
        What is wrong with the folder, in one line, if its ``config.json`` is damaged; else nothing.
    """
    try:
        if not RunReader(run_dir).has(CONFIG):
            return ""  # stopped before it began
        before = saved_config(RunReader(run_dir).json(CONFIG))
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
    return ""


def main(arguments: Sequence[str]) -> int:
    """Run a sweep as the flags say.

    Returns:
        The exit code: 1 if a run failed, 128 + the number of the signal that stopped the sweep.
    """
    try:
        options, train_flags = parse_known(SweepOptions, arguments, prog="python -m dqn_mer sweep")
        with until_stopped():
            return sweep(options, train_flags)
    except (UsageError, ValueError, ImportError, OSError) as error:
        return complain(str(error))
    except KeyboardInterrupt as stop:
        print("stopped; the same command resumes it", file=sys.stderr)
        return stop.args[0] if stop.args else 130
