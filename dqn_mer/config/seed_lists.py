"""Seeds as they are named on the command line."""

from continual_ple.messages import shown

MOST_RUNS = 10_000
"""Runs that one command may ask for."""
LARGEST = 2**63 - 1
"""Largest seed of a run."""


def read_seeds(text: str) -> list[int]:
    """Return the seeds that a text names, each once, in its order.

    Raises:
        ValueError: if the text is not made of numbers and ranges, or a seed is too large.

    >>> read_seeds("0-2,7,1")
    [0, 1, 2, 7]
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.partition("-")
        numbers = [number.lstrip("0") or number[:1] for number in (first, last if dash else first)]
        if not all(number.isascii() and number.isdigit() for number in numbers):
            raise ValueError(f"seeds={shown(text)}: must be numbers and ranges with commas, such as 0-4,7")
        if any(len(number) > len(str(LARGEST)) or int(number) > LARGEST for number in numbers):
            raise ValueError(f"seeds={shown(text)}: each must be at most {LARGEST:,}")
        low, high = map(int, numbers)
        if not low <= high < low + MOST_RUNS:
            raise ValueError(f"seeds={text!r}: range {part} must rise, by less than {MOST_RUNS:,}")
        seeds |= dict.fromkeys(range(low, high + 1))
    return list(seeds)
