"""Which settings to play, from the words of a user."""

from __future__ import annotations

from collections.abc import Sequence

from continual_ple.settings import Setting
from continual_ple.tasks import Task

GROUPS = ("all", "easier")
"""Words that stand for several settings."""


def choose_settings(words: str, task: Task, trained_on_last: str) -> list[Setting]:
    """Return the settings that ``--settings`` names, each once.

    Args:
        words: Either ``all``, ``easier``, or names of settings or values of the varied parameter, with commas. Where
            the run's settings give several parameters, a value replaces the varied one of the setting trained on last.
        task: Task that the run was trained on.
        trained_on_last: Name of the setting in force at the end of training.

    Raises:
        ValueError: if a word is neither a name nor an allowed value, or nothing is easier.
    """
    schedule = task.schedule
    if words == "all":
        return list(schedule.settings)
    if words == "easier":
        if schedule.interleave_frames:
            raise ValueError("settings='easier': the run trained on all settings in turn, so none is easier")
        easier = list(schedule.easier_than(trained_on_last))
        if not easier:
            raise ValueError(f"settings='easier': no setting of the run is easier than {trained_on_last}")
        return easier
    like = next(setting for setting in schedule.settings if setting.name == trained_on_last)
    chosen: list[Setting] = []
    for word in words.split(","):
        if word in GROUPS:
            raise ValueError(f"settings={words!r}: {word} must stand alone")
        setting = find_setting(word, task, like, GROUPS)
        if all(setting.parameters != other.parameters for other in chosen):
            chosen.append(setting)
    return chosen


def find_setting(word: str, task: Task, like: Setting, groups: Sequence[str] = (), field: str = "settings") -> Setting:
    """Return the setting of a task with this name, or ``like`` with this value of the varied parameter.

    Raises:
        ValueError: if the word is neither; ``groups`` are further words that the message allows, ``field`` the flag.
    """
    by_name = {setting.name: setting for setting in task.schedule.settings}
    if word in by_name:
        return by_name[word]
    try:
        value = float(word)
    except ValueError:
        allowed = ", ".join([*groups, *by_name, f"a value of {task.parameter}"])
        raise ValueError(f"{field}={word!r}: must be one of {allowed}") from None
    parameters = {**like.parameters, task.parameter: value}
    task.check(parameters)
    return Setting(f"{task.parameter}={value:.12g}", parameters)
