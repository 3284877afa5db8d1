"""Play a game with the keyboard under the agent's rules, beside a saved agent on the same seed if asked."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from rich.console import Console
from rich.table import Table

from continual_ple import GAMES
from continual_ple.games.catalogue import game_class
from continual_ple.settings import Setting
from dqn_mer.commands.errors import run_command
from dqn_mer.commands.play_keyboard import Keyboard
from dqn_mer.config.defaults import default_config
from dqn_mer.config.fields import Flag, Known, check_fields
from dqn_mer.config.task import check_game_parameters, game_task
from dqn_mer.evaluation.agent_options import PlayerFields
from dqn_mer.evaluation.pretrained import as_typed, check_agent, pretrained_names
from dqn_mer.ranges import COUNT, Range
from dqn_mer.storage.escapes import cell, printable
from dqn_mer.storage.lasting_output import lasting_console

if TYPE_CHECKING:
    from continual_ple.window import Window
    from dqn_mer.evaluation.overlay import Overlay

MAX_EPISODES = 1_000
DEAF_FRAMES = 15  # after a game's end, for keys still being hit


@dataclass(frozen=True)
class PlayOptions:
    """Play a game yourself: SPACE flaps, the arrow keys move the paddle, ESC leaves."""

    game: Annotated[str, Known(GAMES), Flag(positional=True)]
    """Game to play."""
    setting: str = ""
    """Value of the parameter that training varies, or name of a setting (empty: the easiest)."""
    against: Path | None = None
    """A run, checkpoint or pretrained agent, as `evaluate` takes it, that plays beside you, on the same seeds."""
    seed: Annotated[int, Range(0, 2**63 - 1, whole=True)] = 1
    """Seed of the episodes; the same ones as `evaluate` and `watch` play."""
    frame_limit: Annotated[int, COUNT] = 2_000
    """Frames after which an episode is cut, as in evaluations; 30 are a second."""
    game_parameters: Mapping[str, float] = field(default_factory=dict)
    """Further game parameters, as NAME=VALUE,..."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError naming the field."""
        check_fields(self)
        if game_class(self.game).controls is None:
            raise ValueError(f"game={self.game!r}: has no keys to be played with")


class Closed(Exception):
    """The person closed the window."""


@dataclass
class Match:
    """A person's game in a window, with an agent's beside it.

    Attributes:
        window: Window in which both games are shown.
        mine: The person's game.
        theirs: The agent's game, or None if the person plays alone.
        keyboard: Keys that the person presses.
    """

    window: Window
    mine: Overlay
    theirs: Overlay | None
    keyboard: Keyboard

    def play(self, seed: int) -> tuple[float, float | None]:
        """Play an episode on a seed and return both scores; the agent plays on to the end of its game.

        Raises:
            Closed: if the window was closed before the person's game was over.
        """
        for env in self._games():
            env.reset(seed=seed)
        self.mine.facts["now"] = "press a key to start"
        self._wait_for_key()
        del self.mine.facts["now"]
        while self.mine.running:
            self._show()
            self.mine.step(self.keyboard.action())
            # An agent that skips frames plays several at once, and then waits.
            if self.theirs is not None and self.theirs.running and self.theirs.frame < self.mine.frame:
                self.theirs.step_greedily()
        while self.theirs is not None and self.theirs.running:
            self.theirs.step_greedily()
        return self.mine.score, None if self.theirs is None else self.theirs.score

    def show_end(self) -> None:
        """Show the final score until a key is pressed; raises `Closed`."""
        self.mine.facts["now"] = "press a key to continue"
        for _ in range(DEAF_FRAMES):
            self._show()
        self._wait_for_key()

    def _games(self) -> list[Overlay]:
        return [self.mine] if self.theirs is None else [self.mine, self.theirs]

    def _wait_for_key(self) -> None:
        while not self._show():
            pass
        self.keyboard.action()

    def _show(self) -> bool:
        """Show a frame, take in the keys and return whether one was pressed; raises `Closed`."""
        self.window.show(np.concatenate([env.render() for env in self._games()], axis=1))
        pressed = False
        for event in self.window.events():
            if self.window.closes(event):
                raise Closed
            pressed |= self.keyboard.take(event)
        return pressed


