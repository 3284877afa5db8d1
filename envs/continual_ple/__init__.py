"""Gymnasium environments around the games Catcher and Flappy Bird, and how their difficulty changes in time.

Importing the package registers its environments. ``gymnasium.make`` imports it too where the id names it:
``gymnasium.make("continual_ple:ContinualPLE/Catcher-v0")``.

>>> import gymnasium
>>> env = gymnasium.make("ContinualPLE/Catcher-v0", observation="pixels", fall_speed=0.0908)
>>> env.observation_space.shape
(4, 84, 84)
"""

import os

from continual_ple.arcade import ArcadeEnv
from continual_ple.env_ids import ENV_IDS, register_ids
from continual_ple.frame_skip import FrameSkip
from continual_ple.game_schedules import default_schedule, schedule_from_values
from continual_ple.games.base import Controls, Draws, Game
from continual_ple.games.catalogue import GAMES, register_game
from continual_ple.games.parameters import Parameter
from continual_ple.nonstationary import NonStationary
from continual_ple.observations import OBSERVATIONS, FrameStack, Observation, register_observation
from continual_ple.schedule_files import load_schedule
from continual_ple.settings import Schedule, Setting
from continual_ple.tasks import Task, own_task

__all__ = [
    "ENV_IDS",
    "GAMES",
    "OBSERVATIONS",
    "ArcadeEnv",
    "Controls",
    "Draws",
    "FrameSkip",
    "FrameStack",
    "Game",
    "NonStationary",
    "Observation",
    "Parameter",
    "Schedule",
    "Setting",
    "Task",
    "default_schedule",
    "load_schedule",
    "own_task",
    "register_game",
    "register_observation",
    "schedule_from_values",
]

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # pygame, imported only where needed, greets on stdout
for _name in GAMES.well_named():  # installed games have their ids before they are loaded
    register_ids(_name)
