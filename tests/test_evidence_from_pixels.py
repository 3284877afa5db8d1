"""The evidence from pixels: of fewer arms and seeds than from state, and one of the arms on one game alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from evidence import GAMES, LEARNING_ARMS, Evidence, Run
from evidence_figures import draw_gains, draw_map
from evidence_pages import main_table
from figures import main_arms
from leads import leads_of_arms
from pixel_pages import pixel_section
from verdict_pages import verdict_table
from verdicts import verdicts

from tests.helpers.evidence import runs, verdict

FLAPPY = GAMES[1:]
NOT_YET = "**not yet judged: runs are missing**"


def planned(controls: int = 3, **means: float) -> list[Run]:
    """Return the runs from pixels that the protocol plans; `means` are those of `dqn-mer`."""
    return [
        *runs("pixels", "dqn", seeds=5),
        *runs("pixels", "dqn-mer", seeds=5, **means),
        *runs("pixels-controls", "dqn-reservoir", seeds=controls),
        *runs("pixels-controls", "no-reptile", FLAPPY, seeds=controls),
    ]


def cells(table: str) -> list[list[str]]:
    """Return the rows of a table below its heading."""
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        (9, ("held", "held", "held on flappy bird")),
        (-0.2, ("undecided", "undecided", "undecided on flappy bird")),
        (-9, ("not held", "not held", "not held on flappy bird: the steps, not Reptile")),
    ],
)
def test_controls_of_three_seeds_are_judged_on_the_games_that_have_them(lead: float, expected: Sequence[str]) -> None:
    made = planned(RA=lead, AUC=lead)
    assert tuple(verdict(made, sentence, "pixels") for sentence in (3, 4, 7)) == expected
    assert [found.sentence for found in verdicts(Evidence(made), "pixels")] == [1, 2, 3, 4, 7]


def test_the_numbers_of_a_control_on_one_game_name_it() -> None:
    (of_both, of_one) = (found.numbers for found in verdicts(Evidence(planned(RA=9)), "pixels")[-2:])
    both = "catcher 1.00 [1.00, 1.00]; flappy bird 1.00 [1.00, 1.00]"
    assert of_both == f"P(`dqn-mer` > `dqn-reservoir`) in RA: 1.00 [1.00, 1.00] ({both})"
    assert of_one == "P(`dqn-mer` > `no-reptile`) in RA on flappy bird: 1.00 [1.00, 1.00]"


def test_nothing_is_judged_by_two_seeds_or_by_one_game_of_two() -> None:
    assert [found.sentence for found in verdicts(Evidence(planned(controls=2)), "pixels")] == [1, 2, 3]
    one_game = [run for run in planned() if run.game in FLAPPY]
    assert [found.sentence for found in verdicts(Evidence(one_game), "pixels")] == [7]


def test_each_sentence_that_pixels_can_judge_is_named_as_soon_as_they_have_a_run() -> None:
    def from_pixels(made: Sequence[Run]) -> list[list[str]]:
        return [[row[0], *row[4:]] for row in cells(verdict_table(Evidence(made))) if row[2] == "pixels"]

    assert from_pixels(runs("state", "dqn")) == []
    gains, shown = ("[gains-pixels](../results/evidence/gains-pixels.png)", "[map](../results/evidence/map.png)")
    figures = [("1", gains), ("2", gains), ("3", shown), ("4", shown), ("7", shown)]
    found = from_pixels(runs("pixels", "dqn", seeds=1))
    assert found == [[sentence, NOT_YET, "", figure] for sentence, figure in figures]


def test_a_control_of_one_game_has_no_lead_over_both() -> None:
    rows = [row[:2] for row in leads_of_arms(Evidence(planned()), "pixels")[1:]]
    assert [game for pair, game in rows if pair == "`dqn-mer` > `no-reptile`"] == ["Flappy Bird"]
    assert [game for pair, game in rows if pair == "`dqn-mer` > `dqn`"] == ["both", "Catcher", "Flappy Bird"]
    assert {pair for pair, _ in rows} == {
        "`dqn-mer` > `dqn`", "`dqn-mer` > `dqn-reservoir`", "`dqn-mer` > `no-reptile`", "`dqn-reservoir` > `dqn`",
    }  # fmt: skip


def test_the_section_shows_what_there_is() -> None:
    assert pixel_section(Evidence(runs("state", "dqn"))) == "No run of these is finished yet.\n"
    whole, part = (pixel_section(Evidence(made)) for made in (planned(), runs("pixels", "dqn", FLAPPY, seeds=1)))
    for text in (whole, part):
        assert "nan" not in text and "(../results/evidence/gains-pixels.png)" in text
        assert "(../results/compare-pixels/flappy_bird/curves.png)" in text
    assert "catcher" in whole and "catcher" not in part and "Catcher" not in part
    assert "told apart" in whole and "told apart" not in part and "Which arm" not in part, "one seed tells neither"
    assert "| Flappy Bird | `no-reptile` | 3 |" in whole and "| Catcher | `no-reptile` |" not in whole


def test_readme_has_the_main_arms_of_both_and_no_more_rows_than_before() -> None:
    of_state = [run for arm in LEARNING_ARMS for run in runs("state", arm)]
    before, after = (cells(main_table(Evidence(made))) for made in (of_state, of_state + planned()))
    assert [row[:3] for row in before[:2]] == [["Catcher", "`dqn`", "6"], ["Catcher", "`dqn-mer`", "6"]]
    assert [row[:4] for row in after[:6]] == [
        ["Catcher", "state", "`dqn`", "6"], ["Catcher", "state", "`dqn-mer`", "6"],
        ["Catcher", "state", "`dqn-reservoir`", "6"], ["Catcher", "pixels", "`dqn`", "5"],
        ["Catcher", "pixels", "`dqn-mer`", "5"], ["Catcher", "pixels", "`dqn-reservoir`", "3"],
    ]  # fmt: skip
    assert len(before) == len(after) == 12
    too_few = [*runs("pixels", "dqn", seeds=2), *runs("pixels", "dqn-mer", seeds=2)]
    assert cells(main_table(Evidence(of_state + too_few))) == before


def test_curves_are_compared_of_the_main_arms_with_their_control() -> None:
    folders = main_arms(Evidence(runs("state", "dqn") + planned()), "pixels")
    names = [str(folder.relative_to("results/evidence")) for folder in folders]
    assert names == [
        "pixels/catcher/dqn", "pixels/catcher/dqn-mer", "pixels/flappy_bird/dqn", "pixels/flappy_bird/dqn-mer",
        "pixels-controls/catcher/dqn-reservoir", "pixels-controls/flappy_bird/dqn-reservoir",
    ]  # fmt: skip


def test_figures_show_pixels_as_soon_as_they_have_runs(tmp_path: Path) -> None:
    state = runs("state", "dqn") + runs("state", "dqn-mer")
    for name, made in (("none", state), ("some", state + runs("pixels", "dqn", FLAPPY, seeds=1)), ("all", planned())):
        draw_map(Evidence(made), tmp_path / f"{name}.svg")
        assert ("from pixels" in (tmp_path / f"{name}.svg").read_text()) == (name != "none")
    draw_gains(Evidence(planned()), tmp_path / "gains.svg", "pixels")
    drawn = (tmp_path / "gains.svg").read_text()
    assert drawn.count("<!-- no-reptile -->") == 1 and drawn.count("<!-- dqn-reservoir -->") == 2
    assert "over 3 to 5 seeds" in drawn
