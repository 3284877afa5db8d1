"""The tuned defaults are those of the best trials, and every agent had as many."""

from __future__ import annotations

from pathlib import Path

import pytest
import trials
import tuning
from protocol import PIXEL_RUNS

from dqn_mer.config.defaults import default_config

ROWS = trials.read_table(Path(trials.__file__).parent / "trials.csv")
WINNERS = trials.winners(ROWS)
BEST = {"state": 4, "pixels": 2}
"""Number of trials of each agent that run on all seeds, by observation."""
KNOBS = ("learning_rate", "target_sync_frames", "target_sync_episodes", *(set(trials.USUAL) - {"frame_skip"}))
"""What a trial chooses; a frame skip makes another game, so that the protocol has one for all agents."""


@pytest.mark.parametrize("key", WINNERS, ids="-".join)
def test_defaults_are_the_best_trials(key: tuple[str, str, str]) -> None:
    game, observation, agent = key
    (_, best), *_ = WINNERS[key]
    chosen = {"agent": "dqn-mer", "optimizer": "sgd"} if agent == "dqn-mer-sgd" else {"agent": agent}
    config = default_config(game=game, observation=observation, **chosen)
    knobs = {*KNOBS, *(["across_batch_rate"] if config.agent == "dqn-mer" else [])}
    found = {name: "" if getattr(config, name) is None else str(getattr(config, name)) for name in knobs}
    assert found == {name: best[name] for name in knobs}
    assert int(best["frame_skip"]) == (PIXEL_RUNS[game].get("frame_skip", 1) if observation == "pixels" else 1)


def test_all_agents_had_as_many_trials_and_their_best_ran_on_all_seeds() -> None:
    first: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in map(trials.completed, ROWS.values()):
        length = str(trials.FRAMES[row["game"], row["observation"]])
        if (row["seed"], row["frames"]) == (str(trials.FIRST_SEED), length):
            first.setdefault((row["game"], row["observation"], trials.agent_of(row)), []).append(row)
    assert {("catcher", "state"), ("flappy_bird", "state")} <= {key[:2] for key in WINNERS}
    for place in {key[:2] for key in WINNERS}:
        agents = {key[2] for key in WINNERS if key[:2] == place}
        assert agents in (set(tuning.AGENTS), set(tuning.AGENTS) - {"dqn-mer-sgd"}), place
        assert len({len(first[(*place, agent)]) for agent in agents}) == 1, place
        for agent in agents:
            ordered = sorted(first[(*place, agent)], key=lambda row: -float(row["mean_score"]))
            on_all_seeds = [setting(row) for _, row in WINNERS[(*place, agent)]]
            assert all(setting(row) in on_all_seeds for row in ordered[: BEST[place[1]]]), (place, agent)


def test_until_its_memory_is_full_a_trial_of_the_reservoir_equals_that_of_dqn() -> None:
    """Those that were run do, so that the others need no run."""
    added = trials.of_reservoir(ROWS)
    assert added
    judged = ("mean_score", "mean_score_last_30k", "best_score_on_first_setting")
    for command, row in added.items():
        assert {name: row[name] for name in judged} == {name: ROWS[command][name] for name in judged}


def setting(row: dict[str, str]) -> tuple[str, ...]:
    """Return what distinguishes a trial from the others but for its seed and length."""
    return tuple(row[name] for name in trials.COLUMNS)
