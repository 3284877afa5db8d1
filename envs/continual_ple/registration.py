"""What the registered ids of a changing stream make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from continual_ple.arcade import ArcadeEnv
from continual_ple.game_schedules import check_fixed, schedule_from_values
from continual_ple.games.catalogue import game_class
from continual_ple.messages import shown
from continual_ple.nonstationary import NonStationary
from continual_ple.settings import FRAMES_PER_SETTING, FramesPerSetting


def make_stream(
    game: str,
    *,
    settings: Sequence[float] | None = None,
    vary: str | None = None,
    frames_per_setting: FramesPerSetting = FRAMES_PER_SETTING,
    cycles: int = 1,
    interleave_frames: int = 0,
    **options: Any,
) -> NonStationary:
    """Make a game whose setting changes as it is played.

    Args:
        game: Name of the game; set by the registered ids.
        settings: Values of the varied parameter, in order; by default the game's own, for our games the paper's six.
        vary: Name of the parameter that changes; by default the game's own: ``fall_speed`` of Catcher, ``pipe_gap`` of
            Flappy Bird.
        frames_per_setting: Environment frames on each setting, or a list of one number for each of ``settings``.
        cycles: Number of times to go through the settings.
        interleave_frames: Length of a turn in frames if all settings take turns, else 0.
        **options: Arguments of `ArcadeEnv`, without the varied parameter.

    Raises:
        ValueError: if a value is not allowed, one is given for the varied parameter, or ``vary`` names another one than
            the game's own, which has no values by default.
    """
    if settings is None and vary not in (None, game_class(game).varied_parameter):
        raise ValueError(f"vary={shown(vary)}: needs settings, the values to give it")
    env = ArcadeEnv(game, **options)
    schedule = schedule_from_values(
        game,
        game_class(game).default_values if settings is None else settings,
        parameter=vary,
        frames_per_setting=frames_per_setting,
        cycles=cycles,
        interleave_frames=interleave_frames,
    )
    check_fixed(options, schedule)
    return NonStationary(env, schedule)


# Where Gymnasium reads which render modes there are, so that it adds those that it makes itself (``rgb_array_list``).
make_stream.metadata = ArcadeEnv.metadata  # type: ignore[attr-defined] # functions have no such attribute
