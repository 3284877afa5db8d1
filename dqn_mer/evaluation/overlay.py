"""Draws what happens beside an environment's frame: who plays, under which setting, score and Q values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from continual_ple import ArcadeEnv
from continual_ple.frame_skip import FRAMES_PLAYED
from dqn_mer.evaluation.evaluator import episode_score

Picture = NDArray[np.uint8]
"""RGB, ``(height, width, 3)``."""
Values = Callable[[NDArray[Any]], NDArray[np.float32]]
"""Function from an observation to its Q values, ``(actions,)``."""

PANEL_WIDTH = 208
SCREEN_HEIGHT = 512  # px: small screens are enlarged by a whole factor to about this
MARGIN, BAR_HEIGHT = 14, 8
BACKGROUND, GREY, WHITE = "#14181d", "#9aa4af", "#ffffff"
CHOSEN, OTHER = "#E69F00", "#0072B2"  # Okabe and Ito's, distinct under all common kinds of colour blindness


class Bar(NamedTuple):
    """A value with its bar.

    Attributes:
        name: Name of the value.
        value: The value as it is written beside the bar.
        share: Length of the bar, from 0 to 1.
        chosen: Whether the bar is highlighted.
    """

    name: str
    value: float
    share: float
    chosen: bool


def draw_panel(height: int, facts: Sequence[tuple[str, str]], bars: Sequence[Bar] = ()) -> Picture:
    """Return a panel ``(height, PANEL_WIDTH, 3)`` with facts, each a label and its text, and bars below them."""
    image = Image.new("RGB", (PANEL_WIDTH, height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    y = MARGIN
    for label, text in facts:
        draw.text((MARGIN, y), label, GREY, font(12))
        size, text = fitted(text, (18, 12), PANEL_WIDTH - 2 * MARGIN)
        draw.multiline_text((MARGIN, y + 15), text, WHITE, font(size))
        y += 48 + 15 * text.count("\n")
    for name, value, share, chosen in bars:
        colour = CHOSEN if chosen else OTHER
        draw.text((MARGIN, y), name, WHITE if chosen else GREY, font(14))
        draw.text((PANEL_WIDTH - MARGIN, y), f"{value:.2f}", WHITE if chosen else GREY, font(14), anchor="ra")
        longest = PANEL_WIDTH - 2 * MARGIN
        draw.rectangle((MARGIN, y + 20, MARGIN + round(longest * share), y + 20 + BAR_HEIGHT), fill=colour)
        y += 40
    return np.asarray(image)


def fitted(text: str, sizes: tuple[int, int], width: int) -> tuple[int, str]:
    """Return the first size of letters in which text fits a width, all in pixels; else the second, in more lines."""
    for size in sizes:
        if all(font(size).getlength(line) <= width for line in text.split("\n")):
            return size, text
    lines = [""]
    for letter in text:
        if letter == "\n" or font(sizes[1]).getlength(lines[-1] + letter) > width:
            lines.append("")
        lines[-1] += letter.strip("\n")
    return sizes[1], "\n".join(lines)


@cache
def font(size: int) -> Any:
    """Return Pillow's own font in a size in pixels."""
    return ImageFont.load_default(size)


class Overlay(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Renders an environment with a panel beside its frame.

    Args:
        env: Environment made with ``render_mode="rgb_array"``.
        player: Player that chooses the actions.
        setting: Name of the setting.
        values: Function from an observation to the values to show; None shows none.

    Attributes:
        facts: Further lines of the panel, from label to text.
        score: Score of the running episode: the game's own points, or the return where it counts none.
        total: Sum of the rewards of the running episode so far.
        frame: Frames of the running episode so far.
        running: Whether the episode continues.
        truncated: Whether the episode was cut at its frame limit and had not ended in that frame by itself.
        q: Q values of the newest observation, ``(actions,)``, or None.
        screen_width: Width in pixels of the part of `render` that the environment itself drew.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], player: str, setting: str, values: Values | None = None) -> None:
        super().__init__(env)
        assert isinstance(env.action_space, gymnasium.spaces.Discrete)
        count = int(env.action_space.n)
        self.action_names = [f"action {action}" for action in range(count)]
        if isinstance(env.unwrapped, ArcadeEnv):
            self.action_names = list(env.unwrapped.action_meanings)
        self.player, self.setting, self.values = player, setting, values
        self.facts: dict[str, str] = {}
        self.score, self.total, self.frame, self.screen_width = 0.0, 0.0, 0, 0
        self.running = self.truncated = False
        self.q: NDArray[np.float32] | None = None
        self._range = (np.inf, -np.inf)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.score, self.total, self.frame, self._range = 0.0, 0.0, 0, (np.inf, -np.inf)
        self.running, self.truncated = True, False
        self._judge(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Play a step: one frame, or as many as the environment skips."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.total += float(reward)
        self.score = episode_score(info, self.total)
        self.frame += info.get(FRAMES_PLAYED, 1)
        self.running, self.truncated = not (terminated or truncated), bool(truncated and not terminated)
        self._judge(observation)
        return observation, reward, terminated, truncated, info

    def step_greedily(self) -> int:
        """Play a step with the action of the largest Q value, and return how many frames it took."""
        assert self.q is not None  # made with values
        before = self.frame
        self.step(int(self.q.argmax()))
        return self.frame - before

    def _judge(self, observation: NDArray[Any]) -> None:
        if self.values is not None:
            self.q = self.values(observation)
            self._range = (min(self._range[0], float(self.q.min())), max(self._range[1], float(self.q.max())))

    def render(self) -> Any:
        """Return the frame with the panel, a `Picture` of even sides, as video formats want them."""
        screen: Any = self.env.render()
        factor = max(1, SCREEN_HEIGHT // screen.shape[0])
        screen = screen.repeat(factor, axis=0).repeat(factor, axis=1)
        screen = screen[: screen.shape[0] // 2 * 2, : screen.shape[1] // 2 * 2]
        self.screen_width = screen.shape[1]
        end = "" if self.running else ", time is up" if self.truncated else ", game over"
        facts = {"player": self.player, "setting": self.setting, "score": f"{self.score:g}"}
        facts["frame"] = f"{self.frame:,}{end}"
        bars: list[Bar] = []
        if self.q is not None:
            low, high = self._range
            for action, (name, value) in enumerate(zip(self.action_names, self.q.tolist(), strict=True)):
                share = (value - low) / (high - low) if high > low else 1.0
                bars.append(Bar(f"Q({name})", value, share, action == int(self.q.argmax())))
        panel = draw_panel(screen.shape[0], [*(facts | self.facts).items()], bars)
        return np.concatenate([screen, panel], axis=1)
