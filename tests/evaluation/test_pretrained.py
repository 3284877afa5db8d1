"""The agents that the package brings: they play as well as their cards say, and are the last ones of whole runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pretrained
import pytest
from rich.console import Console

import dqn_mer
from dqn_mer.commands.watch import watch
from dqn_mer.evaluation.agent_options import WatchOptions

PRETRAINED = Path(dqn_mer.__file__).parent / "pretrained"
NAMES = sorted(path.name for path in PRETRAINED.iterdir()) if PRETRAINED.is_dir() else []
QUIET = Console(quiet=True)
ROW = re.compile(r"\| (\S+) \| ([\d.-]+) \| ([\d.-]+) to ([\d.-]+) \|")


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_plays_as_its_card_says(name: str) -> None:
    """Twenty of the card's hundred episodes, whose mean strays from the card's by at most a few of its intervals.

    Of an agent from pixels only on the easiest and the hardest setting: all six can take a minute.
    """
    rows = ROW.findall((PRETRAINED / name / "README.md").read_text())
    agent = dqn_mer.load_agent(f"pretrained/{name}")
    assert [row[0] for row in rows] == [setting.name for setting in agent.task.schedule.settings]
    chosen = rows if agent.config.observation == "state" else [rows[0], rows[-1]]
    result = dqn_mer.evaluate(f"pretrained/{name}", settings=[row[0] for row in chosen], episodes=20, seed=1)
    played = {row["setting"]: row["score_mean"] for row in result["settings"]}
    for setting, mean, low, high in chosen:
        margin = max(1.0, 3 * (float(high) - float(low)))
        assert abs(played[setting] - float(mean)) <= margin, setting


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_is_what_its_name_says(name: str) -> None:
    config = dqn_mer.load_agent(f"pretrained/{name}").config
    assert name == f"{config.game}-{config.observation}-{config.agent}"


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_is_the_last_one_of_a_whole_run(name: str) -> None:
    agent = dqn_mer.load_agent(f"pretrained/{name}")
    schedule = agent.task.schedule
    assert agent.frame == schedule.total_frames and not schedule.interleave_frames
    assert agent.trained_on_last == schedule.settings[schedule.order[-1]].name
    card = (PRETRAINED / name / "README.md").read_text()
    assert f"all {len(schedule.settings)} settings, one after the other" in card
    assert f"It is the checkpoint after {agent.frame:,} frames, the last of its run." in card


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_plays_and_is_watched_on_the_easier_settings(name: str, tmp_path: Path) -> None:
    path = Path("pretrained") / name
    settings = [setting.name for setting in dqn_mer.load_agent(path).task.schedule.settings]
    result = dqn_mer.evaluate(path, settings="easier", episodes=1, frame_limit=10)
    assert [row["setting"] for row in result["settings"]] == settings[:-1]
    watch(WatchOptions(path, settings="easier", out=tmp_path / "clips", format="gif", frame_limit=3), QUIET)
    clips = [*(f"{setting}-episode-0.gif" for setting in settings[:-1]), "contact_sheet.png"]
    assert sorted(file.name for file in (tmp_path / "clips").iterdir()) == clips


def copy_run(run: Path, folder: Path, seed: int, last: float) -> None:
    """Copy a run of two settings, with another seed and mean score at its end."""
    shutil.copytree(run, folder)
    described = (folder / "config.json").read_text()
    (folder / "config.json").write_text(described.replace('"seed": 0', f'"seed": {seed}'))
    scores = ((0, 9.0), (20, 9.0), (40, last))
    rows = [f"{frame},{setting},{score}\n" for frame, score in scores for setting in (0, 1)]
    (folder / "evaluations.csv").write_text("frame,setting_index,score_mean\n" + "".join(rows))


def test_all_are_made_of_the_last_agents_of_the_best_runs(
    flappy_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, kept, agents = tmp_path / "runs", tmp_path / "kept", tmp_path / "agents"
    name = "flappy_bird-state-dqn-mer"

    def add(seed: int, last: float) -> None:
        """Finish a run, and keep its small files."""
        arm = Path("state") / "flappy_bird" / "dqn-mer" / f"seed-{seed}"
        copy_run(flappy_run, runs / arm, seed, last)
        shutil.copytree(runs / arm, kept / arm, ignore=shutil.ignore_patterns("checkpoints"))

    for seed, last in enumerate((3.0, 1.0, 3.0, 2.0)):
        add(seed, last)
    copy_run(flappy_run, runs / "state" / "flappy_bird" / "dqn-mer" / "seed-4", 4, 9.0)  # is not kept
    (agents / name).mkdir(parents=True)
    (agents / name / "old").touch()
    pretrained.make_all(runs, kept, agents, episodes=2)
    assert [path.name for path in agents.iterdir()] == [name]
    files = sorted(path.name for path in (agents / name).iterdir())
    assert files == ["README.md", "SHA256SUMS", "checkpoint.json", "model.safetensors"]
    assert dqn_mer.load_agent(agents / name).frame == 40
    card = (agents / name / "README.md").read_text()
    assert f"# {name}\n" in card and "all 2 settings, one after the other" in card
    assert "Of the 4 runs of this agent (seeds 0, 1, 2, 3), it is of the one whose last evaluation has the high" in card
    said = capsys.readouterr().out
    assert f"{name}: seed 0, the best of 4\n" in said
    assert "catcher-state-dqn: no finished run, left as it is\n" in said

    written = (agents / name / "model.safetensors").stat()
    pretrained.make_all(runs, kept, agents)
    assert f"{name}: seed 0 still, the best of 4\n" in capsys.readouterr().out
    assert (agents / name / "model.safetensors").stat() == written

    shutil.rmtree(runs)  # the best run is on another machine now, and is still the best of more
    add(5, 2.5)
    pretrained.make_all(runs, kept, agents)
    assert f"{name}: seed 0 still, the best of 5\n" in capsys.readouterr().out
    again = (agents / name / "README.md").read_text()
    assert again == card.replace(
        "Of the 4 runs of this agent (seeds 0, 1, 2, 3)", "Of the 5 runs of this agent (seeds 0, 1, 2, 3, 5)"
    )
    add(6, 4.0)
    shutil.rmtree(runs)  # the best is another, which is not here
    pretrained.make_all(runs, kept, agents)
    assert f"{name}: the best is seed 6, which is not in {runs}; left as it is\n" in capsys.readouterr().out
    assert (agents / name / "README.md").read_text() == again


def test_of_a_single_run_nothing_is_said_to_be_chosen(flappy_run: Path, tmp_path: Path) -> None:
    copy_run(flappy_run, tmp_path / "seed-0", 0, 3.0)
    run, note = pretrained.choose(pretrained.finished_runs(tmp_path))
    assert run.path == tmp_path / "seed-0"
    assert note == "It is of the only run of this agent that was finished, with a mean score of 3.0 at its end."
