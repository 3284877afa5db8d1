"""The registered environments: each game from pixels and from state, under one setting or as the changing stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium

from continual_ple.arcade import ArcadeEnv
from continual_ple.games.catalogue import ENV_IDS
from continual_ple.nonstationary import NonStationary
from continual_ple.settings import DEFAULT_VALUES, FRAMES_PER_SETTING, schedule_from_values

MAX_EPISODE_FRAMES = 10_000  # good play never ends by itself


def register_games() -> None:
    """Register four ids for each game, such as ``ContinualPLE/Catcher`` with the endings below.

    | id | environment |
    |---|---|
    | ``-v0`` | one setting, observations of pixels unless ``observation="state"`` is given |
    | ``-state-v0`` | one setting, state observations |
    | ``-stream-v0`` | the changing stream of `make_stream`, pixels |
    | ``-stream-state-v0`` | the changing stream, state observations |
    """
    for game, env_id in ENV_IDS.items():
        name = env_id.removesuffix("-v0")
        for ending, entry_point, kwargs in (
            ("", "continual_ple.arcade:ArcadeEnv", {}),
            ("-state", "continual_ple.arcade:ArcadeEnv", {"observation": "state"}),
            ("-stream", "continual_ple.registration:make_stream", {}),
            ("-stream-state", "continual_ple.registration:make_stream", {"observation": "state"}),
        ):
            gymnasium.register(
                f"{name}{ending}-v0",
                entry_point=entry_point,
                max_episode_steps=MAX_EPISODE_FRAMES,
                kwargs={"game": game, **kwargs},
            )


def make_stream(
    game: str,
    *,
    settings: Sequence[float] | None = None,
    vary: str | None = None,
    frames_per_setting: int = FRAMES_PER_SETTING,
    cycles: int = 1,
    interleave_frames: int = 0,
    **options: Any,
) -> NonStationary:
    """Make a game whose setting changes as it is played.

    Args:
        game: ``catcher`` or ``flappy_bird``; set by the registered ids.
        settings: Values of the varied parameter, in order; by default the paper's six.
        vary: Name of the parameter that changes; by default ``fall_speed`` of Catcher and ``pipe_gap`` of Flappy Bird.
        frames_per_setting: Environment frames on each setting.
        cycles: Number of times to go through the settings.
        interleave_frames: Length of a turn in frames if all settings take turns, else 0.
        **options: Arguments of `ArcadeEnv`.

    Raises:
        ValueError: A value is not allowed.
    """
    env = ArcadeEnv(game, **options)
    schedule = schedule_from_values(
        game,
        DEFAULT_VALUES[game] if settings is None else settings,
        parameter=vary,
        frames_per_setting=frames_per_setting,
        cycles=cycles,
        interleave_frames=interleave_frames,
    )
    return NonStationary(env, schedule)
