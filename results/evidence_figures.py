"""The figures of the evidence: gains on easier settings, the map, and the mechanism."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from evidence import GAMES, LEARNING_ARMS, LEAST_SEEDS, Estimate, Evidence
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dqn_mer.analysis.drawing import COLOURS, MARKERS, PAGE, SMALL, TEXT
from dqn_mer.analysis.statistics import interquartile_estimate

ARMS = (*LEARNING_ARMS, "random", "interleaved")
"""Arms of `state`, in the order in which tables and figures have them."""
GAME_NAMES = {"catcher": "Catcher", "flappy_bird": "Flappy Bird"}
OPPONENTS = ("dqn", "dqn-reservoir", "no-reptile")
MAP = {
    "capacity 50,000, 5 switches": ("state", ""),
    "capacity 5,000": ("memory", "capacity-5000/"),
    "capacity 500": ("memory", "capacity-500/"),
    "59 switches": ("switches", "often/"),
    "change that is not nested": ("change", "not-nested/"),
    "hard to easy": ("change", "hard-to-easy/"),
    "target every 100 frames": ("target", "frames-100/"),
    "target every episode": ("target", "episodes-1/"),
}
"""Cells of the map: part, and what an arm's name begins with."""
FROM_PIXELS = {"from pixels": ("pixels", "")}
"""The paper's setting, which the figure of the map shows below its cells as soon as it has runs."""
GAMMAS = (1.0, 0.3, 0.1, 0.03)
POOLED = "both games"


def colour_of(arm: str) -> str:
    """Return the colour of an arm, the same in every figure."""
    return COLOURS[LEARNING_ARMS.index(arm)]


def draw_gains(evidence: Evidence, path: Path, part: str = "state") -> None:
    """Draw the gain on easier settings of the arms of a part, and the scores on them that it is the difference of."""
    figure = Figure(figsize=(PAGE, 5.2), layout="constrained")
    gains, scores = figure.subplots(2, len(GAMES), sharex="col")
    seeds = set()
    for column, game in enumerate(GAMES):
        arms = [arm for arm in LEARNING_ARMS if len(evidence.values(part, game, arm, "G"))]
        for place, arm in enumerate(arms):
            gained, later = (evidence.values(part, game, arm, name) for name in ("G", "E"))
            seeds.add(len(gained))
            draw_column(gains[column], place, gained, evidence.estimate(part, game, arm, "G"), colour_of(arm))
            before, after = interquartile_estimate(later - gained), evidence.estimate(part, game, arm, "E")
            draw_estimate(scores[column], place - 0.15, before, colour_of(arm), markerfacecolor="white")
            draw_estimate(scores[column], place + 0.15, after, colour_of(arm))
        gains[column].axhline(0.0, color="0.25", linewidth=0.8)
        gains[column].set_title(GAME_NAMES[game], fontsize=TEXT, loc="left")
        gains[column].set_ylabel("gain on easier settings (points)", fontsize=SMALL)
        scores[column].set_ylabel("score on easier settings (points)", fontsize=SMALL)
        scores[column].set_xticks(range(len(arms)), arms, rotation=30, ha="right", fontsize=SMALL)
        tidy(gains[column])
        tidy(scores[column])
    signs = "points: runs; squares: interquartile mean"
    explain(figure, seeds, f"below, open: right after training on them, filled: after each harder one\n{signs}")
    figure.savefig(path, dpi=150)


def draw_column(panel: Axes, place: float, values: Any, estimate: Estimate, colour: str) -> None:
    """Draw runs as points, and their estimate beside them."""
    panel.plot(np.full(len(values), place - 0.12), values, "o", color=colour, markersize=2.5, alpha=0.6)
    draw_estimate(panel, place + 0.12, estimate, colour)


def draw_estimate(panel: Axes, place: float, estimate: Estimate, colour: str, **style: Any) -> None:
    """Draw an estimate with its interval."""
    value, low, high = (float(part) for part in estimate)
    bounds = None if np.isnan(low) else [[value - low], [high - value]]
    panel.errorbar(place, value, bounds, color=colour, fmt="s", markersize=4, capsize=2, **style)


def explain(figure: Figure, seeds: set[int], sign: str = "points: runs; squares: interquartile mean") -> None:
    """Say below a figure what its signs are, and over how many seeds."""
    count = " to ".join(str(number) for number in sorted({min(seeds), max(seeds)})) if seeds else "no"
    of_seeds = "1 seed, which has no interval" if seeds == {1} else f"{count} seeds, with 95% bootstrap interval"
    figure.supxlabel(f"{sign} over {of_seeds}", fontsize=SMALL, color="0.25")


