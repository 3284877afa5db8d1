"""What a class must be to be a game; checked when it is added, not frames later."""

import inspect
import math
from collections.abc import Sequence

import numpy as np

from continual_ple.games.base import Controls, Game
from continual_ple.games.parameters import Parameter
from continual_ple.messages import shown

NEEDED = {
    "name": str, "score_name": str, "actions": tuple, "state_names": tuple, "parameter_table": tuple,
    "varied_parameter": str, "default_values": tuple,
}  # fmt: skip
ARGUMENTS = frozenset({"game", "backend", "observation", "frame_stack", "render_mode", "rounding", "fixed_looks"})
"""Arguments of `ArcadeEnv`, beside which it takes the game's parameters."""


def check_game(kind: object) -> None:
    """Raise ValueError, in one line that names the attribute, unless `kind` is a complete game."""
    if not (isinstance(kind, type) and issubclass(kind, Game)):
        raise ValueError(f"game={shown(kind)}: must be a subclass of continual_ple.Game")
    if inspect.isabstract(kind):
        raise ValueError(f"{kind.__name__}: must define {', '.join(sorted(kind.__abstractmethods__))}")
    for attribute, wanted in NEEDED.items():
        value = getattr(kind, attribute, None)
        if not isinstance(value, wanted) or not value:
            raise ValueError(f"{kind.__name__}.{attribute}={shown(value)}: must be a {wanted.__name__}, not empty")
    try:
        _check_parameters(kind.parameter_table, kind.varied_parameter)
        _check_values(kind)
    except ValueError as error:
        raise ValueError(f"{kind.__name__}.{error}") from None


def _check_parameters(table: Sequence[Parameter], varied: str) -> None:
    if not all(isinstance(entry, Parameter) for entry in table):
        raise ValueError(f"parameter_table={shown(table)}: must hold a Parameter each")
    names = [entry.name for entry in table]
    if not all(isinstance(name, str) and name.isidentifier() for name in names) or len(set(names)) < len(names):
        raise ValueError(f"parameter_table: {shown(names)}: must be different names, each fit for a keyword argument")
    if taken := sorted(ARGUMENTS.intersection(names)):
        raise ValueError(f"parameter_table: {taken[0]!r}: is an argument of every environment; must be another name")
    for entry in table:
        if entry.per is None:  # else the default is for each pixel
            try:
                entry.check(entry.default)
            except ValueError as error:
                raise ValueError(f"parameter_table: {error}") from None
    if varied not in names:
        raise ValueError(f"varied_parameter={varied!r}: must be one of {', '.join(names)}")


def _check_values(kind: type[Game]) -> None:
    for field in ("actions", "state_names"):
        names = getattr(kind, field)
        if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
            raise ValueError(f"{field}={shown(names)}: must be different names")
    for value in kind.default_values:
        try:
            parameters = kind.check_parameters({kind.varied_parameter: value})
        except ValueError as error:
            raise ValueError(f"default_values: {error}") from None
    ranges = np.asarray(kind.state_range(parameters))
    finite = ranges.dtype.kind in "iuf" and np.isfinite(ranges).all()  # else nothing would be seen of a column
    if ranges.shape != (len(kind.state_names), 2) or not finite or not (ranges[:, 0] < ranges[:, 1]).all():
        raise ValueError(
            f"state_range: must give a low and a higher number for each of {len(kind.state_names)} columns, both finite"
        )
    _check_odds(kind)
    _check_controls(kind)


def _check_odds(kind: type[Game]) -> None:
    odds = kind.random_odds
    if isinstance(odds, str) and len(kind.actions) == 1:
        raise ValueError(f"random_odds={shown(odds)}: must be empty for a single action")
    if isinstance(odds, str) or not odds:
        return
    if len(odds) != len(kind.actions) or min(odds) < 0 or not math.isclose(sum(odds), 1):
        raise ValueError(
            f"random_odds={shown(odds)}: must be one for each of {len(kind.actions)} actions, summing to 1"
        )


def _check_controls(kind: type[Game]) -> None:
    controls = kind.controls
    if controls is None:
        return
    if not isinstance(controls, Controls):
        raise ValueError(f"controls={shown(controls)}: must be Controls or None")
    for name in (*controls.keys, *controls.tapped):
        if name not in kind.actions:
            raise ValueError(f"controls: {shown(name)}: must be one of {', '.join(kind.actions)}")
    if set(controls.keys) == set(kind.actions):
        raise ValueError("controls: one action must have no key, to be what is done while none is pressed")
