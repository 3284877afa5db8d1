"""What is written beside the pictures of a clip, and on a contact sheet."""

from __future__ import annotations

import numpy as np
import pytest

from dqn_mer.evaluation.clips import SHEET_LABEL_WIDTH, Clip, Film, sheet_row
from dqn_mer.evaluation.overlay import draw_panel, fitted, font

LONG = "0-gravitational_constant=9.81 and a wind that is stronger than in all the others, with the pole at x="


@pytest.mark.parametrize("long", [LONG[:30], LONG[:99]])
def test_a_long_name_is_shown_to_its_end(long: str) -> None:
    film = Film([np.zeros((64, 64, 3), np.uint8)] * 2)
    labels = [np.asarray(sheet_row(Clip(long + end, film, 64, 3.0, True)))[:, :SHEET_LABEL_WIDTH] for end in ("1", "8")]
    assert (labels[0] != labels[1]).any()
    panels = [draw_panel(512, [("setting", long + end), ("score", "3")]) for end in ("1", "8")]
    assert (panels[0] != panels[1]).any()


@pytest.mark.parametrize("text", ["short", "two\nlines", LONG, f"dqn\n{LONG}", "W" * 100])
def test_text_keeps_its_letters_and_fits(text: str) -> None:
    size, lines = fitted(text, (18, 12), 180)
    assert lines.replace("\n", "") == text.replace("\n", "")
    assert max(font(size).getlength(line) for line in lines.split("\n")) <= 180
    assert (size == 18) == (lines == text)
