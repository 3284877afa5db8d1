"""The agents that the package brings play as well as their cards say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dqn_mer

PRETRAINED = Path(dqn_mer.__file__).parent / "pretrained"
NAMES = sorted(path.name for path in PRETRAINED.iterdir()) if PRETRAINED.is_dir() else []
ROW = re.compile(r"\| (\S+) \| ([\d.-]+) \| ([\d.-]+) to ([\d.-]+) \|")


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_plays_as_its_card_says(name: str) -> None:
    """Twenty of the card's hundred episodes, whose mean strays from the card's by at most a few of its intervals."""
    rows = ROW.findall((PRETRAINED / name / "README.md").read_text())
    result = dqn_mer.evaluate(f"pretrained/{name}", episodes=20, seed=1)
    played = {row["setting"]: row["score_mean"] for row in result["settings"]}
    assert list(played) == [row[0] for row in rows]
    for setting, mean, low, high in rows:
        margin = max(1.0, 3 * (float(high) - float(low)))
        assert abs(played[setting] - float(mean)) <= margin, setting


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_is_what_its_name_says(name: str) -> None:
    config = dqn_mer.load_agent(f"pretrained/{name}").config
    assert name == f"{config.game}-{config.observation}-{config.agent}"
