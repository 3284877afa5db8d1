"""The verdicts on the sentences of the claim, by the rules of PROTOCOL.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evidence import CONFIDENCE, CONTROLS, GAMES, LEAST_SEEDS, Estimate, Evidence, Verdict, above, below, estimate_cell
from protocol import PARTS

OURS = "dqn-mer"
SENTENCES = {
    1: "DQN-MER gets better on easier settings by learning harder ones",
    2: "DQN with plain replay does not, and forgets the easier ones",
    3: "DQN-MER does better than DQN, at the end and over the whole of training",
    4: "the gain is not that of the reservoir alone",
    5: "the lead grows as less is stored and as the task changes more often",
    6: "gradients of different examples agree more under MER, and this is the reason",
    7: "our question: it is the Reptile step, not the sequential steps alone",
    8: "our question: it is more than as many gradient steps",
}
"""The sentences of PROTOCOL.md in short."""
TOGETHER = 1 - (1 - CONFIDENCE) / len(SENTENCES)
"""Confidence of each verdict at which all of them together have the usual one (Bonferroni's correction)."""


def verdicts(evidence: Evidence, part: str) -> list[Verdict]:
    """Return the verdict on every sentence that a part, `state` or `pixels`, has the runs for."""
    rules: tuple[Callable[[Evidence, str], Verdict | None], ...] = (
        better_on_easier,
        plain_replay_does_not,
        better_than_dqn,
        not_the_reservoir,
        *((lead_grows, gradients_agree) if part == "state" else ()),
        the_reptile_step,
        more_than_compute,
    )
    return [verdict for rule in rules if (verdict := rule(evidence, part)) is not None]


def gains(evidence: Evidence, part: str, arm: str) -> dict[str, Estimate]:
    """Return the gain on easier settings of an arm, by game."""
    known = (game for game in GAMES if len(evidence.values(part, game, arm, "G")) >= LEAST_SEEDS)
    return {game: evidence.estimate(part, game, arm, "G") for game in known}


def by_game(estimates: dict[str, Estimate], digits: int = 1) -> str:
    """Return an estimate for each game as text."""
    return "; ".join(
        f"{game.replace('_', ' ')} {estimate_cell(estimate, digits)}" for game, estimate in estimates.items()
    )


def games_of(part: str, arm: str) -> tuple[str, ...]:
    """Return the games on which a part, or its controls, has an arm.

    >>> games_of("state", "no-reptile"), games_of("pixels", "no-reptile"), games_of("pixels", "random")
    (('catcher', 'flappy_bird'), ('flappy_bird',), ())
    """
    parts = [name for name in (part, part + CONTROLS) if name in PARTS]
    return tuple(game for game in GAMES if any(arm in dict(PARTS[name].runs(name, game)) for name in parts))


def on_one(games: Sequence[str]) -> str:
    """Return on which game, if that is one alone, as an ending of words."""
    return f" on {games[0].replace('_', ' ')}" if len(games) == 1 else ""


def lead(evidence: Evidence, part: str, other: str, name: str) -> str:
    """Return the probability that DQN-MER is above another arm as text, over its games and on each."""
    games = games_of(part, other)
    pooled = evidence.improvement((part, OURS), (part, other), name, games)
    if pooled is None:
        return ""
    each = {game: evidence.improvement((part, OURS), (part, other), name, [game]) for game in games}
    known = {game: found for game, found in each.items() if found is not None}
    return estimate_cell(pooled, 2) + (f" ({by_game(known, 2)})" if len(games) > 1 else "")


def better_on_easier(evidence: Evidence, part: str) -> Verdict | None:
    """Sentence 1: DQN-MER gets better on easier settings by learning harder ones."""
    found = gains(evidence, part, OURS)
    if len(found) < len(GAMES):
        return None
    return Verdict(1, part, f"G of `{OURS}`: {by_game(found)}", _on_games(found, above, below))


def plain_replay_does_not(evidence: Evidence, part: str) -> Verdict | None:
    """Sentence 2: DQN with plain replay does not; it forgets the easier settings."""
    found = gains(evidence, part, "dqn")
    if len(found) < len(GAMES):
        return None
    numbers = f"G of `dqn`: {by_game(found)}"
    if direct := lead(evidence, part, "dqn", "G"):
        numbers += f"; P(`{OURS}` > `dqn`) in G {direct}"
    return Verdict(2, part, numbers, _on_games(found, below, above))


def _on_games(
    found: dict[str, Estimate], supports: Callable[[Estimate, float], bool], refutes: Callable[[Estimate, float], bool]
) -> str:
    """Return the verdict on a sentence about a gain on each game."""
    held = [game.replace("_", " ") for game in GAMES if supports(found[game], 0.0)]
    if any(refutes(found[game], 0.0) for game in GAMES):
        return "not held"
    return "held" if len(held) == len(GAMES) else f"held on {held[0]}" if held else "undecided"


def better_than_dqn(evidence: Evidence, part: str) -> Verdict | None:
    """Sentence 3: DQN-MER does better than DQN, at the end and over the whole of training."""
    found = {name: evidence.improvement((part, OURS), (part, "dqn"), name) for name in ("RA", "AUC")}
    known = {name: estimate for name, estimate in found.items() if estimate is not None}
    if len(known) < len(found):
        return None
    better = [name for name, estimate in known.items() if above(estimate, 0.5)]
    if any(below(estimate, 0.5) for estimate in known.values()):
        verdict = "not held"
    else:
        verdict = "held" if len(better) == len(known) else f"held in {better[0]}" if better else "undecided"
    numbers = "; ".join(f"{name} {lead(evidence, part, 'dqn', name)}" for name in known)
    return Verdict(3, part, f"P(`{OURS}` > `dqn`): {numbers}", verdict)


def not_the_reservoir(evidence: Evidence, part: str) -> Verdict | None:
    """Sentence 4: the gain is not that of the reservoir alone."""
    return _by_retained(evidence, part, 4, "dqn-reservoir")


def the_reptile_step(evidence: Evidence, part: str) -> Verdict | None:
    """Question 7: whether it is the Reptile step, or the sequential steps, that helps."""
    return _by_retained(evidence, part, 7, "no-reptile", because=": the steps, not Reptile")


def more_than_compute(evidence: Evidence, part: str) -> Verdict | None:
    """Question 8: whether it is more than as many gradient steps."""
    return _by_retained(evidence, part, 8, "dqn-reservoir-17")


def _by_retained(evidence: Evidence, part: str, sentence: int, other: str, because: str = "") -> Verdict | None:
    """Judge by RA against another arm, on the games that it is run on; `because` ends a verdict that refutes."""
    games = games_of(part, other)
    found = evidence.improvement((part, OURS), (part, other), "RA", games)
    if found is None:
        return None
    where = on_one(games)
    verdict = "held" if above(found, 0.5) else "not held" if below(found, 0.5) else "undecided"
    numbers = f"P(`{OURS}` > `{other}`) in RA{where}: {lead(evidence, part, other, 'RA')}"
    return Verdict(sentence, part, numbers, verdict + where + because * (verdict == "not held"))


LADDERS = {
    "less is stored": (("state", ""), ("memory", "capacity-5000/"), ("memory", "capacity-500/")),
    "more switches": (("state", ""), ("switches", "often/")),
}
"""Part and cell of each rung, along which the lead should grow."""


def lead_grows(evidence: Evidence, part: str) -> Verdict | None:
    """Sentence 5: the lead grows as less is stored and as the task changes more often."""
    held, refuted, numbers = [], [], []
    for name, rungs in LADDERS.items():
        leads = [evidence.improvement((p, cell + OURS), (p, f"{cell}dqn"), "RA") for p, cell in rungs]
        known = [found for found in leads if found is not None]
        if len(known) < len(rungs):
            return None
        growth = evidence.growth((OURS, "dqn"), rungs[0], rungs[-1], "RA")
        held += [name] if above(growth, 0.0) and above(known[-1], 0.5) else []
        refuted += [name] if below(growth, 0.0) or below(known[-1], 0.5) else []
        numbers.append(
            f"{name}: {', '.join(estimate_cell(found, 2) for found in known)}, growth {estimate_cell(growth, 2)}"
        )
    verdict = "held" if len(held) == len(LADDERS) else f"held for one: {held[0]}" if held else "undecided"
    if len(refuted) == len(LADDERS):
        verdict = "not held"
    return Verdict(5, part, f"P(`{OURS}` > `dqn`) in RA; {'; '.join(numbers)}", verdict)


def gradients_agree(evidence: Evidence, part: str) -> Verdict | None:
    """Sentence 6: gradients of different examples agree more under MER, and this is the reason."""
    leads = {arm: evidence.improvement((part, OURS), (part, arm), "cosine") for arm in ("dqn", "dqn-reservoir")}
    known = {arm: found for arm, found in leads.items() if found is not None}
    if len(known) < len(leads):
        return None
    correlations = {game: evidence.cosine_against_bti(game) for game in GAMES}
    higher = all(above(found, 0.5) for found in known.values())
    predicts = all(rho > 0 and p < 1 - evidence.confidence for rho, p in correlations.values())
    verdict = "held" if higher and predicts else "held in part" if higher or predicts else "undecided"
    if all(below(found, 0.5) for found in known.values()) and not predicts:
        verdict = "not held"
    numbers = "; ".join(
        [f"P(`{OURS}` > `{arm}`) in cosine {estimate_cell(found, 2)}" for arm, found in known.items()]
        + [
            f"{game.replace('_', ' ')}: rank correlation with BTI within arms {rho:.2f}, p {p:.3f}"
            for game, (rho, p) in correlations.items()
        ]
    )
    return Verdict(6, part, numbers, verdict)
