import io
from collections.abc import Callable

import pytest
from rich.console import Console

from dqn_mer.training.progress import FRAMES_PER_CLOCK_CHECK, REFRESH_S, ProgressDisplay


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.calls = 0

    def __call__(self) -> float:
        self.calls += 1
        return self.now_s


def make_console(terminal: bool, width: int = 120, kind: str = "xterm") -> tuple[Console, Callable[[], str]]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=width, _environ={"TERM": kind})
    return console, text.getvalue


def test_plain_lines_every_n_frames() -> None:
    console, text = make_console(terminal=False, width=20)  # narrow, and yet one line each
    clock = Clock()
    with ProgressDisplay(10_000, console=console, plain_every_frames=4_000, clock=clock) as display:
        for frame in range(1, 9_001):
            clock.now_s += 0.01
            display.update(frame, "0-pipe_gap=100", None if frame < 5_000 else 2.5, 0.5)
        display.message("saved [here]")
    assert text().splitlines() == [
        "frame 4,000/10,000 (40%), 100 frames/s, 0:01:00 left, setting 0-pipe_gap=100, score -, epsilon 0.500",
        "frame 8,000/10,000 (80%), 100 frames/s, 0:00:20 left, setting 0-pipe_gap=100, score 2.5, epsilon 0.500",
        "saved [here]",
        "frame 9,000/10,000 (90%), 100 frames/s, 0:00:10 left, setting 0-pipe_gap=100, score 2.5, epsilon 0.500",
    ]


def test_plain_last_line_is_not_doubled_and_close_twice_is_fine() -> None:
    console, text = make_console(terminal=False)
    display = ProgressDisplay(100, console=console, plain_every_frames=100, clock=Clock())
    display.start()
    display.update(100, "a", 1.0, 0.1)
    display.close()
    display.close()
    assert len(text().splitlines()) == 1


def test_plain_without_any_frame_prints_nothing() -> None:
    console, text = make_console(terminal=False)
    with ProgressDisplay(0, console=console):
        pass
    assert text() == ""


@pytest.mark.parametrize("width", [80, 120])
def test_bar_on_a_terminal(width: int) -> None:
    console, text = make_console(terminal=True, width=width)
    clock = Clock()
    with ProgressDisplay(150_000, console=console, clock=clock) as display:
        for frame in range(1, 12_346):
            clock.now_s += 0.001
            display.update(frame, "1-fall_speed=0.0908", 3.0, 0.01)
        display.message("evaluated [all]")
    last = text().split("\n")[-2]
    for part in ("12,345/150,000", "1,000/s", "0:02:18 left", "1-fall_speed=0.0908", "score 3.0", "ε 0.01", "━"):
        assert part in last
    assert "evaluated [all]" in text()


def test_dumb_terminal_gets_plain_lines() -> None:
    console, text = make_console(terminal=True, kind="dumb")
    with ProgressDisplay(10, console=console, plain_every_frames=5) as display:
        display.update(5, "a", None, 1.0)
    assert text().startswith("frame 5/10 (50%)") and not display.live


def test_bar_is_closed_after_an_error() -> None:
    console, text = make_console(terminal=True)
    with pytest.raises(RuntimeError), ProgressDisplay(10, console=console) as display:
        raise RuntimeError
    assert text().endswith("\x1b[?25h")  # the cursor is back
    display.close()


def test_speed_is_that_of_this_process_and_of_the_last_minute() -> None:
    console, text = make_console(terminal=False)
    clock = Clock()
    with ProgressDisplay(300_000, 100_000, console, plain_every_frames=1_000, clock=clock) as display:
        for frame in range(100_001, 200_001):
            clock.now_s += 0.001 if frame <= 101_000 else 0.01
            display.update(frame, "a", 1.0, 0.1)
    lines = text().splitlines()
    assert lines[0].startswith("frame 101,000/300,000 (34%), 1,000 frames/s, 0:03:19 left")
    assert lines[-1].startswith("frame 200,000/300,000 (67%), 100 frames/s, 0:16:40 left")


@pytest.mark.parametrize("terminal", [True, False])
def test_update_rarely_reads_the_clock_and_draws(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    console, _ = make_console(terminal)
    clock = Clock()
    drawn: list[float] = []
    for name in ("_redraw", "_print_line"):
        monkeypatch.setattr(ProgressDisplay, name, lambda display: drawn.append(clock.now_s))
    with ProgressDisplay(20_000, console=console, plain_every_frames=5_000, clock=clock) as display:
        before = clock.calls
        for frame in range(1, 20_001):
            clock.now_s += 0.001
            display.update(frame, "a", 1.0, 0.1)
        assert clock.calls - before <= (20_000 / FRAMES_PER_CLOCK_CHECK if terminal else 0)
        assert 100 < len(drawn) <= 20 / REFRESH_S if terminal else len(drawn) == 4


@pytest.mark.parametrize(("total", "start", "every"), [(10, 11, 1), (10, -1, 1), (10, 0, 0)])
def test_bad_frame_counts(total: int, start: int, every: int) -> None:
    with pytest.raises(ValueError, match="got"):
        ProgressDisplay(total, start, plain_every_frames=every)
