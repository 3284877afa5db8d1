"""The tuned defaults are those of the best trials, and every agent had as many."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import trials
import tuning

from dqn_mer.config.defaults import default_config

ROWS = trials.read_table(Path(trials.__file__).parent / "trials.csv")
WINNERS = trials.winners(ROWS)
KNOBS = ("learning_rate", "target_sync_frames", "target_sync_episodes", *trials.USUAL)


@pytest.mark.parametrize("key", WINNERS, ids="-".join)
def test_defaults_are_the_best_trials(key: tuple[str, str, str]) -> None:
    game, observation, agent = key
    (_, best), *_ = WINNERS[key]
    chosen = {"agent": "dqn-mer", "optimizer": "sgd"} if agent == "dqn-mer-sgd" else {"agent": agent}
    config = default_config(game=game, observation=observation, **chosen)
    knobs = {*KNOBS, *(["across_batch_rate"] if config.agent == "dqn-mer" else [])}
    found = {name: "" if getattr(config, name) is None else str(getattr(config, name)) for name in knobs}
    assert found == {name: best[name] for name in knobs}


def test_all_agents_had_as_many_trials() -> None:
    assert {("catcher", "state"), ("flappy_bird", "state")} <= set(by_place())
    for place, agents in by_place().items():
        assert set(agents) in (set(tuning.AGENTS), set(tuning.AGENTS) - {"dqn-mer-sgd"}), place
        assert len(set(agents.values())) == 1, (place, agents)


def test_until_its_memory_is_full_a_trial_of_the_reservoir_equals_that_of_dqn() -> None:
    """Those that were run do, so that the others need no run."""
    added = trials.of_reservoir(ROWS)
    assert added
    judged = ("mean_score", "mean_score_last_30k", "best_score_on_first_setting")
    for command, row in added.items():
        assert {name: row[name] for name in judged} == {name: ROWS[command][name] for name in judged}


def by_place() -> dict[tuple[str, str], Counter[str]]:
    """Return the number of trials of each agent, by game and observation, among those that are complete."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for (game, observation, agent), ordered in WINNERS.items():
        found.setdefault((game, observation), Counter())[agent] = len(ordered)
    return found
