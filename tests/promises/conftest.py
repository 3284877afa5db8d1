"""What tests of files from strangers leave out."""

from __future__ import annotations

import pytest

from dqn_mer.analysis import report


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes nearly all the time of a comparison, and has tests of its own."""
    monkeypatch.setattr(report, "_picture", lambda figure, kind: b"")
