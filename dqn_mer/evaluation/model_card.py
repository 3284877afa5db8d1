"""The card of an agent that is shared: Markdown below a head of YAML, as the Hugging Face hub reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dqn_mer.evaluation.saved_agent import SavedAgent
from dqn_mer.storage.escapes import markdown_text, printable

TEMPLATE = """\
---
{head}
---

# {name}

{agent} on {game} from {observation}, trained with the package DQN-MER, seed {seed}, for {frames:,} frames:
{schedule}.
{notes}

## Scores

Greedy play of {episodes:,} episodes on each setting (seed {play_seed}), at most {limit}, apart from
those of training; the interval is a bootstrap of their mean.

{table}

## Use

```sh
pip install dqn-mer
python -m dqn_mer evaluate FOLDER   # this folder, or hf://USER/REPO
python -m dqn_mer watch FOLDER
```

`checkpoint.json` holds the network, all options of the training run and the schedule of its settings. Loading runs no
code.

## Licence

{terms}
"""


def model_card(name: str, agent: SavedAgent, played: Mapping[str, Any], notes: Sequence[str], licence: str) -> str:
    """Return the card of an agent.

    Args:
        name: Name of the agent.
        agent: The agent, with what it was trained on.
        played: Scores of the very weights that are shared, as `evaluate_checkpoint` returns them.
        notes: Sentences on which checkpoint it is, and how its weights are stored; empty ones are left out.
        licence: Licence of the weights, as the hub names it; empty if none is stated.
    """
    limit, held = f"{played['frame_limit']:,} frames each", agent.task.frame_skip
    return TEMPLATE.format(
        head="\n".join(_yaml(_head(name, agent, played, licence))),
        name=markdown_text(name),
        agent=markdown_text(agent.config.agent),
        game=markdown_text(agent.config.game),
        observation=markdown_text(agent.config.observation),
        frames=agent.frame,
        schedule=markdown_text(_schedule(agent)),
        seed=agent.config.seed,
        notes="\n".join(filter(None, notes)),
        episodes=played["episodes"],
        play_seed=played["seed"],
        limit=limit if held == 1 else f"{limit}, every action held for {held} frames",
        table=_table(played),
        terms=f"The weights are under the licence `{licence}`." if licence else "No licence is stated.",
    )


def _schedule(agent: SavedAgent) -> str:
    """Return in words what the agent was trained on."""
    schedule = agent.task.schedule
    if schedule.interleave_frames:
        names = ", ".join(setting.name for setting in schedule.settings)
        return f"the settings {names} in turn, for {schedule.interleave_frames:,} frames at a time"
    ends = schedule.ends(agent.frame)  # the last segment may be shorter or longer than planned
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    words = " to ".join(f"{length:,}" for length in sorted({min(lengths), max(lengths)}))
    reached = [schedule.settings[index].name for index in schedule.order[: len(ends)]]
    which = f"all {len(schedule.settings)} settings" if len(set(reached)) == len(schedule.settings) else "settings"
    return f"{which}, one after the other, for {words} frames each: {', '.join(reached)}"


def _table(played: Mapping[str, Any]) -> str:
    rows = ["| setting | mean score | 95% interval | best |", "|---|---|---|---|"]
    for row in played["settings"]:
        low, high = row["score_interval_95"]
        scores = f"{row['score_mean']:.1f} | {low:.1f} to {high:.1f} | {row['score_best']:g}"
        rows.append(f"| {markdown_text(row['setting'])} | {scores} |")
    return "\n".join(rows)


def _head(name: str, agent: SavedAgent, played: Mapping[str, Any], licence: str) -> dict[str, Any]:
    """Return what the hub reads: licence, tags, and the scores as results of a model."""
    game = agent.config.game
    results = []
    for row in played["settings"]:
        low, high = row["score_interval_95"]
        said = f"mean score, 95% interval {low:.2f} to {high:.2f}, {played['episodes']} episodes"
        results.append({
            "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
            "dataset": {"name": f"{game}, {row['setting']}", "type": game, "config": row["setting"]},
            "metrics": [{"type": "mean_score", "value": round(row["score_mean"], 2), "name": said}],
        })  # fmt: skip
    tags = ["deep-reinforcement-learning", "reinforcement-learning", "continual-learning", game, agent.config.agent]
    return {
        **({"license": licence} if licence else {}),
        "library_name": "dqn-mer",
        "pipeline_tag": "reinforcement-learning",
        "tags": tags,
        "model-index": [{"name": name, "results": results}],
    }


def _yaml(value: Mapping[str, Any] | Sequence[Any], indent: str = "") -> Iterator[str]:
    r"""Yield objects and lists as lines of YAML; texts and numbers are written as JSON, which YAML reads as it is.

    JSON may escape one character as two, which YAML reads as two; so text is made printable instead of escaped.

    >>> print(*_yaml({"tags": ["a: b"], "results": [{"name": "x", "value": 1.5}]}), sep="\n")
    tags:
      - "a: b"
    results:
      - name: "x"
        value: 1.5
    """
    parts = [(f"{key}:", item) for key, item in value.items()] if isinstance(value, Mapping) else []
    for start, item in parts or [("-", item) for item in value]:
        if not isinstance(item, (Mapping, list)):
            plain = printable(item) if isinstance(item, str) else item
            yield f"{indent}{start} {json.dumps(plain, ensure_ascii=False)}"
        elif start == "-":
            first, *rest = _yaml(item, f"{indent}  ")
            yield from (f"{indent}- {first.lstrip()}", *rest)
        else:
            yield from (f"{indent}{start}", *_yaml(item, f"{indent}  "))
