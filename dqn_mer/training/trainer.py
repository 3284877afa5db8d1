"""The training run, from its folder to its summary: started or resumed, saved along the way, stopped cleanly."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from continual_ple.learnable import UnlearnableError
from continual_ple.saved_state import has_state
from continual_ple.tasks import Task
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.analysis.runs import unread_fields
from dqn_mer.config.combinations import check_no_schedule
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.task import game_task, is_own, name_after
from dqn_mer.evaluation.beside_training import leave_worker
from dqn_mer.networks.device import processor, usable_cores
from dqn_mer.runs.folder import check_run_folder, create_run_folder, describe_run, lock_run
from dqn_mer.runs.stopping import NotFiniteError, RunStopped, StopRequest, is_out_of_memory
from dqn_mer.storage.escapes import markdown_text, say
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.json_files import write_json
from dqn_mer.storage.lasting_output import lasting_console
from dqn_mer.storage.run_reader import LOCK
from dqn_mer.storage.snapshots import drop_states
from dqn_mer.training.announce import announce, say_line
from dqn_mer.training.loop import TrainingLoop
from dqn_mer.training.progress import ProgressDisplay
from dqn_mer.training.resume import Stopped, open_run, restore_description
from dqn_mer.training.saves import Saves
from dqn_mer.training.summary import summarise
from dqn_mer.training.tracker import drop_tracked


@dataclass(frozen=True)
class RunResult:
    """Result of a finished run.

    Attributes:
        run_dir: Folder of the run.
        summary: Content of ``summary.json``.
        agent: Trained agent.
    """

    run_dir: Path
    summary: dict[str, Any] = field(repr=False)
    agent: DQNAgent = field(repr=False)


def train(
    config: Config, task: Task | None = None, arguments: Sequence[str] | None = None, console: Console | None = None
) -> RunResult:
    """Train as ``config`` says and leave a run folder that explains itself.

    Args:
        config: Configuration of the run.
        task: Task to learn, if that is none of the games; the options of a game in ``config`` are then only recorded.
        arguments: Words of the command to record; by default those that started this process.
        console: Console that progress is shown on; by default standard output, whose reader may disappear.

    Raises:
        ValueError: if the configuration cannot be run here, or describes a schedule, which is the task's; nothing is
            then written.
        RunStopped: if the run ended early; its message says how to resume it.
    """
    if task is None:
        task = game_task(config)
    else:
        check_no_schedule(config)
        config = name_after(task, config)
    with Trainer(task, config, console or lasting_console()) as trainer:
        return trainer.run(arguments)


def resume(
    run_dir: Path | str,
    task: Task | None = None,
    save_every: int | None = None,
    save_minutes: float | None = None,
    console: Console | None = None,
) -> RunResult:
    """Resume a stopped run, to the same end as if it had never been stopped.

    Args:
        run_dir: Folder of the run.
        task: Task of the run, made the same way again, if that is none of the games.
        save_every: Frames between saves; as before by default.
        save_minutes: Minutes between saves; as before by default.
        console: Console that progress is shown on; by default standard output, whose reader may disappear.

    Raises:
        ValueError: if the folder or the task does not fit.
        RunStopped: if the run is finished, or stopped again.
    """
    stopped = open_run(ResumeOptions(Path(run_dir), save_every, save_minutes), task)
    task = game_task(stopped.config, stopped.schedule) if task is None else task
    with Trainer(task, stopped.config, console or lasting_console(), stopped) as trainer:
        return trainer.run()


class Trainer(AbstractContextManager["Trainer"]):
    """One run: builds every part and then its folder, and plays the frames in order.

    Args:
        task: Task to learn.
        config: Configuration of the run.
        console: Console that progress is shown on.
        stopped: Run to resume, from `dqn_mer.training.resume.open_run`; None for a new one.

    Raises:
        ValueError: if the run cannot be made; nothing is then written.
    """

    def __init__(self, task: Task, config: Config, console: Console, stopped: Stopped | None = None) -> None:
        started_s = time.perf_counter()
        leave_worker()
        if stopped is None:
            check_run_folder(config)
        self.config, self.console, self.stopped = config, console, stopped
        self.threads = (stopped.threads if stopped else 0) or config.threads or usable_cores()
        with ExitStack() as undone:
            if stopped is not None:
                undone.callback(stopped.lock.release)
            self.loop = undone.enter_context(_make_loop(task, config))
            self.own = task.is_own or is_own(config)
            resumable = announce(console, self.loop, self.own) and has_state(self.loop.env)
            try:
                self.run_dir = stopped.run_dir if stopped else create_run_folder(config)
                self.lock = stopped.lock if stopped else lock_run(self.run_dir)
                undone.callback(self.lock.release)  # which does nothing the second time
                self.saves = Saves(self.run_dir, self.loop, config, self.threads, resumable, self.own, started_s)
                if stopped is not None:
                    self._resume(stopped)
            except OSError as error:
                raise ValueError(f"{error.filename}: {error.strerror}") from None
            undone.pop_all()

    def __exit__(self, *error: object) -> None:
        """Close everything, and let others have the run folder."""
        self.loop.__exit__()
        self.lock.release()

    def run(self, arguments: Sequence[str] | None = None) -> RunResult:
        """Train from the first frame, or the one that was saved, to the last; return the result.

        Raises:
            RunStopped: if a signal or an error ended it early.
        """
        try:
            with processor(self.threads):
                return self._run(arguments)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise RunStopped(
                f"frame {self.loop.frame:,}: {where}{error.strerror or error}; {self.saves.last()}", 1
            ) from error
        except (UnlearnableError, DamagedError) as error:
            raise RunStopped(f"frame {self.loop.frame:,}: {error}; {self.saves.last()}", 1) from error
        except NotFiniteError as error:
            raise RunStopped(self.saves.set_diverged_aside(error), 1) from error
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunStopped(f"frame {self.loop.frame:,}: out of memory; {self.saves.last()}", 1) from error

    def _run(self, arguments: Sequence[str] | None) -> RunResult:
        loop, run_dir = self.loop, self.run_dir
        say(self.console, f"run folder: {run_dir}")
        with StopRequest() as request:
            if self.stopped is None or self.stopped.state is None:
                self.begin(arguments)
            with ProgressDisplay(loop.frames, loop.frame, self.console) as display:
                self._play_on(request, display)
            loop.finish()
            wall_s = self.saves.wall_s()
            made = summarise(run_dir, self.config, loop.task, loop.agent, loop.random_scores, wall_s)
            summary, table, learning_curves = made
            loop.tracker.log_learning_curves(loop.frame, learning_curves)
            unread = unread_fields(self.config.to_json())
            read = {name: value for name, value in self.config.hyperparameters().items() if name not in unread}
            loop.tracker.log_hparams(read, summary["metrics"])
            write_json(run_dir / "summary.json", summary)  # the mark of a finished run: nothing comes after it
        drop_states(run_dir)
        with suppress(OSError):  # a finished run needs no lock; Windows does not remove an open file
            (run_dir / LOCK).unlink()
        self.console.print(table)
        return RunResult(run_dir, summary, loop.agent)

    def begin(self, arguments: Sequence[str] | None) -> None:
        """Describe the run in its folder, and play up to the first frame."""
        if self.stopped is None:
            schedule = self.loop.task.schedule.to_json()
            description = describe_run({"config": self.config.to_json()}, schedule, arguments)
            write_json(self.run_dir / "config.json", description)
        drop_tracked(self.run_dir)
        first = "scoring random play and the untrained agent; the first updates compile kernels if need be"
        say_line(self.console, first)
        note = self.loop.begin(self.run_dir, _as_markdown(self.config.to_json()))
        if note is not None:
            say_line(self.console, note)

    def _resume(self, stopped: Stopped) -> None:
        """Restore the saved state; the run folder is changed only if all of it fits."""
        for note in stopped.notes:
            say(self.console, note)
        if stopped.state is None:
            return
        with processor(self.threads):
            self.saves.resume(stopped.state)
            restored = restore_description(stopped)  # whose number of threads is that of the run
        if restored is not None:
            say_line(self.console, restored)

    def _play_on(self, request: StopRequest, display: ProgressDisplay) -> None:
        loop = self.loop
        while True:
            if self.saves.resumable and (request.signal_number or self.saves.due()):
                self.saves.save()
            if request.signal_number:
                raise request.stopped(loop.frame, self.saves.how_to_resume())
            if loop.frame == loop.frames:
                return
            info = loop.step()
            epsilon = loop.exploration.schedule.at(loop.frame)
            display.update(loop.frame, info["setting"], loop.recorder.episodes.last_score, epsilon)


def _make_loop(task: Task, config: Config) -> TrainingLoop:
    """Return the loop of a run.

    Raises:
        ValueError: if it cannot be made, for lack of memory too.
    """
    try:
        return TrainingLoop(task, config)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        sizes = f"capacity={config.capacity:,}, hidden_sizes={config.hidden_sizes}"
        raise ValueError(f"{sizes}: need more memory than there is") from None


def _as_markdown(config: dict[str, Any]) -> str:
    return "| field | value |\n|---|---|\n" + "".join(f"| {k} | {markdown_text(v)} |\n" for k, v in config.items())
