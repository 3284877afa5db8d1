"""The tuning trials as tables of Markdown."""

from __future__ import annotations

from trials import COLUMNS, FIRST_SEED, FRAMES, LAST_FRAMES, SEEDS, USUAL, agent_of, completed, winners

Row = dict[str, str]
Rows = dict[str, Row]
"""Rows of ``trials.csv``, by command."""


def unusual(row: Row) -> str:
    """Return the values of a trial that are not the usual ones, in words.

    >>> unusual({**USUAL, "clip_rewards": "True", "frame_skip": "2"})
    'clipped rewards, frame skip 2'
    """
    words = {
        "clip_rewards": "clipped rewards",
        "frame_skip": f"frame skip {row['frame_skip']}",
        "discount": f"discount {row['discount']}",
        "input_scaling": f"{row['input_scaling']} input",
        "flap_probability": f"flap probability {row['flap_probability']}",
    }
    return ", ".join(said for name, said in words.items() if row[name] != USUAL[name])


def period(row: Row) -> str:
    """Return how often a trial's target is copied.

    >>> period({"target_sync_frames": "", "target_sync_episodes": "1"})
    '1 episode'
    """
    episodes = row["target_sync_episodes"]
    return f"{episodes} episode{'s' * (episodes != '1')}" if episodes else f"{row['target_sync_frames']} frames"


def across_batch_rate(row: Row) -> str:
    """Return a trial's across-batch rate; empty for an agent that has none."""
    return row["across_batch_rate"] if row["agent"] == "dqn-mer" else ""


def last_trials(rows: Rows) -> str:
    """Return the trials that have all seeds, with the score of each seed, the best of each agent first."""
    headings = ("learning rate", "across-batch rate", "target copied every", "and", "seeds 101, 102, 103", "mean")
    lines = ["| " + " | ".join(("game", "observation", "agent", *headings)) + " |", "|---" * 9 + "|"]
    judged = [row for row in rows.values() if int(row["frames"]) == LAST_FRAMES[row["game"], row["observation"]]]
    by_setting = {tuple(row[name] for name in (*COLUMNS, "seed")): row for row in map(completed, judged)}
    for (game, observation, agent), ordered in winners(rows).items():
        for mean, row in ordered:
            setting = tuple(row[name] for name in COLUMNS)
            scores = [float(by_setting[(*setting, str(FIRST_SEED + k))]["mean_score"]) for k in range(SEEDS)]
            knobs = [row["learning_rate"], across_batch_rate(row), period(row), unusual(row)]
            cells = [game, observation, f"`{agent}`", *knobs, ", ".join(f"{score:.1f}" for score in scores)]
            lines.append("| " + " | ".join([*cells, f"{mean:.1f}"]) + " |")
    return "\n".join([*lines, ""])


def first_trials(rows: Rows, observation: str) -> str:
    """Return the trials on the first seed, those of each agent in one line, the best first."""
    of_agents: dict[tuple[str, str], list[Row]] = {}
    for row in map(completed, rows.values()):
        length = str(FRAMES[row["game"], row["observation"]])
        if (row["observation"], row["seed"], row["frames"]) == (observation, str(FIRST_SEED), length):
            of_agents.setdefault((row["game"], agent_of(row)), []).append(row)
    lines = ["| game | agent | trials |", "|---" * 3 + "|"]
    for (game, agent), trials in sorted(of_agents.items()):
        ordered = sorted(trials, key=lambda row: -float(row["mean_score"]))
        lines.append(f"| {game} | `{agent}` | {'; '.join(map(_described, ordered))} |")
    return "\n".join([*lines, ""])


def _described(row: Row) -> str:
    rate = across_batch_rate(row)
    knobs = [row["learning_rate"], f"across-batch rate {rate}" if rate else "", period(row), unusual(row)]
    return f"{', '.join(filter(None, knobs))}: {float(row['mean_score']):.1f}"
