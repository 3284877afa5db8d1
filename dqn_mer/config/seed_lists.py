"""Seeds as they are named on the command line."""

MOST_RUNS = 10_000
"""Runs that one command may ask for."""


def read_seeds(text: str) -> list[int]:
    """Return the seeds that a text names, each once, in its order.

    Raises:
        ValueError: if the text is not made of numbers and ranges.

    >>> read_seeds("0-2,7,1")
    [0, 1, 2, 7]
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.partition("-")
        numbers = (first, last) if dash else (first, first)
        if not all(number.isascii() and number.isdigit() and len(number) <= 18 for number in numbers):
            raise ValueError(f"seeds={text!r}: must be numbers and ranges with commas, such as 0-4,7")
        low, high = map(int, numbers)
        if not low <= high < low + MOST_RUNS:
            raise ValueError(f"seeds={text!r}: range {part} must rise, by less than {MOST_RUNS:,}")
        seeds |= dict.fromkeys(range(low, high + 1))
    return list(seeds)
