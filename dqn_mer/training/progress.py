"""Progress of a run: a live bar on a terminal, plain lines anywhere else."""

import math
import time
from collections import deque
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from dqn_mer.storage.escapes import say

FRAMES_PER_CLOCK_CHECK = 16  # at 150 frames/s still 9 checks a second, at 10,000 frames/s under 0.1 % of the time
REFRESH_S = 0.1
RATE_SAMPLE_S = 1.0
RATE_WINDOW_S = 60.0  # the speed shown is that of the last minute, evaluations included


class ProgressDisplay:
    """Shows how far the run is, how fast, and how well it plays.

    `update` may be called on every frame: it returns at once except when there is something to redraw.
    """

    def __init__(
        self,
        total_frames: int,
        start_frame: int = 0,
        console: Console | None = None,
        plain_every_frames: int = 5_000,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Prepare the display; nothing is shown before `start`.

        Args:
            total_frames: Frame at which the run ends.
            start_frame: Frame at which this process begins: 0, or that of the checkpoint of a resumed run.
            console: Console to draw on; standard output when None.
            plain_every_frames: Frames between two lines where the console is no terminal.
            clock: Time in seconds; replaced in tests.

        Raises:
            ValueError: if a frame count is out of range.
        """
        if not 0 <= start_frame <= total_frames:
            raise ValueError(f"start_frame must be between 0 and total_frames = {total_frames}, got {start_frame}")
        if plain_every_frames < 1:
            raise ValueError(f"plain_every_frames must be at least 1, got {plain_every_frames}")
        self.console = console if console is not None else Console()
        self.total_frames = total_frames
        self.plain_every_frames = plain_every_frames
        self._clock = clock
        self._latest: tuple[int, str, float | None, float] = (start_frame, "", None, math.nan)
        self._shown_frame = start_frame
        self._next_check_frame = start_frame
        self._next_refresh_s = -math.inf
        self._samples: deque[tuple[float, int]] = deque()
        self._progress: Progress | None = None
        self._task = TaskID(0)

    @property
    def live(self) -> bool:
        """Whether the console is a terminal that can redraw a bar."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def start(self) -> None:
        """Start the clock, and on a terminal draw the bar; to be called before `update`."""
        frame = self._latest[0]
        self._samples.append((self._clock(), frame))
        if not self.live:
            self._next_check_frame = (frame // self.plain_every_frames + 1) * self.plain_every_frames
            return
        self._progress = Progress(
            TextColumn("{task.fields[frames]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[status]}", markup=False),
            console=self.console,
            auto_refresh=False,  # a refreshing thread would compete with the learner for the interpreter lock
            expand=True,
        )
        first = f"{frame:,}/{self.total_frames:,}"
        self._task = self._progress.add_task("", total=self.total_frames, completed=frame, frames=first, status="")
        self._progress.start()

    def update(self, frame: int, setting: str, score: float | None, epsilon: float) -> None:
        """Report the state of the run to the display; cheap enough for every frame.

        Args:
            frame: Frames done.
            setting: Name of the setting in force.
            score: Recent score of an episode in points; None (or NaN) while no episode has ended.
            epsilon: Probability of a random action.
        """
        self._latest = (frame, setting, score, epsilon)
        if frame < self._next_check_frame:
            return
        if self._progress is None:
            self._print_line()
            self._next_check_frame = (frame // self.plain_every_frames + 1) * self.plain_every_frames
            return
        self._next_check_frame = frame + FRAMES_PER_CLOCK_CHECK
        now_s = self._clock()
        if now_s >= self._next_refresh_s:
            self._next_refresh_s = now_s + REFRESH_S
            self._redraw()

    def message(self, text: str) -> None:
        """Print a separate line, above the bar where there is one; `text` is taken literally."""
        say(self.console, text)

    def close(self) -> None:
        """Show the last state and leave the terminal as it was; a second call does nothing."""
        if self._progress is not None:
            self._redraw()
            self._progress.stop()
            self._progress = None
        elif self._samples and self._latest[0] > self._shown_frame:
            self._print_line()
        self._samples.clear()

    def __enter__(self) -> "ProgressDisplay":
        """Start the display."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Close the display, after an error too."""
        self.close()

    def _redraw(self) -> None:
        """Draw the bar for the latest state."""
        if self._progress is None:
            return
        frame, setting, score, epsilon = self._latest
        speed, left = self._speed()
        symbol = "ε" if self.console.encoding.lower().startswith("utf") else "epsilon"
        self._progress.update(
            self._task,
            completed=frame,
            frames=f"{frame:,}/{self.total_frames:,}",
            status=f"{speed}/s {left} left {setting} score {_score(score)} {symbol} {epsilon:.2f}",
        )
        self._progress.refresh()

    def _print_line(self) -> None:
        """Print the latest state as one line; rich flushes it."""
        frame, setting, score, epsilon = self._latest
        speed, left = self._speed()
        self._shown_frame = frame
        share = frame / self.total_frames if self.total_frames else 1.0
        self.message(
            f"frame {frame:,}/{self.total_frames:,} ({share:.0%}), {speed} frames/s, {left} left, "
            f"setting {setting}, score {_score(score)}, epsilon {epsilon:.3f}"
        )

    def _speed(self) -> tuple[str, str]:
        """Return the speed of the last minute and the time left at that speed, both as text."""
        now_s, frame = self._clock(), self._latest[0]
        while len(self._samples) > 1 and now_s - self._samples[1][0] >= RATE_WINDOW_S:
            self._samples.popleft()
        past_s, past_frame = self._samples[0]
        if now_s - self._samples[-1][0] >= RATE_SAMPLE_S:
            self._samples.append((now_s, frame))
        if now_s <= past_s or frame <= past_frame:
            return "-", "-"
        frames_per_s = (frame - past_frame) / (now_s - past_s)
        return f"{frames_per_s:,.0f}", _duration((self.total_frames - frame) / frames_per_s)


def _score(score: float | None) -> str:
    """Write a score, or a dash where there is none yet.

    >>> _score(3.25), _score(None)
    ('3.2', '-')
    """
    return "-" if score is None or math.isnan(score) else f"{score:.1f}"


def _duration(seconds: float) -> str:
    """Write a time as h:mm:ss.

    >>> _duration(3725.4)
    '1:02:05'
    """
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
