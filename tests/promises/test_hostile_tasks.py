"""What the folder of a run says of its task is text: no command imports it, and no terminal obeys it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dqn_mer import load_agent, resume, train
from dqn_mer.commands import sweep_job
from dqn_mer.config.config import Config
from tests.helpers.hostile import BAD_VALUES, SAME, Place, check_answer, run_command, stop_with_one_state, write_sums
from tests.helpers.own_envs import kept_task
from tests.helpers.task_modules import working_in

FINISHED, STOPPED = ("evaluate", "compare", "watch", "play", "export"), ("resume", "sweep")
"""Commands on a run that is finished, and on one that is not."""
FILES = ("config.json", "checkpoints/*/checkpoint.json", "resume/*/state.json")
TASKS = ("evil:task", "evil:\x1b[31m", "evil:x; touch trace", "\u202e:x")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("stopped") / "run"
    return stop_with_one_state(run, [*SAME, "--game", "flappy_bird", "--agent", "dqn"])


@pytest.fixture(autouse=True)
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder with a module that leaves a trace where it is imported, and check that it was not."""
    monkeypatch.setattr(sweep_job, "TRAINER", ["false"])
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')\n")
    with working_in(tmp_path):
        yield
    assert not (tmp_path / "trace").exists()


def naming(run: Path, folder: Path, task: object) -> Place:
    """Return a copy of a run all of whose files name a task."""
    place = Place(folder, run)
    for pattern in FILES:
        for path in place.run.glob(pattern):
            described = json.loads(path.read_text())
            described["config"]["task"] = task
            path.write_text(json.dumps(described))
            if path.name == "state.json":
                write_sums(path.parent)
    shutil.copy("evil.py", place.run)
    return place


def run_on(place: Place, command: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it complains of."""
    words = ["export", str(place.run), str(place.out)] if command == "export" else place.words(command)
    code, _, complaint = run_command(words)
    check_answer(0 if command == "sweep" and code == 1 else code, complaint)
    return code, complaint


@pytest.mark.parametrize("command", [*FINISHED, *STOPPED])
@pytest.mark.parametrize("task", TASKS, ids=ascii)
def test_no_command_imports_what_a_folder_names(
    command: str, task: str, flappy_run: Path, stopped: Path, tmp_path: Path, no_drawing: None
) -> None:
    place = naming(flappy_run if command in FINISHED else stopped, tmp_path, task)
    code, complaint = run_on(place, command)
    assert code == (0 if command == "compare" else 2)  # a comparison reads scores alone
    if task == TASKS[0] and command in ("evaluate", "watch"):
        how = "evaluate and watch take --task evil:task, as its folder says, if that is yours"
        assert complaint.endswith(f"flappy_bird is no game of ours; {how}\n")
    elif task == TASKS[0] and command == "resume":
        how = f"resume with: python -m dqn_mer train --resume {place.run} --task evil:task"
        assert complaint.endswith(f"flappy_bird is no game of ours; if that task is yours, {how}\n")


@pytest.mark.parametrize("value", BAD_VALUES[1:], ids=range(1, len(BAD_VALUES)))
def test_a_bad_value_is_one_line(value: object, stopped: Path, tmp_path: Path) -> None:
    place = naming(stopped, tmp_path, value)
    for command in ("evaluate", *STOPPED):
        # A sweep trains its other runs where it cannot know whose run it is, and refuses another one's.
        assert run_on(place, command)[0] in ((1, 2) if command == "sweep" else (2,))


def test_python_imports_it_no_more_than_a_command(stopped: Path, tmp_path: Path) -> None:
    run = naming(stopped, tmp_path, TASKS[0]).run
    config = Config.from_json(json.loads((run / "config.json").read_text())["config"])
    with pytest.raises(ValueError, match=r"^task='evil:task': only the command line imports a task"):
        train(config)
    with pytest.raises(ValueError, match="is no game of ours"):
        load_agent(run)
    with pytest.raises(ValueError, match="must have the schedule of the run"):
        resume(run, kept_task())
