"""The options of a run, in groups: each part owns the group of its numbers, and is given it.

A new option is one field here: its default, its range and the text of its help. `Config` inherits the groups, so that
it is a group wherever a part asks for one. The names of groups that parts read end in ``Parameters``; those that only
describe a run end in ``Fields``. They take keywords alone, so that a field may be added anywhere. MER's group is
`dqn_mer.mer_parameters.MERParameters`; the choice of the agent stands with the agents, in
`dqn_mer.config.agent_registry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from continual_ple import GAMES, OBSERVATIONS
from dqn_mer.config.fields import Known, check_fields
from dqn_mer.config.task_references import TaskReference
from dqn_mer.ranges import COUNT, COUNT_OR_0, RATE, SAVE_MINUTES, Range


class Checked:
    """Checks the values of a group that is made alone; a `Config` checks its own values, and how they combine."""

    def __post_init__(self) -> None:
        """Check every value; raises ValueError naming the field."""
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class StartFields:
    """What a run starts from."""

    preset: Literal["tuned", "paper", "quick"] = "tuned"
    """Which defaults to start from: tuned ones, the values of the paper, or a run of a minute or two."""
    seed: Annotated[int, Range(0, 2**63 - 1, whole=True)] = 0
    """Seed of everything random in the run."""


@dataclass(frozen=True, kw_only=True)
class GameFields:
    """The game and what the agent sees of it."""

    game: Annotated[str, Known(GAMES)] = "catcher"
    """Game to play; with task, the name under which the run is filed, by default the task's own."""
    task: TaskReference = None
    """Task of yours to learn instead of a game: a continual_ple.Task, or a function without required arguments that
    returns one, in a module that Python finds, in the current folder too (see docs/environments.md). Flags that
    describe a game or its schedule are then refused."""
    observation: Annotated[str, Known(OBSERVATIONS)] = "pixels"
    """What the agent sees: 4 stacked frames of 84x84 grey pixels (the paper's), or the game's own numbers."""
    backend: Literal["native", "ple"] = "native"
    """Our games, or the upstream `ple` package behind the same interface (see docs/environments.md)."""
    rounding: Literal["nearest", "truncate"] = "nearest"
    """How positions become whole pixels: as in today's pygame, or as in the pygame of the paper's time."""
    fixed_looks: bool = False
    """Draw every Flappy Bird episode with the same background and colours."""
    game_parameters: Mapping[str, float] = field(default_factory=dict)
    """Further game parameters for the whole run, as NAME=VALUE,...; for example gravity=1.2,flap_power=10."""


@dataclass(frozen=True, kw_only=True)
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
    """Let all settings take turns all through training, this many frames each (0: off): the ceiling."""
    schedule: Path | None = None
    """JSON file with a schedule of settings, instead of the flags above except `frames`."""


@dataclass(frozen=True, kw_only=True)
class MemoryFields:
    """The memory that past transitions are drawn from."""

    capacity: Annotated[int, Range(1, 100_000_000, whole=True)] = 50_000
    """Transitions the memory keeps (the paper's M); each is a step, of up to frame_skip frames."""


@dataclass(frozen=True, kw_only=True)
class OptimizerFields:
    """How the weights follow a gradient."""

    learning_rate: Annotated[float, Range(1e-12, 100)] = 1e-4
    """Step size of the optimizer (the paper's alpha)."""
    optimizer: Literal["sgd", "adam", "rmsprop"] = "adam"
    """Optimizer of each learning step; the paper's MER takes plain SGD steps."""
    momentum: Annotated[float, Range(0, 0.9999)] = 0.0
    """sgd: momentum, the share of the last step that the next one repeats (0: plain SGD)."""
    nesterov: bool = False
    """sgd: Nesterov's form of momentum."""
    weight_decay: Annotated[float, Range(0, 100)] = 0.0
    """Times the learning rate: share of each weight that a step takes away (0: none; adam becomes AdamW; momentum
    repeats it)."""


@dataclass(frozen=True, kw_only=True)
class EfficientMERParameters(Checked):
    """Mini-batch replay with a Reptile step now and then."""

    reptile_every_updates: Annotated[int, COUNT] = 500
    """Updates between Reptile steps (k of arXiv 2508.01908; its value, not tuned here)."""
    reptile_rate: Annotated[float, RATE] = 0.5
    """Reptile rate, the share of those updates that is kept (there 0.1; hardly tuned here)."""