def play(options: PlayOptions, console: Console | None = None) -> list[tuple[float, float | None]]:
    """Let a person play as ``options`` say, until the window is closed, and print the scores.

    Returns:
        For each finished episode the person's score and the agent's.

    Raises:
        ValueError: if the checkpoint or an option is bad, or no window can be opened.
    """
    from dqn_mer.evaluation.evaluator import episode_seeds  # import PyTorch, which takes seconds
    from dqn_mer.evaluation.on_screen import open_window
    from dqn_mer.networks.device import processor

    mine, theirs = _set_up(options)
    controls = game_class(options.game).controls
    assert controls is not None  # PlayOptions refuses a game without
    mine.facts["keys"], keyboard = controls.help, Keyboard(mine.action_names, controls)
    scores = []
    title, instead = printable(f"{options.game}: {mine.setting}"), _without_screen(options)
    with processor(1), open_window(title, instead) as window, contextlib.suppress(Closed):
        match = Match(window, mine, theirs, keyboard)
        for seed in episode_seeds(options.seed, MAX_EPISODES):
            scores.append(match.play(seed))
            match.show_end()
    if scores:
        (console or lasting_console()).print(_table(mine.setting, scores))
    return scores


def _without_screen(options: PlayOptions) -> str:
    """Return what the report of a missing screen suggests: clips of the agent, or of one that the package brings."""
    names = [Path("pretrained") / name for name in pretrained_names() if name.startswith(f"{options.game}-")]
    agent = options.against or next(reversed(names), Path("runs/NAME"))
    return f"; to see an agent play: python -m dqn_mer watch {shlex.quote(as_typed(agent))} --out FOLDER"


def _set_up(options: PlayOptions) -> tuple[Overlay, Overlay | None]:
    """Return the person's game and the agent's, both under the rules of the agent's run if there is one."""
    from dqn_mer.evaluation.checkpoint_folders import OwnTaskError
    from dqn_mer.evaluation.choose_settings import find_setting
    from dqn_mer.evaluation.on_screen import overlay
    from dqn_mer.evaluation.overlay import Overlay
    from dqn_mer.evaluation.saved_agent import load_agent

    agent, played = None, "an environment of your own"
    if options.against is not None:
        with contextlib.suppress(OwnTaskError):
            agent = load_agent(PlayerFields(options.against))
            played = agent.config.game
        if played != options.game:
            raise ValueError(f"against={as_typed(options.against)!r}: plays {played}; must play {options.game}")
    config = default_config(game=options.game, observation="state") if agent is None else agent.config
    task = game_task(config) if agent is None else agent.task
    check_game_parameters(options.game_parameters, task.schedule, task.check)
    easiest = task.schedule.settings[0]
    chosen = find_setting(options.setting, task, easiest, field="setting") if options.setting else easiest
    setting = Setting(chosen.name, {**chosen.parameters, **options.game_parameters})
    task.check(setting.parameters)
    env = task.make_env(setting, frame_limit=options.frame_limit, render_mode="rgb_array")
    theirs = None if agent is None else overlay(agent, setting, options.frame_limit)
    return Overlay(env, "you", setting.name), theirs


def _table(setting: str, scores: list[tuple[float, float | None]]) -> Table:
    table = Table(title=cell(f"score under {setting}"))
    for name in ("episode", "you", "agent"):
        table.add_column(name, justify="right", overflow="fold")
    for episode, (mine, theirs) in enumerate(scores):
        table.add_row(str(episode), f"{mine:g}", "" if theirs is None else f"{theirs:g}")
    return table


def main(arguments: Sequence[str]) -> int:
    """Let a person play as the flags say, and return the exit code."""

    def check(options: PlayOptions) -> None:
        if options.against is not None:
            check_agent(options.against)

    return run_command("play", PlayOptions, play, arguments, lambda options: f"playing {options.game}", check=check)
