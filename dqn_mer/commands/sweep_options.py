"""Options of ``sweep``, and which flags of ``train`` they set for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from continual_ple import GAMES
from dqn_mer.commands.sweep_slurm import check_slurm
from dqn_mer.config.agent_registry import AGENTS, ENTRY_POINTS, check_installed, known_agent
from dqn_mer.config.fields import bad_value, check_fields
from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.seed_lists import MOST_RUNS, read_seeds
from dqn_mer.config.task_references import TaskReference
from dqn_mer.ranges import Range


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
    """Folder of the sweep; its runs are OUT/GAME/AGENT/seed-N, or OUT/NAME/AGENT/seed-N of a task, their logs beside
    them."""
    task: TaskReference = None
    """Task of yours to learn instead of games, as `train` takes it; --game NAME then names its folder."""
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
        runs = len(read_seeds(self.seeds)) * len(self.what) * len(self.agents)
        if runs > MOST_RUNS:
            raise ValueError(f"seeds={self.seeds!r}: makes {runs:,} runs; must be at most {MOST_RUNS:,}")
        if self.engine == "ray" and self.jobs < 2:
            raise ValueError(f"jobs={self.jobs}: must be at least 2 with engine=ray, else nothing leaves this process")
        if self.engine == "slurm":
            check_slurm(self.slurm)
        elif self.slurm:
            raise ValueError(f"slurm={','.join(self.slurm)}: only with engine=slurm")

    @property
    def what(self) -> tuple[tuple[str, str], ...]:
        """Flag of `train` that says what is learned, with its value, of each game or of the task."""
        return tuple(("--game", game) for game in self.games) if self.task is None else (("--task", self.task),)


def options_of_flags(**given: Any) -> SweepOptions:
    """Return the options for the flags given.

    Raises:
        UsageError: if both games and a task are given.
        ValueError: if a value is not allowed.
    """
    if "games" in given and given.get("task") is not None:
        raise UsageError("--games: not allowed with --task, which takes its place")
    return SweepOptions(**given)


def refuse_own(options: SweepOptions, train_flags: Sequence[str]) -> None:
    """Raise ValueError for a flag whose value the sweep itself gives to each run."""
    hints = get_type_hints(SweepOptions, include_extras=True)
    notes = [(name, note) for name, hint in hints.items() for note in get_args(hint) if isinstance(note, Sets)]
    own = {field: name for name, note in notes for field in note.fields}
    if options.task is not None:
        del own["game"]  # it is then but a name
    for word in train_flags:
        flag = word.partition("=")[0]
        name = flag.lstrip("-").replace("-", "_")
        if word.startswith("--") and name in own:
            raise ValueError(f"{flag}: a sweep sets it for each run; give --{own[name]} instead")
