"""README and docs: their commands are understood, their code runs, their tables are those of the program."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from continual_ple.schedule_files import load_schedule
from dqn_mer.commands.compare import CompareOptions
from dqn_mer.commands.play import PlayOptions
from dqn_mer.commands.sweep import SweepOptions, plan
from dqn_mer.config.command_line import parse_config
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.flags import parse, parse_known
from dqn_mer.evaluation.agent_options import EvaluateOptions, ExportOptions, WatchOptions
from dqn_mer.supervised import logs
from dqn_mer.supervised.options import LEARNERS, SupervisedOptions
from dqn_mer.supervised.options import plan as supervised_runs
from dqn_mer.supervised.presets import STREAMS
from dqn_mer.training.tags import tags_as_markdown

ROOT = Path(__file__).parent.parent
PAGES = {path.name: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
ALL = "\n".join(PAGES.values())
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", ALL, re.S) for line in block.splitlines()]


def blocks(language: str, page: str = "README.md") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.S)


def words_after(prefix: str) -> list[list[str]]:
    lines = [line[len(prefix) :].partition(" > ")[0] for line in COMMANDS if line.startswith(prefix)]
    commands = [shlex.split(line, comments=True) for line in lines]
    assert commands
    return commands


@pytest.mark.parametrize("words", words_after("python train.py"), ids=" ".join)
def test_training_commands_are_understood(words: list[str]) -> None:
    if "--resume" in words:
        assert parse(ResumeOptions, words, prog="python train.py").resume == Path("runs/NAME")
    else:
        parse_config(words)


@pytest.mark.parametrize("words", words_after("python -m dqn_mer evaluate "), ids=" ".join)
def test_evaluation_commands_are_understood(words: list[str]) -> None:
    path = str(parse(EvaluateOptions, words, prog="evaluate").path)
    assert path.startswith(("runs/NAME", "pretrained/", "hf:/"))


@pytest.mark.parametrize("words", words_after("python -m dqn_mer watch "), ids=" ".join)
def test_watching_commands_are_understood(words: list[str]) -> None:
    assert str(parse(WatchOptions, words, prog="watch").path).startswith(("runs/NAME", "pretrained/"))


@pytest.mark.parametrize("words", words_after("python -m dqn_mer play "), ids=" ".join)
def test_playing_commands_are_understood(words: list[str]) -> None:
    assert str(parse(PlayOptions, words, prog="play").against).startswith(("runs/NAME", "pretrained/"))


@pytest.mark.parametrize("words", words_after("python -m dqn_mer export "), ids=" ".join)
def test_exporting_commands_are_understood(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse(ExportOptions, words, prog="export").path == Path("runs/NAME")


@pytest.mark.parametrize("words", words_after("python -m dqn_mer sweep "), ids=" ".join)
def test_sweeps_are_understood(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options, train_flags = parse_known(SweepOptions, words, prog="sweep")
    assert len(plan(options, train_flags)) == 20


@pytest.mark.parametrize("words", words_after("python -m dqn_mer compare "), ids=" ".join)
def test_comparisons_are_understood(words: list[str]) -> None:
    assert parse(CompareOptions, words, prog="compare").runs in ((Path("runs/sweep"),), (Path("runs/supervised"),))


@pytest.mark.parametrize("words", words_after("python -m dqn_mer supervised "), ids=" ".join)
def test_supervised_runs_are_understood(words: list[str]) -> None:
    assert supervised_runs(parse(SupervisedOptions, words, prog="supervised"))


def test_the_environments_code_runs() -> None:
    exec(blocks("python", "environments.md")[0], {})


def test_the_code_for_own_environments_runs() -> None:
    names: dict[str, Any] = {"__name__": "read"}
    exec(blocks("python")[1], names)
    assert (names["task"].schedule.total_frames, names["config"].game) == (30_000, "mountain_car")


def test_the_task_for_the_command_line_is_one() -> None:
    names: dict[str, Any] = {"__name__": "tasks"}
    exec(blocks("python", "environments.md")[1], names)
    assert names["hills"]().schedule.total_frames == 30_000


def test_the_code_for_other_models_runs_and_learns() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    rng = np.random.default_rng(0)
    names = {"model": model, "stream": [(rng.random(4, np.float32), rng.integers(3)) for _ in range(7)]}
    before = [parameter.detach().clone() for parameter in model.parameters()]
    exec(blocks("python")[0], names)
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    assert len(names["learner"].memory) == 7


def test_a_stopped_run_goes_on_in_a_container() -> None:
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    python, script, *flags = json.loads(entrypoint)
    assert (python, script) == ("python", "train.py")
    assert parse(ResumeOptions, [*flags, "--resume", "/runs/NAME"], prog="python train.py").resume == Path("/runs/NAME")
    assert parse_config([*flags, "--preset", "quick"]).log_dir == Path("runs")  # which is a link to the volume


def test_the_schedule_file_is_valid(tmp_path: Path) -> None:
    (block,) = blocks("json", "environments.md")
    (tmp_path / "schedule.json").write_text(block)
    assert json.loads(block) == load_schedule(tmp_path / "schedule.json", "flappy_bird").to_json()


def test_every_tag_is_explained() -> None:
    assert tags_as_markdown() in PAGES["logging.md"]
    assert logs.tags_as_markdown() in PAGES["supervised.md"]


def test_every_stream_and_learner_is_explained_with_what_it_reads() -> None:
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\|.*\|$", PAGES["supervised.md"], re.M)
    ]
    explained = {name.strip("`"): what for name, *what in rows}
    assert set(STREAMS) < set(explained)
    for learner, read in LEARNERS.items():
        flags = " ".join(f"--{name.replace('_', '-')}" for name in read)
        assert explained[learner][1] == f"`{flags}`", learner


def test_the_lines_beside_a_training_loop_run() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = [(torch.ones(4, 3), torch.zeros(4, dtype=torch.int64))] * 3
    names = {"model": model, "optimizer": optimizer, "loader": loader, "loss_function": torch.nn.CrossEntropyLoss()}
    exec(blocks("python", "mer.md")[1], names)
    assert names["reptile"].steps == 3 and names["reptile"].every == 500


def test_the_lines_that_train_with_a_schedule_save_and_resume_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stream = [(row, np.int64(row[0])) for row in np.eye(3, dtype=np.float32)] * 3

    def trained(examples: list[Any]) -> dict[str, Any]:
        torch.manual_seed(0)
        names: dict[str, Any] = {"model": torch.nn.Linear(3, 2), "stream": examples}
        exec(blocks("python", "mer.md")[0], names)
        return names

    first = trained(stream)
    assert first["schedule"].get_last_lr() == [pytest.approx(0.0)]
    saved, again = torch.load("saved.pt"), trained(stream[:1])
    for name in ("learner", "schedule"):
        again[name].load_state_dict(saved[name])
    for names in (first, again):
        names["learner"].optimizer.param_groups[0]["lr"] = 1.0
        names["learner"].observe(*stream[0])
    assert torch.equal(first["model"].weight, again["model"].weight)
    update = first["learner"].update
    first["learner"].optimizer.param_groups[0]["lr"] = 0.0
    update.weights.load(torch.zeros(8))  # where the gradient of a large input is large
    update.update((torch.full((1, 3), 1e6), torch.zeros(1, dtype=torch.int64)))
    assert update.weights.vector.grad.norm().item() == pytest.approx(1.0, abs=1e-4)


def test_every_flag_named_exists() -> None:
    flags = set(re.findall(r"`(--[a-z-]+)", ALL)) - {
        "--help",
        "--version",
        "--build-arg",
        "--env-id",
        "--signal",
        "--no-newest",
    }
    kinds = (
        *(Config, EvaluateOptions, WatchOptions, PlayOptions, SweepOptions, CompareOptions, ResumeOptions),
        *(ExportOptions, SupervisedOptions),
    )
    fields = {f"--{f.name.replace('_', '-')}" for kind in kinds for f in dataclasses.fields(kind)}
    assert flags <= fields, flags - fields


def test_links_between_pages_lead_somewhere() -> None:
    for name, page in PAGES.items():
        folder = ROOT if name == "README.md" else ROOT / "docs"
        for target in re.findall(r"\]\(([^)#\s]+)", page):
            if "://" not in target:
                assert (folder / target).exists(), f"{name}: {target}"


def test_files_that_are_named_exist() -> None:
    rooms = (ROOT, *(ROOT / folder for folder in ("dqn_mer", "envs", "envs/continual_ple", "dqn_mer/fast", "docs")))
    pages = {**PAGES, "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text()}
    for page, text in pages.items():
        for name in re.findall(r"`((?:[\w.-]+/)+[\w-]+\.(?:py|md|json|csv))`", text):
            if not name.startswith(("games/", "checkpoints/")) and not name.isupper() and "NAME" not in name:
                assert any((room / name).exists() for room in rooms), f"{page}: {name}"


def test_the_readme_is_a_page_or_two() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 175
