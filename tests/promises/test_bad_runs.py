"""Whole commands with anything in them: a whole run, or exit code 2 with one line and every file as it was."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given
from hypothesis import strategies as st

from dqn_mer.__main__ import main
from dqn_mer.config.config import ALLOWED
from dqn_mer.config.fields import Allowed, allowed_values
from dqn_mer.config.help_texts import NONE
from dqn_mer.evaluation.agent_options import EvaluateOptions
from tests.helpers.hostile import contents
from tests.helpers.profiles import tries
from tests.promises.test_bad_input import NASTY, WORDS, asks_for_help, flag, one_line

EXAMPLES = tries(15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TINY = (
    "--observation state --frames 12 --warmup-frames 5 --capacity 20 --batch-size 2 --eval-every 10 --eval-episodes 1 "
    "--eval-frame-limit 5 --hidden-sizes 4 --threads 1 --no-eval-worker --log-every 7"
).split()
SCHEDULE = {"frames_per_setting": 5, "settings": [{"name": "a[/b]", "parameters": {"lives": 1}}], "order": [0, 0]}
PATHS = {
    "run_dir": ["new", "a/b/c", "é", "old", "old/mine", "link", "x" * 300, "", "."],
    "log_dir": ["runs", "old", "old/mine", "old/mine/runs", "x" * 300],
    "schedule": ["good.json", "old/mine", "missing.json", "old", "link"],
    "json": ["new.json", "old/mine", "link", "old", "missing/new.json", "x" * 300],
}
WORDS_OF = {
    "observation": st.just("state"),
    "vary": st.sampled_from(["lives", "fall_speed", "pipe_gap", "width", "zebra"]),
    "settings": st.sampled_from(
        ["2,3,2", "0.1,0.2", "100,75", "64", "nan", "1,", "all", "easier", "0-fall_speed=0.0608"]
    ),
    "game_parameters": st.sampled_from(
        ["lives=2", "width=32,height=512", "lives=0", "zebra=1", "lives", "lives=1,lives=2"]
    ),
    "task": st.sampled_from(
        ["tests.helpers.own_envs:kept_task", "tests.helpers.own_envs:nothing", "no_module:task", "task"]
    ),
    "path": st.sampled_from(["run", "run/checkpoints/frame-000000012", "old", "missing", ""]),
    **{name: st.sampled_from(paths) for name, paths in PATHS.items()},
}
"""Words for the fields that name something: some are allowed."""


def cheap(name: str, allowed: Allowed) -> st.SearchStrategy[str]:
    """Return words for a field that make a run no longer: small numbers, numbers out of range, and nonsense."""
    if name in WORDS_OF:
        return WORDS_OF[name] | NASTY
    if allowed.choices:
        return st.sampled_from(allowed.choices) | NASTY
    low, high = allowed.range.low, allowed.range.high
    small = st.integers(low, min(high, low + 5)) if allowed.range.whole else st.floats(low, high)
    if allowed.kind is tuple:
        return st.lists(small.map(str), max_size=3).map(",".join)
    return (small | small | small | st.sampled_from([low - 1, 2 * high + 1])).map(str) | NASTY


@st.composite
def command_lines(draw: st.DrawFn, fields: dict[str, Allowed]) -> list[str]:
    words = []
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True)):
        if fields[name].kind is bool:
            words.append(draw(st.sampled_from([flag(name), flag("no_" + name)])))
        else:
            words.append(f"{flag(name)}={draw(cheap(name, fields[name]))}")
    return words + draw(st.lists(WORDS, max_size=1) if draw(st.integers(0, 9)) == 0 else st.just([]))


def command(words: Sequence[str]) -> tuple[int, str]:
    """Run a command in this process; returns its exit code and what it said on standard error."""
    complaint = io.StringIO()
    with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
        code = main(words)
    return code, complaint.getvalue()


@contextlib.contextmanager
def home(monkeypatch: pytest.MonkeyPatch, parent: Path):
    """Enter a new folder, in a new folder, with things of the user's own."""
    folder = Path(tempfile.mkdtemp(dir=parent)) / "home"
    (folder / "old").mkdir(parents=True)
    (folder / "old" / "mine").write_text("{}")
    (folder / "good.json").write_text(json.dumps(SCHEDULE))
    (folder / "link").symlink_to("nowhere")
    monkeypatch.chdir(folder)
    yield folder
    shutil.rmtree(folder.parent)


@EXAMPLES
@given(words=command_lines({name: allowed for name, allowed in ALLOWED.items() if name != "eval_worker"}))
def test_any_training_command_runs_or_leaves_no_trace(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with home(monkeypatch, tmp_path) as folder:
        before = contents(folder.parent)  # with what `../x` would leave
        if asks_for_help(words):
            return
        code, said = command(["train", *TINY, *words])
        event(f"exit code {code}")
        after = contents(folder.parent)
        assert {name: after.get(name) for name in before} == before
        if code == 0:
            assert said == ""
            (summary,) = (name for name in after if name.endswith("summary.json"))
            assert json.loads(after[summary])["frames"] <= 12
        else:
            assert (code, one_line(said), said[:7]) == (2, True, "error: ")
            assert after == before


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "run"
    assert command(["train", *TINY, f"--run-dir={folder}"])[0] == 0
    return folder


@EXAMPLES
@given(
    words=command_lines({n: allowed for n, allowed in allowed_values(EvaluateOptions).items() if n != "path"}),
    path=WORDS_OF["path"],
)
def test_any_evaluation_answers_or_leaves_no_trace(
    words: list[str], path: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with home(monkeypatch, tmp_path) as folder:
        shutil.copytree(run, folder / "run")
        before = contents(folder.parent)
        if asks_for_help(words):
            return
        code, said = command(["evaluate", "--episodes=1", "--frame-limit=5", *words, path])
        event(f"exit code {code}")
        after = contents(folder.parent)
        assert {name: after.get(name) for name in before} == before
        new = sorted(set(after) - set(before))
        if code == 0:
            asked = [word for word in words if word.startswith("--json=") and word != f"--json={NONE}"]
            assert said == "" and len(new) == len(asked)
            assert all(json.loads(after[name])["settings"] for name in new)
        else:
            assert (code, one_line(said), said[:7], new) == (2, True, "error: ", [])


@pytest.mark.parametrize(
    ("words", "code"),
    [(b"--run-dir \xc3\xa9/new", 0), (b"--run-dir \xff/new", 2), (b"--schedule \xff", 2), (b"\xff", 2)],
)
def test_any_bytes_are_answered_by_a_real_process(words: bytes, code: int, tmp_path: Path) -> None:
    """Names of files that are no text, and a terminal that can show ASCII alone."""
    train = Path(__file__).parents[2] / "train.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(train), *TINY, "--log-dir", "runs", *words.split()],
        capture_output=True, cwd=tmp_path, check=False, env={"PYTHONIOENCODING": "ascii:strict", "PATH": ""},
    )  # fmt: skip
    assert done.returncode == code, done.stderr.decode()
    assert any(tmp_path.iterdir()) == (code == 0)
    assert done.stderr.count(b"\n") == (code == 2)
