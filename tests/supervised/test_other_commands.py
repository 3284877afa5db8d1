"""What the commands for agents say of the run of a supervised stream."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from dqn_mer.__main__ import main
from dqn_mer.supervised.execute import check_folder, execute
from dqn_mer.supervised.options import plan
from tests.helpers.stream_runs import make_options, run_of


@pytest.fixture
def unfinished(images: Path, tmp_path: Path) -> Path:
    """Return the folder of a run that was stopped by a signal."""
    (spec,) = plan(make_options(images, tmp_path / "runs"))
    execute(spec, (), lambda place: os.kill(os.getpid(), signal.SIGTERM) if place == 61 else None)
    return spec.run_dir


@pytest.mark.parametrize("saved", [True, False])
def test_training_is_resumed_by_the_command_that_began_it(
    saved: bool, unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not saved:  # killed before its first save
        shutil.rmtree(unfinished / "resume")
    before = {path: path.stat().st_mtime_ns for path in unfinished.rglob("*") if path.name != ".lock"}
    assert main(["train", "--resume", str(unfinished)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"error: {unfinished}: is a supervised run; the same `python -m dqn_mer supervised`")
    assert complaint.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in unfinished.rglob("*") if path.name != ".lock"} == before


def test_a_finished_run_has_nothing_to_resume(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run_of(finished, "er"), tmp_path / "run")
    assert main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert "this run is finished, there is nothing to resume" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["evaluate RUN", "watch RUN", "export RUN OUT", "play catcher --against RUN"])
@pytest.mark.parametrize("stopped", [True, False])
def test_there_is_no_agent_to_play(
    words: str, stopped: bool, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = request.getfixturevalue("unfinished") if stopped else run_of(request.getfixturevalue("finished"), "er")
    names = {"RUN": str(run), "OUT": str(tmp_path / "agent")}
    assert main([names.get(word, word) for word in words.split()]) == 2
    complaint = capsys.readouterr().err
    assert f"error: {run}: is a supervised run, which keeps no agent" in complaint and complaint.count("\n") == 1
    assert not (tmp_path / "agent").exists()


@pytest.mark.parametrize("name", ["config.json", "summary.json", ".lock", "metrics.csv"])
def test_a_folder_with_a_pipe_in_the_place_of_a_file_is_refused(name: str, images: Path, tmp_path: Path) -> None:
    (spec,) = plan(make_options(images, tmp_path))
    spec.run_dir.mkdir(parents=True)
    os.mkfifo(spec.run_dir / name)
    try:
        check_folder(spec)
        problem = execute(spec, (), lambda place: None).problem
    except ValueError as error:
        problem = str(error)
    assert str(spec.run_dir / name) in problem and "\n" not in problem
    assert [path.name for path in spec.run_dir.iterdir()] == [name]
