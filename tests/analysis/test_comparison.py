"""Groups of runs with known numbers: what they are called, how they compare, and remarks on unfair comparisons."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from dqn_mer.__main__ import main
from dqn_mer.analysis.comparison import compare_runs
from dqn_mer.analysis.report import improvements, metric_estimates
from dqn_mer.analysis.runs import Run, find_runs, load_run
from dqn_mer.config.config import OF_EVERY_RUN
from dqn_mer.config.defaults import default_config
from tests.helpers import outside_agent
from tests.helpers.added import nothing_left
from tests.helpers.runs import compared, write_run


def test_mer_whose_reptile_does_nothing_is_named_as_what_it_is(tmp_path: Path) -> None:
    shared = {"learning_rate": 3e-4, "target_sync_frames": 100}
    scores = [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]
    kinds = {
        "dqn": {"agent": "dqn"},
        "mer": {"agent": "dqn-mer", "across_batch_rate": 0.3},
        "sequential": {"agent": "dqn-mer", "across_batch_rate": 1.0},
        "beta": {"agent": "dqn-mer", "across_batch_rate": 1.0, "within_batch_rate": 0.3},
    }
    for name, choices in kinds.items():
        scores = [[score + 1.0 for score in row] for row in scores]  # equal ones would be remarked on
        for seed in range(3):
            write_run(tmp_path / name / str(seed), scores, seed=seed, **shared, **choices)

    def runs_of(*names: str) -> list[Run]:
        return [load_run(path) for path in find_runs([tmp_path / name for name in names])[0]]

    (three,) = compare_runs(runs_of("dqn", "mer", "sequential"))
    assert [group.label for group in three.groups] == ["dqn", "dqn-mer", "dqn-mer (no Reptile)"]
    assert [len(group.runs) for group in three.groups] == [3, 3, 3]
    assert three.remarks == ()  # the labels say in what they differ
    (four,) = compare_runs(runs_of("dqn", "mer", "sequential", "beta"))
    assert [len(group.runs) for group in four.groups] == [3, 6, 3]  # a rate of one batch is still Reptile
    (remark,) = (remark for remark in four.remarks if "across_batch_rate" in remark)
    assert "dqn-mer: 0.3, 1.0" in remark or "dqn-mer: 1.0, 0.3" in remark
    (by_rate,) = compare_runs(runs_of("mer", "sequential"), by=("across_batch_rate",))
    assert [group.label for group in by_rate.groups] == ["across_batch_rate=0.3", "across_batch_rate=1.0"]
    (chosen,) = compare_runs(runs_of("dqn", "sequential"), baseline="dqn-mer (no Reptile)")
    assert chosen.groups[0].label == "dqn-mer (no Reptile)"


def test_groups_by_other_fields_and_another_baseline(runs: Path) -> None:
    write_run(runs / "other", [[0.0, 0.0]] * 3, agent="dqn", batch_size=8)
    comparison = compared(runs, by=("agent", "batch_size"), baseline="dqn batch_size=8")
    assert [group.label for group in comparison.groups] == [
        "dqn batch_size=8", "dqn batch_size=16", "dqn-mer batch_size=16",
    ]  # fmt: skip
    assert "dqn batch_size=8 has one run only, so there are no intervals for it." in comparison.remarks


def test_options_that_an_agent_does_not_read_are_no_difference(runs: Path) -> None:
    path = runs / "dqn" / "seed-0" / "config.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps({**description, "config": {**description["config"], "across_batch_rate": 0.9}}))
    assert not [remark for remark in compared(runs).remarks if "across_batch_rate" in remark]
    write_run(runs / "other", [[0.0, 0.0]] * 3, agent="dqn-mer", seed=3, across_batch_rate=0.5)
    (remark,) = (remark for remark in compared(runs).remarks if "across_batch_rate" in remark)
    tuned = default_config(game="flappy_bird", observation="state", agent="dqn-mer").across_batch_rate
    assert f"dqn-mer: {tuned}, 0.5" in remark


def test_each_game_has_a_baseline_of_its_own(tmp_path: Path) -> None:
    agents = {"catcher": ("dqn", "dqn-mer"), "flappy_bird": ("dqn-mer", "dqn-reservoir")}
    for game, agent in ((game, agent) for game, names in agents.items() for agent in names):
        choices = {"game": game, "agent": agent, "settings": (0.06, 0.09) if game == "catcher" else (100.0, 90.0)}
        write_run(tmp_path / game / agent, [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], **choices)
    runs = [load_run(path) for path in find_runs([tmp_path])[0]]
    catcher, flappy = compare_runs(runs)
    assert (catcher.baseline, [*improvements(catcher)]) == ("dqn", ["dqn-mer"])
    assert (flappy.baseline, [*improvements(flappy)]) == ("dqn-mer", ["dqn-reservoir"])
    catcher, flappy = compare_runs(runs, baseline="dqn-reservoir")
    assert improvements(catcher) == {} and [*improvements(flappy)] == ["dqn-mer"]
    assert catcher.remarks[0] == "No run of dqn-reservoir, so nothing is measured against it."
    assert not [remark for remark in flappy.remarks if "measured" in remark]


@pytest.mark.parametrize("agent", ["sb3-dqn", "shrinking"])
def test_an_option_of_another_agent_makes_groups_though_one_of_ours_has_its_name(agent: str, tmp_path: Path) -> None:
    with nothing_left():
        if agent == "shrinking":
            outside_agent.register()
        for seed, rate in enumerate((0.1, 0.5)):
            path = write_run(tmp_path / str(seed), [[0.0, 0.0]] * 3, seed=seed)
            described = json.loads((path / "config.json").read_text())
            config = {**described["config"], "agent": agent, "agent_options": {"across_batch_rate": rate}}
            if agent == "sb3-dqn":  # whose folder has no field of our agents
                config = {name: value for name, value in config.items() if name in OF_EVERY_RUN}
            (path / "config.json").write_text(json.dumps({**described, "config": config}))
        labels = [group.label for group in compared(tmp_path, by=("agent", "across_batch_rate")).groups]
    assert labels == [f"{agent} across_batch_rate={rate}" for rate in (0.1, 0.5)]


def test_an_option_that_another_agent_alone_has_makes_groups_beside_ours(tmp_path: Path) -> None:
    for agent, width in (("dqn-mer", None), ("sb3-ppo", 3), ("sb3-ppo", 4)):
        path = write_run(tmp_path / f"{agent}-{width}", [[0.0, 0.0]] * 3) / "config.json"
        described = json.loads(path.read_text())
        if width is not None:
            config = {name: value for name, value in described["config"].items() if name in OF_EVERY_RUN}
            described["config"] = {**config, "agent": agent, "agent_options": {"width": width}}
        path.write_text(json.dumps(described))
    labels = [group.label for group in compared(tmp_path, by=("agent", "width")).groups]
    assert labels == ["dqn-mer", "sb3-ppo width=3", "sb3-ppo width=4"]
    with pytest.raises(ValueError, match=r"^by='height': must be config fields"):
        compared(tmp_path, by=("agent", "height"))
    with pytest.raises(ValueError, match=r"^by='learner': .* learning_rate; learner of supervised runs is agent$"):
        compared(tmp_path, by=("learner", "memory"))


NEVER_FULL = ": the memory of 50,000 transitions was never full, so that both remembered the same."
UNTIL_60 = " up to frame 60: until the memory of 60 transitions is full, both remember the same."
UNTIL_80 = " up to frame 80: until the memory of 20 transitions is full, both remember the same."


@pytest.mark.parametrize(
    ("agent", "middle", "last", "choices", "expected"),
    [
        ("dqn-reservoir", 1.0, 2.0, {}, NEVER_FULL),
        ("dqn-reservoir", 1.0, 2.0, {"capacity": 60}, "."),  # equal by chance: the memories were not
        ("dqn-reservoir", 1.0, 2.5, {"capacity": 60}, UNTIL_60),
        ("dqn-reservoir", 1.5, 2.5, {"capacity": 60}, None),
        ("dqn-reservoir", 1.0, 2.5, {"capacity": 40}, None),  # full before the first evaluation after learning
        ("dqn-reservoir", 1.0, 2.0, {"capacity": 60, "frame_skip": 2}, NEVER_FULL.replace("50,000", "60")),
        ("dqn-reservoir", 1.0, 2.0, {"capacity": 40, "frame_skip": 2}, "."),
        ("dqn-reservoir", 1.0, 2.5, {"capacity": 60, "frame_skip": 2}, UNTIL_60),  # full at 120 at the latest
        ("dqn-reservoir", 1.0, 2.5, {"capacity": 20, "frame_skip": 4}, UNTIL_80),
        ("dqn-reservoir", 1.5, 2.5, {"capacity": 40, "frame_skip": 2}, None),
        ("hare-tortoise", 1.0, 2.0, {}, "."),  # not the memory is what they differ in
        ("dqn-reservoir", 1.0, 2.0, {"batch_size": 8}, None),
    ],
)
def test_groups_with_equal_scores_are_explained(
    agent: str, middle: float, last: float, choices: dict[str, int], expected: str | None, tmp_path: Path
) -> None:
    batch_size = {"batch_size": choices.pop("batch_size", 16)}
    alike = {"learning_rate": 3e-4, "target_sync_frames": 100, **choices}  # whatever the tuned defaults are
    for seed in range(3):
        write_run(tmp_path / "a" / str(seed), [[0.0, seed], [1.0, 1.0], [2.0, 2.0]], agent="dqn", seed=seed, **alike)
        scores = [[0.0, seed], [1.0, middle], [2.0, last]]
        write_run(tmp_path / "b" / str(seed), scores, agent=agent, seed=seed, **alike, **batch_size)
    remarks = [remark for remark in compared(tmp_path).remarks if "equal" in remark]
    assert remarks == ([] if expected is None else [f"dqn and {agent} have equal scores on every seed{expected}"])


def test_intervals_of_two_runs_are_their_range_and_said_to_be(tmp_path: Path) -> None:
    for seed, last in enumerate((1.0, 4.0)):
        write_run(tmp_path / f"seed-{seed}", [[0.0, 0.0], [1.0, 1.0], [last, last]], agent="dqn", seed=seed)
    comparison = compared(tmp_path)
    assert comparison.remarks == ("dqn has two runs only; its intervals are no more than the range of the two.",)
    estimate = metric_estimates(comparison)["dqn"]["retained_accuracy"]
    assert (estimate.value, estimate.low, estimate.high) == (2.5, 1.0, 4.0)


def test_it_is_an_improvement_to_score_more_and_to_forget_less(tmp_path: Path) -> None:
    for agent, learned, last in (("dqn", 9.0, 1.0), ("dqn-mer", 3.0, 3.0)):
        for seed in range(3):
            write_run(tmp_path / agent / str(seed), [[0.0, 0.0], [learned, 0.0], [last, 0.0]], agent=agent, seed=seed)
    found = {name: float(estimate.value) for name, estimate in improvements(compared(tmp_path))["dqn-mer"].items()}
    assert (found["retained_accuracy"], found["forgetting_mean"], found["learning_accuracy"]) == (1.0, 1.0, 0.0)


def test_evaluations_that_not_all_runs_have_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], frames=(0, 25, 50, 100))
    write_run(tmp_path / "b", [[0.0, 0.0], [4.0, 4.0], [5.0, 5.0]], seed=1)
    comparison = compared(tmp_path)
    assert comparison.frames.tolist() == [0, 50, 100]
    assert comparison.curves(comparison.groups[0])[:, 1, 0].tolist() == [2.0, 4.0]


def test_a_run_that_ends_before_a_setting_is_pointed_out(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "short", [[0.0, 0.0], [4.0, 1.0]], frames=(0, 50), agent="dqn"))
    (remark,) = (remark for remark in compared(tmp_path).remarks if "ended" in remark)
    assert remark.startswith("Training ended before it came to 1-pipe_gap=90: retained accuracy counts")
    interleaved = dataclasses.replace(run.schedule, interleave_frames=10)
    (all_in_turn,) = compare_runs([dataclasses.replace(run, schedule=interleaved)])
    assert not [remark for remark in all_in_turn.remarks if "ended" in remark]


def test_unfair_comparisons_are_pointed_out(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(runs / "other", [[0.0, 0.0]] * 3, agent="dqn", seed=2, batch_size=8, threads=2)
    (runs / "dqn-mer" / "seed-0" / "summary.json").unlink()
    remarks = compared(runs).remarks
    assert remarks == (
        "dqn has more than one run of seed 2; intervals take them as independent.",
        "dqn-mer has two runs only; its intervals are no more than the range of the two.",
        "Groups have different seeds (dqn: 0, 1, 2, 2; dqn-mer: 1, 2).",
        "Runs differ in batch_size: dqn: 16, 8; dqn-mer: 16",
        "Runs differ in learning_rate: dqn: 0.0003; dqn-mer: 0.0006",
    )
    assert main(["compare", str(runs), "--out", str(runs.parent / "report")]) == 0
    output = capsys.readouterr().out
    assert "left out: " + str(runs / "dqn-mer" / "seed-0") + ": not finished" in output
    assert all(f"beware: {remark}" in output for remark in remarks)
