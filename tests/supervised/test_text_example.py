"""The example of Efficient MER beside an ordinary training loop."""

import runpy
from pathlib import Path

import pytest
import torch

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "efficient_mer_text.py"


def test_the_example_learns_the_texts_and_compares_them(capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    runpy.run_path(str(EXAMPLE))["main"](steps_per_text=60)
    torch.set_rng_state(before)  # which an example may use
    heading, alone, with_reptile = capsys.readouterr().out.splitlines()
    assert heading.split("text:")[1].split() == ["prose", "code", "tables", "names", "mean"]
    losses = [[float(word) for word in line.split()[2:]] for line in (alone, with_reptile)]
    assert losses[0] != losses[1]
    assert all(0 < loss < 7 for loss in losses[0] + losses[1])  # 7 bits would be a guess


def test_rate_1_changes_nothing_of_the_example() -> None:
    example = runpy.run_path(str(EXAMPLE))
    windows = {"names": example["read_windows"]("html.entities")[:2_000]}
    before = torch.get_rng_state()
    often, never = (example["train"](windows, 40, every, 1.0) for every in (1, 1_000))
    torch.set_rng_state(before)
    assert often == never
