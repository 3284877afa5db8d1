"""How many examples Hypothesis draws, and whether they are the same in every run.

Under ``make test`` they are the same in every run. ``make fuzz`` (``HYPOTHESIS_PROFILE=fuzz``) draws new ones, twenty
times as many, and prints with a failure how to repeat it.
"""

import os
from typing import Any

from hypothesis import settings

FIXED_EXAMPLES = 100
FUZZ_FACTOR = 20

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=FIXED_EXAMPLES)
settings.register_profile("fuzz", deadline=None, max_examples=FUZZ_FACTOR * FIXED_EXAMPLES, print_blob=True)


def load_profile() -> None:
    """Take the profile that the environment names; called before any test is imported."""
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def tries(count: int, **options: Any) -> settings:
    """Return Hypothesis settings for ``count`` examples, and under another profile for as many more as it has."""
    return settings(max_examples=count * settings.default.max_examples // FIXED_EXAMPLES, **options)
