"""The authors' claims held against scores, and the script that makes the table."""

from __future__ import annotations

import csv
import itertools
import json
import runpy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dqn_mer.supervised.claims import claims
from dqn_mer.supervised.execute import execute
from dqn_mer.supervised.options import RunSpec, SupervisedOptions, plan
from dqn_mer.supervised.presets import ER_REPEATED, MEMORIES, PUBLISHED, STREAMS, published_rates
from tests.helpers.stream_problems import write_images

SCRIPT = Path(__file__).resolve().parents[2] / "results" / "supervised.py"


def scores(seeds: int = 6, **means: float) -> dict[tuple[str, str, int], dict[int, float]]:
    """Return scores around the means, by LEARNER_MEMORY; those of two learners differ by less than a point more."""
    cells = {}
    for place, (name, mean) in enumerate(means.items()):
        learner, memory = name.rsplit("_", 1)
        noise = np.random.default_rng(place).uniform(-0.5, 0.5, seeds)
        cells["rotations", learner.replace("_", "-"), int(memory)] = dict(enumerate(mean + noise))
    return cells


def test_differences_are_taken_seed_by_seed() -> None:
    by_name = {claim.claim: claim for claim in claims(scores(mer_7_200=70.0, er_200=65.0, gem_200=66.0))}
    assert by_name["mer-7 > er"].verdict == "held" and by_name["mer-7 > er"].difference == pytest.approx(5.0, abs=1)
    assert by_name["mer-7 > gem"].verdict == "held" and by_name["er > gem"].verdict == "not held"
    assert set(by_name) == {"mer-7 > er", "mer-7 > gem", "er > gem"}  # nothing is said of what was not run


def test_the_interval_and_the_p_value_are_those_of_the_paired_t_test() -> None:
    cells = scores(mer_7_200=66.0, er_200=65.5)
    (claim,) = claims(cells)
    ours, theirs = (list(cells["rotations", learner, 200].values()) for learner in ("mer-7", "er"))
    expected = stats.ttest_rel(ours, theirs)
    low, high = expected.confidence_interval()
    assert (claim.p, claim.low, claim.high) == pytest.approx((expected.pvalue, low, high))


def test_a_difference_that_may_be_chance_is_undecided() -> None:
    cells = scores(mer_7_200=70.0, er_200=70.0)
    cells["rotations", "er", 200] = dict(enumerate([66.0, 74.0, 65.0, 75.0, 69.0, 71.0]))
    (claim,) = claims(cells)
    assert claim.verdict == "undecided" and claim.low < 0 < claim.high
    for seeds in (1, 4):
        (few,) = claims({cell: {seed: values[seed] for seed in range(seeds)} for cell, values in cells.items()})
        assert few.verdict == "too few seeds"


def test_many_claims_ask_more_of_each() -> None:
    differences = 1.0 + 1.1 * np.linspace(-1, 1, 8)
    alone = {("rotations", "mer-7", 200): dict(enumerate(70 + differences))}
    alone["rotations", "er", 200] = dict.fromkeys(range(8), 70.0)
    (claim,) = claims(alone)
    rng = np.random.default_rng(0)
    others = itertools.product(("rotations", "permutations"), ("mer-1", "mer-6", "gem", "er"), (5120, 500))
    noise = {cell: dict(enumerate(rng.normal(70, 1.0, 8))) for cell in others}
    (among,) = [found for found in claims(alone | noise) if found[:2] == claim[:2]]
    assert claim.verdict == "held" and among.difference == claim.difference
    assert among.p > claim.p and among.verdict == "undecided"
    assert sum(found.verdict in ("held", "not held") for found in claims(noise)) == 0


def test_what_the_authors_did_not_run_stands_apart_and_counts_apart() -> None:
    cells = scores(mer_7_200=70.0, er_200=65.0)
    more = {("classes", *cell[1:]): values for cell, values in cells.items()}
    published, other = claims(more | cells)
    assert (published.where, published.published) == ("rotations, memory 200", True)
    assert (other.where, other.published) == ("classes, memory 200", False)
    assert published.p == other.p == claims(cells)[0].p


def test_leads_are_compared_between_memory_sizes() -> None:
    results = claims(scores(mer_7_500=70.0, er_500=68.0, mer_7_200=66.0, er_200=60.0))
    (lead,) = [claim for claim in results if "larger with memory 200 than with 500" in claim.claim]
    assert lead.difference == pytest.approx(4.0, abs=1) and lead.verdict == "held"


