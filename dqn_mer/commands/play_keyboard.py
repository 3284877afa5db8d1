"""A person's keys, as the actions of a game."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from continual_ple import Controls

if TYPE_CHECKING:
    import pygame


class Keyboard:
    """Turns keys into actions: once for each press of a tapped one, the others for as long as their key is held.

    Args:
        actions: Names of the game's actions.
        controls: Controls of the game.

    Raises:
        ValueError: if pygame does not know a key.
    """

    def __init__(self, actions: Sequence[str], controls: Controls) -> None:
        import pygame  # here, because nothing but a window needs it

        self.names, self.tapped = list(actions), controls.tapped
        self.meaning: dict[int, str] = {}
        for action, keys in controls.keys.items():
            for key in keys:
                if not hasattr(pygame, f"K_{key}"):
                    raise ValueError(f"controls: {action}: pygame has no key K_{key}")
                self.meaning[getattr(pygame, f"K_{key}")] = action
        self.idle = next(index for index, name in enumerate(actions) if name not in controls.keys)
        self._down, self._up = pygame.KEYDOWN, pygame.KEYUP
        self._held: list[str] = []
        self._pressed: list[str] = []

    def take(self, event: pygame.event.Event) -> bool:
        """Take in an event of the window; return whether a key that means an action was pressed."""
        if event.type not in (self._down, self._up) or event.key not in self.meaning:
            return False
        name = self.meaning[event.key]
        self._held = [other for other in self._held if other != name]
        if event.type == self._down:
            self._pressed.append(name)
            self._held += [name] * (name not in self.tapped)
        return event.type == self._down

    def action(self) -> int:
        """Return the action for the next frame: of the key pressed last since the last frame, or still held."""
        chosen = [*self._held, *self._pressed]
        self._pressed = []
        return self.names.index(chosen[-1]) if chosen else self.idle
