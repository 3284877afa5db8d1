"""The authors' claims held against scores, and the script that makes the table."""

from __future__ import annotations

import csv
import json
import runpy
from pathlib import Path

import pytest

from dqn_mer.supervised.claims import claims
from dqn_mer.supervised.execute import execute
from dqn_mer.supervised.options import SupervisedOptions, plan
from dqn_mer.supervised.presets import MEMORIES, PUBLISHED, STREAMS, published_rates
from tests.helpers.stream_problems import write_images

SCRIPT = Path(__file__).resolve().parents[2] / "results" / "supervised.py"


def scores(**means: float) -> dict[tuple[str, str, int], dict[int, float]]:
    """Return scores of four seeds around the means, by LEARNER_MEMORY."""
    cells = {}
    for name, mean in means.items():
        learner, memory = name.rsplit("_", 1)
        cells["rotations", learner.replace("_", "-"), int(memory)] = {seed: mean + 0.1 * seed for seed in range(4)}
    return cells


def test_differences_are_taken_seed_by_seed() -> None:
    by_name = {claim.claim: claim for claim in claims(scores(mer_7_200=70.0, er_200=65.0, gem_200=66.0))}
    assert by_name["mer-7 > er"].verdict == "held" and by_name["mer-7 > er"].difference == pytest.approx(5.0)
    assert by_name["er > gem"].verdict == "not held"
    assert set(by_name) == {"mer-7 > er", "er > gem"}  # nothing is said of what was not run


def test_a_difference_that_may_be_chance_is_undecided() -> None:
    cells = scores(mer_7_200=70.0, er_200=70.0)
    cells["rotations", "er", 200] = dict(enumerate([66.0, 74.0, 65.0, 75.0]))
    (claim,) = claims(cells)
    assert claim.verdict == "undecided" and claim.low < 0 < claim.high
    (single,) = claims({cell: {0: values[0]} for cell, values in cells.items()})
    assert single.verdict == "one seed only"


def test_leads_are_compared_between_memory_sizes() -> None:
    results = claims(scores(mer_7_500=70.0, er_500=68.0, mer_7_200=66.0, er_200=60.0))
    (lead,) = [claim for claim in results if "larger with memory 200 than with 500" in claim.claim]
    assert lead.difference == pytest.approx(4.0) and lead.verdict == "held"


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
    assert published_rates("a-gem", "rotations", MEMORIES[0])[0].learning_rate == 0.01


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
    assert "5 of 6 runs, seeds 0, 1" in page and "60 to learn, 20 to test" in page
    assert "| mer-7 > er | rotations, memory 20 | 1 |" in page


def test_the_script_asks_for_every_learner_stream_and_memory(tmp_path: Path) -> None:
    wanted = runpy.run_path(str(SCRIPT))["specs"](tmp_path, "0-9", 1, None)
    assert len(wanted) == 10 * (3 * (2 + 6 * 3) + 2 + 6 * 2)
    assert [spec.seed for spec in wanted] == sorted(spec.seed for spec in wanted)
    assert {(spec.stream, spec.tasks, spec.examples) for spec in wanted} == {
        ("rotations", 20, 1_000), ("permutations", 20, 1_000), ("many-permutations", 100, 200), ("classes", None, None)
    }  # fmt: skip
