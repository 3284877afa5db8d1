"""What the card of an agent says about its training, in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from continual_ple.settings import Schedule, schedule_of_values
from dqn_mer.evaluation.agent_options import PlayerFields
from dqn_mer.evaluation.model_card import model_card
from dqn_mer.evaluation.saved_agent import load_agent

A, B = "0-pipe_gap=100", "1-pipe_gap=80"
PLAYED: dict[str, Any] = {"frame_limit": 2_000, "episodes": 1, "seed": 1, "settings": []}


def gaps(**choices: Any) -> Schedule:
    return schedule_of_values("pipe_gap", (100.0, 80.0), **{"frames_per_setting": 1_000, **choices})


@pytest.mark.parametrize(
    ("schedule", "frames", "words"),
    [
        (gaps(), 2_000, f"all 2 settings, one after the other, for 1,000 frames each: {A}, {B}"),
        (gaps(), 3_000, f"all 2 settings, one after the other, for 1,000 to 2,000 frames each: {A}, {B}"),
        (gaps(), 1_250, f"all 2 settings, one after the other, for 250 to 1,000 frames each: {A}, {B}"),
        (gaps(cycles=2), 3_000, f"all 2 settings, one after the other, for 1,000 frames each: {A}, {B}, {A}"),
        (gaps(frames_per_setting=(700, 1_300)), 700, f"settings, one after the other, for 700 frames each: {A}"),
        (gaps(cycles=2, interleave_frames=50), 900, f"the settings {A}, {B} in turn, for 50 frames at a time"),
    ],
)
def test_the_settings_and_lengths_are_those_of_training(schedule: Schedule, frames: int, words: str) -> None:
    agent = load_agent(PlayerFields(Path("pretrained/flappy_bird-state-dqn")))
    agent = dataclasses.replace(agent, frame=frames, task=dataclasses.replace(agent.task, schedule=schedule))
    card = model_card("name", agent, PLAYED, (), "")
    assert f"for {frames:,} frames:\n{words}.\n" in card
