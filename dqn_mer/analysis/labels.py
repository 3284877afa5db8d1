"""What a figure says in words: names with their units, and the ceiling of a score."""

from __future__ import annotations

import re
from collections.abc import Sequence

from continual_ple import GAMES
from continual_ple.games.base import Game
from continual_ple.settings import Setting
from dqn_mer.analysis.comparison import Comparison, Group
from dqn_mer.analysis.words import OF_STREAMS
from dqn_mer.storage.escapes import figure_text

CEILING_FIELDS = ("eval_frame_limit", "frame_skip", "game_parameters", "rounding")


def group_label(group: Group) -> str:
    """Return the name of a group with its number of seeds."""
    return figure_text(f"{group.label} (n={len(group.runs)})")


def with_unit(game: str, parameter: str) -> str:
    """Return a parameter in words, with its unit where the game says it.

    >>> with_unit("flappy_bird", "pipe_gap"), with_unit("my_game", "x")
    ('pipe gap (px)', 'x')
    """
    unit = _unit(game, parameter)
    return parameter.replace("_", " ") + (f" ({unit})" if unit else "")


def short_name(parameter: str, setting: Setting) -> str:
    """Return a setting in few letters: the value of the varied parameter, or its name if it sets anything else."""
    return f"{setting.parameters[parameter]:.12g}" if set(setting.parameters) == {parameter} else setting.name


def parameter_label(comparison: Comparison) -> str:
    """Return what varies as a label of an axis: a parameter, with its unit where the game says it, or the task."""
    if comparison.words is OF_STREAMS:
        return OF_STREAMS.setting
    return figure_text(with_unit(comparison.game, comparison.parameter))


def setting_lines(comparison: Comparison, setting: Setting) -> tuple[str, ...]:
    """Return a setting as a heading: the varied parameter, and its value with the unit; else its name."""
    name, value = comparison.parameter, short_name(comparison.parameter, setting)
    if comparison.words is OF_STREAMS:
        own_name = re.sub(r"^\d+-", "", setting.name)
        return (figure_text(f"{OF_STREAMS.setting} {value}" if own_name == f"{name}={value}" else own_name),)
    if set(setting.parameters) != {name}:
        return (figure_text(value),)
    return figure_text(name.replace("_", " ")), figure_text(f"{value} {_unit(comparison.game, name)}".strip())


def settings_heading(comparison: Comparison, settings: Sequence[Setting]) -> str:
    """Return settings that follow each other as one heading: the first, or the first and the last."""
    if len(settings) == 1:
        return " ".join(setting_lines(comparison, settings[0]))
    first, last = (short_name(comparison.parameter, setting) for setting in (settings[0], settings[-1]))
    what = f"{OF_STREAMS.setting}s" if comparison.words is OF_STREAMS else comparison.parameter.replace("_", " ")
    return figure_text(f"{what} {first} to {last}")


def score_label(comparison: Comparison) -> str:
    """Return what a score counts, as a label of an axis."""
    if comparison.words is OF_STREAMS:
        return f"{OF_STREAMS.score} (%)"
    game = _game(comparison.game)
    return figure_text(f"{game.score_name if game else 'score'} per episode")


def time_label(comparison: Comparison, lines: int = 1) -> str:
    """Return how far training is as a label of an axis, in one line or two."""
    return f"{comparison.words.time}{' ' if lines == 1 else chr(10)}(thousands)"


def ceilings(comparison: Comparison, settings: Sequence[Setting]) -> list[float | None]:
    """Return the highest mean score that any play can reach on each setting within the frame limit of an evaluation.

    None where the game cannot say it, where the runs were not evaluated alike, and where an action was held for several
    frames: what can be reached is then less.
    """
    game = None if comparison.words is OF_STREAMS else _game(comparison.game)
    configs = [run.config for group in comparison.groups for run in group.runs]
    config = configs[0]
    alike = all(other[name] == config[name] for other in configs for name in CEILING_FIELDS)
    if game is None or not alike or config["frame_skip"] > 1:
        return [None] * len(settings)

    def ceiling(setting: Setting) -> float | None:
        try:
            played = game(rounding=config["rounding"], **{**config["game_parameters"], **setting.parameters})
        except (TypeError, ValueError):  # parameters that another version of the game had
            return None
        return played.score_ceiling(config["eval_frame_limit"])

    return [ceiling(setting) for setting in settings]


def ceiling_label(comparison: Comparison) -> str:
    """Return what the line of a ceiling is."""
    return f"ceiling of {comparison.groups[0].runs[0].config['eval_frame_limit']:,} frames"


def _game(name: str) -> type[Game] | None:
    """Return a game's class; None for an environment of the user's own, and for a game that cannot be loaded."""
    try:
        return GAMES[name] if name in GAMES else None
    except ValueError:
        return None


def _unit(game: str, parameter: str) -> str:
    kind = _game(game)
    table = kind.parameter_table if kind else ()
    return next((entry.unit for entry in table if entry.name == parameter), "")
