"""What docs/results.md shows of the runs from pixels, as soon as there are some."""

from __future__ import annotations

from evidence import AGREEMENT, GAMES, LEARNING_ARMS, Evidence
from evidence_figures import GAME_NAMES
from evidence_pages import GAINS, MAIN_ARMS, arms_table, markdown
from leads import leads_of_arms
from power import power_table


def pixel_section(evidence: Evidence) -> str:
    """Return the tables and figures of the runs from pixels, or a sentence where there are none."""
    arms = arms_table(evidence, "pixels")
    if not evidence.has("pixels"):
        return arms
    curves = [
        f"![{GAME_NAMES[game]} from pixels: score on each setting over training]"
        f"(../results/compare-pixels/{game}/curves.png)\n"
        for game in GAMES
        if any(("pixels", game, arm) in evidence.by_arm for arm in MAIN_ARMS)
    ]
    leads = "Which arm is above which, as P over both games and on each; a control of one game has no row of both:"
    agree = "How far gradients agree between settings, measured [as from state](#the-mechanism):"
    power = "What two arms must differ by to be told apart, [as from state](#threats-to-validity):"
    blocks = [
        arms,
        *worded(leads, markdown(leads_of_arms(evidence, "pixels"))),
        f"![Gain on easier settings of each arm from pixels](../results/evidence/{GAINS['pixels']})\n",
        *curves,
        *worded(agree, arms_table(evidence, "pixels", LEARNING_ARMS, ("cosine", *AGREEMENT))),
        *worded(power, power_table(evidence, part="pixels")),
    ]
    return "\n".join(blocks)


def worded(words: str, table: str) -> list[str]:
    """Return a table below its words; nothing for one without rows, as before there are enough seeds."""
    return [f"{words}\n", table] if len(table.splitlines()) > 2 else []
