"""Evaluate a saved agent on settings it was, or was never, trained on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from dqn_mer.agents import choose_device
from dqn_mer.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from dqn_mer.config import Config, Range
from dqn_mer.evaluation import Evaluator, GreedyPolicy, SettingResult
from dqn_mer.metrics import mean_interval
from dqn_mer.runfolder import write_json
from dqn_mer.tasks import game_task
from envs.settings import SCHEDULE_PARAMETER, Schedule, Setting, schedule_from_values


@dataclass(frozen=True)
class EvaluateOptions:
    """Play a saved agent greedily and say how well it does on each setting."""

    path: tyro.conf.Positional[Path]
    """A run folder (its latest checkpoint is taken) or one checkpoint folder."""
    settings: str = "all"
    """all: of the run's schedule; easier: those before the one trained on last; or names or values, as A,B,..."""
    episodes: int = 20
    """Episodes per setting."""
    seed: int = 1
    """Seed of the episodes."""
    frame_limit: int | None = None
    """Frames after which an episode is truncated (None: as in the run's own evaluations)."""
    backend: Literal["native", "ple"] | None = None
    """Backend to play on (None: the run's)."""
    game_parameters: dict[str, float] = field(default_factory=dict)
    """Game parameters to change on every setting, as NAME=VALUE,..."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the network lives."""
    json: Path | None = None
    """Also write the result to this file; it must not exist."""

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError naming the field."""
        Range(1, 100_000, whole=True).check("episodes", self.episodes)
        Range(0, 2**63 - 1, whole=True).check("seed", self.seed)
        if self.frame_limit is not None:
            Range(1, 1_000_000_000, whole=True).check("frame_limit", self.frame_limit)
        if self.json is not None and self.json.exists():
            raise ValueError(f"json={str(self.json)!r}: exists already; must be a new file")


def evaluate_checkpoint(options: EvaluateOptions, console: Console | None = None) -> dict[str, Any]:
    """Evaluate as ``options`` say, print a table, and return what ``--json`` writes.

    Raises:
        ValueError: in one line, for a bad checkpoint or option.
    """
    console = console or Console()
    checkpoint = load_checkpoint(options.path)
    config, schedule = saved_setup(checkpoint)
    config = dataclasses.replace(
        config,
        backend=options.backend or config.backend,
        eval_frame_limit=options.frame_limit or config.eval_frame_limit,
    )
    trained_last = checkpoint.description["trained_on_last"]
    settings = choose_settings(options.settings, config, schedule, trained_last)
    device = choose_device(options.device)
    task = game_task(config)
    evaluator = Evaluator(
        lambda setting: task.make_env(
            Setting(setting.name, {**setting.parameters, **options.game_parameters}),
            frame_limit=config.eval_frame_limit,
        ),
        settings,
        options.episodes,
        options.seed,
    )
    try:
        results = evaluator.run(GreedyPolicy(checkpoint.model.to(device), device))
    finally:
        evaluator.close()
    content = {
        "checkpoint": str(checkpoint.path),
        "frame": checkpoint.description["frame"],
        "trained_on_last": trained_last,
        "episodes": options.episodes,
        "seed": options.seed,
        "settings": [_result_json(result) for result in results],
    }
    console.print(_table(content))
    if options.json is not None:
        write_json(options.json, content)
    return content


def saved_setup(checkpoint: Checkpoint) -> tuple[Config, Schedule]:
    """Return the configuration and schedule that a checkpoint was trained with.

    Raises:
        CheckpointError: if they are missing or not valid.
    """
    try:
        config = Config.from_json(checkpoint.description["config"])
        return config, Schedule.from_json(checkpoint.description["schedule"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{checkpoint.path}: bad description: {error}") from None


def choose_settings(words: str, config: Config, schedule: Schedule, trained_last: str) -> list[Setting]:
    """Return the settings that ``--settings`` names.

    Args:
        words: ``all``, ``easier``, or names of settings or values of the varied parameter, with commas.
        config: of the run.
        schedule: of the run.
        trained_last: name of the setting trained on last.

    Raises:
        ValueError: if a word is neither a name nor a number, or nothing is easier.
    """
    if words == "all":
        return list(schedule.settings)
    if words == "easier":
        easier = list(schedule.easier_than(trained_last))
        if not easier:
            raise ValueError(f"settings='easier': no setting of the run is easier than {trained_last}")
        return easier
    by_name = {setting.name: setting for setting in schedule.settings}
    parameter = config.vary or SCHEDULE_PARAMETER[config.game]
    chosen = []
    for word in words.split(","):
        if word in by_name:
            chosen.append(by_name[word])
            continue
        try:
            value = float(word)
        except ValueError:
            allowed = ", ".join(["all", "easier", *by_name, f"a value of {parameter}"])
            raise ValueError(f"settings={word!r}: must be one of {allowed}") from None
        found = schedule_from_values(config.game, [value], parameter=parameter).settings[0]
        chosen.append(Setting(f"{parameter}={value:g}", found.parameters))
    return chosen


def _result_json(result: SettingResult) -> dict[str, Any]:
    mean, low, high = mean_interval(result.scores)
    return {
        "setting": result.setting.name,
        "parameters": dict(result.setting.parameters),
        "score_mean": mean,
        "score_interval_95": [low, high],
        "score_best": float(result.scores.max()),
        "return_mean": float(result.returns.mean()),
        "length_mean_frames": float(result.lengths.mean()),
        "scores": result.scores.tolist(),
    }


def _table(content: dict[str, Any]) -> Table:
    title = f"frame {content['frame']:,}, trained on {content['trained_on_last']} last; {content['episodes']} episodes"
    table = Table(title=title)
    for name in ("setting", "score mean", "95% interval", "best", "return", "frames"):
        table.add_column(name, justify="left" if name == "setting" else "right")
    for row in content["settings"]:
        low, high = row["score_interval_95"]
        table.add_row(
            row["setting"],
            f"{row['score_mean']:.1f}",
            f"{low:.1f} to {high:.1f}",
            f"{row['score_best']:g}",
            f"{row['return_mean']:.1f}",
            f"{row['length_mean_frames']:.0f}",
        )
    return table
