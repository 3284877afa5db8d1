"""TensorBoard's event files, written at once by the thread that trains.

`SummaryWriter` writes from a thread of its own: what a kill loses is unknown, an error reaches nobody but that thread,
and the file is named by a clock that may go backwards, while TensorBoard reads files in the order of their names.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

from dqn_mer.storage.files import GrowingFile

NAME = re.compile(r"events\.out\.tfevents\.(\d{10,12})\.[\w.-]{1,200}", re.ASCII)

SUMMARIES: Any = summary
"""PyTorch's makers of summary protocol buffers, which lack types."""


class EventFile:
    """An event file of this process in a run folder, after all those of earlier ones.

    Args:
        run_dir: the folder.
        purge_step: of a run that goes on: a TensorBoard that is watching forgets what it read from this step on.
    """

    def __init__(self, run_dir: Path, purge_step: int | None = None) -> None:
        latest = max((int(match[1]) for path in run_dir.iterdir() if (match := NAME.fullmatch(path.name))), default=0)
        host = re.sub(r"[^\w.-]", "_", socket.gethostname(), flags=re.ASCII)[:100] or "host"
        self.file = GrowingFile(run_dir / f"events.out.tfevents.{max(int(time.time()), latest + 1):010d}.{host}")
        self._records = RecordWriter(self.file)
        self._write(Event(file_version="brain.Event:2"))
        if purge_step is not None:
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, summary: Any, step: int) -> None:
        """Write a summary protocol buffer under a step."""
        self._write(Event(summary=summary, step=step))

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def drop_events(run_dir: Path, keep: Collection[str] = ()) -> None:
    """Remove the event files that are not among those to keep."""
    for path in sorted(run_dir.iterdir()):
        if NAME.fullmatch(path.name) and path.name not in keep:
            path.unlink()
