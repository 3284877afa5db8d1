"""The evidence of results/: its measurements by their definitions, its verdicts by the rules of PROTOCOL.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import figures
import numpy as np
import pytest
from evidence import (
    EVIDENCE,
    GAMES,
    Evidence,
    cosine_between,
    gain_on_easier,
    load,
    matrix_of,
    score_on_easier,
    table,
)
from evidence_pages import MAIN_ARMS, arms_table, foreign_table, run_rows, summary_rows
from leads import cells_of, lead_rows
from power import detectable, power_table
from staying import going_on_and_staying
from verdict_pages import verdict_table
from verdicts import SENTENCES, verdicts

from tests.helpers.evidence import SPREAD, runs, verdict

ROOT = Path(__file__).parents[1]


def test_gain_and_score_on_easier_settings_by_their_definitions() -> None:
    rng = np.random.default_rng(0)
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        matrix = rng.normal(size=(4, 4))
        gains = [matrix[j, order[i]] - matrix[i, order[i]] for i in range(4) for j in range(4) if i < j]
        assert gain_on_easier(matrix, order) == pytest.approx(sum(gains) / len(gains), rel=1e-12)
        scores = [matrix[j, order[i]] for i in range(4) for j in range(4) if i < j]
        assert score_on_easier(matrix, order) == pytest.approx(sum(scores) / len(scores), rel=1e-12)


def test_matrix_of_plays_whatever_their_order() -> None:
    plays = [
        {"frame": frame, "setting": setting, "score_mean": f"{score}"}
        for frame, setting, score in (("50", "b", 4.0), ("50", "a", 3.0), ("100", "a", 5.0), ("100", "b", 6.0))
    ]
    assert matrix_of(plays, ["a", "b"]).tolist() == [[3.0, 4.0], [5.0, 6.0]]


def test_cosine_leaves_out_the_first_quarter_and_pairs_within_a_setting() -> None:
    rows = [
        {"frame": frame, "setting": one, "other_setting": other, "cosine_mean": cosine}
        for frame, one, other, cosine in (
            ("25", "a", "b", "0.9"),
            ("50", "a", "a", "0.8"),
            ("50", "a", "b", "0.1"),
            ("50", "a", "c", "0.3"),
            ("100", "a", "b", "0.4"),
        )
    ]
    assert cosine_between(rows, 100) == pytest.approx(0.3)
    assert np.isnan(cosine_between(rows[:2], 100))


@pytest.mark.parametrize(
    ("catcher", "flappy", "first", "second"),
    [
        (5, 5, "held", "not held"),
        (5, 0, "held on catcher", "not held"),
        (0, -5, "not held", "held on flappy bird"),
        (5, -5, "not held", "not held"),
        (0, 0, "undecided", "undecided"),
        (-5, -5, "not held", "held"),
    ],
)
def test_gain_on_easier_settings(catcher: float, flappy: float, first: str, second: str) -> None:
    for arm, sentence, expected in (("dqn-mer", 1, first), ("dqn", 2, second)):
        made = runs("state", arm, GAMES[:1], G=catcher) + runs("state", arm, GAMES[1:], G=flappy)
        assert verdict(made, sentence) == expected


@pytest.mark.parametrize(
    ("retained", "area", "expected"),
    [(5, 5, "held"), (5, 0, "held in RA"), (0, 5, "held in AUC"), (5, -5, "not held"), (0, 0, "undecided")],
)
def test_better_than_dqn(retained: float, area: float, expected: str) -> None:
    assert verdict(runs("state", "dqn") + runs("state", "dqn-mer", RA=retained, AUC=area), 3) == expected


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        (5, ("held", "held", "held")),
        (0, ("undecided", "undecided", "undecided")),
        (-5, ("not held", "not held: the steps, not Reptile", "not held")),
    ],
)
def test_against_the_controls(lead: float, expected: Sequence[str]) -> None:
    controls = [run for arm in ("dqn-reservoir", "no-reptile", "dqn-reservoir-17") for run in runs("state", arm)]
    made = controls + runs("state", "dqn-mer", RA=lead)
    assert tuple(verdict(made, sentence) for sentence in (4, 7, 8)) == expected


@pytest.mark.parametrize(
    ("leads", "often", "expected"),
    [
        ((0, 0.5, 5), 5, "held"),
        ((0, 0.5, 5), 0, "held for one: less is stored"),
        ((0, 5, 0.5), 5, "held for one: more switches"),
        ((5, 5, 5), 5, "undecided"),
        ((0, 0, 0), 0, "undecided"),
        ((0, 0, -5), -5, "not held"),
    ],
)
def test_the_lead_grows(leads: Sequence[float], often: float, expected: str) -> None:
    cells = {("state", ""): leads[0], ("memory", "capacity-5000/"): leads[1], ("memory", "capacity-500/"): leads[2]}
    cells["switches", "often/"] = often
    made = [
        run
        for (part, cell), lead in cells.items()
        for run in runs(part, f"{cell}dqn") + runs(part, f"{cell}dqn-mer", RA=lead)
    ]
    assert verdict(made, 5) == expected
    assert all(found.sentence != 5 for found in verdicts(Evidence(made[:-12]), "state")), "a rung is missing"


@pytest.mark.parametrize(
    ("lead", "slope", "expected"),
    [(5, 1, "held"), (5, -1, "held in part"), (0, 1, "held in part"), (-5, -1, "not held")],
)
def test_gradients_agree(lead: float, slope: int, expected: str) -> None:
    made = runs("state", "dqn") + runs("state", "dqn-reservoir") + runs("state", "dqn-mer", cosine=lead)
    made = [run._replace(values={**run.values, "BTI": slope * run.values["cosine"]}) for run in made]
    assert verdict(made, 6) == expected


def test_agreement_is_held_against_retention_within_arms_alone() -> None:
    def made(within: int) -> Evidence:
        ranks = {seed: float(seed) for seed in range(6)}
        found = []
        for place, arm in enumerate(("dqn", "dqn-mer", "dqn-reservoir")):  # arms with more agreement retain less
            for run in runs("state", arm):
                changed = {"cosine": 10 * place + ranks[run.seed], "BTI": within * ranks[run.seed] - 100 * place}
                found.append(run._replace(values={**run.values, **changed}))
        return Evidence(found)

    for within in (1, -1):
        rho, p = made(within).cosine_against_bti("catcher")
        assert rho == pytest.approx(within)
        assert p < 0.001
    assert np.isnan(Evidence([]).cosine_against_bti("catcher")).all()


def test_staying_is_held_against_going_on_at_the_end_on_settings_that_both_have_met(tmp_path: Path) -> None:
    plays = {
        "state": "frame,setting,score_mean\n50,a,1\n50,b,2\n50,c,3\n100,a,5\n100,b,6\n100,c,9\n",
        "stay": "frame,setting,score_mean\n100,a,3\n100,b,4\n",
    }
    for part, text in plays.items():
        for seed in (0, 1) if part == "stay" else (1, 2):
            folder = tmp_path / part / "catcher" / "dqn" / f"seed-{seed}"
            folder.mkdir(parents=True)
            (folder / "plays.csv").write_text(text)
    assert going_on_and_staying("catcher", "dqn", tmp_path).tolist() == [[5.5, 3.5]]
    assert going_on_and_staying("catcher", "dqn-mer", tmp_path).shape == (0, 2)


def test_leads_are_given_over_both_games_and_on_each() -> None:
    made = [run for arm in ("frames-100/dqn", "frames-100/no-reptile") for run in runs("target", arm)]
    for games, lead in ((GAMES[:1], 5), (GAMES[1:], -5)):
        made += runs("target", "frames-100/dqn-mer", games, RA=lead)
    heading, *rows = lead_rows(Evidence(made), "target", cells_of("target"), [("dqn-mer", "dqn")], ("RA",))
    assert heading == ["cell", "first > second", "game", "RA"]
    assert [row[0] for row in rows] == ["target every 100 frames"] * 3, "the other cell has no runs"
    assert [row[2:] for row in rows] == [
        ["both", "0.50 [0.50, 0.50]"],
        ["Catcher", "1.00 [1.00, 1.00]"],
        ["Flappy Bird", "0.00 [0.00, 0.00]"],
    ]
    one_game = runs("state", "dqn", GAMES[:1]) + runs("state", "dqn-mer", GAMES[:1])
    (heading, row) = lead_rows(Evidence(one_game), "state", {"": ""}, [("dqn-mer", "dqn")], ("RA",))
    assert heading[0] == "first > second" and row[1] == "Catcher", "a row of both games needs both"


def test_our_agents_have_one_area_beside_those_of_other_libraries_and_among_the_arms() -> None:
    """Both are of the runs' own evaluations, so that they are the same number."""
    arms = arms_table(Evidence(load()), "state", MAIN_ARMS, ("AUC",))
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in foreign_table().splitlines()[2:]]
    ours = [(game, arm, area) for game, arm, *_, area in cells if not arm.startswith("`sb3-")]
    assert len(ours) == len(GAMES) * len(MAIN_ARMS)
    assert all(any(f"| {game} | {arm} |" in row and row.endswith(f"| {area} |") for row in arms.splitlines())
               for game, arm, area in ours)  # fmt: skip


