"""Which folder holds a checkpoint; nothing slow is imported, so that a wrong path is reported at once."""

from __future__ import annotations

from pathlib import Path

from dqn_mer.config.supervised_runs import is_no_agent, is_supervised
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.run_reader import CONFIG, RunReader

DESCRIPTION = "checkpoint.json"
CHECKPOINTS = "checkpoints"


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or not ours; the message is one line that names the file."""


class OwnTaskError(CheckpointError):
    """An agent was trained on no game of ours, and its task was not given."""


class OwnNetworkError(OwnTaskError):
    """An agent has a network of the user's own, and the function that builds it was not given.

    Attributes:
        config: Configuration of its run, as its folder has it: not checked.
    """

    def __init__(self, text: str, config: object) -> None:
        super().__init__(text)
        self.config = config


def find_checkpoint(path: Path) -> RunReader:
    """Return the checkpoint ``path``, or the latest one of the run folder ``path``.

    Raises:
        CheckpointError: if there is none, or what stands in its place is damaged.
    """
    try:
        return _find(path)
    except DamagedError as error:
        raise CheckpointError(str(error)) from None


def _find(path: Path) -> RunReader:
    reader = RunReader(path)
    if reader.has(DESCRIPTION):
        return reader
    for latest in reversed(reader.frames(CHECKPOINTS)):
        if latest.has(DESCRIPTION):
            return latest
    if reader.has(CONFIG) and is_supervised(reader.json(CONFIG)):
        raise CheckpointError(is_no_agent(path))
    raise CheckpointError(f"{path}: must be a checkpoint or a run folder with {CHECKPOINTS}/frame-*/{DESCRIPTION}")
