"""A window that shows a game to a person, at its real speed."""

import pygame

from continual_ple.games.base import FRAMES_PER_SECOND, Image

SMALLEST_HEIGHT = 512  # px: small screens are enlarged by a whole factor to about this


class Window:
    """A window on the screen; only the display is started, no sound. SDL has one window, so the last to show wins."""

    def __init__(self, title: str) -> None:
        pygame.display.init()
        pygame.display.set_caption(title)
        self._clock = pygame.time.Clock()

    def show(self, image: Image) -> None:
        """Show an RGB image (height, width, 3) uint8, then wait until the frame's time is over."""
        height, width = image.shape[:2]
        factor = max(1, SMALLEST_HEIGHT // height)
        size = (width * factor, height * factor)
        window = pygame.display.get_surface()
        if window is None or window.get_size() != size:
            window = pygame.display.set_mode(size)
        picture = pygame.image.frombuffer(image.tobytes(), (width, height), "RGB")
        pygame.transform.scale(picture.convert(window), size, window)
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(FRAMES_PER_SECOND)

    def events(self) -> list[pygame.event.Event]:
        """Return what happened in the window since the last call."""
        return pygame.event.get()

    @staticmethod
    def closes(event: pygame.event.Event) -> bool:
        """Return whether an event asks to close the window: its cross, or ESC."""
        return event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE)

    def close(self) -> None:
        """Close the window."""
        pygame.display.quit()
