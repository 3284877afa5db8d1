"""Draw the figures of results/ and fill in README's tables, from the runs' CSV files: ``python results/figures.py``.

Every run under ``results/<observation>/<game>/<agent>/seed-<n>/`` counts; its config.json names command, versions,
commit and machine.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from dqn_mer.report import read_evaluations
from dqn_mer.tags import tags_as_markdown
from envs import ENV_IDS

RESULTS = Path(__file__).parent
AGENTS = {"dqn": ("#0072B2", ":"), "dqn-reservoir": ("#E69F00", "--"), "dqn-mer": ("#009E73", "-")}
METRICS = ("learning_accuracy", "retained_accuracy", "backward_transfer_interference", "area_under_curve")
Array = NDArray[np.float64]


def interquartile_mean(scores: Array, axis: int = 0) -> Array:
    """Return the mean of the middle half along ``axis``."""
    return np.asarray(stats.trim_mean(scores, 0.25, axis=axis))


def interval(values: Array) -> tuple[float, float]:
    """Return the 95% percentile-bootstrap interval of the interquartile mean of ``(runs,)`` values."""
    if len(values) < 2 or np.ptp(values) == 0:
        return float(values.mean()), float(values.mean())
    # The keyword is the one that every SciPy from 1.11 on takes.
    found = stats.bootstrap((values,), interquartile_mean, method="percentile", n_resamples=2000, random_state=0)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def load(folder: Path) -> dict[str, list[Path]]:
    """Return the finished runs of one game, by agent."""
    runs = {agent: sorted(folder.glob(f"{agent}/seed-*/summary.json")) for agent in AGENTS}
    return {agent: [path.parent for path in paths] for agent, paths in runs.items() if paths}


def draw_curves(folder: Path, runs: dict[str, list[Path]]) -> None:
    """Draw evaluation score over frames, one panel a setting, one line an agent, with its interval over seeds."""
    schedule = json.loads((next(iter(runs.values()))[0] / "config.json").read_text())["schedule"]
    names = [setting["name"] for setting in schedule["settings"]]
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    figure.subplots(2, 3, sharex=True)
    for agent, paths in runs.items():
        colour, dashes = AGENTS[agent]
        loaded = [read_evaluations(path / "evaluations.csv", len(names)) for path in paths]
        frames, curves = loaded[0][0] / 1000, np.stack([scores for _, scores in loaded])
        for setting, panel in enumerate(figure.axes):
            bands = np.array([interval(curves[:, time, setting]) for time in range(len(frames))])
            label = f"{agent} ({len(paths)} seeds)"
            panel.plot(frames, interquartile_mean(curves[:, :, setting]), color=colour, linestyle=dashes, label=label)
            panel.fill_between(frames, *bands.T, color=colour, alpha=0.18, linewidth=0)
    length = schedule["frames_per_setting"] / 1000
    for setting, panel in enumerate(figure.axes):
        panel.set_title(names[setting], fontsize=10)
        panel.set_ylim(bottom=0)
        for segment, trained in enumerate(schedule["order"]):
            panel.axvline(segment * length, color="0.8", linewidth=0.6, zorder=0)
            if trained == setting:
                panel.axvspan(segment * length, (segment + 1) * length, color="0.93", zorder=0)
    figure.axes[0].legend(fontsize=8)
    figure.supxlabel("thousand training frames (grey: the agent trains on this setting)", fontsize=9)
    figure.supylabel("evaluation score: interquartile mean, 95% interval over seeds", fontsize=9)
    figure.suptitle(folder.name.replace("_", " ").title())
    figure.savefig(folder.parent / f"{folder.name}.png", dpi=110)


def table_rows(folder: Path, runs: dict[str, list[Path]]) -> list[list[Any]]:
    """Return one row for each agent: its metrics with intervals over seeds."""
    rows = []
    for agent, paths in runs.items():
        summaries = [json.loads((path / "summary.json").read_text())["metrics"] for path in paths]
        cells = []
        for metric in METRICS:
            values = np.array([summary[metric] for summary in summaries])
            low, high = interval(values)
            cells.append(f"{float(interquartile_mean(values)):.1f} [{low:.1f}, {high:.1f}]")
        rows.append([folder.parent.name, folder.name, agent, len(paths), *cells])
    return rows


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
    """Draw everything there is data for, and write summary.csv and README's tables."""
    draw_games()
    heading = ["observation", "game", "agent", "seeds", *METRICS]
    rows: list[list[Any]] = []
    for folder in sorted(path for path in RESULTS.glob("*/*") if path.is_dir()):
        runs = load(folder)
        if runs:
            draw_curves(folder, runs)
            rows += table_rows(folder, runs)
    with (RESULTS / "summary.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([heading, *rows])
    lines = ["| " + " | ".join(str(cell).replace("_", " ") for cell in row) + " |" for row in [heading, *rows]]
    fill_readme("results", "\n".join([lines[0], "|---" * len(heading) + "|", *lines[1:], ""]))
    fill_readme("tags", tags_as_markdown())
    fill_readme("benchmarks", benchmark_table())


def benchmark_table() -> str:
    """Return what the benchmarks measured, as one table of ratios and rates."""

    def rows(name: str) -> list[dict[str, str]]:
        with (RESULTS / "benchmarks" / f"{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    lines = ["| what | measured |", "|---|---|"]
    for row in rows("update"):
        times = (
            f"{float(row['ours ms']):.3g} ms; {float(row['ours / mini-batch']):.2f} times a mini-batch of the same 17"
        )
        versus = f"1/{float(row['naive / ours']):.1f} of a naive loop"
        lines.append(f"| MER update, {row['network']}, {row['optimizer']} | {times}; {versus} |")
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
    return "\n".join(lines) + "\n"


def fill_readme(section: str, content: str) -> None:
    """Replace what stands between a section's two marks in README.md."""
    path = RESULTS.parent / "README.md"
    before, start, rest = path.read_text().partition(f"<!-- {section}: made by results/figures.py -->\n")
    _, end, after = rest.partition(f"<!-- end of {section} -->")
    path.write_text(before + start + content + end + after)


if __name__ == "__main__":
    main()
