"""Export an agent: one checkpoint of a run as a folder to share, with its scores in a model card."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from dqn_mer.analysis.scores import read_evaluations
from dqn_mer.config.config import ALLOWED, Config
from dqn_mer.evaluation.agent_options import LICENCE, EvaluateOptions, ExportOptions, PlayerFields
from dqn_mer.evaluation.checkpoint import SHARED_WEIGHTS, checkpoint_files
from dqn_mer.evaluation.checkpoint_folders import CHECKPOINTS, DESCRIPTION, OwnTaskError
from dqn_mer.evaluation.hub import CARD, CARD_BYTES
from dqn_mer.evaluation.model_card import model_card
from dqn_mer.evaluation.pretrained import agent_folder
from dqn_mer.evaluation.saved_agent import SavedAgent, evaluate_checkpoint, load_agent
from dqn_mer.storage.escapes import say
from dqn_mer.storage.files import write_folder, write_new_file
from dqn_mer.storage.lasting_output import lasting_console
from dqn_mer.storage.run_reader import RunReader

LARGEST_FLOAT32_BYTES = 4 * 10**6
"""Weights that take more are stored as float16 unless the user says otherwise."""
DESCRIBED = ("frame", "trained_on_last", "network", "schedule")
"""What is kept of a checkpoint's description as it is, besides the options of the run."""


def export_agent(options: ExportOptions, console: Console | None = None, note: str = "") -> Path:
    """Write an agent into a new folder, play it on all settings of its run, and write its card; return the folder.

    Args:
        options: Options that say which agent, and how it is stored.
        console: Console that the scores are printed on; standard output by default.
        note: Sentence for the card, such as how the run was chosen.

    Raises:
        ValueError: if the checkpoint or an option is bad, or the agent was trained on no game that is known by name.
        OSError: if the folder cannot be written; then nothing is left of it.
    """
    agent, chosen = _choose(options)
    dtype, stored = _store(options, agent)
    description = {name: agent.checkpoint.description[name] for name in DESCRIBED}
    description["config"] = _without_paths(agent.config)
    files = checkpoint_files(agent.checkpoint.model, description, SHARED_WEIGHTS, dtype)
    with tempfile.TemporaryDirectory(prefix=f".{options.out.name}-", dir=options.out.parent) as scratch:
        folder = Path(scratch) / "agent"
        write_folder(folder, dict(files))
        play = EvaluateOptions(path=folder, episodes=options.episodes, seed=options.seed, device=options.device)
        played = evaluate_checkpoint(play, console)
        licence = options.license or _stated_licence(agent_folder(options.path))
        card = model_card(options.out.name, agent, played, (chosen, note, stored), licence)
        write_new_file(folder / CARD, card.encode())
        os.rename(folder, options.out)
    say(console or lasting_console(), f"agent and card: {options.out}")
    return options.out


def _choose(options: ExportOptions) -> tuple[SavedAgent, str]:
    """Return the agent of a checkpoint, and a sentence on how it was chosen."""
    path = agent_folder(options.path)
    try:
        agent = load_agent(PlayerFields(path))
    except OwnTaskError:
        why = "an agent of an environment of your own is not exported, since nobody could play it without your code"
        raise ValueError(f"{path}: was trained on no game that is known by its name; {why}") from None
    reader = RunReader(path)
    if options.checkpoint == "last":
        of_run = "" if reader.has(DESCRIPTION) else ", the last of its run"
        return agent, f"It is the checkpoint after {agent.frame:,} frames{of_run}."
    if reader.has(DESCRIPTION):
        raise ValueError(f"checkpoint='best': {path} is one checkpoint; must be a run folder")
    frames, scores = read_evaluations(path / "evaluations.csv", len(agent.task.schedule.settings))
    means = dict(zip(frames.tolist(), scores.mean(axis=1).tolist(), strict=True))
    saved = {int(one.folder.name.removeprefix("frame-")): one.folder for one in reader.frames(CHECKPOINTS)}
    evaluated = [frame for frame in saved if frame in means]
    if not evaluated:
        raise ValueError(f"checkpoint='best': {path}: no checkpoint is of a frame in evaluations.csv")
    best = max(evaluated, key=lambda frame: (means[frame], frame))
    agent = load_agent(PlayerFields(saved[best]))
    rule = "with the highest mean score over all settings in the run's own evaluations"
    return agent, f"It is the checkpoint after {agent.frame:,} frames: of {len(evaluated)}, the one {rule}."


def _stated_licence(folder: Path) -> str:
    """Return the licence that the card of an exported agent states, which goes with its weights; empty if none."""
    reader = RunReader(folder)
    card = reader.read(CARD, CARD_BYTES).decode(errors="replace") if reader.has(CARD) else ""
    head = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    found = re.search(rf'^license: "?({LICENCE})"?$', head[1], re.MULTILINE) if head else None
    return found[1] if found else ""


def _store(options: ExportOptions, agent: SavedAgent) -> tuple[str, str]:
    """Return the dtype that the weights are stored as, and a sentence on it."""
    weights = [tensor for tensor in agent.checkpoint.model.state_dict().values() if tensor.dtype is torch.float32]
    size = sum(4 * tensor.numel() for tensor in weights)
    dtype = options.dtype
    if dtype == "auto":
        dtype = "float16" if size > LARGEST_FLOAT32_BYTES else "float32"
    if dtype == "float32":
        return dtype, "Its weights are stored as float32, as they were trained."
    halves = [tensor.half() for tensor in weights]
    if not all(half.isfinite().all() for half in halves):
        raise ValueError("dtype='float16': a weight is too large for it, or not finite; must be float32")
    exact = all(torch.equal(half.float(), tensor) for half, tensor in zip(halves, weights, strict=True))
    change = "which changed none" if exact else "rounded from float32 (the scores are those of the rounded weights)"
    return dtype, f"Its weights are stored as float16, {change}, and used as float32."


def _without_paths(config: Config) -> dict[str, Any]:
    """Return the options of a run without the paths of the machine that it was made on."""
    paths: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(config) if ALLOWED[f.name].kind is Path}
    return dataclasses.replace(config, **paths).to_json()
