"""A saved agent's play drawn with its Q values, and the window that shows it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from continual_ple.observations import sees_images
from continual_ple.settings import Setting
from dqn_mer.evaluation.evaluator import GreedyPolicy
from dqn_mer.evaluation.overlay import Overlay
from dqn_mer.evaluation.saved_agent import SavedAgent
from dqn_mer.networks.device import choose_device

if TYPE_CHECKING:
    from continual_ple.window import Window

STANDARD_ERROR = 2
UNSEEN_DRIVERS = ("dummy", "offscreen")
"""Video drivers of SDL that show nothing."""
VIDEO_VARIABLES = ("SDL_VIDEODRIVER", "SDL_VIDEO_DRIVER")
"""Variables by which a user chooses a video driver of SDL 2 or 3."""


def overlay(agent: SavedAgent, setting: Setting, frame_limit: int, device: str = "auto") -> Overlay:
    """Return the agent's environment under a setting, drawn with its Q values."""
    where = choose_device(device, sees_images(agent.config.observation))
    policy = GreedyPolicy(agent.checkpoint.model.to(where), where)

    def values(observation: NDArray[np.generic]) -> NDArray[np.float32]:
        q: NDArray[np.float32] = policy.values(observation[np.newaxis])[0].cpu().numpy()
        return q

    env = agent.task.agents_env(setting, frame_limit=frame_limit, render_mode="rgb_array")
    return Overlay(env, f"{agent.config.agent}\n{agent.frame:,} frames of training", setting.name, values)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence what C libraries print on standard error, as SDL does where there is no screen."""
    try:
        kept = os.dup(STANDARD_ERROR)
    except OSError:  # closed: nothing is printed
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), STANDARD_ERROR)
        yield
    finally:
        os.dup2(kept, STANDARD_ERROR)
        os.close(kept)


@contextmanager
def open_window(title: str, instead: str = "") -> Iterator[Window]:
    """Open a window and close it at the end.

    Args:
        title: Title of the window.
        instead: What the error adds where there is no screen.

    Raises:
        ValueError: if there is no screen.
    """
    import pygame  # here, because nothing but a window needs it

    from continual_ple.window import Window

    chosen = "".join(f" ({name}={os.environ[name]})" for name in VIDEO_VARIABLES if os.environ.get(name))
    try:
        with quiet_libraries():
            window = Window(title)
    except pygame.error as error:
        raise ValueError(f"no window can be opened here: {error}{chosen}{instead}") from None
    if pygame.display.get_driver() in UNSEEN_DRIVERS:  # which SDL takes by itself where there is no screen
        window.close()
        raise ValueError(f"no window can be opened here: there is no screen{chosen}{instead}")
    try:
        yield window
    finally:
        window.close()
