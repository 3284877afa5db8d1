"""Groups of runs, and how they compare."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from continual_ple import GAMES
from continual_ple.settings import Schedule, Setting
from dqn_mer.analysis.metrics import FloatArray, IntArray
from dqn_mer.analysis.remarks import remarks_on, takes_reptile_steps
from dqn_mer.analysis.runs import Run, unread_fields
from dqn_mer.analysis.words import Words, words_of
from dqn_mer.config.config import ALLOWED

OF_SUPERVISED = {"stream": "game", "learner": "agent", "memory": "capacity", "examples": "examples_per_task"}
"""Flags of ``supervised``, with the fields of ``config.json`` that they are filed under, where the names differ."""


@dataclass(frozen=True)
class Group:
    """Runs that are alike in everything but the seed, under one name.

    Attributes:
        label: Name of the group.
        runs: Runs of the group, at least one, in order of their seeds.
        style: Place in the list of styles, the same in all figures.
    """

    label: str
    runs: tuple[Run, ...]
    style: int

    def __repr__(self) -> str:
        return f"<Group: {self.label}, {len(self.runs)} run{'s' * (len(self.runs) != 1)}>"

    def metric(self, name: str) -> FloatArray:
        """Return a metric of every run, of shape (runs,), NaN where it has no meaning."""
        return np.array([run.metrics.get(name, np.nan) for run in self.runs], dtype=np.float64)


@dataclass(frozen=True)
class Comparison:
    """Groups of runs on the same schedule of one game.

    Attributes:
        game: Name of the game.
        groups: Groups, at least one; the baseline comes first if it is one of them.
        baseline: Label of the group that others are measured against.
        frames: Frames of the evaluations that all runs have, of shape (n,).
        remarks: What a reader must know before comparing, a sentence each.
        unseen: Settings never trained on that the trained agents were evaluated on.
    """

    game: str
    groups: tuple[Group, ...]
    baseline: str
    frames: IntArray
    remarks: tuple[str, ...]
    unseen: tuple[Setting, ...] = ()

    def __repr__(self) -> str:
        return f"<Comparison: {self.game}, {self.frames[-1]:,} {self.words.unit}; {', '.join(map(str, self.groups))}>"

    @property
    def schedule(self) -> Schedule:
        """Schedule that all runs were trained on."""
        return self.groups[0].runs[0].schedule

    @property
    def words(self) -> Words:
        """What the parts of the comparison are called."""
        return words_of(self.groups[0].runs[0].config)

    @property
    def order(self) -> tuple[int, ...]:
        """Index of the setting trained on in each segment that the runs reached."""
        return self.groups[0].runs[0].order

    @property
    def interleaved(self) -> bool:
        """Whether all runs trained on all settings all the time, so that no segment is that of one setting."""
        return all(run.schedule.interleave_frames for group in self.groups for run in group.runs)

    @property
    def parameter(self) -> str:
        """Name of the game parameter that the settings vary."""
        run = self.groups[0].runs[0]
        names = run.schedule.settings[0].parameters
        if len(names) == 1:
            return min(names)
        wanted = run.config["vary"] or (GAMES[self.game].varied_parameter if self.game in GAMES else "")
        return wanted if wanted in names else min(names)

    @property
    def trained(self) -> frozenset[str]:
        """Names of the settings that some of the runs trained on."""
        runs = [run for group in self.groups for run in group.runs]
        reached = {i for run in runs for i in (run.schedule.order if run.schedule.interleave_frames else run.order)}
        return frozenset(self.schedule.settings[index].name for index in reached)

    @property
    def every_setting(self) -> tuple[Setting, ...]:
        """Settings of the schedule, then the others."""
        return self.schedule.settings + self.unseen

    def last_scores(self, group: Group) -> dict[str, FloatArray]:
        """Return a group's scores after training, of shape (runs,), by setting; those that no run has are left out."""
        scores = {
            setting.name: np.array([run.matrix[-1, index] for run in group.runs])
            for index, setting in enumerate(self.schedule.settings)
        }
        for setting in self.unseen:
            unseen_scores = [run.unseen[setting.name] for run in group.runs if setting.name in run.unseen]
            if unseen_scores:
                scores[setting.name] = np.array(unseen_scores)
        return scores

    def curves(self, group: Group) -> FloatArray:
        """Return the evaluation scores of a group, of shape (runs, n, settings)."""
        return np.stack([run.scores[np.isin(run.frames, self.frames)] for run in group.runs])


