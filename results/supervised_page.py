"""The page of results/supervised/: what the runs of the supervised streams say, in tables."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from staying import paired_difference

from dqn_mer.analysis.statistics import Estimate
from dqn_mer.supervised.claims import FORMS, LEAST_SEEDS, REPEATED, SIGNIFICANT, Claim
from dqn_mer.supervised.options import RunSpec
from dqn_mer.supervised.results import LEGEND, estimate_cell

SETTING = (
    "**Streams**: 20 tasks of 1,000 examples, for many-permutations 100 tasks of 200; each example is learned once. A "
    "task of classes is two digits, with as many examples as the rarest pair has; all share one output layer.",
    "**Network**: an MLP of two hidden layers of 100 units.",
    "**Rates**: those that the authors published for each learner, stream and memory size "
    "(`dqn_mer/supervised/presets.py`), which they tuned on all of MNIST. They did not run A-GEM, which has GEM's rate "
    "here, and published none for many-permutations with a memory of 200, which has those for 500, or for classes, "
    "which has those for rotations. These are not tuned.",
    "**Learners**: mer-6-last learns the newest example last, as the authors' script for Algorithm 6 does; mer-6 "
    "learns it at a random place, as the paper says. er is the authors' eralg4; their eralg5, which weighs the tasks "
    "of a batch equally, is not included. er-repeated is ours: er with the batches of mer-1, one SGD step on each, "
    "where er takes one step for each example. Its learning rates are the only ones that are tuned on these data: of "
    "0.3, 0.1, 0.03, 0.01 and 0.003 the one that retains most on seeds 100 to 102, with a lower and a higher one tried "
    "([er-repeated-rates.csv](er-repeated-rates.csv)).",
    "**A seed** decides angles, permutations, the choice and order of examples, and initial weights; the test images "
    "are the same for all seeds.",
    "**Not comparable with the paper in absolute numbers**: each task draws its examples from the same 4,000 images, "
    "so that an image returns in five tasks on average, turned or permuted in another way, where the authors draw "
    "from 60,000; and tests use 1,000 images, where theirs use 10,000.",
)
READING = (
    "Cosines are between the loss gradients of examples of the tasks met so far, of one task (within) or of two "
    "(between): mean over training and seeds."
)
AGREEMENT = (
    "The authors explain MER by gradients that agree more. The table has the cosine between the loss gradients of "
    "examples of two tasks, in thousandths: that of er, and by how much that of each form of MER is higher, paired by "
    "seed, with Student's 95% interval. The interval is above 0 in {above} of {all} and below 0 in {below}. Of the "
    "{above_er} where a form retains more than er (its own 95% interval), its gradients agree more in {both} and less "
    "in {apart}."
)
VERDICTS = ("held", "undecided", "not held", "too few seeds")
IN_SHORT = (
    "For each kind of claim that the authors made: in how many of its tests it is held. A test is one form of MER on "
    "one stream with one memory size. It is held only if it is significant after the correction for all tests of the "
    "authors' claims. The next two columns count the tests whose own 95% interval, without that correction, is above "
    "or below 0; if there were no effect, one test in 40 would be above. Differences are in points of retained "
    "accuracy, from the smallest to the largest."
)
CLAIMS = (
    "Differences of retained accuracy in points, paired by seed: mean with Student's 95% interval. A claim is held if "
    "the difference is above 0, and not held if it is below 0, with a p-value, after Holm's correction for all {} "
    f"claims of the table, below {SIGNIFICANT} and at least {LEAST_SEEDS} seeds."
)

COMPUTE = (
    "mer-1 takes 55 to 1,010 gradient steps for each example of the stream, mer-6 and mer-7 6 to 101, and er one, on a "
    "whole batch. So a lead over er may be one of compute. er-repeated goes through the batches of mer-1, that is "
    "through as many examples, and takes a step on each batch."
)
HEADINGS = {
    "authors": ("The authors' claims", ""),
    "elsewhere": ("The same where the authors ran nothing", ""),
    "compute": ("Is it more than compute?", COMPUTE),
}
"""Heading of each kind of claim, and the text below it."""


def page(
    runs: Sequence[Mapping[str, Any]],
    data: str,
    summary: Sequence[dict[str, Any]],
    held: Sequence[Claim],
    wanted: Sequence[RunSpec],
) -> str:
    """Return README.md of the results, from rows of runs.csv."""
    seeds = sorted({run["seed"] for run in runs})
    done = {(run["stream"], run["learner"], run["memory"], run["seed"]) for run in runs}
    missing: dict[str, list[int]] = defaultdict(list)
    for spec in wanted:
        if spec.seed in seeds and (spec.stream, spec.learner, spec.memory, spec.seed) not in done:
            missing[spec.name.rpartition("/")[0]].append(spec.seed)
    left = [f"{name} (seed{'s' * (len(of) > 1)} {', '.join(map(str, of))})" for name, of in missing.items()]
    processors = {name for run in runs for name in run["processor"].split(" or ")}
    lines = [
        "# MER on the supervised streams of the paper",
        "",
        f"Made by `python results/supervised.py`: {len(runs)} of {len(wanted)} runs, "
        f"seeds {', '.join(map(str, seeds))}, "
        f"{sum(run['wall_s'] for run in runs) / 3_600:.1f} hours of runs on one core each "
        f"({', '.join(sorted(processors))}), from commits {commits([run['commit'] for run in runs])}.",
        "",
        *([f"Missing, not finished or diverged: {'; '.join(left)}.", ""] if left else []),
    ]
    if published := [claim for claim in held if claim.kind == "authors"]:
        lines += ["## In short", "", IN_SHORT, "", *markdown(in_short(published)), ""]
    lines += ["## What was run", "", f"- **Data**: {data}.", *(f"- {line}" for line in SETTING), ""]
    lines += ["## Reading the tables", "", f"{LEGEND} {READING}", ""]
    for stream in dict.fromkeys(row["stream"] for row in summary):
        rows = [{k: v for k, v in row.items() if k != "stream"} for row in summary if row["stream"] == stream]
        lines += [f"## {stream}", "", *markdown(rows), ""]
    lines += agreement(runs, held)
    for kind, (heading, text) in HEADINGS.items():
        if of_kind := [claim for claim in held if claim.kind == kind]:
            lines += [f"## {heading}", ""]
            lines += [text, "", *markdown(in_short(of_kind)), ""] if text else []
            lines += [CLAIMS.format(len(of_kind)), "", *markdown(claim_rows(of_kind)), ""]
    return "\n".join(lines)


def agreement(runs: Sequence[Mapping[str, Any]], held: Sequence[Claim]) -> list[str]:
    """Return the section on whether gradients of two tasks agree more under MER than under er."""
    cosines: dict[tuple[str, str, int], dict[int, float]] = defaultdict(dict)
    for run in runs:
        cosines[run["stream"], run["learner"], run["memory"]][run["seed"]] = 1_000 * run["cosine_between"]
    retains = {(claim.where, claim.claim): claim.low > 0 for claim in held}
    rows, signs = [], []
    for stream, memory in dict.fromkeys((stream, memory) for stream, learner, memory in cosines if learner == "er"):
        replay = cosines[stream, "er", memory]
        row: dict[str, Any] = {"stream": stream, "memory": memory, "er": f"{np.mean(list(replay.values())):.1f}"}
        for form in FORMS:
            ours = cosines.get((stream, form, memory), {})
            pairs = np.array([(ours[seed], replay[seed]) for seed in sorted(ours.keys() & replay.keys())])
            row[form] = ""
            if len(pairs) > 1:
                found = paired_difference(pairs)
                row[form] = estimate_cell(found, signed=True)
                sign = int(found.low > 0) - int(found.high < 0)
                signs.append((sign, retains.get((f"{stream}, memory {memory:,}", f"{form} > er"), False)))
        rows.append(row)
    if not signs:
        return []
    counts = {
        "all": len(signs),
        "above": sum(sign > 0 for sign, _ in signs),
        "below": sum(sign < 0 for sign, _ in signs),
        "above_er": sum(more for _, more in signs),
        "both": sum(more and sign > 0 for sign, more in signs),
        "apart": sum(more and sign < 0 for sign, more in signs),
    }
    return ["## Do gradients agree more under MER?", "", AGREEMENT.format(**counts), "", *markdown(rows), ""]


def commits(of_runs: Sequence[str]) -> str:
    """Return the commits of runs in short, with the number of runs of each where there are several.

    >>> commits(["1c2a224ed0", "1c2a224ed0", "29657d9901-dirty"])
    '1c2a224 (2 runs), 29657d9-dirty (1)'
    """
    counts = Counter(of_runs).most_common()
    numbers = [f" ({count}{' runs' * (place == 0)})" for place, (_, count) in enumerate(counts)]
    names = [name[:7] + "-dirty" * name.endswith("-dirty") for name, _ in counts]
    return ", ".join(name + number for name, number in zip(names, numbers, strict=True))


def in_short(held: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return a row for each kind of claim: where it is held, and the differences from least to largest.

    That MER retains more than replay, repeated or not, is the claim of which the forms of MER have a row each.
    """
    kinds = defaultdict(list)
    for claim in held:
        kind = claim.claim if claim.claim.endswith(("> er", REPEATED)) else re.sub(r"mer-\S+", "MER", claim.claim)
        kinds[re.sub(r" with memory .*| \(many.*", "", kind).replace("is larger", "grows")].append(claim)
    rows = []
    for kind, of_kind in kinds.items():
        row: dict[str, Any] = {"claim": kind if "lead" not in kind or "where" in kind else f"{kind} as memory shrinks"}
        row |= {verdict: sum(claim.verdict == verdict for claim in of_kind) for verdict in VERDICTS}
        row |= {"95% interval above 0": sum(claim.low > 0 for claim in of_kind)}
        row |= {"below 0": sum(claim.high < 0 for claim in of_kind)}
        differences = [claim.difference for claim in of_kind]
        row["differences"] = f"{min(differences):+.1f} to {max(differences):+.1f}"
        rows.append(row)
    return sorted(rows, key=lambda row: not str(row["claim"]).endswith("> er"))


def claim_rows(held: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return claims as rows of a table."""
    return [
        {
            "claim": claim.claim,
            "where": claim.where,
            "seeds": claim.seeds,
            "difference": estimate_cell(Estimate(claim.difference, claim.low, claim.high), signed=True),
            "p (Holm)": p_value(claim.p),
            "verdict": claim.verdict,
        }
        for claim in held
    ]


def p_value(p: float) -> str:
    """Return a p-value as a cell, with the digits that tell it from the level.

    >>> p_value(0.00001), p_value(0.04995), p_value(0.2)
    ('<0.001', '0.04995', '0.200')
    """
    if np.isnan(p):
        return ""
    if p < 0.0005:
        return "<0.001"
    return f"{p:.4g}" if f"{p:.3f}" == f"{SIGNIFICANT:.3f}" else f"{p:.3f}"


def markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return rows as a table; memory 0 is none."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        cells = ["none" if name == "memory" and not value else str(value) for name, value in row.items()]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
