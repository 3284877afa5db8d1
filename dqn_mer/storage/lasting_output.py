"""Standard output that outlives its reader: a run does not end with the terminal or the pipe that it writes to."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from rich.console import Console


class LastingStream:
    """A text stream that accepts text even when nobody can read it any more.

    A closed terminal fails with EIO, a pipe without a reader with EPIPE. From the first error on, all text is dropped,
    and the file descriptor leads to the null device, so that nothing pending fails when the process ends.

    Args:
        stream: The text stream to write to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    def write(self, text: str) -> int:
        """Write text, or drop it; return its length."""
        if not self._gone:
            with self._giving_up():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what is pending, or drop it."""
        if not self._gone:
            with self._giving_up():
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the stream."""
        return getattr(self._stream, name)

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except BlockingIOError:
            pass  # a full pipe that does not wait: this text is lost, and the next may fit
        except OSError:
            self._gone = True
            with suppress(OSError, ValueError):  # the stream may have no descriptor, or be closed
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())
                os.close(null)


def lasting_console() -> Console:
    """Return a console on today's standard output that outlives its reader."""
    return Console(file=None if sys.stdout is None else cast(TextIO, LastingStream(sys.stdout)))


@contextmanager
def lasting_output() -> Iterator[None]:
    """Let standard output and standard error outlive their readers within the context.

    They also print names that are no text, or that the terminal cannot show, with escapes instead of an error.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    lasting = tuple(stream and cast(TextIO, LastingStream(stream)) for stream in before)  # None where one is closed
    sys.stdout, sys.stderr = lasting
    try:
        yield
    finally:
        for stream in filter(None, lasting):
            stream.flush()
        sys.stdout, sys.stderr = before
