"""The training run, from its folder to its summary: started or resumed, saved along the way, stopped cleanly."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from continual_ple import GAMES
from continual_ple.learnable import UnlearnableError
from continual_ple.saved_state import has_state
from continual_ple.tasks import Task
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.memory import largest_bytes
from dqn_mer.agents.periods import passes
from dqn_mer.config.combinations import check_no_schedule
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.task import game_task, name_after
from dqn_mer.evaluation.worker import leave_worker
from dqn_mer.fast.kernels.dense import WHY_NOT_COMPILED
from dqn_mer.networks.device import processor, usable_cores
from dqn_mer.runs.folder import LOCK, check_run_folder, create_run_folder, describe_run, lock_run, versions
from dqn_mer.runs.stopping import RunStopped, StopRequest, how_to_resume, is_out_of_memory
from dqn_mer.storage.escapes import markdown_text, say
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.json_files import write_json
from dqn_mer.storage.lasting_output import lasting_console
from dqn_mer.storage.snapshots import drop_states, save_state, set_aside, write_state
from dqn_mer.storage.state import State
from dqn_mer.training.loop import NotFiniteError, TrainingLoop
from dqn_mer.training.progress import ProgressDisplay
from dqn_mer.training.resume import Stopped, open_run
from dqn_mer.training.state_trial import why_not_saved
from dqn_mer.training.summary import summarise
from dqn_mer.training.tracker import drop_logs


@dataclass(frozen=True)
class RunResult:
    """What a finished run leaves.

    Attributes:
        run_dir: its folder.
        summary: the content of ``summary.json``.
        agent: the trained agent.
    """

    run_dir: Path
    summary: dict[str, Any]
    agent: DQNAgent


def train(
    config: Config, task: Task | None = None, arguments: Sequence[str] = (), console: Console | None = None
) -> RunResult:
    """Train as ``config`` says and leave a run folder that explains itself.

    Args:
        config: Configuration of the run.
        task: What is learned, if that is none of the games; what ``config`` says of a game is then only recorded.
        arguments: Command that asked for it, for the record.
        console: Where progress is shown; by default standard output, whose reader may go away.

    Raises:
        ValueError: In one line, before anything is written, if the configuration cannot be run here, or says something
            of the schedule, which is the task's.
        RunStopped: If the run ended early; its message says how to resume it.
    """
    if task is None:
        task = game_task(config)
    else:
        check_no_schedule(config)
        config = name_after(task, config)
    with Trainer(task, config, console or lasting_console()) as trainer:
        return trainer.run(arguments)


def resume_on(
    task: Task,
    run_dir: Path | str,
    save_every: int | None = None,
    save_minutes: float | None = None,
    console: Console | None = None,
) -> RunResult:
    """Resume a stopped run of any `Task`, to the same end as if it had never been stopped.

    Args:
        task: the run's, made the same way again.
        run_dir: the run's folder.
        save_every: frames between saves; as before by default.
        save_minutes: minutes between saves; as before by default.
        console: where progress goes; standard output by default.

    Raises:
        ValueError: in one line, if the folder or the task does not fit.
        RunStopped: if the run is finished, or stopped again.
    """
    stopped = open_run(ResumeOptions(Path(run_dir), save_every, save_minutes), task)
    with Trainer(task, stopped.config, console or Console(), stopped) as trainer:
        return trainer.run()


class Trainer(AbstractContextManager["Trainer"]):
    """One run: builds every part and then its folder, and plays the frames in order.

    Args:
        task: what to learn.
        config: of the run.
        console: where progress goes.
        stopped: the run to resume, from `dqn_mer.training.resume.open_run`; None for a new one.

    Raises:
        ValueError: in one line, if the run cannot be made; then nothing was written.
    """

    def __init__(self, task: Task, config: Config, console: Console, stopped: Stopped | None = None) -> None:
        leave_worker()
        if stopped is None:
            check_run_folder(config)
        self.config, self.console, self.stopped = config, console, stopped
        self.threads = (stopped.threads if stopped else 0) or config.threads or usable_cores()
        self.saved_frame: int | None = None
        self.saved_s = self.started_s = time.perf_counter()
        self.wall_before_s = 0.0
        self.loop = _make_loop(task, config)
        self.own = task.is_own or config.game not in GAMES
        self.resumable = has_state(self.loop.env)
        self._announce()
        if self.own:
            self._announce_saving()
        try:
            self.run_dir = stopped.run_dir if stopped else create_run_folder(config)
            self.lock = stopped.lock if stopped else lock_run(self.run_dir)
            if stopped is not None:
                self._resume(stopped)
        except BaseException as error:
            self.loop.__exit__()
            if isinstance(error, OSError):
                raise ValueError(f"{error.filename}: {error.strerror}") from None
            raise

    def __exit__(self, *error: object) -> None:
        """Close everything, and let others have the run folder."""
        self.loop.__exit__()
        self.lock.release()

    def run(self, arguments: Sequence[str] = ()) -> RunResult:
        """Train from the first frame, or the one that was saved, to the last; returns what the run leaves.

        Raises:
            RunStopped: if a signal or an error ended it early.
        """
        try:
            with processor(self.threads):
                return self._run(arguments)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise RunStopped(
                f"frame {self.loop.frame:,}: {where}{error.strerror or error}; {self._last_state()}", 1
            ) from error
        except (UnlearnableError, DamagedError) as error:
            raise RunStopped(f"frame {self.loop.frame:,}: {error}; {self._last_state()}", 1) from error
        except NotFiniteError as error:
            raise RunStopped(self._diverged(error), 1) from error
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunStopped(f"frame {self.loop.frame:,}: out of memory; {self._last_state()}", 1) from error

    def _run(self, arguments: Sequence[str]) -> RunResult:
        loop, run_dir = self.loop, self.run_dir
        say(self.console, f"run folder: {run_dir}")
        with StopRequest() as request:
            if self.stopped is None or self.stopped.state is None:
                self.begin(arguments)
            with ProgressDisplay(loop.frames, loop.frame, self.console) as display:
                self._play_on(request, display)
            loop.finish()
            wall_s = self._wall_s()
            summary, table = summarise(run_dir, self.config, loop.task, loop.agent, loop.random_scores, wall_s)
            loop.tracker.log_hparams(self.config.hyperparameters(), summary["metrics"])
            write_json(run_dir / "summary.json", summary)  # the mark of a finished run: nothing comes after it
        drop_states(run_dir)
        with suppress(OSError):  # a finished run needs no lock; Windows does not remove an open file
            (run_dir / LOCK).unlink()
        self.console.print(table)
        return RunResult(run_dir, summary, loop.agent)

    def begin(self, arguments: Sequence[str]) -> None:
        """Describe the run in its folder, and play up to the first frame."""
        if self.stopped is None:
            write_json(self.run_dir / "config.json", describe_run(self.config, self.loop.task.schedule, arguments))
        drop_logs(self.run_dir)
        note = self.loop.begin(self.run_dir, _as_markdown(self.config.to_json()))
        if note is not None:
            self.console.print(note, soft_wrap=True, highlight=False, markup=False)

    def _resume(self, stopped: Stopped) -> None:
        """Take up the saved state; the run folder is changed only if all of it fits."""
        for note in stopped.notes:
            say(self.console, note)
        if stopped.state is None:
            return
        with stopped.state as saved:
            self.wall_before_s = saved.number("wall_s", 0)
            loop = saved.part("course")
        with processor(self.threads):
            self.loop.resume(stopped.run_dir, loop)
        self.saved_frame = self.loop.frame
        set_aside(stopped.run_dir, self.loop.frame)

    def _play_on(self, request: StopRequest, display: ProgressDisplay) -> None:
        loop = self.loop
        while True:
            if self.resumable and (request.signal_number or self._save_is_due()):
                self.save()
            if request.signal_number:
                raise request.stopped(
                    loop.frame, how_to_resume(self.run_dir, self.own) if self.resumable else "nothing was saved"
                )
            if loop.frame == loop.frames:
                return
            info = loop.step()
            epsilon = loop.exploration.schedule.at(loop.frame)
            display.update(loop.frame, info["setting"], loop.recorder.episodes.last_score, epsilon)

    def _save_is_due(self) -> bool:
        frame, every, minutes = self.loop.frame, self.config.save_every, self.config.save_minutes
        if frame == self.saved_frame:
            return False
        due = frame == 0 or passes(self.saved_frame or 0, frame, every)
        return due or (minutes > 0 and time.perf_counter() - self.saved_s >= 60 * minutes)

    def save(self) -> None:
        """Save the state of the run as it is now."""
        self.loop.check_finite()
        save_state(self.run_dir, self.loop.frame, self._header(), self._state())
        self.saved_frame, self.saved_s = self.loop.frame, time.perf_counter()

    def _header(self) -> State:
        return {
            "config": self.config.to_json(),
            "schedule": self.loop.task.schedule.to_json(),
            "threads": self.threads,
            "versions": versions(),
        }

    def _state(self) -> State:
        return {"wall_s": self._wall_s(), "course": self.loop.get_state()}

    def _wall_s(self) -> float:
        return self.wall_before_s + time.perf_counter() - self.started_s

    def _diverged(self, error: NotFiniteError) -> str:
        """Save the state for inspection, apart from the good ones, and return what to tell."""
        frame = self.loop.frame
        told = f"frame {frame:,}: {error} is not finite: learning has diverged (a smaller learning_rate may help)"
        folder = self.run_dir / "diverged" / f"frame-{frame:09d}"
        try:
            if self.resumable and not folder.exists():
                write_state(folder, self._header(), self._state())
        except OSError as problem:
            return f"{told}; not saved for inspection: {problem.filename}: {problem.strerror}"
        return f"{told}; saved for inspection in {folder}; the last good state is that of frame {self.saved_frame}"

    def _last_state(self) -> str:
        if self.saved_frame is None:
            return "nothing was saved" if not self.resumable else "nothing was saved yet"
        return f"saved at frame {self.saved_frame:,}; fix the problem, then {how_to_resume(self.run_dir, self.own)}"

    def _announce(self) -> None:
        space = self.loop.env.observation_space
        assert space.shape is not None and space.dtype is not None
        size = largest_bytes(self.config.capacity, space.shape, space.dtype, moving=not self.own)
        self.console.print(
            f"memory: {self.config.capacity:,} transitions, at most {size / 1e6:,.0f} MB", highlight=False
        )
        if WHY_NOT_COMPILED and self.loop.agent.device.type == "cpu":
            line = f"Numba cannot be imported, so PyTorch's autograd learns, more slowly ({WHY_NOT_COMPILED})"
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _announce_saving(self) -> None:
        """Say so if the run of a user's own environment cannot be saved, after trying it."""
        task = self.loop.task
        reason = why_not_saved(lambda: task.make_env(task.schedule.settings[0]))
        self.resumable = self.resumable and reason is None
        if reason is not None:
            line = f"this run cannot be resumed if it is stopped: the environment's state cannot be saved: {reason}"
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)


def _make_loop(task: Task, config: Config) -> TrainingLoop:
    """Return the loop of a run.

    Raises:
        ValueError: in one line, if it cannot be made, for lack of memory too.
    """
    try:
        return TrainingLoop(task, config)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        sizes = f"capacity={config.capacity:,}, hidden_sizes={config.hidden_sizes}"
        raise ValueError(f"{sizes}: need more memory than there is") from None


def _as_markdown(config: dict[str, Any]) -> str:
    rows = (f"| {name} | {markdown_text(value)} |\n" for name, value in config.items())
    return "| field | value |\n|---|---|\n" + "".join(rows)
