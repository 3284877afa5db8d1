"""Draw the figures of results/ and fill in the tables of README and docs, from the runs' CSV files.

``python results/figures.py`` does all of it: what PROTOCOL.md measures of the runs in results/evidence/, the
comparisons of their main arms, and the tables of the benchmarks.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import trial_tables
import trials
from evidence import CONTROLS, GAMES, Evidence, table
from evidence_pages import MAIN_ARMS, sections, write_evidence
from matplotlib.figure import Figure
from pixel_pages import pixel_section
from verdict_pages import verdict_table

from continual_ple import ENV_IDS
from dqn_mer.commands.compare import CompareOptions, compare
from dqn_mer.supervised import logs
from dqn_mer.training import tags

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
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    draw_games()
    evidence = write_evidence()
    draw_comparisons(evidence)
    for (page, section), content in tables(evidence).items():
        fill(page, section, content)


def tables(evidence: Evidence) -> dict[tuple[str, str], str]:
    """Return every table that is made from files, by its page and section."""
    rows = trials.read_table(RESULTS / "trials.csv")
    return {
        **sections(evidence),
        ("docs/results.md", "verdicts"): verdict_table(evidence),
        ("docs/results.md", "pixels"): pixel_section(evidence),
        ("results/README.md", "trials"): trial_tables.last_trials(rows),
        ("results/README.md", "pixel-trials"): trial_tables.first_trials(rows, "pixels"),
        ("docs/logging.md", "tags"): tags.tags_as_markdown(),
        ("docs/supervised.md", "tags"): logs.tags_as_markdown(),
        ("docs/results.md", "benchmarks"): benchmark_table(),
        ("docs/environments.md", "looks"): looks_table(),
        ("README.md", "supervised"): supervised_row(),
    }


def supervised_row() -> str:
    """Return what learners with a memory of 500 examples retain of the twenty rotations, and where MER leads."""
    rows = [row for row in table(RESULTS / "supervised" / "summary.csv") if row["stream"] == "rotations"]
    retained = {row["learner"]: row["RA"] for row in rows if row["memory"] in ("0", "500")}
    names = ("mer-1", "mer-6", "mer-7", "er", "gem", "ewc", "online")
    lines = [[f"`{name}`" for name in names], ["---"] * len(names), [retained[name] for name in names]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n" + supervised_leads()


def supervised_leads() -> str:
    """Return in how many tests of the authors' claims each form of MER leads replay, and all forms lead GEM."""
    claims = [row for row in table(RESULTS / "supervised" / "claims.csv") if row["published"] == "True"]
    forms = ("mer-1", "mer-6", "mer-7")
    tests = [[row for row in claims if row["claim"] == f"{form} > er"] for form in forms]
    tests.append([row for row in claims if re.fullmatch(r"mer-\S+ > gem", row["claim"])])
    above = [sum(float(row["low"]) > 0 for row in of_claim) for of_claim in tests]
    held = [sum(row["verdict"] == "held" for row in of_claim) for of_claim in tests]
    leads = ", ".join(f"`{form}` in {n} ({k})" for form, n, k in zip(forms, above, held, strict=False))
    return (
        f"In the authors' {len(tests[0])} combinations of stream and memory size the 95% interval of the lead over `er`"
        f" is above 0\nfor {leads}; in brackets, with Holm's correction for all {len(claims)} claims. Over `gem`: "
        f"{above[-1]} of {len(tests[-1])} ({held[-1]}).\n"
    )


def draw_comparisons(evidence: Evidence) -> None:
    """Draw what `python -m dqn_mer compare` draws of the main arms, and of the runs on the former picture."""
    os.chdir(RESULTS.parent)  # so that reports name runs as seen from there
    reports = {
        "compare": main_arms(evidence, "state"),
        "compare-pixels": main_arms(evidence, "pixels"),
        "compare-former-picture": [Path("results/pixels")],
    }
    for out, runs in reports.items():
        if runs:
            compare(CompareOptions(tuple(runs), Path("results") / out, overwrite=True))


def main_arms(evidence: Evidence, part: str) -> list[Path]:
    """Return the folders of the main arms of a part and its controls, as seen from the repository."""
    kept = {(run.part, run.game, run.arm) for run in evidence.runs}
    places = [(of, game, arm) for of in (part, part + CONTROLS) for game in GAMES for arm in MAIN_ARMS]
    return [Path("results/evidence", *place) for place in places if place in kept]


def benchmark_table() -> str:
    """Return what the benchmarks measured, as one table of ratios and rates."""
    cells = [*learning(), *environments(), *evaluations(), *memories(), *saves(), *sweeps(), *scaling()]
    return "\n".join(
        ["| what | measured |", "|---|---|", *(f"| {what} | {measured} |" for what, measured in cells), ""]
    )


def measurements(name: str) -> list[dict[str, str]]:
    """Return the rows of a benchmark."""
    return table(RESULTS / "benchmarks" / f"{name}.csv")