def draw_map(evidence: Evidence, path: Path) -> None:
    """Draw the probability that `dqn-mer` retains more than each other arm, for each cell of the map."""
    figure = Figure(figsize=(PAGE, 3.8), layout="constrained")
    panels = figure.subplots(1, len(OPPONENTS), sharey=True)
    groups: dict[str, tuple[Sequence[str], dict[str, Any]]] = {
        POOLED: (GAMES, {"fmt": "o", "color": "0.15", "markersize": 4.5, "linewidth": 1.6}),
        **{GAME_NAMES[game]: ((game,), {"fmt": MARKERS[place + 1], "color": COLOURS[place + 4], "markersize": 3.5,
                                        "linewidth": 0.9}) for place, game in enumerate(GAMES)},
    }  # fmt: skip
    cells = MAP | (FROM_PIXELS if evidence.has("pixels") else {})
    seeds: set[int] = set()
    for panel, opponent in zip(panels, OPPONENTS, strict=True):
        for place, (part, cell) in enumerate(cells.values()):
            arms = (part, f"{cell}dqn-mer"), (part, cell + opponent)
            drawn = []
            for offset, (label, (games, style)) in zip((-0.25, 0.0, 0.25), groups.items(), strict=True):
                found = evidence.improvement(*arms, "RA", games)
                if found is not None:
                    drawn += [len(evidence.by_arm[of, game, arm]) for of, arm in arms for game in games]
                    value, low, high = (float(bound) for bound in found)
                    bounds = [[value - low], [high - value]]
                    panel.errorbar(value, place + offset, xerr=bounds, capsize=1.5, label=label, **style)
            if not drawn:
                say_missing(panel, 0.25, place, f"not yet {LEAST_SEEDS} seeds")
            seeds |= set(drawn)
        panel.axvline(0.5, color="0.25", linewidth=0.8)
        panel.set_xlim(-0.03, 1.03)
        panel.set_ylim(len(cells) - 0.5, -0.5)
        panel.set_yticks(range(len(cells)), list(cells), fontsize=SMALL)
        panel.set_title(f"dqn-mer > {opponent}", fontsize=TEXT, loc="left")
        panel.set_xlabel("probability of more\nretained accuracy", fontsize=SMALL)
        tidy(panel)
    handles = {label: handle for handle, label in zip(*panels[0].get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=3, fontsize=SMALL, frameon=False)
    explain(figure, seeds, "probability of improvement")
    figure.savefig(path, dpi=150)


def draw_mechanism(evidence: Evidence, path: Path) -> None:
    """Draw BTI against the cosine between settings for every run of `state`, and both against γ."""
    figure = Figure(figsize=(PAGE, 6.2), layout="constrained")
    rows = figure.subplots(3, len(GAMES))
    for panel, game in zip(rows[0], GAMES, strict=True):
        for place, arm in enumerate(LEARNING_ARMS):
            points = [evidence.values("state", game, arm, name) for name in ("cosine", "BTI")]
            panel.plot(*points, MARKERS[place], color=colour_of(arm), markersize=3.5, linestyle="", label=arm)
        rho, p = evidence.cosine_against_bti(game)
        panel.set_title(
            f"{GAME_NAMES[game]}\nrank correlation within arms {rho:.2f}, p {p:.2f}", fontsize=TEXT, loc="left"
        )
        panel.set_xlabel("mean cosine between gradients on different settings", fontsize=SMALL)
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.set_ylabel("BTI (points)", fontsize=SMALL)
        tidy(panel)
    seeds: set[int] = set()
    for name, unit, panels in zip(("cosine", "BTI"), ("", " (points)"), rows[1:], strict=True):
        for panel, game in zip(panels, GAMES, strict=True):
            seeds |= against_gamma(evidence, panel, game, name)
            panel.set_ylabel(name + unit, fontsize=SMALL)
    explain(figure, seeds, "below, points: runs; squares: interquartile mean")
    figure.legend(
        *rows[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=6, fontsize=SMALL, frameon=False
    )
    figure.savefig(path, dpi=150)


def against_gamma(evidence: Evidence, panel: Axes, game: str, name: str) -> set[int]:
    """Draw a value against γ, at one product with the learning rate of each optimizer; return the seeds."""
    seeds = set()
    for place, gamma in enumerate(GAMMAS):
        values = evidence.values("sgd", game, f"gamma-{gamma:g}", name)
        if len(values):
            estimate = evidence.estimate("sgd", game, f"gamma-{gamma:g}", name)
            draw_column(panel, place, values, estimate, colour_of("dqn-mer-sgd"))
            seeds.add(len(values))
        else:
            say_missing(panel, place, 0.5, "not yet run", transform=panel.get_xaxis_transform(), rotation=90)
    for place, arm in enumerate(("no-reptile", "dqn-mer"), start=len(GAMMAS)):
        values = evidence.values("state", game, arm, name)
        if len(values):
            draw_column(panel, place + 0.5, values, evidence.estimate("state", game, arm, name), colour_of(arm))
            seeds.add(len(values))
    panel.axvline(len(GAMMAS) - 0.25, color="0.7", linewidth=0.8)
    labels = [f"SGD\n$\\gamma$ {gamma:g}" for gamma in GAMMAS] + ["Adam\n$\\gamma$ 1", "Adam\ntuned $\\gamma$"]
    panel.set_xticks([*range(len(GAMMAS)), len(GAMMAS) + 0.5, len(GAMMAS) + 1.5], labels, fontsize=SMALL)
    panel.set_xlim(-0.6, len(GAMMAS) + 2.1)
    panel.set_title(f"{GAME_NAMES[game]}, one $\\gamma\\alpha$ for each optimizer", fontsize=TEXT, loc="left")
    tidy(panel)
    return seeds


def say_missing(panel: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Say in a panel, where a cell would be, that its runs are missing."""
    panel.text(x, y, text, ha="center", va="center", fontsize=SMALL, color="0.45", **style)


def tidy(panel: Axes) -> None:
    """Draw a panel's ticks small, without the spines that bear none."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=SMALL, width=0.6, length=2.5)
