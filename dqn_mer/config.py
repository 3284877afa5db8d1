"""Everything a training run can be told, in one frozen dataclass; the command line is made from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

MER_ONLY = ("num_batches", "within_batch_rate", "across_batch_rate", "current_example_boost", "one_big_batch")


@dataclass(frozen=True)
class Config:
    """Train a DQN agent on a game whose setting changes as it plays, and evaluate it on every setting all along."""

    # --- the game
    preset: Literal["tuned", "paper", "quick"] = "tuned"
    """Which defaults to start from: tuned ones, the values of the paper, or a run of about three minutes."""
    game: Literal["catcher", "flappy_bird"] = "catcher"
    """Game to play."""
    observation: Literal["pixels", "state"] = "pixels"
    """What the agent sees: 4 stacked frames of 84x84 grey pixels (the paper's), or the game's own numbers."""
    backend: Literal["native", "ple"] = "native"
    """Our games, or the upstream `ple` package behind the same interface (see README)."""
    rounding: Literal["nearest", "truncate"] = "nearest"
    """How positions become whole pixels: as in today's pygame, or as in the pygame of the paper's time."""
    fixed_looks: bool = False
    """Draw every Flappy Bird episode with the same background and colours."""
    game_parameters: Mapping[str, float] = field(default_factory=dict)
    """Further game parameters for the whole run, as NAME=VALUE,...; for example gravity=1.2,flap_power=10."""

    # --- how the game changes
    frames: int | None = None
    """Environment frames to train for (None: the whole schedule; beyond it the last setting stays)."""
    frames_per_setting: int = 25_000
    """Frames of training on each setting before the next; the running episode is truncated at the border."""
    settings: tuple[float, ...] = ()
    """Values of the varied parameter, in training order, as V,V,... (empty: the paper's six). A value may return."""
    vary: str = ""
    """Game parameter that `settings` gives values of (empty: fall_speed for Catcher, pipe_gap for Flappy Bird)."""
    cycles: int = 1
    """Times to go through the settings."""
    schedule: Path | None = None
    """JSON file with a schedule of settings, instead of `settings`, `vary`, `cycles` and `frames_per_setting`."""

    # --- the agent
    agent: Literal["dqn", "dqn-reservoir", "dqn-mer"] = "dqn-mer"
    """dqn: FIFO replay; dqn-reservoir: reservoir replay (the paper's ablation); dqn-mer: Algorithm 8."""
    learning_rate: float = 1e-4
    """Step size of the optimizer (the paper's alpha)."""
    optimizer: Literal["sgd", "adam", "rmsprop"] = "adam"
    """Optimizer of each learning step; the paper's MER takes plain SGD steps."""
    batch_size: int = 16
    """Transitions replayed from memory per batch (the paper's k-1); the newest transition is one more."""
    num_batches: int = 1
    """dqn-mer: batches per update (the paper's steps)."""
    within_batch_rate: float = 1.0
    """dqn-mer: Reptile rate after each batch (the paper's beta)."""
    across_batch_rate: float = 0.3
    """dqn-mer: Reptile rate after all batches of an update (the paper's gamma)."""
    current_example_boost: float = 1.0
    """dqn-mer: multiple of the learning rate for the newest transition (the paper's s, Algorithm 7)."""
    one_big_batch: bool = False
    """dqn-mer: learn all batches of an update as one sequence (Algorithm 6)."""
    capacity: int = 50_000
    """Transitions the memory keeps (the paper's M)."""
    discount: float = 0.99
    """Discount of future rewards (reinforcement learning's gamma)."""
    target_sync_frames: int = 1_000
    """Frames between copies of Q into the target network."""
    warmup_frames: int = 1_000
    """Frames that are only remembered before the first update."""
    double_q: bool = False
    """Let Q choose, and the target network value, the next action (double Q-learning)."""
    hidden_sizes: tuple[int, ...] = (512,)
    """Widths of the dense hidden layers, as N,N,..."""

    # --- exploration
    epsilon_start: float = 1.0
    """Probability of a random action at first."""
    epsilon_end: float = 0.01
    """Probability of a random action after the decay."""
    epsilon_decay_frames: int = 10_000
    """Frames over which epsilon falls linearly."""
    flap_probability: float = 0.1
    """flappy_bird: probability that a random action is a flap (0.5 would hit the ceiling all the time)."""

    # --- evaluation
    eval_every: int = 5_000
    """Frames between evaluations on all settings; the ends of training on a setting are always evaluated."""
    eval_episodes: int = 5
    """Episodes per setting and evaluation, greedy, each with its own fixed seed."""
    eval_frame_limit: int = 2_000
    """Frames after which an evaluation episode is truncated; good play never ends."""
    eval_worker: bool = True
    """Evaluate in a process of its own beside training, on a CPU; off: in line, on the training device."""

    # --- the run
    seed: int = 0
    """Seed of everything random in the run."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the networks live."""
    threads: int = 0
    """CPU threads of PyTorch (0: one for state observations, all cores for pixels)."""
    log_every: int = 250
    """Frames between rows of metrics.csv and points of the training curves."""
    log_dir: Path = Path("runs")
    """Folder in which the run makes a folder of its own."""
    run_dir: Path | None = None
    """Exactly this folder for the run, instead; it must not exist."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: in one line, naming the field, its value and what is allowed.
        """
        for name, allowed in RANGES.items():
            value = getattr(self, name)
            if value is not None:
                allowed.check(name, value)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be one of {', '.join(choices)}")
        _check_collections(self)
        _check_combinations(self)

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON types, by field name."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Config:
        """Return the configuration that `to_json` described.

        Raises:
            ValueError: naming the field, if one is unknown, missing or not allowed.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        for name in sorted(names ^ set(values)):
            raise ValueError(f"{name}: {'missing' if name in names else 'unknown'}")
        made = dict(values)
        for name in ("settings", "hidden_sizes"):
            made[name] = tuple(values[name])
        for name in ("schedule", "log_dir", "run_dir"):
            made[name] = None if values[name] is None else Path(values[name])
        return cls(**made)


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included.

    >>> Range(0, 1).check("discount", 2.0)
    Traceback (most recent call last):
        ...
    ValueError: discount=2.0: must be a number from 0 to 1
    """

    low: float
    high: float
    whole: bool = False

    def describe(self) -> str:
        """Say what is allowed."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:,} to {self.high:,}"

    def check(self, name: str, value: object) -> None:
        """Raise ValueError, naming the field and what is allowed, unless ``value`` is within."""
        kinds = int if self.whole else (int, float)  # NaN fails the comparison
        if not (isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high):
            raise ValueError(f"{name}={value!r}: must be {self.describe()}")


_COUNT = Range(1, 1_000_000_000, whole=True)
_RATE = Range(0.0, 1.0)

RANGES: dict[str, Range] = {
    "frames": _COUNT,
    "frames_per_setting": _COUNT,
    "cycles": Range(1, 1_000, whole=True),
    "learning_rate": Range(1e-12, 100.0),
    "batch_size": Range(0, 65_536, whole=True),
    "num_batches": Range(1, 1_000, whole=True),
    "within_batch_rate": _RATE,
    "across_batch_rate": _RATE,
    "current_example_boost": Range(1e-6, 1e6),
    "capacity": Range(1, 100_000_000, whole=True),
    "discount": _RATE,
    "target_sync_frames": _COUNT,
    "warmup_frames": Range(0, 1_000_000_000, whole=True),
    "epsilon_start": _RATE,
    "epsilon_end": _RATE,
    "epsilon_decay_frames": Range(0, 1_000_000_000, whole=True),
    "flap_probability": _RATE,
    "eval_every": _COUNT,
    "eval_episodes": Range(1, 10_000, whole=True),
    "eval_frame_limit": _COUNT,
    "seed": Range(0, 2**63 - 1, whole=True),
    "threads": Range(0, 1_024, whole=True),
    "log_every": _COUNT,
}

CHOICES: dict[str, tuple[str, ...]] = {
    name: get_args(kind) for name, kind in get_type_hints(Config).items() if get_origin(kind) is Literal
}
AGENTS = CHOICES["agent"]
FLAGS = tuple(f.name for f in dataclasses.fields(Config) if isinstance(f.default, bool))


def _check_collections(config: Config) -> None:
    """Raise ValueError for a value of the wrong kind within a field."""
    for name in FLAGS:
        if not isinstance(getattr(config, name), bool):
            raise ValueError(f"{name}={getattr(config, name)!r}: must be true or false")
    if not isinstance(config.game_parameters, Mapping):
        raise ValueError(f"game_parameters={config.game_parameters!r}: must be names with values")
    for parameter, value in config.game_parameters.items():
        Range(-1e9, 1e9).check(f"game_parameters.{parameter}", value)
    for width in config.hidden_sizes:
        Range(1, 8_192, whole=True).check("hidden_sizes", width)
    for value in config.settings:
        Range(-1e9, 1e9).check("settings", value)


def _check_combinations(config: Config) -> None:
    """Raise ValueError for values that have no meaning together."""
    if config.agent != "dqn-mer":
        _must_be_default(config, MER_ONLY, f"only agent dqn-mer has it, and agent={config.agent}")
    if config.one_big_batch:
        _must_be_default(config, ("within_batch_rate",), "not used with one_big_batch (Algorithm 6)")
    if config.game != "flappy_bird":
        _must_be_default(config, ("flap_probability",), f"only flappy_bird has it, and game={config.game}")
    if config.schedule is not None:
        _must_be_default(config, ("settings", "vary", "cycles", "frames_per_setting"), "not used with a schedule file")
    if config.vary and not config.settings:
        raise ValueError(f"vary={config.vary!r}: needs settings, the values to give it")
    if config.backend == "ple":
        _must_be_default(config, ("rounding",), "the ple backend rounds as the installed pygame does")


def _must_be_default(config: Config, names: Sequence[str], why: str) -> None:
    for f in dataclasses.fields(config):
        if f.name in names and getattr(config, f.name) != f.default:
            raise ValueError(f"{f.name}={getattr(config, f.name)!r}: {why}; must be left at {f.default!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
