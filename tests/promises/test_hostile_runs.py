"""Run folders from strangers: every command that reads one does all or says in one line why not, in bounded time and
memory, and touches nothing outside its own output."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from dqn_mer.analysis.runs import load_run
from dqn_mer.analysis.scores import read_evaluations
from dqn_mer.commands import sweep_job
from dqn_mer.evaluation.checkpoint import CheckpointError, load_checkpoint
from dqn_mer.storage.files import DamagedError
from dqn_mer.storage.growing_file import GrowingFile
from dqn_mer.storage.run_reader import RunReader
from tests.helpers.hostile import (
    BAD_VALUES,
    INSTEAD,
    SAME,
    Place,
    leaves,
    linked,
    put,
    rewrite,
    run_command,
    stop_with_one_state,
    write_sums,
)
from tests.helpers.resuming import PYTHONPATH

HOSTILE = settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
MANY = settings(HOSTILE, max_examples=200)
FRAME = "checkpoints/frame-000000040"
FINISHED = (
    "config.json", "summary.json", "evaluations.csv", "interference.csv", "metrics.csv", "matrix.csv",
    "learning_curves.png", "checkpoints", FRAME, f"{FRAME}/checkpoint.json", f"{FRAME}/weights.safetensors",
    f"{FRAME}/SHA256SUMS",
)  # fmt: skip
STATE = "resume/frame-000000061"
STOPPED = (
    "config.json", ".lock", "evaluations.csv", "interference.csv", "metrics.csv", "checkpoints", "resume", STATE,
    f"{STATE}/state.json", f"{STATE}/arrays.safetensors", f"{STATE}/SHA256SUMS",
)  # fmt: skip


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was stopped soon before its end, with a checkpoint and a single state, for tests to copy."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    return stop_with_one_state(run, [*SAME, "--game", "flappy_bird", "--agent", "dqn"])


@pytest.fixture
def no_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_job, "TRAINER", ["false"])
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def try_instead(kind: str, name: str, command: str, place: Place) -> int:
    INSTEAD[kind](place.run / name)
    return place.check(command)


@HOSTILE
@given(
    kind=st.sampled_from(sorted(INSTEAD)),
    name=st.sampled_from(FINISHED),
    command=st.sampled_from(["evaluate", "compare", "unseen", "watch", "play", "resume", "sweep"]),
)
def test_anything_in_the_place_of_a_file_of_a_finished_run(
    kind: str, name: str, command: str, flappy_run: Path, tmp_path: Path, no_drawing: None, no_trainer: None
) -> None:
    event(f"{command}: exit code {try_instead(kind, name, command, Place(tmp_path, flappy_run))}")


@HOSTILE
@given(
    kind=st.sampled_from(sorted(INSTEAD)), name=st.sampled_from(STOPPED), command=st.sampled_from(["resume", "sweep"])
)
def test_anything_in_the_place_of_a_file_of_a_stopped_run(
    kind: str, name: str, command: str, stopped: Path, tmp_path: Path, no_trainer: None
) -> None:
    event(f"{command}: exit code {try_instead(kind, name, command, Place(tmp_path, stopped))}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", INSTEAD)
def test_everything_in_the_place_of_every_file(
    kind: str, flappy_run: Path, stopped: Path, tmp_path: Path, no_drawing: None, no_trainer: None
) -> None:
    finished = itertools.product(FINISHED, ["evaluate", "compare", "unseen", "watch", "play"])
    for name, command in [*finished, *itertools.product(STOPPED, ["resume", "sweep"])]:
        try_instead(kind, name, command, Place(tmp_path, stopped if command in ("resume", "sweep") else flappy_run))


JSON_FILES = {"compare": ["config.json", "summary.json"], "evaluate": [f"{FRAME}/checkpoint.json"]}


def try_value(data: st.DataObject, place: Place, command: str) -> None:
    """Put a bad value into a JSON file of a run, and run a command."""
    name = f"{STATE}/state.json" if command == "resume" else data.draw(st.sampled_from(JSON_FILES[command]))
    path = place.run / name
    described = json.loads(path.read_text())
    put(described, data.draw(st.sampled_from(list(leaves(described)))), data.draw(st.sampled_from(BAD_VALUES)))
    path.write_text(json.dumps(described))
    if command == "resume":
        write_sums(path.parent)
    event(f"{command}: exit code {place.check(command)}")


@HOSTILE
@given(data=st.data(), command=st.sampled_from(["evaluate", "compare", "resume"]))
def test_any_value_in_a_file_is_taken_or_one_line(
    data: st.DataObject, command: str, flappy_run: Path, stopped: Path, tmp_path: Path, no_drawing: None
) -> None:
    try_value(data, Place(tmp_path, stopped if command == "resume" else flappy_run), command)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["evaluate", "compare", "resume"])
@MANY
@given(data=st.data())
def test_many_values_in_a_file_are_taken_or_one_line(
    data: st.DataObject, command: str, flappy_run: Path, stopped: Path, tmp_path: Path, no_drawing: None
) -> None:
    try_value(data, Place(tmp_path, stopped if command == "resume" else flappy_run), command)


@pytest.mark.parametrize("name", ["resume", "checkpoints", STATE, "metrics.csv", ".lock", "config.json"])
def test_a_run_with_a_link_is_not_resumed(name: str, stopped: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, stopped)
    linked(place.run / name)
    assert place.check("resume") == 2


def test_a_run_folder_that_the_user_gives_as_a_link_is_read(stopped: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    (tmp_path / "link").symlink_to(run)
    assert run_command(["train", "--resume", str(tmp_path / "link")])[0] == 0
    assert run_command(["evaluate", str(tmp_path / "link"), "--episodes=1", "--frame-limit=3"])[0] == 0


def test_a_sweep_resumes_no_run_through_a_link(stopped: Path, tmp_path: Path, no_trainer: None) -> None:
    place = Place(tmp_path, stopped)
    linked(place.run)
    assert place.check("sweep") == 2


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("../../../canary/report.md")])
def test_the_log_of_a_sweep_is_a_plain_file(
    make: Any, stopped: Path, tmp_path: Path, no_trainer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, stopped)
    make(place.run.with_name("seed-0.log"))
    code, said, _ = run_command(place.words("sweep"))
    assert code == 1 and "1 failed" in said
    assert (place.folder / "canary" / "report.md").read_text() == "mine"


def test_a_file_with_another_name_is_not_cut(stopped: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, stopped)
    os.link(place.run / "metrics.csv", place.folder / "canary" / "metrics.csv")
    assert place.check("resume") == 2
    path = tmp_path / "log"
    path.write_bytes(b"12345")
    os.link(path, tmp_path / "other")
    with pytest.raises(DamagedError, match="has other names"):
        GrowingFile(path, 2)
    assert path.read_bytes() == b"12345"


IN_LITTLE_MEMORY = """
import json, resource, sys
from pathlib import Path
import dqn_mer.training.trainer, dqn_mer.evaluation.saved_agent, dqn_mer.training.resume
from dqn_mer.__main__ import main
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29,) * 2)
print(*[main(words) for words in json.loads(sys.argv[1])])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures memory as Linux tells it")
def test_what_a_small_file_says_of_sizes_takes_no_memory(flappy_run: Path, stopped: Path, tmp_path: Path) -> None:
    """In 0.5 GB more than the imports take: a network of 2 GB, and a memory of 100 million transitions."""
    network, memory, weights = (Place(tmp_path, run) for run in (flappy_run, stopped, flappy_run))
    spec = json.loads((network.run / FRAME / "checkpoint.json").read_text())["network"]
    rewrite(network.run / FRAME / "checkpoint.json", network={**spec, "hidden_sizes": [22_000, 22_000]})
    state = memory.run / STATE
    config = json.loads((state / "state.json").read_text())["config"]
    rewrite(state / "state.json", config={**config, "capacity": 10**8})
    write_sums(state)
    INSTEAD["40 GB"](weights.run / FRAME / "weights.safetensors")
    commands = [network.words("evaluate"), memory.words("resume"), weights.words("evaluate")]
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY, json.dumps(commands)],
        capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout.split()[-3:] == ["2", "2", "2"], done.stderr
    assert done.stderr.count("\n") == 3 and "Traceback" not in done.stderr
    assert "tensors do not fit the network" in done.stderr and "need more memory than there is" in done.stderr


