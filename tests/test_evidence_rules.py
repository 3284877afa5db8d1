"""The rules of PROTOCOL.md at their edges: ties, one game of two, a wider confidence, arms that do not count."""

from __future__ import annotations

import pytest
from evidence import GAMES, Evidence, Run
from verdicts import TOGETHER, verdicts

from tests.helpers.evidence import runs, verdict

CONTROLS = [run for arm in ("dqn", "dqn-reservoir", "no-reptile", "dqn-reservoir-17") for run in runs("state", arm)]


def test_what_one_game_wins_and_the_other_loses_is_undecided() -> None:
    """The probability is 0.5 then, with an interval of no width: neither above nor below."""
    leads = [run for games, lead in ((GAMES[:1], 5), (GAMES[1:], -5))
             for run in runs("state", "dqn-mer", games, RA=lead, AUC=lead)]  # fmt: skip
    assert [verdict(CONTROLS + leads, sentence) for sentence in (3, 4, 7, 8)] == ["undecided"] * 4


def test_fewer_seeds_than_three_of_one_arm_or_on_one_game_decide_nothing() -> None:
    for seeds, expected in ((2, [2]), (3, [1, 2, 3, 4, 6, 7, 8])):
        found = verdicts(Evidence(CONTROLS + runs("state", "dqn-mer", seeds=seeds)), "state")
        assert [each.sentence for each in found] == expected
    one = runs("state", "dqn-mer", GAMES[:1]) + runs("state", "dqn-mer", GAMES[1:], seeds=2)
    assert [each.sentence for each in verdicts(Evidence(CONTROLS + one), "state")] == [2]


def test_the_confidence_is_that_of_every_interval() -> None:
    cells = [run for cell, lead in (("a/", 0.2), ("b/", 0.6)) for run in
             runs("memory", f"{cell}dqn") + runs("memory", f"{cell}dqn-mer", RA=lead)]  # fmt: skip
    usual, wide = (Evidence(cells, confidence) for confidence in (0.8, 0.99))
    widths = [
        [
            float(estimate.high - estimate.low)
            for estimate in (
                evidence.estimate("memory", "catcher", "a/dqn", "RA"),
                evidence.improvement(("memory", "a/dqn-mer"), ("memory", "a/dqn"), "RA"),
                evidence.growth(("dqn-mer", "dqn"), ("memory", "a/"), ("memory", "b/"), "RA"),
            )
            if estimate is not None
        ]
        for evidence in (usual, wide)
    ]
    assert len(widths[0]) == 3 and all(0 < narrow < wider for narrow, wider in zip(*widths, strict=True))
    assert pytest.approx(1 - 0.05 / 8) == TOGETHER


@pytest.mark.parametrize(
    ("catcher", "flappy", "reservoir", "expected"),
    [
        ((0.5, 0.001), (0.5, 0.001), 0, ("held", "held")),
        ((0.5, 0.001), (0.5, 0.02), 0, ("held", "held in part")),  # 0.02 is too much for eight verdicts
        ((0.5, 0.001), (-0.5, 0.001), 0, ("held in part", "held in part")),  # on both games, or it predicts nothing
        ((0.5, 0.001), (0.5, 0.001), 10, ("held in part", "held in part")),  # above both arms, or it is not higher
        ((-0.5, 0.001), (0.5, 0.2), 10, ("undecided", "undecided")),
    ],
)
def test_gradients_agree_and_predict_on_both_games_above_both_arms(
    catcher: tuple[float, float],
    flappy: tuple[float, float],
    reservoir: float,
    expected: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    correlations = dict(zip(GAMES, (catcher, flappy), strict=True))
    monkeypatch.setattr(Evidence, "cosine_against_bti", lambda evidence, game: correlations[game])
    made = runs("state", "dqn") + runs("state", "dqn-mer", cosine=5) + runs("state", "dqn-reservoir", cosine=reservoir)
    for confidence, wanted in zip((0.95, TOGETHER), expected, strict=True):
        (found,) = [each for each in verdicts(Evidence(made, confidence), "state") if each.sentence == 6]
        assert found.verdict == wanted


def test_agreement_is_ranked_among_the_arms_that_learn_the_stream_and_its_p_value_is_never_0() -> None:
    def ranked(arm: str, slope: int) -> list[Run]:
        return [run._replace(values={**run.values, "BTI": slope * run.values["cosine"]}) for run in runs("state", arm)]

    learning = [run for arm in ("dqn", "dqn-mer", "dqn-reservoir") for run in ranked(arm, 1)]
    rho, p = Evidence(learning + ranked("interleaved", -1)).cosine_against_bti("catcher")
    assert (rho, p) == pytest.approx((1.0, 1 / 10_000))  # of 9,999 permutations none has as much
