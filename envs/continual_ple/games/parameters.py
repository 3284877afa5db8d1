"""The numbers of a game that may be changed, with their ranges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from continual_ple.messages import shown


@dataclass(frozen=True)
class Parameter:
    """One number of a game's dynamics that may be changed.

    Attributes:
        name: Keyword argument.
        unit: Unit of the value.
        default: Value in upstream PLE; with `per`, its value for each pixel of the screen's width or height.
        low: Smallest value allowed.
        high: Largest value allowed.
        help: Meaning of the parameter, in one line.
        whole: Whether only whole numbers make sense.
        per: `"width"` or `"height"` if the default grows with the screen.
    """

    name: str
    unit: str
    default: float
    low: float
    high: float
    help: str
    whole: bool = False
    per: Literal["width", "height"] | None = None

    def check(self, value: object) -> float:
        """Return `value` as a plain number (`int` where only whole numbers make sense).

        Raises:
            ValueError: if it is not a number within the range.
        """
        kind = "a whole number" if self.whole else "a number"
        problem = f"{self.name}={shown(value)}: must be {kind} from {self.low:g} to {self.high:g} ({self.unit})"
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise ValueError(problem)
        # Written so that NaN fails too; comparing before converting keeps huge integers from overflowing.
        if not (self.low <= value <= self.high) or (self.whole and value != int(value)):
            raise ValueError(problem)
        return int(value) if self.whole else float(value)


def resolve_parameters(game: str, table: Sequence[Parameter], given: Mapping[str, object]) -> dict[str, float]:
    """Check `given` values against a game's table and fill in the defaults.

    Args:
        game: Name of the game, for messages.
        table: Parameters of the game; those that defaults depend on come first.
        given: Values by parameter name.

    Returns:
        A value for each parameter, in the order of the table.

    Raises:
        ValueError: if a name is unknown or a value is out of range.
    """
    names = [parameter.name for parameter in table]
    for name, value in given.items():
        if name not in names:
            said = name if name.isidentifier() else shown(name)
            raise ValueError(f"{said}={shown(value)}: must be one of the parameters of {game}: {', '.join(names)}")
    values: dict[str, float] = {}
    for parameter in table:
        if parameter.name in given:
            values[parameter.name] = parameter.check(given[parameter.name])
        else:
            values[parameter.name] = parameter.default * (values[parameter.per] if parameter.per else 1)
    return values