def test_the_detectable_difference_is_that_of_published_tables() -> None:
    """Two-sided at 5% with power 0.80 (Cohen, 1988): d = 1.32 with 10 in each group, 0.91 with 20, 0.40 with 99."""
    assert [round(detectable(seeds), 2) for seeds in (10, 20, 99)] == [1.32, 0.91, 0.40]


def test_the_power_of_a_game_without_seeds_is_left_out() -> None:
    made = runs("state", "dqn", GAMES[:1]) + runs("state", "dqn-mer", GAMES[:1])
    rows = power_table(Evidence(made), ("RA",)).splitlines()
    deviation = float(np.std(SPREAD, ddof=1))
    assert rows[2:] == [f"| Catcher | {seeds} | {detectable(seeds) * deviation:.1f} |" for seeds in (5, 6)]


def test_no_verdict_without_runs() -> None:
    assert verdicts(Evidence([]), "pixels") == []
    assert [found.sentence for found in verdicts(Evidence(runs("pixels", "dqn-mer")), "pixels")] == [1]


def test_a_sentence_without_a_verdict_is_named_all_the_same() -> None:
    rows = [row.split("|") for row in verdict_table(Evidence(runs("state", "dqn-mer", G=5))).splitlines()[2:]]
    assert [row[1].strip() for row in rows] == [str(sentence) for sentence in SENTENCES]
    assert [row[5].strip() for row in rows[:2]] == ["**held**", "**not yet judged: runs are missing**"]


