"""A saved run from a stranger: whatever it holds, going on with it is one line, exit code 2, and no log is touched."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from dqn_mer.commands.train import main as train_command
from tests.helpers.hostile import stop_with_one_state, write_sums
from tests.helpers.resuming import flags

Change = Callable[[Path, dict[str, Any]], None]


@pytest.fixture(scope="module")
def only_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with a single state, for tests to copy."""
    return stop_with_one_state(tmp_path_factory.mktemp("stopped") / "run", flags(game="flappy_bird", frame_skip=2))


def loop(change: Callable[[dict[str, Any]], None]) -> Change:
    return lambda folder, described: change(described["state"]["course"])


def game(**values: Any) -> Change:
    def change(folder: Path, described: dict[str, Any]) -> None:
        (layer,) = (part for name, part in described["state"]["course"]["env"].items() if "ArcadeEnv" in name)
        layer["game"].update(values)

    return change


def layer(kind: str, **values: Any) -> Change:
    def change(folder: Path, described: dict[str, Any]) -> None:
        (part,) = (part for name, part in described["state"]["course"]["env"].items() if kind in name)
        part.update(values)

    return change


def config(**values: Any) -> Change:
    return lambda folder, described: described["config"].update(values)


def arrays(change: Callable[[dict[str, np.ndarray]], object]) -> Change:
    def rewrite(folder: Path, described: dict[str, Any]) -> None:
        kept = safetensors.numpy.load_file(folder / "arrays.safetensors")
        change(kept)
        safetensors.numpy.save_file(kept, folder / "arrays.safetensors")

    return rewrite


def bytes_of(content: bytes) -> Change:
    return lambda folder, described: (folder / "arrays.safetensors").write_bytes(content) and None


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code was run')",))


HEADER = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
ONLINE, MEMORY = "course/agent/online", "course/agent/memory"
HOSTILE: dict[str, Change] = {
    "pickle": bytes_of(pickle.dumps(Bomb())),
    "absurd tensor": bytes_of(len(HEADER).to_bytes(8, "little") + HEADER),
    "absurd header": bytes_of((2**60).to_bytes(8, "little")),
    "extra tensor": arrays(lambda kept: kept.update(more=np.zeros(3, np.float32))),
    "missing tensor": arrays(lambda kept: kept.pop(ONLINE)),
    "short tensor": arrays(lambda kept: kept.update({ONLINE: kept[ONLINE][:-1].copy()})),
    "half floats": arrays(lambda kept: kept.update({ONLINE: kept[ONLINE].astype(np.float16)})),
    "weights not finite": arrays(lambda kept: kept.update({ONLINE: kept[ONLINE] * np.float32("nan")})),
    "no such action": arrays(lambda kept: kept.update({f"{MEMORY}/actions": kept[f"{MEMORY}/actions"] + 9})),
    "no state": lambda folder, described: described.pop("state"),
    "no config": lambda folder, described: described.pop("config"),
    "other format": lambda folder, described: described.update(format="zebra"),
    "other version": lambda folder, described: described.update(version=2),
    "absurd threads": lambda folder, described: described.update(threads=10**9),
    "bad schedule": lambda folder, described: described["schedule"].update(order=[7]),
    "schedule out of range": lambda folder, described: described["schedule"]["settings"][1]["parameters"].update(
        pipe_gap=10**9
    ),
    "unknown option": config(zebra=1),
    "option of the wrong kind": config(hidden_sizes={"a": 1}),
    "absurd network": config(hidden_sizes=[8192] * 50),
    "another game": config(game="catcher", flap_probability=0.1),
    "another agent": config(agent="dqn"),
    "nested too deep": lambda folder, described: described.update(more=[]),
    "unknown field": loop(lambda state: state.update(more=1)),
    "missing field": loop(lambda state: state.pop("meter")),
    "frame beyond the end": loop(lambda state: state.update(frame=10**9)),
    "another frame": loop(lambda state: state.update(frame=3)),
    "scores of another run": loop(lambda state: state["random_scores"].pop()),
    "a path in the logs": loop(lambda state: state["tracker"]["events"].update({"../config.json": 0})),
    "an absolute path": loop(lambda state: state["tracker"]["events"].update({"/etc/hostname": 0})),
    "a log that is longer": loop(lambda state: state["tracker"]["tables"].update({"metrics.csv": 10**15})),
    "another array's name": loop(lambda state: state.update(observation={"$array": ONLINE})),
    "evaluations without weights": loop(lambda state: state["evaluation"].update(frames=[1] * 10**4)),
    "generator": loop(lambda state: state["exploration"]["rng"].update(bit_generator="MT19937")),
    "one pipe": game(pipes=[[100.0, 50]]),
    "no such look": game(look=[99, 0, 0]),
    "bird in nowhere": game(y=1e300),
    "text for a number": game(velocity="fast"),
    "stretch beyond the schedule": layer("NonStationary", stretch=9),
    "absurd frames": layer("NonStationary", frames=2**60, stretch=2**40),
    "skipped to another frame": layer("FrameSkip", played=2),
    "another environment": layer("TimeLimit", zebra=1),
    "elapsed text": layer("TimeLimit", _elapsed_steps="1"),
    "unknown parameter": layer("ArcadeEnv", in_force={"zebra": 1}),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_stranger_gets_one_line(
    change: Change, only_state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(only_state, tmp_path / "run"))
    (folder,) = (run / "resume").iterdir()
    described = json.loads((folder / "state.json").read_bytes())
    change(folder, described)
    text = json.dumps(described)
    if described.get("more") == []:
        text = text.replace("[]", "[" * 10**5 + "]" * 10**5)
    (folder / "state.json").write_text(text)
    write_sums(folder)
    logs = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert train_command(["--resume", str(run)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ") and complaint.count("\n") == 1 and len(complaint) < 1_000, complaint
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == logs
    assert folder.exists()


def test_the_state_itself_is_good(only_state: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(only_state, tmp_path / "run"))
    assert train_command(["--resume", str(run)]) == 0
