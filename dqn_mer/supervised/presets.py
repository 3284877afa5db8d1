"""The rates that the authors published for each learner, stream and memory size.

Source: ``mer_examples.sh`` of github.com/mattriemer/MER at commit 4b7b9c9, which reproduces the paper's tables (two
hidden layers of 100 units; 1,000 examples of each of 20 tasks, or 200 of each of 100 for Many Permutations). There
``--replay_batch_size`` is `Rates.batch_size` (the paper's k-1), ``--batches_per_example`` is `Rates.num_batches` and
``--s`` is `Rates.current_example_boost`; ER is its ``eralg4``. Its ``meralg6`` always runs with one batch an example,
and learns the newest example last (`mer-6-last`), its ``meralg1`` first; in the paper its place in a batch is random.
"""

from __future__ import annotations

from dataclasses import dataclass

STREAMS = ("rotations", "permutations", "many-permutations", "classes")
MEMORIES = (5120, 500, 200)
"""Memory sizes of the paper."""


@dataclass(frozen=True)
class Rates:
    """Hyper-parameters of a learner; each reads those that it has.

    Attributes:
        learning_rate: α, the SGD step size.
        batch_size: Examples drawn from memory for a batch.
        num_batches: Batches for each example of the stream.
        within_batch_rate: β, the Reptile rate after each batch.
        across_batch_rate: γ, the Reptile rate after all batches of an example.
        current_example_boost: Multiple s of the learning rate on the newest example.
        strength: EWC's weight of the penalty, or GEM's margin.
    """

    learning_rate: float
    batch_size: int = 0
    num_batches: int = 1
    within_batch_rate: float = 1.0
    across_batch_rate: float = 1.0
    current_example_boost: float = 1.0
    strength: float = 0.0


_ONLINE = {"rotations": 0.0003, "permutations": 0.003, "many-permutations": 0.003}
_EWC = {"rotations": (0.001, 100.0), "permutations": (0.01, 10.0), "many-permutations": (0.003, 1.0)}
# (stream, memory): learning rate, margin
_GEM = {
    ("rotations", 5120): (0.01, 1.0),
    ("rotations", 500): (0.01, 0.0),
    ("rotations", 200): (0.01, 0.0),
    ("permutations", 5120): (0.01, 1.0),
    ("permutations", 500): (0.01, 1.0),
    ("permutations", 200): (0.01, 0.0),
    ("many-permutations", 5120): (0.01, 0.0),
    ("many-permutations", 500): (0.003, 0.1),
}
# (stream, memory): learning rate, batch size
_ER = {
    ("rotations", 5120): (0.1, 25),
    ("rotations", 500): (0.1, 5),
    ("rotations", 200): (0.1, 10),
    ("permutations", 5120): (0.1, 25),
    ("permutations", 500): (0.1, 10),
    ("permutations", 200): (0.1, 10),
    ("many-permutations", 5120): (0.1, 25),
    ("many-permutations", 500): (0.1, 25),
}
# (stream, memory): learning rate, β, batch size, batches; γ is 1
_MER_1 = {
    ("rotations", 5120): (0.03, 0.03, 100, 10),
    ("rotations", 500): (0.1, 0.01, 10, 10),
    ("rotations", 200): (0.1, 0.01, 10, 5),
    ("permutations", 5120): (0.03, 0.03, 100, 10),
    ("permutations", 500): (0.03, 0.03, 25, 10),
    ("permutations", 200): (0.03, 0.03, 10, 10),
    ("many-permutations", 5120): (0.1, 0.01, 5, 10),
    ("many-permutations", 500): (0.03, 0.03, 5, 10),
}
# (stream, memory): learning rate, γ, batch size
_MER_6 = {
    ("rotations", 5120): (0.03, 0.1, 100),
    ("rotations", 500): (0.1, 0.03, 10),
    ("rotations", 200): (0.1, 0.03, 25),
    ("permutations", 5120): (0.03, 0.1, 50),
    ("permutations", 500): (0.03, 0.3, 10),
    ("permutations", 200): (0.1, 0.03, 5),
    ("many-permutations", 5120): (0.03, 0.1, 25),
    ("many-permutations", 500): (0.1, 0.03, 5),
}
# (stream, memory): learning rate, γ, batch size, s
_MER_7 = {
    ("rotations", 5120): (0.03, 0.03, 100, 5.0),
    ("rotations", 500): (0.03, 0.03, 50, 5.0),
    ("rotations", 200): (0.03, 0.03, 50, 5.0),
    ("permutations", 5120): (0.01, 0.1, 100, 10.0),
    ("permutations", 500): (0.01, 0.1, 25, 10.0),
    ("permutations", 200): (0.03, 0.1, 5, 2.0),
    ("many-permutations", 5120): (0.03, 0.03, 100, 10.0),
    ("many-permutations", 500): (0.03, 0.03, 5, 10.0),
}