def test_a_narrow_verdict_does_not_survive_the_correction_for_eight_sentences() -> None:
    narrow = next(gain for gain in np.linspace(0, 2, 201) if verdict(runs("state", "dqn-mer", G=gain), 1) == "held")
    for gain, corrected in ((narrow, "undecided"), (narrow + 5, "held")):
        row = verdict_table(Evidence(runs("state", "dqn-mer", G=gain))).splitlines()[2].split("|")
        assert [cell.strip() for cell in row[5:7]] == ["**held**", corrected]


def test_pages_say_what_the_files_say() -> None:
    """Every number of README and docs follows from the files of results/, which `results/figures.py` writes anew."""
    evidence = Evidence(load())
    for (page, section), content in figures.tables(evidence).items():
        start, end = f"<!-- {section}: made by results/figures.py -->\n", f"<!-- end of {section} -->"
        assert (ROOT / page).read_text().partition(start)[2].partition(end)[0] == content, (page, section)
    for name, rows in (("runs", run_rows(evidence)), ("summary", summary_rows(evidence))):
        kept = table(EVIDENCE / f"{name}.csv")
        assert kept == [{key: str(value) for key, value in row.items()} for row in rows], name


def test_the_leads_in_readme_are_those_of_the_supervised_page() -> None:
    page = (ROOT / "results" / "supervised" / "README.md").read_text().partition("## What was run")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    by_claim = {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}
    leads = figures.supervised_leads()
    for form in ("mer-1", "mer-6", "mer-7"):
        row = by_claim[f"{form} > er"]
        assert f"`{form}` in {row['95% interval above 0']} ({row['held']})" in leads
    row = by_claim["MER > gem"]
    tests = sum(int(row[verdict]) for verdict in ("held", "undecided", "not held", "too few seeds"))
    assert leads.endswith(f"Over `gem`: {row['95% interval above 0']} of {tests} ({row['held']}).\n")


def test_no_kept_file_names_a_machine() -> None:
    """Commands are kept with relative paths."""
    for path in EVIDENCE.glob("**/config.json"):
        described = json.loads(path.read_text())
        assert " /" not in described["command"], path
        assert described["git_commit"] and not described["git_commit"].endswith("-dirty"), path