def learning() -> Iterator[tuple[str, str]]:
    """Yield the speed of updates, of training, and of the supervised learners."""
    for row in measurements("update"):
        ratio = f"{float(row['ours / mini-batch']):.2f} times PyTorch's mini-batch of the same 17"
        versus = f"1/{float(row['naive / ours']):.1f} of a naive loop"
        what = f"MER update, {row['network']}, {row['game']}, {row['optimizer']}"
        yield what, f"{float(row['ours ms']):.3g} ms; {ratio}; {versus}"
    for row in measurements("training"):
        if row["agent"].startswith("dqn"):
            rate = f"{float(row['frames/s']):,.0f} frames/s"
            ratio = f"{float(row['times Stable-Baselines3']):.2f} times Stable-Baselines3's DQN"
            yield f"training {row['agent']}, {row['observation']}, {row['optimizer']}", f"{rate}; {ratio}"
    for row in measurements("supervised"):
        rate = f"{float(row['ours examples/s']):,.0f} examples/s"
        ratio = f"{float(row['naive / ours']):.0f} times a naive loop"
        if peer := row["avalanche examples/s"]:
            ratio += f", {float(row['ours examples/s']) / float(peer):.0f} times Avalanche's MER"
        yield f"supervised {row['learner']}, MLP 100-100, {row['steps']} steps an example", f"{rate}; {ratio}"


def environments() -> Iterator[tuple[str, str]]:
    """Yield the speed of the games, and of upstream's."""
    for row in measurements("environments"):
        yield f"{row['who']}: {row['game']}, {row['observation']}", f"{int(row['steps/s']):,} steps/s"


def evaluations() -> Iterator[tuple[str, str]]:
    """Yield the speed of evaluation."""
    for row in measurements("evaluation"):
        what = f"evaluation, {row['game']}, {row['observation']}, {row['episodes of each setting']} of each setting"
        yield what, f"{float(row['frames/s']):,.0f} frames/s"


def memories() -> Iterator[tuple[str, str]]:
    """Yield what the memories of transitions take."""
    for row in measurements("memory"):
        grown = f"memory of the process grew by {float(row['peak RSS grown by, MB']):,.0f} MB"
        yield f"{row['who']}: 50,000 pixel transitions of {row['game']}", f"{float(row['MB']):,.0f} MB; {grown}"


def saves() -> Iterator[tuple[str, str]]:
    """Yield what a saved state of a run takes, and how long."""
    for game in GAMES:
        (row,) = measurements(f"saving-{game}")
        size = f"{float(row['state MB']):.0f} MB, {float(row['memory MB']):.0f} of it memory"
        yield (
            f"saved state, 50,000 pixel transitions of {game}",
            f"{size}; {row['save s']} s, loaded in {row['load s']} s",
        )


def sweeps() -> Iterator[tuple[str, str]]:
    """Yield how the time of a sweep falls with jobs."""
    for row in measurements("sweep"):
        runs = f"{row['runs']} runs of {row['agent']}, {int(row['frames']):,} frames"
        share = f"{float(row['efficiency']):.0%} of linear"
        what = f"sweep of {runs}, --jobs {row['jobs']}, cores: {row['cores']}"
        yield what, f"{float(row['seconds']):.0f} s; {share}"


def scaling() -> Iterator[tuple[str, str]]:
    """Yield how the time of a frame grows with each option."""
    grown: dict[str, list[str]] = {}
    for row in measurements("scaling"):
        value = row["value"] if row["changed"] == "cores" else row["value"].split()[0]
        grown.setdefault(row["changed"], []).append(f"{float(row['ms per frame']):.2g} ({value})")
    for changed, times in grown.items():
        which = "of catcher from pixels" if changed == "cores" else "of dqn-mer, catcher from state"
        yield f"ms a frame {which}, by {changed.replace('_', ' ')}", ", ".join(times)


def looks_table() -> str:
    """Return how our pictures of Flappy Bird differ from upstream's, by the sky."""
    rows = measurements("looks")
    by_what: dict[str, dict[str, tuple[str, str]]] = {}
    for row in rows:
        by_what.setdefault(row["what"], {})[row["sky"]] = (f"{float(row['ours']):.1f}", f"{float(row['PLE']):.1f}")
    skies = list(dict.fromkeys(row["sky"] for row in rows))
    lines = ["| 84x84 grey | " + " | ".join(f"ours, {sky} | PLE, {sky}" for sky in skies) + " |"]
    lines.append("|---" * (1 + 2 * len(skies)) + "|")
    for what, found in by_what.items():
        cells = [cell for sky in skies for cell in found[sky]]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def fill(page: str, section: str, content: str) -> None:
    """Replace what stands between the two marks of a section of a page.

    Raises:
        ValueError: if the page lacks one of them.
    """
    path = RESULTS.parent / page
    start, end = f"<!-- {section}: made by results/figures.py -->\n", f"<!-- end of {section} -->"
    text = path.read_text()
    first = text.index(start) + len(start)
    path.write_text(text[:first] + content + text[text.index(end, first) :])


if __name__ == "__main__":
    main()
