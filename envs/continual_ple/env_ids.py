"""The ids under which Gymnasium knows the games."""

import gymnasium

MAX_EPISODE_FRAMES = 10_000  # good play never ends by itself
ENV_IDS: dict[str, str] = {}
"""The id of each game from pixels under one setting, by the game's name."""


def register_ids(game: str) -> None:
    """Register four ids for a game, such as ``ContinualPLE/FlappyBird`` for ``flappy_bird`` with the endings below.

    | id | environment |
    |---|---|
    | ``-v0`` | one setting, observations of pixels unless ``observation`` is given |
    | ``-state-v0`` | one setting, state observations |
    | ``-stream-v0`` | the changing stream of `make_stream`, pixels |
    | ``-stream-state-v0`` | the changing stream, state observations |
    """
    if game in ENV_IDS:
        return
    name = "ContinualPLE/" + "".join(word.capitalize() for word in game.split("_"))
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
    ENV_IDS[game] = f"{name}-v0"
