"""How `watch` shows and records a saved agent's play."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from rich.console import Console

from continual_ple.settings import Setting
from continual_ple.tasks import Task, why_not_drawn
from dqn_mer.evaluation.agent_options import WatchOptions
from dqn_mer.evaluation.checkpoint_folders import CHECKPOINTS
from dqn_mer.evaluation.clips import (
    check_format,
    contact_sheet,
    gif_summary,
    play_greedily,
    record,
    save_clip,
    sheet_row,
)
from dqn_mer.evaluation.evaluator import episode_seeds
from dqn_mer.evaluation.on_screen import open_window, overlay
from dqn_mer.evaluation.overlay import Picture
from dqn_mer.evaluation.saved_agent import SavedAgent, load_agent, settings_to_play
from dqn_mer.networks.device import processor
from dqn_mer.runs.event_files import EventFile
from dqn_mer.runs.folder import create_new_folder
from dqn_mer.storage.escapes import printable, say
from dqn_mer.storage.files import check_may_write
from dqn_mer.storage.lasting_output import lasting_console
from dqn_mer.storage.run_reader import SUMMARY, RunReader

PAUSE_FRAMES = 30  # the last picture of an episode stays for a second


def watch_agent(options: WatchOptions, console: Console | None, task: Task | None) -> None:
    """Show or record a saved agent's play; as `dqn_mer.commands.watch.watch`."""
    agent = load_agent(options, task)
    settings = settings_to_play(options, agent)
    run_dir = _run_of(agent) if options.tensorboard else None
    reason = why_not_drawn(agent.task) if agent.task.is_own else None
    if reason is not None:
        raise ValueError(f"{agent.config.game}: cannot be watched: {reason}")
    if options.out is not None:
        check_format(options.format)
        create_new_folder("out", options.out)
    with processor(1):
        if options.out is None and run_dir is None:
            _show(options, agent, settings)
        else:
            _record(options, agent, settings, run_dir, console or lasting_console())


def _show(options: WatchOptions, agent: SavedAgent, settings: list[Setting]) -> None:
    title = printable(f"{agent.config.game}: {agent.checkpoint.path}")
    with open_window(title, "; give out, a new folder, for clips instead") as window:
        for setting in settings:
            with closing(overlay(agent, setting, options.frame_limit, options.device)) as env:
                for seed in episode_seeds(options.seed, options.episodes):
                    for picture in _with_pause(play_greedily(env, seed)):
                        window.show(picture)
                        if any(window.closes(event) for event in window.events()):
                            return


def _with_pause(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """Yield pictures, and the last one until `PAUSE_FRAMES` of it were shown in all."""
    for picture in pictures:
        yield picture
    yield from [picture] * (PAUSE_FRAMES - 1)


def _record(
    options: WatchOptions, agent: SavedAgent, settings: list[Setting], run_dir: Path | None, console: Console
) -> None:
    rows, summaries = [], []
    for setting in settings:
        with closing(overlay(agent, setting, options.frame_limit, options.device)) as env:
            for episode, seed in enumerate(episode_seeds(options.seed, options.episodes)):
                clip = record(env, seed)
                said = f"{clip.setting}: score {clip.score:g} in {len(clip.pictures) - 1:,} frames"
                if options.out is not None:
                    said += f", {save_clip(clip, options.out, options.format, episode)}"
                say(console, said)
                if episode == 0:  # clips are large: what is kept of them is made here
                    rows.append(sheet_row(clip))
                    if run_dir is not None:
                        summaries.append(gif_summary(clip))
    if options.out is not None:
        contact_sheet(rows).save(options.out / "contact_sheet.png")
    if run_dir is not None:
        with closing(EventFile(run_dir)) as events:
            for summary in summaries:
                events.add(summary, agent.frame)


def _run_of(agent: SavedAgent) -> Path:
    """Return the finished run that a checkpoint lies in; raises ValueError if there is none."""
    folder = agent.checkpoint.path.absolute()
    run_dir = folder.parent.parent
    if folder.parent.name != CHECKPOINTS or not RunReader(run_dir).has(SUMMARY):
        # TensorBoard may stop reading a file of events when there is a newer one beside it.
        raise ValueError(f"tensorboard: {folder} must be a finished run, with {SUMMARY}, or a checkpoint in one")
    check_may_write("tensorboard", run_dir, run_dir)
    return run_dir
