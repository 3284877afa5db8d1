"""TensorBoard's event files, written at once by the thread that trains.

The library's `EventFileWriter` writes from a separate thread: what a kill loses is unknown, an error reaches nobody
but that thread, and the file is named by a clock that may go backwards, while TensorBoard reads files in the order of
their names. Only those two things are replaced here. All else is the library's class as it is when the file is opened:
trackers such as Weights & Biases (``sync_tensorboard=True``) put a subclass in its place, or wrap its methods.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer import event_file_writer
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

from dqn_mer.storage.growing_file import GrowingFile

NAME = re.compile(r"events\.out\.tfevents\.(\d{10,12})\.[\w.-]{1,200}", re.ASCII)

SUMMARIES: Any = summary
"""PyTorch's makers of summary protocol buffers, which lack types."""


class EventFile:
    """An event file of this process in a run folder, after all those of earlier ones.

    Args:
        run_dir: The run folder.
        purge_step: Step from which on a watching TensorBoard forgets what it has read, for a resumed run.
    """

    def __init__(self, run_dir: Path, purge_step: int | None = None) -> None:
        latest = max((int(match[1]) for path in run_dir.iterdir() if (match := NAME.fullmatch(path.name))), default=0)
        host = re.sub(r"[^\w.-]", "_", socket.gethostname(), flags=re.ASCII)[:100] or "host"
        self.file = GrowingFile(run_dir / f"events.out.tfevents.{max(int(time.time()), latest + 1):010d}.{host}")
        self._writer = _library_writer(run_dir, self.file)
        self._write(Event(file_version="brain.Event:2"))
        if purge_step is not None:
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, summary: Any, step: int) -> None:
        """Write a summary protocol buffer under a step."""
        self._write(Event(summary=summary, step=step))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._writer.close()

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._writer.add_event(event)


class _AtOnce:
    """Stands where the library has a queue and a thread, and writes each record before it returns."""

    def __init__(self, file: GrowingFile) -> None:
        self._records = RecordWriter(file)
        self.flush, self.close = (lambda: None), file.close

    def write(self, record: bytes) -> None:
        self._records.write(record)


def _library_writer(run_dir: Path, file: GrowingFile) -> Any:
    """Return an `EventFileWriter` into ``file``, of the class that the library has in its place today."""
    today: Any = event_file_writer.EventFileWriter
    original: Any = today.__mro__[-2]

    class Synchronous(original):  # type: ignore[misc] # the base class is looked up at run time: Any
        def __init__(self, logdir: str) -> None:
            self._logdir, self._async_writer = logdir, _AtOnce(file)

    # As the last but one of its bases, it comes behind whatever a tracker has put in front of the library's class.
    kind = Synchronous if today is original else type("Tracked", (today, Synchronous), {})
    return kind(str(run_dir))


def drop_events(run_dir: Path, keep: Collection[str] = ()) -> None:
    """Remove the event files that are not among those to keep."""
    for path in sorted(run_dir.iterdir()):
        if NAME.fullmatch(path.name) and path.name not in keep:
            path.unlink()
