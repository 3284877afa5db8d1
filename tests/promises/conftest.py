"""What tests of files from strangers leave out."""

from __future__ import annotations

import pytest

from dqn_mer.analysis import report


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures: they take nearly all of a comparison's time, and other tests draw them."""
    monkeypatch.setattr(report, "_picture", lambda figure, kind: b"")
