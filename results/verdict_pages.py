"""The verdicts as a table for docs/results.md."""

from __future__ import annotations

from typing import Any

from evidence import Evidence, Verdict
from evidence_pages import GAINS, markdown, verdict_rows
from verdicts import SENTENCES, TOGETHER

JUDGED = {"state": tuple(SENTENCES), "pixels": (1, 2, 3, 4, 7)}
"""Sentences that each observation has the arms for."""
MAPPED = (3, 4, 5, 7)
"""Sentences that the map shows."""


def figure_of(verdict: Verdict) -> str:
    """Return the figure of results/evidence/ that shows what a verdict rests on; empty if none does."""
    if verdict.sentence in (1, 2):
        return GAINS[verdict.part]
    return "map.png" if verdict.sentence in MAPPED else "mechanism.png" if verdict.sentence == 6 else ""


def verdict_table(evidence: Evidence) -> str:
    """Return the table of the verdicts; a sentence that cannot be judged yet is named all the same."""
    rows: list[list[Any]] = [["", "sentence", "from", "numbers", "verdict", "corrected", "figure"]]
    judged = {(v.part, v.sentence): v for v in verdict_rows(evidence)}
    corrected = {(v.part, v.sentence): v.verdict for v in verdict_rows(Evidence(evidence.runs, TOGETHER))}
    for part, sentences in JUDGED.items():
        for sentence in sentences if part == "state" or evidence.has(part) else ():
            missing = Verdict(sentence, part, "", "not yet judged: runs are missing")
            v = judged.get((part, sentence), missing)
            figure = figure_of(v)
            link = f"[{figure.removesuffix('.png')}](../results/evidence/{figure})" if figure else ""
            cells = [sentence, SENTENCES[sentence], part, v.numbers, f"**{v.verdict}**"]
            rows.append([*cells, corrected.get((part, sentence), ""), link])
    return markdown(rows)