@dataclass(frozen=True, kw_only=True)
class HareTortoiseParameters(Checked):
    """Mini-batch replay whose fast weights are reset to their slow average."""

    tortoise_rate: Annotated[float, RATE] = 0.001
    """Share of the way that the slow weights follow the fast ones after each update (the value of arXiv 2406.02596, not
    tuned here)."""
    hare_reset_updates: Annotated[int, COUNT] = 5_000
    """Updates between resets of the fast weights to the slow ones (not tuned)."""


@dataclass(frozen=True, kw_only=True)
class DQNParameters(Checked):
    """What every agent learns from its transitions, and when."""

    discount: Annotated[float, RATE] = 0.99
    """Discount of future rewards (reinforcement learning's gamma), for each step of up to frame_skip frames."""
    target_sync_frames: Annotated[int | None, COUNT] = 1_000
    """Frames between copies of Q into the target network (none: target_sync_episodes says when)."""
    target_sync_episodes: Annotated[int | None, COUNT] = None
    """Training episodes between copies instead, as transcriptions of Algorithm 8 count them (none: by frames). One that
    is cut at a border or time limit counts, and those of the warm-up count."""
    warmup_frames: Annotated[int, COUNT_OR_0] = 1_000
    """Frames that are only remembered before the first update."""
    double_q: bool = False
    """Let Q choose, and the target network value, the next action (double Q-learning)."""
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
    freeze_after_frames: Annotated[int | None, COUNT_OR_0] = None
    """Frames after which nothing more is learned (none: never): the frozen twin of an agent."""
    frame_skip: Annotated[int, Range(1, 100, whole=True)] = 1
    """Frames for which each action is held (PLE's frame_skip), in training, evaluation and random play: rewards are
    summed, and only the last frame is seen and stacked. Schedules, periods, epsilon and curves still count every frame;
    transitions, updates and the discount count steps. A step ends early where an episode, a setting or the run does.
    Even numbers make Flappy Bird another game (see docs/environments.md)."""
    clip_rewards: bool = False
    """Learn rewards clipped to [-1, 1] (Mnih et al., 2015), after frame_skip's sum; scores and returns stay raw."""


@dataclass(frozen=True, kw_only=True)
class NetworkFields:
    """The Q-network."""

    hidden_sizes: Annotated[tuple[int, ...], Range(1, 8_192, whole=True)] = (512,)
    """Widths of the dense hidden layers, as N,N,..."""
    input_scaling: Literal["unit", "centred"] = "unit"
    """How pixels x of 0 to 255 go into the network: unit is x/255, centred is x/255 - 0.5."""
    layer_norm: bool = False
    """Normalise what goes into every ReLU (with weight decay: the remedy of arXiv 2402.18762; not tuned here)."""


@dataclass(frozen=True, kw_only=True)
class ExplorationParameters(Checked):
    """How often the agent acts at random: epsilon falls linearly, then stays."""

    epsilon_start: Annotated[float, RATE] = 1.0
    """Probability of a random action at first."""
    epsilon_end: Annotated[float, RATE] = 0.01
    """Probability of a random action after the decay."""
    epsilon_decay_frames: Annotated[int, COUNT_OR_0] = 10_000
    """Frames over which epsilon falls linearly."""
    flap_probability: Annotated[float, RATE] = 0.1
    """flappy_bird: probability that a random action is a flap (0.5 would hit the ceiling all the time; with frame_skip
    it is held, and more are needed to stay up: see docs/environments.md)."""


@dataclass(frozen=True, kw_only=True)
class EvaluationFields:
    """Greedy play on every setting all through training, apart from it."""

    eval_every: Annotated[int, COUNT] = 5_000
    """Frames between evaluations on all settings; the ends of training on a setting are always evaluated."""
    eval_episodes: Annotated[int, Range(1, 10_000, whole=True)] = 5
    """Episodes per setting and evaluation, greedy, each with its own fixed seed."""
    eval_frame_limit: Annotated[int, COUNT] = 2_000
    """Frames after which an evaluation episode is truncated; good play never ends."""


@dataclass(frozen=True, kw_only=True)
class RunFields:
    """Where and how the run is made, and what it leaves: none of these is a hyper-parameter."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the networks live (auto: CUDA for pixels if there is one, else the CPU)."""
    cuda_graph: bool = False
    """dqn-mer on CUDA: record the inner loop as a CUDA graph (never run so far; no effect elsewhere)."""
    threads: Annotated[int, Range(0, 1_024, whole=True)] = 1
    """CPU threads of PyTorch (0: all cores). More than one rarely helps."""
    eval_worker: bool = True
    """Evaluate in a separate process beside training, on a CPU; off: in line, on the training device."""
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