def test_learners_without_a_memory_are_compared_at_every_size_with_those_that_have_one() -> None:
    results = claims(scores(gem_500=60.0, gem_200=50.0, ewc_0=40.0, online_0=20.0))
    assert [(c.claim, c.where) for c in results] == [
        ("gem > ewc", "rotations, memory 500"),
        ("gem > ewc", "rotations, memory 200"),
        ("ewc > online", "rotations"),
    ]


def test_every_published_run_has_its_rates() -> None:
    per_stream = {stream: sum(case[1] == stream for case in PUBLISHED) for stream in STREAMS}
    assert per_stream == {"rotations": 17, "permutations": 17, "many-permutations": 12, "classes": 0}
    for learner, stream, memory in PUBLISHED:
        rates, source = published_rates(learner, stream, memory)
        assert rates == PUBLISHED[learner, stream, memory]
        assert stream in source and (learner in ("online", "ewc") or f"{memory} memories" in source)


def test_other_sizes_take_the_nearest_rates() -> None:
    assert published_rates("er", "rotations", 1_000)[0] == PUBLISHED["er", "rotations", 500]
    assert published_rates("er", "rotations", 2_000)[0] == PUBLISHED["er", "rotations", 5120]
    assert published_rates("mer-7", "many-permutations", 200)[0] == PUBLISHED["mer-7", "many-permutations", 500]
    assert published_rates("gem", "classes", 200)[0] == PUBLISHED["gem", "rotations", 200]
    assert published_rates("mer-6-last", "rotations", 200)[0] == PUBLISHED["mer-6", "rotations", 200]
    assert published_rates("a-gem", "rotations", MEMORIES[0])[0].learning_rate == 0.01


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("memory", [*MEMORIES, 1_000])
def test_repeated_replay_has_the_batches_of_mer_1(stream: str, memory: int) -> None:
    (mer, _), (replay, source) = (published_rates(name, stream, memory) for name in ("mer-1", "er-repeated"))
    assert (replay.batch_size, replay.num_batches) == (mer.batch_size, mer.num_batches)
    assert "published for mer-1" in source and "tuned here" in source


def test_repeated_replay_has_the_rates_of_the_best_trials() -> None:
    trials: dict[tuple[str, int], dict[float, list[float]]] = {}
    with SCRIPT.with_name("supervised").joinpath("er-repeated-rates.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            of_case = trials.setdefault((row["stream"], int(row["memory"])), {})
            of_case.setdefault(float(row["learning_rate"]), []).append(float(row["retained_accuracy"]))
    best = {case: max(rates, key=lambda rate: np.mean(rates[rate])) for case, rates in trials.items()}
    assert best == ER_REPEATED
    assert all(min(rates) < best[case] < max(rates) for case, rates in trials.items())


def test_the_table_is_made_from_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = write_images(tmp_path / "images", train=60, test=20)
    options = SupervisedOptions(
        stream=("rotations",), learner=("online", "er", "mer-7"), memory=(20,), seeds="0-1", data=images, tasks=2,
        examples=10, hidden_sizes=(8,), meter_every=5, out=tmp_path / "runs", learning_rate=0.01, batch_size=2,
    )  # fmt: skip
    wanted = plan(options)
    for spec in wanted[:-1]:
        assert execute(spec, (), lambda place: None).exit_code == 0
    script = runpy.run_path(str(SCRIPT))
    here = tmp_path / "results"
    script["report"].__globals__["HERE"] = here
    script["report"](wanted)
    with (here / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["learner"], row["seed"]) for row in rows] == [
        ("online", "0"), ("er", "0"), ("mer-7", "0"), ("online", "1"), ("er", "1")
    ]  # fmt: skip
    summary = json.loads((wanted[1].run_dir / "summary.json").read_text())
    assert float(rows[1]["retained_accuracy"]) == pytest.approx(summary["metrics"]["retained_accuracy"], abs=1e-4)
    page = (here / "README.md").read_text()
    assert "Missing, not finished or diverged: rotations/mer-7/memory-20 (seed 1)." in page
    assert "5 of 6 runs, seeds 0, 1" in page and "60 to learn, 20 to test" in page
    assert "| mer-7 > er | rotations, memory 20 | 1 |" in page and "too few seeds" in page
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")  # the table holds what the page needs
    script["report"](wanted)
    assert (here / "README.md").read_text() == page
    assert execute(wanted[-1], (), lambda place: None).exit_code == 0
    script["report"](wanted)
    assert "6 of 6 runs" in (here / "README.md").read_text()
    other = write_images(tmp_path / "other", train=70, test=20)
    with pytest.raises(ValueError, match=r"data=.*runs\.csv is of other data"):
        script["report"](plan(replace(options, data=other, out=tmp_path / "new")))
    config = wanted[-1].run_dir / "config.json"
    config.write_text(config.read_text().replace('"learning_rate": 0.01', '"learning_rate": 0.02'))
    with pytest.raises(ValueError, match="made with other options"):
        script["report"](wanted)


