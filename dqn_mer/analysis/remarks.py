"""What a reader must know before comparing groups of runs: where they are unlike, and where they are equal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from dqn_mer.analysis.runs import Run, config_differences, unread_fields
from dqn_mer.config.agent_registry import agents
from dqn_mer.config.supervised_runs import is_supervised

if TYPE_CHECKING:  # which needs the remarks
    from dqn_mer.analysis.comparison import Group

MOST_NAMED = 10
"""Settings that a remark lists."""
REPTILE_RATES = ("within_batch_rate", "across_batch_rate")


def takes_reptile_steps(config: Mapping[str, Any]) -> bool:
    """Return whether MER with these values does anything that one step at a time does not."""
    return any(config[rate] != 1 for rate in REPTILE_RATES)


def remarks_on(groups: Sequence[Group], by: Sequence[str]) -> Iterator[str]:
    """Yield what a reader must know before comparing the groups, a sentence each: above all where they are unlike."""
    seeds = {group.label: [int(run.config["seed"]) for run in group.runs] for group in groups}
    for label, numbers in seeds.items():
        twice = sorted(seed for seed, count in Counter(numbers).items() if count > 1)
        if twice:
            yield f"{label} has more than one run of seed {_listed(twice)}; intervals take them as independent."
        if len(numbers) < 2:
            yield f"{label} has one run only, so there are no intervals for it."
        elif len(numbers) == 2:
            yield f"{label} has two runs only; its intervals are no more than the range of the two."
    interleaved = {g.label: [run.schedule.interleave_frames > 0 for run in g.runs] for g in groups}
    marks = "rows" if all(all(runs) for runs in interleaved.values()) else "bars, borders and rows"
    for label, runs in interleaved.items():
        if any(runs):
            yield f"{label} trained on all settings in turn all the time: {marks} are not its own."
    yield from _settings_not_reached(groups)
    if len({tuple(numbers) for numbers in seeds.values()}) > 1:
        listing = "; ".join(f"{label}: {_listed(numbers)}" for label, numbers in seeds.items())
        yield f"Groups have different seeds ({listing})."
    yield from _equal_groups(groups)
    yield from _field_remarks(groups, {*by, "seed", "game", *_rates_in_labels(groups, by)})


def _settings_not_reached(groups: Sequence[Group]) -> Iterator[str]:
    """Yield a sentence on the settings of the schedule that training ended before; all runs have one length."""
    in_turn = [run for group in groups for run in group.runs if not run.schedule.interleave_frames]
    names = [setting.name for setting in in_turn[0].schedule.settings] if in_turn else []
    missed = [name for place, name in enumerate(names) if place not in in_turn[0].order]
    if missed:
        which = _listed(missed) if len(missed) <= MOST_NAMED else f"{len(missed)} settings, from {missed[0]} on"
        yield (
            f"Training ended before it came to {which}: retained accuracy counts what was never trained on, and so "
            "does backward transfer, which is then no sign of forgetting."
        )


def _equal_groups(groups: Sequence[Group]) -> Iterator[str]:
    """Yield a sentence on each two groups that differ in the agent alone and have equal scores, with the cause."""
    for one, other in combinations(groups, 2):
        pairs = list(zip(one.runs, other.runs, strict=False))
        alike = len(one.runs) == len(other.runs) and all(_differ_in_agent(*pair) for pair in pairs)
        if not alike:
            continue
        last = min(int(run.frames[-1]) for pair in pairs for run in pair)
        same_replay = _replay(pairs[0][0].config) == _replay(pairs[0][1].config) is not None
        capacity = min(int(run.config["capacity"]) for pair in pairs for run in pair) if same_replay else 0
        full = capacity * int(pairs[0][0].config["frame_skip"])  # or sooner, because of steps that are cut short
        equal = f"{one.label} and {other.label} have equal scores on every seed"
        memory = f"the memory of {capacity:,} transitions"
        if all(_equal_until(*pair, last) for pair in pairs):
            cause = f": {memory} was never full, so that both remembered the same" if full >= last else ""
            yield f"{equal}{cause}."
        elif same_replay:
            evaluated = [int(frame) for frame in pairs[0][0].frames if capacity < frame < full]
            for until in (full, *reversed(evaluated), capacity):
                if all(_equal_until(*pair, until) for pair in pairs):
                    yield f"{equal} up to frame {until:,}: until {memory} is full, both remember the same."
                    break


def _differ_in_agent(one: Run, other: Run) -> bool:
    """Return whether two runs of one seed have different agents, and nothing else that differs."""
    return (
        one.config["agent"] != other.config["agent"]
        and one.config["seed"] == other.config["seed"]
        and not config_differences(one.config, other.config, ("agent",))
    )


def _equal_until(one: Run, other: Run, frame: int) -> bool:
    """Return whether two runs were evaluated at the same frames up to one, more than once, and with equal scores."""
    first, second = one.frames <= frame, other.frames <= frame
    return (
        first.sum() > 1
        and np.array_equal(one.frames[first], other.frames[second])
        and np.array_equal(one.scores[first], other.scores[second])
    )


def _replay(config: Mapping[str, Any]) -> object:
    """Return what makes the replay step of a run's agent; None for a supervised run, and if the agent is not known."""
    if is_supervised({"config": config}):
        return None
    return next((kind.replay for kind in agents() if kind.name == config["agent"]), None)


def _rates_in_labels(groups: Sequence[Group], by: Sequence[str]) -> tuple[str, ...]:
    """Return the Reptile rates if the labels say everything in which they differ: that some runs have no Reptile."""
    configs = [run.config for group in groups for run in group.runs if run.config["agent"] == "dqn-mer"]
    rates = {tuple(config[rate] for rate in REPTILE_RATES) for config in configs if takes_reptile_steps(config)}
    return REPTILE_RATES if "agent" in by and len(rates) <= 1 else ()


def _field_remarks(groups: Sequence[Group], expected: set[str]) -> Iterator[str]:
    """Yield the fields, and the commits, in which runs differ beyond what makes the groups."""
    configs_by_label = {group.label: [{**run.config, "commit": run.commit} for run in group.runs] for group in groups}
    names = {
        name
        for configs in configs_by_label.values()
        for config in configs
        for others in configs_by_label.values()  # of which one may have a field that another lacks
        for name in config_differences(others[0], config, expected)
    }
    for name in sorted(names):
        reading = {
            label: [config[name] for config in configs if name in config.keys() - unread_fields(config)]
            for label, configs in configs_by_label.items()
        }
        values = {
            label: list(dict.fromkeys(json.dumps(value).strip('"') for value in has)) for label, has in reading.items()
        }
        listing = "; ".join(f"{label}: {', '.join(has)}" for label, has in values.items() if has)
        yield f"Runs differ in {name}: {listing}"


def _listed(numbers: Iterable[int | str]) -> str:
    return ", ".join(str(number) for number in numbers)
