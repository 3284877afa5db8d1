"""Draw the figures of results/ and fill in the tables of README and docs, from the runs' CSV files.

``python results/figures.py`` does all of it: what PROTOCOL.md measures of the runs in results/evidence/, the
comparisons of their main arms, and the tables of the benchmarks.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import gymnasium
import tuning
from evidence import GAMES, Evidence
from evidence_pages import MAIN_ARMS, sections, write_evidence
from matplotlib.figure import Figure

from continual_ple import ENV_IDS
from dqn_mer.commands.compare import CompareOptions, compare
from dqn_mer.training.tags import tags_as_markdown

RESULTS = Path(__file__).parent


def draw_games() -> None:
    """Draw both games as they are seen at full size, and what the agent sees of them."""
    figure = Figure(figsize=(9, 2.5), layout="constrained")
    panels = figure.subplots(1, 5, width_ratios=[1, 1, 1, 0.5625, 0.5625])
    pictures = {"Catcher": [], "Flappy Bird": []}
    for name, env_id, seeds, policy in (
        ("Catcher", ENV_IDS["catcher"], (1, 2), lambda env: env.action_space.sample()),
        ("Flappy Bird", ENV_IDS["flappy_bird"], (0, 4), follow_the_gap),
    ):
        env = gymnasium.make(env_id, render_mode="rgb_array")
        for seed in seeds:
            env.action_space.seed(seed)
            observation, _ = env.reset(seed=seed)
            for _ in range(75):
                observation, *_ = env.step(policy(env))
            pictures[name].append((env.render(), observation[-1]))
        env.close()
    shown = [
        ("Catcher", pictures["Catcher"][0][0]),
        ("as the agent sees it", pictures["Catcher"][0][1]),
        ("as the agent sees it", pictures["Flappy Bird"][0][1]),
        ("Flappy Bird", pictures["Flappy Bird"][0][0]),
        ("", pictures["Flappy Bird"][1][0]),
    ]
    for panel, (title, picture) in zip(panels, shown, strict=True):
        panel.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        panel.set_title(title, fontsize=9)
        panel.axis("off")
    figure.savefig(RESULTS / "games.png", dpi=110)


def follow_the_gap(env: gymnasium.Env[Any, Any]) -> int:
    """Flap when the bird is below the middle of the next gap."""
    y, _, _, top, bottom, *_ = env.unwrapped.game.state()
    return 0 if y + 12 > (top + bottom) / 2 + 8 else 1


def main() -> None:
    """Draw everything there is data for, and write the tables of README and docs."""
    draw_games()
    evidence = write_evidence()
    draw_comparisons(evidence)
    for page, found in sections(evidence).items():
        for section, content in found.items():
            fill(page, section, content)
    fill("results/README.md", "trials", tuning.winners_table(tuning.read_table(RESULTS / "trials.csv")))
    fill("docs/logging.md", "tags", tags_as_markdown())
    fill("docs/results.md", "benchmarks", benchmark_table())


def draw_comparisons(evidence: Evidence) -> None:
    """Draw what `python -m dqn_mer compare` draws of the main arms, and of the runs on the former picture."""
    os.chdir(RESULTS.parent)  # so that reports name runs as seen from there
    kept = Path("results/evidence/state")
    arms = [kept / game / arm for game in GAMES for arm in MAIN_ARMS if ("state", game, arm) in evidence.by_arm]
    for runs, out in ((arms, "compare"), ([Path("results/pixels")], "compare-pixels")):
        if runs:
            compare(CompareOptions(tuple(runs), Path("results") / out, overwrite=True))


def benchmark_table() -> str:
    """Return what the benchmarks measured, as one table of ratios and rates."""

    def rows(name: str) -> list[dict[str, str]]:
        with (RESULTS / "benchmarks" / f"{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    lines = ["| what | measured |", "|---|---|"]
    for row in rows("update"):
        ratio = f"{float(row['ours / mini-batch']):.2f} times PyTorch's mini-batch of the same 17"
        times = f"{float(row['ours ms']):.3g} ms; {ratio}"
        versus = f"1/{float(row['naive / ours']):.1f} of a naive loop"
        lines.append(f"| MER update, {row['network']}, {row['game']}, {row['optimizer']} | {times}; {versus} |")
    for row in rows("training"):
        if row["agent"].startswith("dqn"):
            rate = f"{float(row['frames/s']):.0f} frames/s"
            ratio = f"{float(row['times Stable-Baselines3']):.2f} times Stable-Baselines3's DQN"
            lines.append(f"| training {row['agent']}, {row['observation']}, {row['optimizer']} | {rate}; {ratio} |")
    for row in rows("environments"):
        lines.append(f"| {row['who']}: {row['game']}, {row['observation']} | {int(row['steps/s']):,} steps/s |")
    for row in rows("memory"):
        size = (
            f"{float(row['MB']):,.0f} MB; memory of the process grew by {float(row['peak RSS grown by, MB']):,.0f} MB"
        )
        lines.append(f"| {row['who']}: 50,000 pixel transitions of {row['game']} | {size} |")
    for row in rows("supervised"):
        rate, ratio = (
            f"{float(row['ours examples/s']):,.0f} examples/s",
            f"{float(row['naive / ours']):.0f} times a naive loop",
        )
        lines.append(f"| supervised {row['learner']}, MLP 100-100, {row['steps']} steps an example | {rate}; {ratio} |")
    for row in rows("sweep"):
        share = f"{float(row['efficiency']):.0%} of linear"
        what = f"{row['runs']} runs of {row['agent']}, {int(row['frames']):,} frames"
        lines.append(
            f"| sweep of {what}, --jobs {row['jobs']} on {row['cores']} | {float(row['seconds']):.0f} s; {share} |"
        )
    grown: dict[str, list[str]] = {}
    for row in rows("scaling"):
        value = row["value"] if row["changed"] == "cores" else row["value"].split()[0]
        grown.setdefault(row["changed"], []).append(f"{float(row['ms per frame']):.2g} ({value})")
    for changed, times in grown.items():
        which = "of catcher from pixels" if changed == "cores" else "of dqn-mer, catcher from state"
        lines.append(f"| ms a frame {which}, by {changed.replace('_', ' ')} | {', '.join(times)} |")
    return "\n".join(lines) + "\n"


def fill(page: str, section: str, content: str) -> None:
    """Replace what stands between the two marks of a section of a page.

    Raises:
        ValueError: if the page lacks one of them.
    """
    path, start, end = (
        RESULTS.parent / page,
        f"<!-- {section}: made by results/figures.py -->\n",
        f"<!-- end of {section} -->",
    )
    text = path.read_text()
    first = text.index(start) + len(start)
    path.write_text(text[:first] + content + text[text.index(end, first) :])


if __name__ == "__main__":
    main()