def test_only_what_the_table_lacks_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(SCRIPT))
    run: list[RunSpec] = []
    names = script["main"].__globals__
    names.update(HERE=tmp_path, run_all=lambda specs, *_: run.extend(specs) or [], report=lambda wanted: None)
    wanted = script["specs"](tmp_path, "0-1", 1, None)
    columns = {**dict.fromkeys(script["NUMBERS"], 0), "data_sha256": "", "processor": "", "commit": ""}
    spec = wanted[3]
    of_spec = {"stream": spec.stream, "learner": spec.learner, "memory": spec.memory, "seed": spec.seed}
    script["write"]("runs.csv", [{**columns, **of_spec}])
    monkeypatch.setattr("sys.argv", ["supervised.py", "--runs", str(tmp_path), "--seeds", "0-1", "--missing"])
    assert script["main"]() == 0
    assert run == [one for one in wanted if one != spec]


def test_a_kind_of_claim_is_summed_up_in_a_row() -> None:
    held = claims(scores(mer_7_200=70.0, mer_1_200=68.0, er_200=65.0, mer_7_500=72.0, mer_1_500=70.0, er_500=71.0))
    rows = runpy.run_path(str(SCRIPT.with_name("supervised_page.py")))["in_short"](held)
    by_claim = {row["claim"]: row for row in rows}
    assert set(by_claim) == {"mer-1 > er", "mer-7 > er", "the lead of MER over er grows as memory shrinks"}
    lead = by_claim["the lead of MER over er grows as memory shrinks"]
    for row, tests in ((by_claim["mer-1 > er"], 2), (by_claim["mer-7 > er"], 2), (lead, 2)):
        assert sum(row[verdict] for verdict in ("held", "undecided", "not held", "too few seeds")) == tests
    low, high = (float(end) for end in by_claim["mer-1 > er"]["differences"].split(" to "))
    assert -1.5 < low < -0.5 and 2.5 < high < 3.5
    of_form = [claim for claim in held if claim.claim == "mer-1 > er"]
    row = by_claim["mer-1 > er"]
    assert row["95% interval above 0"] == sum(claim.low > 0 for claim in of_form) == 1
    assert row["below 0"] == sum(claim.high < 0 for claim in of_form) == 1


def test_agreement_of_gradients_is_compared_seed_by_seed_with_replay() -> None:
    def run(learner: str, seed: int, cosine: float) -> dict[str, Any]:
        return {"stream": "rotations", "learner": learner, "memory": 200, "seed": seed, "cosine_between": cosine}

    def cosine(learner: str, seed: int) -> float:
        """Return one that differs more between seeds than between learners."""
        return (
            0.01 * seed
            + {"er": 0.0, "mer-1": 0.002, "mer-7": -0.001}[learner]
            + 0.0002 * (seed % 2) * (learner != "er")
        )

    learners = ("er", "mer-1", "mer-7")
    runs = [run(learner, seed, cosine(learner, seed)) for learner in learners for seed in range(6)]
    runs = [*runs, run("mer-1", 6, 9.0)]  # a seed that replay has not
    held = claims(scores(mer_1_200=70.0, mer_7_200=70.0, er_200=65.0))
    lines = runpy.run_path(str(SCRIPT.with_name("supervised_page.py")))["agreement"](runs, held)
    above, below = "above 0 in 1 of 2 and below 0 in 1", "its gradients agree more in 1 and less in 1"
    assert (
        above in lines[2] and f"Of the 2 where a form retains more than er (its own 95% interval), {below}" in lines[2]
    )
    assert lines[-2] == "| rotations | 200 | 25.0 | +2.1 [+2.0, +2.2] |  |  | -0.9 [-1.0, -0.8] |"


def test_the_script_asks_for_every_learner_stream_and_memory(tmp_path: Path) -> None:
    wanted = runpy.run_path(str(SCRIPT))["specs"](tmp_path, "0-9", 1, None)
    assert len(wanted) == 10 * (3 * (2 + 8 * 3) + 2 + 8 * 2)
    assert [spec.seed for spec in wanted] == sorted(spec.seed for spec in wanted)
    assert {(spec.stream, spec.tasks, spec.examples) for spec in wanted} == {
        ("rotations", 20, 1_000), ("permutations", 20, 1_000), ("many-permutations", 100, 200), ("classes", None, None)
    }  # fmt: skip