def test_python_says_it_in_one_line_too(flappy_run: Path, tmp_path: Path) -> None:
    for name in ("config.json", "summary.json", "evaluations.csv"):
        place = Place(tmp_path, flappy_run)
        INSTEAD["a pipe"](place.run / name)
        with pytest.raises(ValueError, match=r"must be a plain file, is a pipe$"):
            load_run(place.run)
    INSTEAD["a pipe"](place.run / FRAME / "weights.safetensors")
    with pytest.raises(CheckpointError, match=r"must be a plain file, is a pipe$"):
        load_checkpoint(place.run)
    with pytest.raises(DamagedError, match=r"is missing|cannot be read: No such file"):
        read_evaluations(tmp_path / "evaluations.csv", 2)
    linked(place.run / "checkpoints")
    with pytest.raises(DamagedError, match=r"checkpoints: must be a folder, is a link$"):
        RunReader(place.run).frames("checkpoints")
    for name in ("../runs", "/etc/passwd", "a/../b", "a\0b", ".."):
        with pytest.raises(DamagedError, match="not the name of a file in a run folder"):
            RunReader(place.run).read(name, 10)


def test_runs_are_looked_for_without_following_links(flappy_run: Path, tmp_path: Path, no_drawing: None) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(flappy_run)
    code, _, complaint = run_command(["compare", str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    assert code == 2 and "must be a run folder, or hold some" in complaint
