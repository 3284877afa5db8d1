"""The process that evaluates beside training: it reads weights and writes rows until its parent is gone."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

import cloudpickle
import numpy as np
import torch
from torch import Tensor

from continual_ple.learnable import UnlearnableError
from dqn_mer.analysis.metrics import EvaluationRow
from dqn_mer.evaluation.inline import InlineEvaluation
from dqn_mer.networks.device import processor


class Cause(NamedTuple):
    """Why this process cannot evaluate.

    Attributes:
        text: The cause, in one line.
    """

    text: str


def kind_and_message(error: Exception) -> str:
    """Return an error's kind and message in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def weights_of(data: bytes) -> Tensor:
    """Return the vector of weights (float32) that bytes hold."""
    return torch.from_numpy(np.frombuffer(data, np.float32).copy())


def serve(connection: Connection, pickled: bytes) -> None:
    """Evaluate what comes through a connection until it ends.

    The first reply is None once everything is ready, or the `Cause` why it cannot be. Each later one is a list of rows
    for the weights received, the error of a user's environment that hands out what cannot be learned from, or the
    traceback of any other error as text.

    Args:
        connection: Connection to the process that trains.
        pickled: Pickled `EvaluationPlan`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked from the start
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with processor(1):
        try:
            inline = InlineEvaluation(cloudpickle.loads(pickled), torch.device("cpu"))
        except Exception as error:  # whatever the making of a user's environment raises
            connection.send(Cause(kind_and_message(error)))
            return
        connection.send(None)
        _answer(connection, inline)


def _answer(connection: Connection, inline: InlineEvaluation) -> None:
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        try:
            inline.submit(0, weights_of(data))
            answer: Sequence[EvaluationRow] | UnlearnableError | str = inline.finished()[0][1]
        except UnlearnableError as error:
            answer = error
        except Exception:
            answer = traceback.format_exc()
        connection.send(answer)


def _end_with_parent() -> None:
    """Leave at once when the parent is gone, even amid an evaluation."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
