"""The page of results/supervised/: what the runs of the supervised streams say, in tables."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dqn_mer.analysis.statistics import Estimate
from dqn_mer.supervised.claims import LEAST_SEEDS, SIGNIFICANT, Claim
from dqn_mer.supervised.execute import Outcome
from dqn_mer.supervised.options import RunSpec
from dqn_mer.supervised.results import LEGEND, shown

SETTING = (
    "1,000 examples of each of 20 tasks, for many-permutations 200 of each of 100, learned once; an MLP of two hidden"
    " layers of 100 units; the rates that the authors published for each learner, stream and memory size "
    "(`dqn_mer/supervised/presets.py`), which they tuned on all of MNIST. A seed decides angles, permutations, the "
    "choice and order of examples, and initial weights; which images are for tests is the same for all. **Not "
    "comparable with the paper in absolute numbers**: each task draws its examples from the same 4,000 images, so "
    "that an image comes back in five tasks on average, differently turned or permuted, where the authors draw from "
    "60,000; and tests are on 1,000 images, where theirs are on 10,000. mer-6-last learns the newest example last, as"
    " the authors' script for Algorithm 6 does, and mer-6 at a random place, as the paper says. er is the authors' "
    "eralg4; their eralg5, which weighs the tasks of a batch equally, is not here. They did not run A-GEM: its rate "
    "is GEM's, not tuned for it. For many-permutations with a memory of 200 they published no rates, so it has those "
    "for 500. The tasks of classes are two digits each, of one output layer, with as many examples as the rarest pair"
    " has; its rates are those for rotations, not tuned, since the authors' script has none for their own stream of "
    "classes, Omniglot."
)
READING = (
    "Cosines are between the loss gradients of examples of the tasks met so far, of one task (within) or of two "
    "(between): mean over training."
)
VERDICTS = ("held", "undecided", "not held", "too few seeds")
IN_SHORT = (
    "For each kind of claim that the authors made: in how many of its tests it is held, where a test is a form of MER "
    "on a stream with a memory size, and the differences in points of retained accuracy, from least to largest."
)
CLAIMS = (
    "Differences of retained accuracy in points, seed by seed: mean with Student's 95% interval. A claim is held, or "
    f"not held, where its p-value, by Holm's method for all {{}} claims of the table, is below {SIGNIFICANT}, from "
    f"{LEAST_SEEDS} seeds on."
)


def page(
    runs: Sequence[tuple[Outcome, Mapping[str, Any]]],
    summary: Sequence[dict[str, Any]],
    held: Sequence[Claim],
    wanted: Sequence[RunSpec],
) -> str:
    """Return README.md of the results."""
    outcomes = [outcome for outcome, _ in runs]
    seeds = sorted({outcome.spec.seed for outcome in outcomes})
    done = {outcome.spec.name for outcome in outcomes}
    missing = [spec.name for spec in wanted if spec.seed in seeds and spec.name not in done]
    lines = [
        "# MER on the supervised streams of the paper",
        "",
        f"Made by `python results/supervised.py`: {len(runs)} of {len(wanted)} runs, "
        f"seeds {', '.join(map(str, seeds))}, "
        f"{sum(outcome.wall_s for outcome in outcomes) / 3_600:.1f} hours of runs on one core each, from commit "
        f"{', '.join(sorted({str(described['git_commit']) for _, described in runs}))}.",
        "",
        f"Data: {'; '.join(sorted({described['summary']['data'] for _, described in runs}))}. {SETTING}",
        "",
        f"{LEGEND} {READING}",
        "",
        *([f"Missing of these seeds, not finished or diverged: {', '.join(missing)}.", ""] if missing else []),
    ]
    if published := [claim for claim in held if claim.published]:
        lines += ["## In short", "", IN_SHORT, "", *markdown(in_short(published)), ""]
    for stream in dict.fromkeys(row["stream"] for row in summary):
        rows = [{k: v for k, v in row.items() if k != "stream"} for row in summary if row["stream"] == stream]
        lines += [f"## {stream}", "", *markdown(rows), ""]
    for heading, of_authors in (("The authors' claims", True), ("The same where the authors ran nothing", False)):
        kind = [claim for claim in held if claim.published is of_authors]
        if kind:
            lines += [f"## {heading}", "", CLAIMS.format(len(kind)), "", *markdown(claim_rows(kind)), ""]
    return "\n".join(lines)


def in_short(held: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return a row for each kind of claim: where it is held, and the differences from least to largest."""
    kinds = defaultdict(list)
    for claim in held:
        kind = re.sub(r"mer-\S+", "MER", claim.claim)
        kinds[re.sub(r" with memory .*| \(many.*", "", kind).replace("is larger", "grows")].append(claim)
    rows = []
    for kind, of_kind in kinds.items():
        row: dict[str, Any] = {"claim": kind if "lead" not in kind or "where" in kind else f"{kind} as memory shrinks"}
        row |= {verdict: sum(claim.verdict == verdict for claim in of_kind) for verdict in VERDICTS}
        differences = [claim.difference for claim in of_kind]
        row["differences"] = f"{min(differences):+.1f} to {max(differences):+.1f}"
        rows.append(row)
    return rows


def claim_rows(held: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return claims as rows of a table."""
    return [
        {
            "claim": claim.claim,
            "where": claim.where,
            "seeds": claim.seeds,
            "difference": shown(Estimate(claim.difference, claim.low, claim.high), signed=True),
            "p": "" if np.isnan(claim.p) else f"{claim.p:.3f}",
            "verdict": claim.verdict,
        }
        for claim in held
    ]


def markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return rows as a table; memory 0 is none."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        cells = ["none" if name == "memory" and not value else str(value) for name, value in row.items()]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
