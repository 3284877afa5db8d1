"""One run in progress: a learner on a stream, tested and measured all along, and the state of all of it."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dqn_mer.analysis.metric_table import continual_summary
from dqn_mer.analysis.scores import read_evaluations, score_matrix, write_matrix
from dqn_mer.fast.choose import make_forward
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.runs.stopping import NotFiniteError
from dqn_mer.storage.state import SavedState, State, StateError
from dqn_mer.supervised.build import build_learner
from dqn_mer.supervised.evaluation import evaluate_all
from dqn_mer.supervised.logs import EVALUATIONS, RunLogs
from dqn_mer.supervised.meter import StreamMeter
from dqn_mer.supervised.model import build_mlp
from dqn_mer.supervised.options import RunSpec
from dqn_mer.supervised.streams import Stream


class SupervisedRun(AbstractContextManager["SupervisedRun"]):
    """Everything of a run that changes with its examples: `begin` or `resume` it, then call `advance` for each example.

    Args:
        spec: Specification of the run.
        stream: Stream to learn.

    Attributes:
        place: Number of examples learned.
        untrained: Accuracy on each task before the first example, in percent.
    """

    def __init__(self, spec: RunSpec, stream: Stream) -> None:
        self.spec, self.stream = spec, stream
        self.place = 0
        self.untrained: list[float] = []
        self._learned: list[float] = []  # accuracy on each task that is over, right after it
        self._open = ExitStack()  # the logs, from `begin` or `resume` on
        network, reservoir, draws, ordering, meter = np.random.SeedSequence([spec.seed, 1]).spawn(5)
        sizes = (stream.inputs, *spec.options.hidden_sizes, stream.classes)
        self.model = build_mlp(sizes, int(network.generate_state(1)[0]))
        self.weights = FlatWeights(self.model)
        generators = [np.random.default_rng(child) for child in (reservoir, draws, ordering)]
        self.learner = build_learner(spec, stream, self.weights, generators)
        self.meter = StreamMeter(stream, meter)
        self._forward = make_forward(self.weights)

    def __exit__(self, *error: object) -> None:
        """Close the logs."""
        self._open.close()

    def begin(self, run_dir: Path, config: dict[str, Any]) -> None:
        """Open the logs, and test the untrained model."""
        self._open_logs(run_dir)
        self.logs.text("| field | value |\n|---|---|\n" + "".join(f"| {k} | {v} |\n" for k, v in config.items()))
        self.untrained = self._evaluate()

    def resume(self, run_dir: Path, saved: SavedState) -> None:
        """Resume from what `get_state` returned; the logs are cut back to that point only if all of it fits.

        Raises:
            StateError: if the state does not fit.
            DamagedError: if a log is missing or shorter than it was.
        """
        tasks = len(self.stream.tasks)
        with saved:
            self.place = saved.whole("place", high=self.stream.total_examples)
            self.untrained, self._learned = saved.numbers("untrained"), saved.numbers("learned")
            lengths = (len(self.untrained), len(self._learned))
            if lengths != (tasks, self.place // self.stream.examples_per_task):
                raise StateError(f"{saved.path}: untrained and learned must hold one accuracy for each task")
            self.learner.set_state(saved.part("learner"))
            logs = saved.part("logs")
        self._open_logs(run_dir, logs)

    def _open_logs(self, run_dir: Path, saved: SavedState | None = None) -> None:
        self.logs = RunLogs(run_dir, self.spec.stream, [task.name for task in self.stream.tasks], saved)
        self._open.callback(self.logs.close)

    def get_state(self) -> State:
        """Return everything that `resume` needs; what was logged so far is then safe on the disk."""
        return {
            "place": self.place,
            "untrained": self.untrained,
            "learned": self._learned,
            "learner": self.learner.get_state(),
            "logs": self.logs.get_state(),
        }

    def advance(self, examples_per_s: float) -> None:
        """Learn one more example, and test and measure if that is due.

        Args:
            examples_per_s: Speed in examples per second, for the logs.

        Raises:
            NotFiniteError: if learning has diverged at a test.
        """
        example, task = self.stream.example(self.place)
        self.learner.observe(example, task)
        self.place += 1
        options = self.spec.options
        if self.place % self.stream.examples_per_task == 0 or self.place % options.eval_every == 0:
            if not torch.isfinite(self.weights.vector).all():
                raise NotFiniteError("a weight of the network")
            self._evaluate()
            self.logs.values(self.place, self._so_far(examples_per_s))
        if options.meter_every and self.place % options.meter_every == 0:
            values, rows = self.meter.measure(self.model, self.place)
            self.logs.values(self.place, values)
            self.logs.interference(self.place, rows)

    def _evaluate(self) -> list[float]:
        """Test on all tasks and return the accuracies in percent."""
        rows = evaluate_all(self._forward, self.stream)
        self.logs.evaluation(self.place, rows)
        self._now = [row.score_mean for row in rows]
        task, left = divmod(self.place, self.stream.examples_per_task)
        if task and not left:
            self._learned.append(self._now[task - 1])
        return self._now

    def _so_far(self, examples_per_s: float) -> dict[str, float]:
        """Return the values to log beside a test."""
        values = {"accuracy/mean": float(np.mean(self._now)), "memory/stored": float(self.learner.stored())}
        values["speed/examples_per_s"] = examples_per_s
        if self._learned:
            learned, retained = float(np.mean(self._learned)), float(np.mean(self._now[: len(self._learned)]))
            values["continual/learning_accuracy"] = learned
            values["continual/retained_accuracy"] = retained
            values["continual/backward_transfer_interference"] = retained - learned
        return values

    def summarise(self, run_dir: Path, wall_s: float) -> dict[str, Any]:
        """Write matrix.csv of a finished run and return the content of summary.json."""
        names = [task.name for task in self.stream.tasks]
        places, scores = read_evaluations(run_dir / EVALUATIONS, len(names))
        ends = [self.stream.examples_per_task * (index + 1) for index in range(len(names))]
        matrix = score_matrix(places, scores, ends)
        write_matrix(run_dir / "matrix.csv", matrix, names, names)
        return {
            "metrics": continual_summary(matrix, list(range(len(names))), self.untrained, places, scores),
            "random_scores": dict(zip(names, self.untrained, strict=True)),
            "final_scores": dict(zip(names, matrix[-1].tolist(), strict=True)),
            "best_scores": dict(zip(names, scores.max(axis=0).tolist(), strict=True)),
            "frames": self.place,
            "weights_sha256": hashlib.sha256(self.weights.vector.detach().numpy().tobytes()).hexdigest(),
            "wall_s": round(wall_s, 1),
            "frames_per_s": round(self.place / wall_s, 1),
        }