def compare_runs(
    runs: Sequence[Run], by: Sequence[str] = ("agent",), baseline: str | None = None
) -> tuple[Comparison, ...]:
    """Group the runs of each game.

    Args:
        runs: Runs to compare.
        by: Config fields that make the groups.
        baseline: Label of the group to measure against; ``None`` takes dqn, or else the first, of those of each game.

    Raises:
        ValueError: if the runs of a game have different schedules or lengths, no group has the baseline's label, or no
            run has a field.
    """
    for name in by:
        if name not in ALLOWED and not any(name in run.config or name in _own_options(run) for run in runs):
            hint = f"; {name} of supervised runs is {OF_SUPERVISED[name]}" if name in OF_SUPERVISED else ""
            raise ValueError(f"by={name!r}: must be config fields, such as agent or learning_rate{hint}")
    games: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        games[run.config["game"]][_label(run, by)].append(run)
    labels = sorted({label for groups in games.values() for label in groups})
    if baseline is not None and baseline not in labels:
        raise ValueError(f"baseline={baseline!r}: must be one of {', '.join(labels)}")
    reference = baseline or ("dqn" if "dqn" in labels else labels[0])
    labels.sort(key=lambda label: label != reference)
    return tuple(
        _comparison(game, groups, labels, baseline or next(label for label in labels if label in groups), by)
        for game, groups in sorted(games.items())
    )


def _label(run: Run, by: Sequence[str]) -> str:
    """Return the name of a run's group: the fields that make the groups, as far as the run's agent reads them."""
    values = {name: agent_label(run.config) if name == "agent" else f"{name}={_value(run, name)}" for name in by}
    of_others = set(by) - ALLOWED.keys() - run.config.keys()
    unread = (unread_fields(run.config) | of_others) - _own_options(run).keys()
    return " ".join(values[name] for name in [name for name in by if name not in unread] or by)


def _value(run: Run, name: str) -> object:
    """Return a field of a run, or the option of its agent in place of a field that the agent has not."""
    options = _own_options(run)
    if name in options and (name not in run.config or name in unread_fields(run.config)):
        return options[name]
    return run.config.get(name)


def _own_options(run: Run) -> Mapping[str, Any]:
    """Return the options that a run's agent alone has; those of our agents are fields of the configuration."""
    options = run.config.get("agent_options")
    return options if isinstance(options, Mapping) else {}


def agent_label(config: Mapping[str, Any]) -> str:
    """Return the name of a configuration's agent; MER whose Reptile steps do nothing is named as what it is.

    >>> agent_label({"agent": "dqn-mer", "within_batch_rate": 1.0, "across_batch_rate": 1.0})
    'dqn-mer (no Reptile)'
    """
    agent = str(config["agent"])
    return f"{agent} (no Reptile)" if agent == "dqn-mer" and not takes_reptile_steps(config) else agent


def _comparison(
    game: str, groups: dict[str, list[Run]], labels: Sequence[str], baseline: str, by: Sequence[str]
) -> Comparison:
    made = tuple(
        Group(label, tuple(sorted(groups[label], key=lambda run: int(run.config["seed"]))), style)
        for style, label in enumerate(labels)
        if label in groups
    )
    runs = [run for group in made for run in group.runs]
    first = runs[0]
    frames = first.frames
    for run in runs[1:]:
        differ = ""
        if _segments(run.schedule) != _segments(first.schedule):
            differ = "schedules"
        elif run.frames[-1] != first.frames[-1]:
            differ = f"lengths, {first.frames[-1]:,} and {run.frames[-1]:,} frames"
        if differ:
            raise ValueError(
                f"{game}: {first.path} and {run.path} have different {differ}; name only runs that have the same"
            )
        frames = np.intersect1d(frames, run.frames)
    remarks = tuple(remarks_on(made, by))
    if baseline not in groups:
        remarks = (f"No run of {baseline}, so nothing is measured against it.", *remarks)
    return Comparison(game, made, baseline, frames, remarks)


def _segments(schedule: Schedule) -> Schedule:
    """Return the schedule as if its settings came one after the other: what an interleaved one is compared with."""
    return dataclasses.replace(schedule, interleave_frames=0)
