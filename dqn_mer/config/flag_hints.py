"""What a user may have meant: flags of other libraries, misspelt ones, and words that are left over behind a flag."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from continual_ple.messages import shown
from dqn_mer.config.fields import Allowed

OF_OTHERS: dict[str, str] = {
    **dict.fromkeys(("gamma", "discount-factor"), "--discount"),
    **dict.fromkeys(("alpha", "lr", "step-size"), "--learning-rate"),
    **dict.fromkeys(("buffer-size", "buffer-capacity", "memory-size", "replay-size", "replay-capacity"), "--capacity"),
    **dict.fromkeys(
        ("total-timesteps", "n-timesteps", "num-timesteps", "timesteps", "total-frames", "num-frames", "total-steps",
         "num-steps", "max-steps", "steps"),
        "--frames",
    ),
    **dict.fromkeys(("learning-starts", "learn-start", "min-replay-history", "warmup-steps"), "--warmup-frames"),
    **dict.fromkeys(
        ("target-update-interval", "target-network-frequency", "target-update-freq", "target-update-frequency",
         "target-update-period"),
        "--target-sync-frames",
    ),
    "exploration-fraction": "--epsilon-decay-frames (in frames, not as a share of the run)",
    "epsilon-decay": "--epsilon-decay-frames",
    **dict.fromkeys(("exploration-initial-eps", "start-e", "eps-start"), "--epsilon-start"),
    **dict.fromkeys(("exploration-final-eps", "end-e", "eps-end"), "--epsilon-end"),
    **dict.fromkeys(("env", "env-id", "env-name", "gym-id", "environment"),
        "--game (or --task for an environment of your own; in Python own_task)"),
    **dict.fromkeys(("algo", "algorithm"), "--agent"),
    "net-arch": "--hidden-sizes",
    **dict.fromkeys(("eval-freq", "eval-frequency", "evaluation-frequency"), "--eval-every"),
    **dict.fromkeys(("n-eval-episodes", "eval-n-episodes"), "--eval-episodes"),
    **dict.fromkeys(("train-freq", "train-frequency", "update-period"), "--update-every"),
    "gradient-steps": "--updates-per-frame",
    **dict.fromkeys(("frameskip", "action-repeat"), "--frame-skip"),
    "log-interval": "--log-every",
    **dict.fromkeys(("save-freq", "checkpoint-freq"), "--save-every"),
    **dict.fromkeys(("tensorboard-log", "logdir", "log-folder"), "--log-dir"),
    **dict.fromkeys(("exp-name", "run-name", "output-dir"), "--run-dir"),
    "cuda": "--device cuda",
    "num-threads": "--threads",
    "trained-agent": "--resume",
}  # fmt: skip
"""Flags of Stable-Baselines3 and its zoo, CleanRL and Dopamine, by name, with ours."""

HAS_NONE: dict[str, str] = {
    **dict.fromkeys(
        ("tau", "polyak"), "the target network is copied whole here, every target_sync_frames"
    ),
    **dict.fromkeys(("track", "wandb-project-name", "wandb-entity"),
        "call wandb.init(sync_tensorboard=True) in Python before training"),
    "capture-video": "`python -m dqn_mer watch RUN --out FOLDER` records a saved agent",
    "save-model": "agents are always saved, in the checkpoints of the run folder",
}  # fmt: skip
"""Flags of those libraries without a counterpart here, with what to do instead."""


def unknown_hint(words: Sequence[str], flags: Sequence[str]) -> str:
    """Return the complaint, in one line, about words that are no flags, with a suggestion.

    Args:
        words: Words that were not understood.
        flags: All flags of the command, such as ``--batch-size``.

    >>> unknown_hint(["--gamma", "0.9"], ["--discount", "--game"])
    "flags: '--gamma' '0.9' not understood; did you mean --discount?"
    """
    names = [word.partition("=")[0].lstrip("-").replace("_", "-").lower() for word in words if word.startswith("-")]
    meant = dict.fromkeys(filter(None, (_meant(name, flags) for name in names)))
    advice = dict.fromkeys(HAS_NONE[name] for name in names if name in HAS_NONE)
    hints = [f"did you mean {', '.join(meant)}?"] * bool(meant) + list(advice)
    return f"flags: {' '.join(map(shown, words))} not understood; {' '.join(hints) or '--help lists all'}"


def unknown_field(name: str, fields: Collection[str]) -> str:
    """Return the complaint, in one line, about a keyword that is no field of a configuration, with a suggestion.

    >>> unknown_field("learning_starts", ["seed", "warmup_frames"])
    'learning_starts: unknown field; did you mean warmup_frames?'
    """
    flag, advice = name.replace("_", "-"), HAS_NONE.get(name.replace("_", "-"), "")
    meant, _, more = _meant(flag, [f"--{field.replace('_', '-')}" for field in fields]).partition(" ")
    if meant:
        field = meant.removeprefix("--").replace("-", "_")
        return f"{name}: unknown field; did you mean {field}{f' {more}' if more else ''}?"
    return f"{name}: unknown field; " + (advice or f"must be one of {', '.join(sorted(fields))}")


def _meant(name: str, flags: Sequence[str]) -> str:
    """Return the flag that a name without its dashes stands for, empty if none is close."""
    ours = OF_OTHERS.get("lr" if name.startswith("lr-") else name, "")
    if ours:
        return ours if ours.split()[0] in flags else ""
    return "" if name in HAS_NONE else next(iter(difflib.get_close_matches(f"--{name}", flags, 1)), "")


def leftover_hint(
    words: Sequence[str], unknown: Collection[str], fields: Mapping[str, str], allowed: Mapping[str, Allowed]
) -> str | None:
    """Return the complaint, in one line, about the first word behind a flag that takes no word, or no second one.

    Args:
        words: The whole command line.
        unknown: Words of the command line that were not understood.
        fields: Field of each flag.
        allowed: What each field may hold.

    Returns:
        None if no word is left over.
    """
    flag, values = "", list[str]()
    for word in words:
        if not word.startswith("-"):
            values.append(word)
        else:
            flag, equals, value = word.partition("=")
            values = [value] if equals else []
        name = fields.get(flag, "")
        if not name or not values:
            continue
        if allowed[name].kind is bool and (values[-1] in unknown or "=" in word):
            return f"{name}={shown(values[-1])}: is a switch; must be {flag} or {_opposite(flag)}, alone"
        if allowed[name].kind is not bool and len(values) > 1 and values[-1] in unknown:
            return f"{name}: {shown(values[-1])} is left over; {_advice(flag, values, allowed[name])}"
    return None


def _opposite(flag: str) -> str:
    return f"--{flag.removeprefix('--no-')}" if flag.startswith("--no-") else f"--no-{flag.removeprefix('--')}"


def _advice(flag: str, values: Sequence[str], allowed: Allowed) -> str:
    together = f"with commas: {flag} {shlex.quote(','.join(values))}"
    if allowed.kind in (tuple, Mapping):
        return f"several values are written {together}"
    if allowed.kind is str and not allowed.choices:
        return f"must be one word; several, where they are allowed, are written {together}"
    return f"must be one value, {'a path' if allowed.kind is Path else allowed.describe()}"
