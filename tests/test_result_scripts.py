"""The examples in the docstrings of the scripts of results/, a folder in which pytest collects nothing."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "results"
SCRIPTS = sorted(path.stem for path in RESULTS.glob("*.py") if ">>> " in path.read_text())


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_examples_of_a_script_are_right(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0 and failed == 0
