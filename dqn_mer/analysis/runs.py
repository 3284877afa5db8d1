"""Finished runs read back from their folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from continual_ple.settings import Schedule
from dqn_mer.analysis.interference import FILE, read_interference
from dqn_mer.analysis.metric_table import continual_summary
from dqn_mer.analysis.metrics import FloatArray, IntArray
from dqn_mer.analysis.scores import LARGEST_SCORE, read_evaluations, score_matrix
from dqn_mer.analysis.tables import read_table
from dqn_mer.config.agent_registry import agents
from dqn_mer.config.combinations import check_name, options_of_agents
from dqn_mer.config.config import ALLOWED, INCIDENTAL, OF_EVERY_RUN, Config
from dqn_mer.config.supervised_runs import is_supervised
from dqn_mer.storage.escapes import shown
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.run_reader import CONFIG, SUMMARY, RunReader

LONGEST_LIST, LONGEST_TEXT = 100, 1_000


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: Folder of the run.
        config: Values by field; a field that the version of the run did not know yet has today's default. The run of an
            agent that is not registered has those of our agents only as far as its folder has them.
        commit: Git commit of the source tree that it ran from, if known.
        schedule: Schedule that it was trained on.
        frames: Frames of its evaluations, of shape (n,).
        scores: Mean scores of its evaluations, of shape (n, settings).
        matrix: R, of shape (segments, settings).
        metrics: Metrics by name, as `continual_summary` returns them.
        unseen: Mean score of the trained agent on settings never trained on, as far as they were evaluated.
    """

    path: Path
    config: dict[str, Any]
    commit: str | None
    schedule: Schedule
    frames: IntArray
    scores: FloatArray
    matrix: FloatArray
    metrics: dict[str, float | list[float]]
    unseen: dict[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        who = "{agent} on {game} from {observation}, seed {seed}".format_map(self.config)
        return f"<Run: {who}, {self.frames[-1]:,} frames; {self.path}>"

    def table(self, name: str = "evaluations") -> Any:
        """Return a table of the run's folder, as `read_table`: evaluations, metrics, interference or matrix."""
        return read_table(self.path, name)

    @property
    def order(self) -> tuple[int, ...]:
        """Index of the setting trained on in each segment that the run reached."""
        return self.schedule.order[: len(self.matrix)]


def find_runs(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the finished and the unfinished run folders at or below the paths, each once.

    Raises:
        ValueError: if there is nothing finished at or below one of the paths.
    """
    finished: dict[Path, Path] = {}
    unfinished: dict[Path, Path] = {}
    for path in paths:
        folders = [path] if RunReader(path).has(CONFIG) else _run_folders(path)
        done = {folder.resolve(): folder for folder in folders if _is_finished(folder)}
        if not done:
            raise ValueError(f"runs={str(path)!r}: must be a run folder, or hold some, with a summary.json")
        finished |= done
        unfinished |= {folder.resolve(): folder for folder in folders if folder.resolve() not in done}
    return list(finished.values()), list(unfinished.values())


def _is_finished(folder: Path) -> bool:
    """Return whether a run has a summary, or something that stands in its place, which `load_run` reports."""
    try:
        return RunReader(folder).has(SUMMARY)
    except DamagedError:
        return True


def _run_folders(path: Path) -> list[Path]:
    """Return the run folders below a path, without following links."""
    return sorted(Path(folder) for folder, _, files in os.walk(path) if CONFIG in files)


def load_run(path: Path | str) -> Run:
    """Read a finished run from its folder.

    Raises:
        ValueError: if a file of the folder is missing or damaged; the message names it.
    """
    path = Path(path)
    try:
        reader = RunReader(path)
        described, summary = reader.json(CONFIG), reader.json(SUMMARY)
        schedule = Schedule.from_json(described["schedule"])
        names = [setting.name for setting in schedule.settings]
        frames, scores = read_evaluations(path / "evaluations.csv", len(names))
        matrix = score_matrix(frames, scores, schedule.ends(int(frames[-1])))
        random_scores = [_score(summary["random_scores"][name]) for name in names]
        order = None if schedule.interleave_frames else schedule.order[: len(matrix)]
        metrics = continual_summary(matrix, order, random_scores, frames, scores)
        config = saved_config(described)
        commit = described.get("git_commit")
        if not (commit is None or (isinstance(commit, str) and len(commit) <= 100)):
            raise ValueError(f"git_commit={shown(commit)}: must be text or null")
    except (ArithmeticError, ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{path}: cannot be read as a finished run: {reason}") from None
    return Run(path, config, commit, schedule, frames, scores, matrix, metrics)


def load_runs(paths: Sequence[Path], named: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Read the finished runs that can be read, and say in one line for each other what is wrong with it.

    Args:
        paths: Folders of finished runs, as `find_runs` returns them.
        named: Paths that the user gave: a run that is one of them must be readable.

    Raises:
        ValueError: if such a run is damaged, or all are; the message names the run and the file.
    """
    runs: list[Run] = []
    damaged: list[str] = []
    must = {path.resolve() for path in named}
    for path in paths:
        try:
            run = load_run(path)
            _check_interference(run)
            runs.append(run)
        except ValueError as error:
            if path.resolve() in must:
                raise
            damaged.append(str(error))
    if not runs:
        raise ValueError(damaged[0] + (f"; nor can the other {len(damaged) - 1}" if len(damaged) > 1 else ""))
    return runs, damaged


def _check_interference(run: Run) -> None:
    """Raise ValueError if a run has measurements of the meter that cannot be read; the message names both."""
    try:
        if RunReader(run.path).has(FILE):
            read_interference(run.path / FILE, [setting.name for setting in run.schedule.settings])
    except DamagedError as error:
        raise ValueError(f"{run.path}: cannot be read as a finished run: {error}") from None


def saved_config(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration in a ``config.json``: values by field, each allowed, with defaults for those missing.

    Of an agent that is not registered, the fields of our agents are not filled in. Whether the values fit each other is
    not checked, since the defaults of what an agent does not read have changed.

    Raises:
        ValueError: if a value is not allowed; the message names the field. Without a configuration it may also be a
            KeyError or TypeError.
    """
    defaults = Config().to_json()
    config = {**defaults, **described["config"]}
    if is_supervised(described):
        _check_stream_config(config)
    else:
        if config["agent"] not in [kind.name for kind in agents()]:
            config = {**{name: defaults[name] for name in OF_EVERY_RUN}, **described["config"]}
        for name, allowed in ALLOWED.items():
            if name in config:
                allowed.check(name, allowed.as_held(config[name]))
    for name in ("game", "agent", "observation"):
        check_name(name, config[name])
    return config


def _check_stream_config(config: Mapping[str, Any]) -> None:
    """Raise ValueError unless all values are short texts, numbers or lists of them, as a supervised run has."""
    for name, value in config.items():
        items = value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]
        plain = all(item is None or isinstance(item, (bool, int, float, str)) for item in items)
        if not plain or len(items) > LONGEST_LIST or any(len(str(item)) > LONGEST_TEXT for item in items):
            raise ValueError(f"{shown(name)}={shown(value)}: must be a number, a short text, or a list of them")
    if type(config["seed"]) is not int:
        raise ValueError(f"seed={shown(config['seed'])}: must be a whole number")


def _score(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST_SCORE:
        raise ValueError(f"random_scores: {shown(value)}: must be a number up to {LARGEST_SCORE:g}")
    return float(value)


def unread_fields(config: Mapping[str, Any]) -> set[str]:
    """Return the fields that the agent of a run does not read: those of other agents, and null in a supervised run."""
    if is_supervised({"config": config}):
        return {name for name, value in config.items() if value is None}
    options = options_of_agents(Config)
    return {name for names in options.values() for name in names} - set(options.get(config.get("agent", ""), ()))


def config_differences(ours: dict[str, Any], theirs: dict[str, Any], ignored: Iterable[str] = ()) -> list[str]:
    """Return the fields with different values, unless they are incidental, ignored, or not read by both agents.

    What only one of the two has, such as what our agents have and another library's have not, is not read by both.
    """
    unread = unread_fields(ours) | unread_fields(theirs) | (ALLOWED.keys() - (ours.keys() & theirs.keys()))
    if ours.get("agent") != theirs.get("agent"):
        unread.add("agent_options")
    names = sorted((ours.keys() | theirs.keys()) - INCIDENTAL - set(ignored) - unread)
    return [name for name in names if ours.get(name) != theirs.get(name)]
