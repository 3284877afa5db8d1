"""Results of a finished run besides its logs: the matrix, the metrics, the picture and the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group

from continual_ple.settings import Schedule
from continual_ple.tasks import Task
from dqn_mer.analysis.labels import short_name, with_unit
from dqn_mer.analysis.learning_curves import learning_curves, save_learning_curves
from dqn_mer.analysis.metric_table import continual_summary
from dqn_mer.analysis.metrics import FloatArray, IntArray
from dqn_mer.analysis.runs import Run
from dqn_mer.analysis.scores import read_evaluations, score_matrix, summary_table, write_matrix
from dqn_mer.config.config import Config
from dqn_mer.evaluation.checkpoint import weights_digest
from dqn_mer.storage.files import DamagedError

if TYPE_CHECKING:  # an agent brings Numba, which a report of finished runs has no use for
    from dqn_mer.agents.dqn import DQNAgent


def summarise(
    run_dir: Path, config: Config, task: Task, agent: DQNAgent, random_scores: Sequence[float], wall_s: float
) -> tuple[dict[str, Any], Group, bytes]:
    """Write matrix.csv and learning_curves.png of a finished run of one of our agents.

    Args:
        run_dir: Folder of the run, which holds its evaluations.csv.
        config: Configuration of the run.
        task: Task that was trained on.
        agent: The trained agent.
        random_scores: Mean score of random play on each setting.
        wall_s: Time the run took, in seconds.

    Returns:
        The content of summary.json, the table for the terminal, and learning_curves.png.

    Raises:
        DamagedError: if its evaluations.csv has been changed meanwhile.
    """
    summary, table, picture = summarise_scores(run_dir, config, task, agent.frames, random_scores)
    summary |= {
        "frames": agent.frames,
        "updates": agent.updates,
        "target_syncs": agent.target_syncs,
        "weights_sha256": weights_digest(agent.online.model),
        **speed(agent.frames, wall_s),
    }
    return summary, table, picture


def speed(frames: int, wall_s: float) -> dict[str, float]:
    """Return how long a run took, as summary.json says it."""
    return {"wall_s": round(wall_s, 1), "frames_per_s": round(frames / wall_s, 1)}


def summarise_scores(
    run_dir: Path, config: Config, task: Task, frames_done: int, random_scores: Sequence[float]
) -> tuple[dict[str, Any], Group, bytes]:
    """Do the same for any run, as far as it follows from its evaluations; the arguments are those of `summarise`."""
    schedule, parameter = task.schedule, task.parameter
    names = [setting.name for setting in schedule.settings]
    path, ends = run_dir / "evaluations.csv", schedule.ends(frames_done)
    frames, scores = read_evaluations(path, len(names))
    matrix = _matrix(path, frames, scores, ends)
    order = None if schedule.interleave_frames else list(schedule.order[: len(ends)])
    write_matrix(run_dir / "matrix.csv", matrix, names, ["all"] * len(ends) if order is None else _pick(names, order))
    metrics = continual_summary(matrix, order, random_scores, frames, scores)
    summary = {
        "metrics": metrics,
        "random_scores": dict(zip(names, random_scores, strict=True)),
        "final_scores": dict(zip(names, matrix[-1].tolist(), strict=True)),
        "best_scores": dict(zip(names, scores.max(axis=0).tolist(), strict=True)),
    }
    picture = save_learning_curves(Run(run_dir, config.to_json(), None, schedule, frames, scores, matrix, metrics))
    marked = [-1] * len(ends) if order is None else order
    labels = [short_name(parameter, setting) for setting in schedule.settings]
    rows = [f"all, to {end:,}" for end in ends] if order is None else _pick(labels, order)
    how = "on all, interleaved, up to a frame" if order is None else "on each in turn"
    title = f"Score by {with_unit(task.name, parameter)} (columns) after training {how} (rows)"
    return summary, summary_table(title, matrix, labels, rows, marked, metrics), picture


def draw_curves_so_far(run_dir: Path, config: Config, schedule: Schedule, ends: Sequence[int], frame: int) -> bytes:
    """Return the learning curves of a run that is not finished, as PNG.

    Args:
        run_dir: Folder of the run, whose last evaluation is that at ``frame``.
        config: Configuration of the run.
        schedule: Schedule of the run.
        ends: Frame at which each segment of the run ends.
        frame: One of them.

    Raises:
        DamagedError: if its evaluations.csv has been changed meanwhile.
    """
    path = run_dir / "evaluations.csv"
    frames, scores = read_evaluations(path, len(schedule.settings))
    matrix = _matrix(path, frames, scores, [end for end in ends if end <= frame])
    return learning_curves(Run(run_dir, config.to_json(), None, schedule, frames, scores, matrix, {}), ends[-1])


def _matrix(path: Path, frames: IntArray, scores: FloatArray, ends: Sequence[int]) -> FloatArray:
    try:
        return score_matrix(frames, scores, ends)
    except ValueError as error:
        raise DamagedError(f"{path}: {error}") from None


def _pick(names: Sequence[str], indices: Sequence[int]) -> list[str]:
    return [names[index] for index in indices]
