"""Everything a training run can be told, in one frozen dataclass; the command line is made from it.

A new field needs a line in its group, with its default, the text of its help, and its range if it is a number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from continual_ple import GAMES, OBSERVATIONS
from dqn_mer.config.combinations import check_combinations
from dqn_mer.config.fields import Known, Range, allowed_values, bad_value, check_fields

COUNT = Range(1, 1_000_000_000, whole=True)
COUNT_OR_0 = Range(0, 1_000_000_000, whole=True)
RATE = Range(0, 1)
SAVE_MINUTES = Range(0, 1_000_000)

LATER_FIELDS = {
    "reptile_every_updates", "reptile_rate", "tortoise_rate", "hare_reset_updates", "freeze_after_frames",
    "layer_norm", "weight_decay", "interleave_frames", "meter_every",
    "cuda_graph", "save_every", "save_minutes",
    "frame_skip", "input_scaling", "momentum", "nesterov", "clip_rewards", "newest", "updates_per_frame",
    "update_every", "target_sync_episodes",
}  # fmt: skip
"""Fields that the first version did not have; a saved run without them had their defaults."""


@dataclass(frozen=True)
class GameFields:
    """The game and what the agent sees of it."""

    preset: Literal["tuned", "paper", "quick"] = "tuned"
    """Which defaults to start from: tuned ones, the values of the paper, or a run of about three minutes."""
    game: Annotated[str, Known(GAMES)] = "catcher"
    """Game to play."""
    observation: Annotated[str, Known(OBSERVATIONS)] = "pixels"
    """What the agent sees: 4 stacked frames of 84x84 grey pixels (the paper's), or the game's own numbers."""
    backend: Literal["native", "ple"] = "native"
    """Our games, or the upstream `ple` package behind the same interface (see README)."""
    rounding: Literal["nearest", "truncate"] = "nearest"
    """How positions become whole pixels: as in today's pygame, or as in the pygame of the paper's time."""
    fixed_looks: bool = False
    """Draw every Flappy Bird episode with the same background and colours."""
    frame_skip: Annotated[int, Range(1, 100, whole=True)] = 1
    """Frames for which each action is held (PLE's frame_skip), in training and evaluation: rewards are summed, and only
    the last frame is seen and stacked. Schedules, periods and curves still count every frame; a step ends early where
    an episode, a setting or the run does."""
    game_parameters: Mapping[str, float] = field(default_factory=dict)
    """Further game parameters for the whole run, as NAME=VALUE,...; for example gravity=1.2,flap_power=10."""


@dataclass(frozen=True)
class ScheduleFields:
    """How the game changes while the agent plays; the agent is never told."""

    frames: Annotated[int | None, COUNT] = None
    """Environment frames to train for (none: the whole schedule; beyond it the last setting stays)."""
    frames_per_setting: Annotated[int, COUNT] = 25_000
    """Frames of training on each setting before the next; the running episode is truncated at the border."""
    settings: tuple[float, ...] = ()
    """Values of the varied parameter, in training order, as V,V,... (empty: the paper's six). A value may return."""
    vary: str = ""
    """Game parameter that `settings` gives values of (empty: fall_speed for Catcher, pipe_gap for Flappy Bird)."""
    cycles: Annotated[int, Range(1, 1_000, whole=True)] = 1
    """Times to go through the settings."""
    interleave_frames: Annotated[int, COUNT_OR_0] = 0
    """Let all settings take turns all through training, so many frames each (0: off): the ceiling."""
    schedule: Path | None = None
    """JSON file with a schedule of settings, instead of the flags above except `frames`."""


@dataclass(frozen=True)
class AgentFields:
    """The agent and how it learns."""

    agent: Literal["dqn", "dqn-reservoir", "dqn-mer", "efficient-mer", "hare-tortoise", "random"] = "dqn-mer"
    """dqn: FIFO replay; dqn-reservoir: reservoir replay (the paper's ablation); dqn-mer: Algorithm 8; efficient-mer:
    dqn-reservoir with a Reptile step now and then; hare-tortoise: dqn-reservoir with weights reset to their slow
    average; random: random play, which learns nothing."""
    learning_rate: Annotated[float, Range(1e-12, 100)] = 1e-4
    """Step size of the optimizer (the paper's alpha)."""
    optimizer: Literal["sgd", "adam", "rmsprop"] = "adam"
    """Optimizer of each learning step; the paper's MER takes plain SGD steps."""
    momentum: Annotated[float, Range(0, 0.9999)] = 0.0
    """sgd: momentum, the share of the last step that the next one repeats (0: plain SGD)."""
    nesterov: bool = False
    """sgd: Nesterov's form of momentum."""
    batch_size: Annotated[int, Range(0, 65_536, whole=True)] = 16
    """Transitions replayed from memory per batch (the paper's k-1); the newest transition is one more."""
    newest: bool = True
    """Learn the newest transition in every update. Off, for agents of mini-batches: all of an update's batch_size
    transitions are drawn from memory, the newest among them only by chance (as in Mnih et al., 2015)."""
    updates_per_frame: Annotated[int, Range(1, 1_000, whole=True)] = 1
    """Updates on each frame that learns, each from fresh draws (and, with newest, the same newest transition); on each
    step with frame_skip. The statistics under train/ are those of the first."""
    update_every: Annotated[int, COUNT] = 1
    """Frames between those that learn, which are its multiples; transitions in between are only remembered, and the
    newest transition of an update is that of the frame that learns. Rows of metrics.csv on other frames have no
    train/loss."""
    num_batches: Annotated[int, Range(1, 1_000, whole=True)] = 1
    """dqn-mer: batches per update (the paper's steps)."""
    within_batch_rate: Annotated[float, RATE] = 1.0
    """dqn-mer: Reptile rate after each batch (the paper's beta)."""
    across_batch_rate: Annotated[float, RATE] = 0.3
    """dqn-mer: Reptile rate after all batches of an update (the paper's gamma)."""
    current_example_boost: Annotated[float, Range(1e-6, 1_000_000)] = 1.0
    """dqn-mer: multiple of the learning rate for the newest transition (the paper's s, Algorithm 7)."""
    one_big_batch: bool = False
    """dqn-mer: learn all batches of an update as one sequence (Algorithm 6)."""
    reptile_every_updates: Annotated[int, COUNT] = 500
    """efficient-mer: updates between Reptile steps (k of arXiv 2508.01908; its value, not tuned here)."""
    reptile_rate: Annotated[float, RATE] = 0.5
    """efficient-mer: Reptile rate, the share of those updates that is kept (there 0.1; hardly tuned here)."""
    tortoise_rate: Annotated[float, RATE] = 0.001
    """hare-tortoise: share of the way that the slow weights follow the fast ones after each update (the value of
    arXiv 2406.02596, not tuned here)."""
    hare_reset_updates: Annotated[int, COUNT] = 5_000
    """hare-tortoise: updates between resets of the fast weights to the slow ones (not tuned)."""
    freeze_after_frames: Annotated[int | None, COUNT_OR_0] = None
    """Frames after which nothing more is learned (none: never): the frozen twin of an agent."""
    capacity: Annotated[int, Range(1, 100_000_000, whole=True)] = 50_000
    """Transitions the memory keeps (the paper's M)."""
    discount: Annotated[float, RATE] = 0.99
    """Discount of future rewards (reinforcement learning's gamma)."""
    clip_rewards: bool = False
    """Learn rewards clipped to [-1, 1] (Mnih et al., 2015), after frame_skip's sum; scores and returns stay raw."""
    target_sync_frames: Annotated[int | None, COUNT] = 1_000
    """Frames between copies of Q into the target network (none: target_sync_episodes says when)."""
    target_sync_episodes: Annotated[int | None, COUNT] = None
    """Training episodes between copies instead, as transcriptions of Algorithm 8 count them (none: by frames). One that
    is cut at a border or time limit counts, and those of the warm-up count."""
    warmup_frames: Annotated[int, COUNT_OR_0] = 1_000
    """Frames that are only remembered before the first update."""
    double_q: bool = False
    """Let Q choose, and the target network value, the next action (double Q-learning)."""
    hidden_sizes: Annotated[tuple[int, ...], Range(1, 8_192, whole=True)] = (512,)
    """Widths of the dense hidden layers, as N,N,..."""
    input_scaling: Literal["unit", "centred"] = "unit"
    """How pixels x of 0 to 255 go into the network: unit is x/255, centred is x/255 - 0.5."""
    layer_norm: bool = False
    """Normalise what goes into every ReLU (with weight decay: the remedy of arXiv 2402.18762; not tuned here)."""
    weight_decay: Annotated[float, Range(0, 100)] = 0.0
    """Times the learning rate: share of each weight that a step takes away (0: none; adam becomes AdamW)."""


@dataclass(frozen=True)
class ExplorationFields:
    """How often the agent acts at random: epsilon falls linearly, then stays."""

    epsilon_start: Annotated[float, RATE] = 1.0
    """Probability of a random action at first."""
    epsilon_end: Annotated[float, RATE] = 0.01
    """Probability of a random action after the decay."""
    epsilon_decay_frames: Annotated[int, COUNT_OR_0] = 10_000
    """Frames over which epsilon falls linearly."""
    flap_probability: Annotated[float, RATE] = 0.1
    """flappy_bird: probability that a random action is a flap (0.5 would hit the ceiling all the time)."""


@dataclass(frozen=True)
class EvaluationFields:
    """Greedy play on every setting all through training, apart from it."""

    eval_every: Annotated[int, COUNT] = 5_000
    """Frames between evaluations on all settings; the ends of training on a setting are always evaluated."""
    eval_episodes: Annotated[int, Range(1, 10_000, whole=True)] = 5
    """Episodes per setting and evaluation, greedy, each with its own fixed seed."""
    eval_frame_limit: Annotated[int, COUNT] = 2_000
    """Frames after which an evaluation episode is truncated; good play never ends."""
    eval_worker: bool = True
    """Evaluate in a separate process beside training, on a CPU; off: in line, on the training device."""


@dataclass(frozen=True)
class RunFields:
    """Where and how the run is made, and what it leaves."""

    seed: Annotated[int, Range(0, 2**63 - 1, whole=True)] = 0
    """Seed of everything random in the run."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the networks live (auto: a GPU for pixels if there is one, else the CPU)."""
    cuda_graph: bool = False
    """dqn-mer on CUDA: record the inner loop as a CUDA graph (never run so far; no effect elsewhere)."""
    threads: Annotated[int, Range(0, 1_024, whole=True)] = 1
    """CPU threads of PyTorch (0: all cores); more than one mostly wait for each other."""
    log_every: Annotated[int, COUNT] = 250
    """Frames between rows of metrics.csv and points of the training curves."""
    meter_every: Annotated[int, COUNT_OR_0] = 2_500
    """Frames between measurements of transfer and interference in memory, and of plasticity (0: none)."""
    save_every: Annotated[int, COUNT_OR_0] = 10_000
    """Frames between saves of the whole run, to resume from after a stop; the last two are kept (0: by time alone)."""
    save_minutes: Annotated[float, SAVE_MINUTES] = 10.0
    """Minutes between them at most (0: by frames alone)."""
    log_dir: Path = Path("runs")
    """Folder in which the run makes a new folder."""
    run_dir: Path | None = None
    """Exactly this folder for the run, instead; it must not exist."""


@dataclass(frozen=True)
class Config(RunFields, EvaluationFields, ExplorationFields, AgentFields, ScheduleFields, GameFields):
    """Train a DQN agent on a game that changes as it plays; evaluate it all along.

    Defaults shown suit the other flags given: try --game flappy_bird --help.
    """

    # The bases are the groups of the help; a dataclass takes their fields from the last base to the first.

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: in one line, naming the field, its value and what is allowed.
        """
        check_fields(self)
        check_combinations(self)

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON types, by field name."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def hyperparameters(self) -> dict[str, Any]:
        """Return what may change the result, by field name: all but how the run is made, kept and evaluated."""
        about_the_run = {f.name for kind in (RunFields, EvaluationFields) for f in dataclasses.fields(kind)}
        left_out = about_the_run - {"seed"}
        return {name: value for name, value in self.to_json().items() if name not in left_out}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Config:
        """Return the configuration that `to_json` described, with defaults for fields that came later.

        Raises:
            ValueError: naming the field, if one is unknown, missing or not allowed.
        """
        if not isinstance(values, Mapping):
            raise bad_value("config", values, "an object")
        names = {f.name for f in dataclasses.fields(cls)}
        for name in sorted((names - LATER_FIELDS) - set(values) | set(values) - names):
            raise ValueError(f"{name}: {'missing' if name in names else 'unknown'}")
        return cls(**{name: ALLOWED[name].from_json(value) for name, value in values.items()})


@dataclass(frozen=True)
class ResumeOptions:
    """Resume a stopped run, to the same end as if it had never been stopped.

    The run keeps its own flags; only those that cannot change its results may be given.
    """

    resume: Path = Path()
    """Folder of the run."""
    save_every: Annotated[int | None, COUNT_OR_0] = None
    """Frames between saves (none: as before)."""
    save_minutes: Annotated[float | None, SAVE_MINUTES] = None
    """Minutes between saves (none: as before)."""

    def __post_init__(self) -> None:
        """Check every value; raises ValueError naming the field."""
        check_fields(self)


ALLOWED = allowed_values(Config)
RANGES = {name: allowed.range for name, allowed in ALLOWED.items() if allowed.range is not None}
CHOICES = {name: allowed.choices for name, allowed in ALLOWED.items() if allowed.choices}
AGENTS = CHOICES["agent"]


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
