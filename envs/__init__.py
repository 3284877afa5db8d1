"""Gymnasium environments around the games Catcher and Flappy Bird, and how their difficulty changes in time.

>>> import gymnasium
>>> env = gymnasium.make("ContinualPLE/Catcher-v0", observation="pixels", fall_speed=0.0908)
>>> env.observation_space.shape
(4, 84, 84)
"""

import os

import gymnasium

from envs.arcade import ArcadeEnv
from envs.catalogue import ENV_IDS, GAMES
from envs.nonstationary import NonStationary
from envs.schedule_files import load_schedule
from envs.settings import Schedule, Setting, default_schedule, schedule_from_values

__all__ = [
    "ENV_IDS",
    "GAMES",
    "ArcadeEnv",
    "NonStationary",
    "Schedule",
    "Setting",
    "default_schedule",
    "load_schedule",
    "schedule_from_values",
]

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # pygame, imported only where needed, greets on stdout

MAX_EPISODE_FRAMES = 10_000  # good play never ends by itself

for _game, _id in ENV_IDS.items():
    gymnasium.register(
        _id, entry_point="envs.arcade:ArcadeEnv", max_episode_steps=MAX_EPISODE_FRAMES, kwargs={"game": _game}
    )