PUBLISHED: dict[tuple[str, str, int], Rates] = {
    **{("online", stream, 0): Rates(rate) for stream, rate in _ONLINE.items()},
    **{("ewc", stream, 0): Rates(a, strength=b) for stream, (a, b) in _EWC.items()},
    **{("gem", *case): Rates(a, strength=margin) for case, (a, margin) in _GEM.items()},
    **{("er", *case): Rates(a, size) for case, (a, size) in _ER.items()},
    **{
        ("mer-1", *case): Rates(a, size, batches, within_batch_rate=b) for case, (a, b, size, batches) in _MER_1.items()
    },
    **{("mer-6", *case): Rates(a, size, across_batch_rate=g) for case, (a, g, size) in _MER_6.items()},
    **{
        ("mer-7", *case): Rates(a, size, across_batch_rate=g, current_example_boost=s)
        for case, (a, g, size, s) in _MER_7.items()
    },
}
"""Published rates by learner, stream and memory size; 0 for a learner without a memory."""

AGEM_BATCH = 25
"""Examples of A-GEM's reference batch. The authors did not run A-GEM: it takes GEM's learning rate."""

ER_REPEATED = {
    ("rotations", 5120): 0.3,
    ("rotations", 500): 0.1,
    ("rotations", 200): 0.1,
    ("permutations", 5120): 0.3,
    ("permutations", 500): 0.1,
    ("permutations", 200): 0.03,
    ("many-permutations", 5120): 0.01,
    ("many-permutations", 500): 0.01,
}
"""Learning rates of er-repeated by stream and memory size. The authors did not run it: its batches are those of mer-1,
and its rate is the best on seeds 100 to 102 (results/supervised/er-repeated-rates.csv)."""


def published_rates(learner: str, stream: str, memory: int) -> tuple[Rates, str]:
    """Return the rates of a learner, and their source in words.

    A combination that the authors did not run takes the rates of the nearest one that they did: of the memory size
    nearest by ratio, and of Rotations for a stream of classes. The memory of a learner without one is 0.

    >>> published_rates("mer-7", "rotations", 200)[0].batch_size, published_rates("er", "classes", 1000)[1]
    (50, 'rates published for rotations with 500 memories')
    """
    source = {"a-gem": "gem", "mer-6-last": "mer-6", "er-repeated": "mer-1"}.get(learner, learner)
    like = stream if stream in _ONLINE else "rotations"
    if not memory:
        return PUBLISHED[source, like, 0], f"rates published for {like}"
    sizes = [size for size in MEMORIES if (source, like, size) in PUBLISHED]
    nearest = min(sizes, key=lambda size: max(size / memory, memory / size))
    rates = PUBLISHED[source, like, nearest]
    if learner == "a-gem":
        return Rates(rates.learning_rate, AGEM_BATCH), f"learning rate published for gem, {like}, {nearest} memories"
    if learner == "er-repeated":
        rate = ER_REPEATED[like, nearest]
        made = f"batches published for mer-1, {like}, {nearest} memories; learning rate tuned here"
        return Rates(rate, rates.batch_size, rates.num_batches), made
    return rates, f"rates published for {like} with {nearest} memories"
