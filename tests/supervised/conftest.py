"""Images, and runs of every learner on them, that are made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dqn_mer.supervised.command import supervised
from dqn_mer.supervised.options import LEARNERS
from tests.helpers.stream_problems import write_images
from tests.helpers.stream_runs import QUIET, make_options


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"), train=200, test=60)


@pytest.fixture(scope="session")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished run of every learner, and of two seeds for two of them."""
    out = tmp_path_factory.mktemp("runs")
    assert supervised(make_options(images, out, learner=tuple(LEARNERS)), console=QUIET) == 0
    assert supervised(make_options(images, out, learner=("er", "mer-7"), seeds="1"), console=QUIET) == 0
    return out
