"""Schedules of the games: checked against a game's parameters, from values of one of them, and the default ones."""

from collections.abc import Mapping, Sequence

from continual_ple.checks import entries
from continual_ple.games.catalogue import game_class
from continual_ple.messages import shown
from continual_ple.settings import FRAMES_PER_SETTING, MAX_SEGMENTS, FramesPerSetting, Schedule, schedule_of_values


def check_schedule(schedule: Schedule, game: str) -> Schedule:
    """Return `schedule` if a game can be played under all of its settings.

    Raises:
        ValueError: if a setting has an unknown parameter or a value out of range; the message names the setting.
    """
    for setting in schedule.settings:
        try:
            game_class(game).check_parameters(setting.parameters)
        except ValueError as error:
            raise ValueError(f"setting {setting.name!r}: {error}") from None
    return schedule


def check_fixed(parameters: Mapping[str, object], schedule: Schedule) -> None:
    """Raise ValueError if a parameter that is to stay the same is one that the settings of a schedule vary."""
    for name in schedule.settings[0].parameters:
        if name in parameters:
            raise ValueError(
                f"{name}={shown(parameters[name])}: {name} is what the settings vary; give its values there"
            )


def schedule_from_values(
    game: str,
    values: Sequence[float],
    parameter: str | None = None,
    frames_per_setting: FramesPerSetting = FRAMES_PER_SETTING,
    cycles: int = 1,
    interleave_frames: int = 0,
) -> Schedule:
    """Return a schedule of values of one parameter; a repeated value comes back to the same setting.

    Args:
        game: Name of the game.
        values: Value in each segment.
        parameter: Name of the parameter that changes; None means the game's own.
        frames_per_setting: Length of a segment in environment frames, or a list of one length for each of `values`.
        cycles: How often to go through `values`.
        interleave_frames: Length of a stretch in environment frames if all settings are interleaved, else 0.

    Raises:
        ValueError: if a value is not allowed.

    >>> schedule = schedule_from_values("flappy_bird", [100, 75, 100])
    >>> [setting.name for setting in schedule.settings], schedule.order
    (['0-pipe_gap=100', '1-pipe_gap=75'], (0, 1, 0))
    """
    kind = game_class(game)
    table = {entry.name: entry for entry in kind.parameter_table}
    name = kind.varied_parameter if parameter is None else parameter
    if name not in table:
        raise ValueError(f"parameter={shown(name)}: must be one of {', '.join(table)}")
    checked = [table[name].check(value) for value in entries("settings", values, MAX_SEGMENTS)]
    return check_schedule(schedule_of_values(name, checked, frames_per_setting, cycles, interleave_frames), game)


def default_schedule(game: str, frames_per_setting: int = FRAMES_PER_SETTING) -> Schedule:
    """Return a game's own settings from easy to hard, which are the paper's six for our games.

    Raises:
        ValueError: if the game is unknown, or `frames_per_setting` is not a whole number above 0.
    """
    return schedule_from_values(game, game_class(game).default_values, frames_per_setting=frames_per_setting)
