"""The protocol of the evidence: the runs that its page counts, and what is kept of a run."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from functools import cache
from pathlib import Path

import protocol
import pytest
import trials
from evidence import CONTROLS, EVIDENCE, load_run
from protocol import PARTS, keep, planned

from dqn_mer.config.command_line import parse_config
from dqn_mer.config.config import Config

PAGE = Path(protocol.__file__).parent / "PROTOCOL.md"


@cache
def configs() -> dict[Path, Config]:
    """Return the options of every planned run, by its folder within that of the evidence."""
    return {folder: parse_config(words) for part in PARTS for folder, words in planned(part, Path())}


def test_the_page_counts_the_runs_that_are_planned() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (state|pixels) \|.*\| 0-(\d) \| (\d+) \|$", PAGE.read_text(), re.MULTILINE)
    counted = {part: (observation, int(last) + 1, int(runs)) for part, observation, last, runs in rows}
    assert counted == {name: (part.observation, part.seeds, len(planned(name, Path()))) for name, part in PARTS.items()}


def test_runs_of_flappy_bird_from_pixels_are_twice_as_long_with_as_many_evaluations_and_a_frame_skip() -> None:
    for folder, config in configs().items():
        if folder.parts[0].startswith("pixels"):
            length = (config.frames_per_setting, config.eval_every, config.frame_skip)
            assert length == ((50_000, 10_000, 2) if config.game == "flappy_bird" else (25_000, 5_000, 1)), folder


def test_no_two_runs_of_a_part_share_a_folder_or_their_flags() -> None:
    for part in PARTS:
        runs = planned(part, Path("out"))
        assert len({folder for folder, _ in runs}) == len({tuple(words) for _, words in runs}) == len(runs)


def test_the_control_without_the_reptile_step_differs_from_its_arm_by_it_alone() -> None:
    """Values that suit an arm from pixels, such as a frame skip, are then the control's too."""
    for folder, without in configs().items():
        if folder.parent.name == "no-reptile":
            part = folder.parts[0].removesuffix(CONTROLS)
            ours = configs()[Path(part, *folder.parts[1:-2], "dqn-mer", folder.name)]
            assert ours.across_batch_rate < 1.0 == without.across_batch_rate, folder
            assert without.learning_rate == pytest.approx(ours.across_batch_rate * ours.learning_rate, rel=1e-5)
            changed = {"across_batch_rate": 1.0, "learning_rate": without.learning_rate}
            assert dataclasses.replace(ours, **changed) == without


def test_a_run_that_stays_is_the_other_until_it_stays() -> None:
    """Then both learn the same from the same frames, so that their difference is what came after."""
    stays, goes_on = (
        {folder.parts[-3:]: words for folder, words in planned(part, Path())} for part in ("stay", "state")
    )
    for run, words in stays.items():
        place = words.index("--settings")
        assert words[:place] == goes_on[run] and words[place + 2 :] == ["--frames", "150000"]


def test_what_is_kept_of_a_run(tmp_path: Path) -> None:
    for part in ("state", "stay"):
        run = tmp_path / "out" / part / "catcher" / "dqn" / "seed-0"
        run.mkdir(parents=True)
        for name in ("summary.json", "plays.csv", "interference.csv", "metrics.csv"):
            (run / name).write_text("python /elsewhere/results/foreign.py evidence")
    unfinished = tmp_path / "out" / "state" / "catcher" / "dqn" / "seed-1"
    unfinished.mkdir()
    (unfinished / "config.json").write_text("{}")
    keep(tmp_path / "out", tmp_path / "kept")
    kept = sorted(str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*") if path.is_file())
    run = "catcher/dqn/seed-0"
    assert kept == [
        f"state/{run}/interference.csv", f"state/{run}/plays.csv", f"state/{run}/summary.json",
        f"stay/{run}/plays.csv", f"stay/{run}/summary.json",
    ]  # fmt: skip
    assert (tmp_path / "kept" / "stay" / run / "plays.csv").read_text() == "python results/foreign.py evidence"


def test_every_kept_run_is_of_its_arm() -> None:
    """Each has the values that its planned command still stands for, so that it can be run again."""
    places = ("run_dir", "log_dir", "eval_worker")
    missing = {"task": None}  # runs from before tasks of one's own have no such field
    for described in EVIDENCE.glob("**/config.json"):
        folder = described.parent.relative_to(EVIDENCE)
        if folder.parts[0] == "foreign":  # agents of other libraries, of results/foreign.py
            continue
        wanted = json.loads(json.dumps(dataclasses.asdict(configs()[folder]), default=str))
        kept = missing | json.loads(described.read_text())["config"]
        for name in places:
            del wanted[name], kept[name]
        assert kept == wanted, folder


def test_a_copied_run_does_not_count_as_another_seed(tmp_path: Path) -> None:
    kept = EVIDENCE / "state" / "catcher" / "random" / "seed-0"
    shutil.copytree(kept, tmp_path / kept.relative_to(EVIDENCE))
    assert load_run(tmp_path / kept.relative_to(EVIDENCE), tmp_path).seed == 0
    copy = tmp_path / "state" / "catcher" / "random" / "seed-10"
    shutil.copytree(kept, copy)
    with pytest.raises(ValueError, match=r"seed-10: its config\.json is of catcher seed-0"):
        load_run(copy, tmp_path)


def test_two_rows_of_one_trial_and_seed_do_not_count_as_two_seeds() -> None:
    rows = trials.read_table(Path(trials.__file__).parent / "trials.csv")
    of_winner = next(iter(trials.winners(rows).values()))[0][1]
    again = {**of_winner, "command": f"{of_winner['command']} --threads 1"}
    with pytest.raises(ValueError, match="two rows of one seed"):
        trials.winners({**rows, again["command"]: again})
