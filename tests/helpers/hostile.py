"""What the tests of files from strangers share: what stands in the place of a file, and commands with a time limit."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dqn_mer.__main__ import main
from dqn_mer.storage.files import SUMS, digest
from tests.helpers.resuming import flags, stop_after

SECONDS = 60
"""No command on a tiny run takes longer, however busy the machine is; one that blocks would for ever."""
SAME = flags(frames=66, frames_per_setting=50)
"""Flags of the run that is stopped, and of the sweep of a `Place`, which resumes it."""
TABLE = b"frame,setting_index,score_mean\n"
DEEP = b"[" * 10**5 + b"]" * 10**5


def linked(path: Path) -> None:
    """Let a link lead to the file or folder, which is outside by then."""
    outside = path.anchor and next(folder for folder in path.parents if (folder / "canary").is_dir()) / "canary"
    target = Path(outside) / path.name
    if target.is_dir():
        shutil.rmtree(target)
    shutil.move(path, target)
    path.symlink_to(target)


def _instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)

    return change


def sparse(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return _instead(make)


INSTEAD: dict[str, Callable[[Path], None]] = {
    "a link": linked,
    "a link to nowhere": _instead(lambda path: path.symlink_to("nowhere")),
    "a link to an endless device": _instead(lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": _instead(lambda path: path.symlink_to(path.name)),
    "a pipe": _instead(os.mkfifo),
    "a folder": _instead(Path.mkdir),
    "an empty file": _instead(Path.touch),
    "40 GB": sparse(40 * 10**9),
    "10 TB": sparse(10**13),
    "1 MB of zeros": sparse(2**20),
    "deep JSON": _instead(lambda path: path.write_bytes(DEEP)),
    "a deep object": _instead(lambda path: path.write_bytes(b'{"config":' + b'{"a":' * 500 + b"1" + b"}" * 501)),
    "a huge field": _instead(lambda path: path.write_bytes(TABLE + b"0,0," + b"1" * 10**6)),
    "a quote without end": _instead(lambda path: path.write_bytes(TABLE + b'"' + b"1\n" * 10**6)),
    "huge numbers": _instead(lambda path: path.write_bytes(TABLE + b"9" * 5000 + b",0,1e999\n")),
    "no number": _instead(lambda path: path.write_bytes(TABLE + b"0,0,nan\n0,1,nan\n")),
    "no UTF-8": _instead(lambda path: path.write_bytes(b'{"config": "\xff\xfe"}')),
    "a lone surrogate": _instead(lambda path: path.write_bytes(b'{"\\ud800": "\\ud800"}')),
}
"""What stands in the place of a file or folder of a run."""

BAD_VALUES: list[Any] = [
    None, True, -1, 0, 2**31, 2**64, 10**400, 1e308, -1e308, 0.5, "", "../../x", "..", "\x1b[31mred\x1b[0m", "[red]",
    "=1+1", "<script>", "$x^2$", "\ud800", "\u202e", "x" * 10**4, [], {}, [[]], {"": 1}, ["a"], [10**400], [1e308],
    [-1], [1] * 1_000, {"$array": "course/agent/online"}, {"$array": 3},
]  # fmt: skip
"""What stands in the place of a value in a run's JSON."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value in JSON, also to those that hold others, to few of each list."""
    if path:
        yield path
    names = value if isinstance(value, dict) else range(min(len(value), 3)) if isinstance(value, list) else ()
    for name in names:
        yield from leaves(value[name], (*path, name))


def put(value: Any, path: Sequence[Any], new: Any) -> None:
    """Change the value that a way leads to."""
    for name in path[:-1]:
        value = value[name]
    value[path[-1]] = new


def rewrite(path: Path, **changes: Any) -> None:
    """Change fields of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def run_command(words: Sequence[str]) -> tuple[int, str, str]:
    """Run a command in this process; returns its exit code and what it printed, both without control characters.

    A command that blocks ends in a TimeoutError.
    """

    def too_late(number: int, frame: object) -> None:
        raise TimeoutError(f"{words} takes more than {SECONDS} s")

    out, complaint = io.StringIO(), io.StringIO()
    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(out):
            code = main(words)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    acting = {character for character in out.getvalue() + complaint.getvalue() if not character.isprintable()}
    assert acting <= {"\n"}, acting
    return code, out.getvalue(), complaint.getvalue()


def check_answer(code: int, complaint: str) -> None:
    """Check that a command did all, or said in one line why not."""
    if code == 0:
        assert complaint == ""
    else:
        assert (code, complaint[:7], complaint.count("\n")) == (2, "error: ", 1), complaint
        assert len(complaint) < 1_000


def stop_with_one_state(run: Path, words: Sequence[str]) -> Path:
    """Train until a signal comes after 60 frames, and keep only the last saved state; returns the run's folder."""
    assert stop_after(60, [*words, "--run-dir", str(run)]) == 143
    for folder in sorted((run / "resume").iterdir())[:-1]:
        shutil.rmtree(folder)
    return run


def write_sums(state: Path) -> None:
    """Write the checksums of a saved state that was changed, so that they fit it again."""
    names = ("state.json", "arrays.safetensors")
    (state / SUMS).write_text("".join(f"{digest(state / name)}  {name}\n" for name in names))


def contents(folder: Path) -> dict[str, bytes | str]:
    """Return everything below a folder: the bytes of files, and where links lead."""
    kinds = {}
    for path in folder.rglob("*"):
        kind = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"
        kinds[str(path.relative_to(folder))] = kind
    return kinds


def contents_of(folder: Path) -> dict[str, Any]:
    """Return `contents`, of large files only the size."""
    large = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 2**24]
    sizes = {path: path.stat().st_size for path in large if not path.is_symlink()}
    for path in sizes:
        os.truncate(path, 0)
    listing: dict[str, Any] = contents(folder)
    for path, size in sizes.items():
        os.truncate(path, size)
        listing[str(path.relative_to(folder))] = size
    return listing


class Place:
    """A copy of a run beside a canary that nothing may touch."""

    def __init__(self, parent: Path, run: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=parent))
        (self.folder / "canary").mkdir()
        (self.folder / "canary" / "report.md").write_text("mine")
        self.run = Path(shutil.copytree(run, self.folder / "runs" / "flappy_bird" / "dqn" / "seed-0"))
        self.out = self.folder / "out"

    def words(self, command: str) -> list[str]:
        path, out = str(self.run), str(self.out)
        return {
            "evaluate": ["evaluate", path, "--episodes=1", "--frame-limit=3"],
            "compare": ["compare", path, f"--out={out}", "--by=agent,game,vary,run_dir,game_parameters"],
            "unseen": ["compare", path, f"--out={out}", "--unseen=90"],
            "watch": ["watch", path, f"--out={out}", "--format=gif", "--frame-limit=3"],
            "play": ["play", "flappy_bird", f"--against={path}"],
            "resume": ["train", f"--resume={path}"],
            "sweep": [
                *("sweep", "--games=flappy_bird", "--agents=dqn", "--seeds=0", f"--out={self.folder / 'runs'}"),
                *SAME,
            ],
        }[command]

    def check(self, command: str) -> int:
        """Run a command and check its answer, and that nothing but its output has changed."""
        before = contents_of(self.folder)
        code, _, complaint = run_command(self.words(command))
        after = contents_of(self.folder)
        if command == "sweep" and code == 1:  # a run that fails is no mistake of the sweep's
            complaint, code = "", 0
        check_answer(code, complaint)
        own = ("out",) if command != "sweep" else ("out", "runs")
        if command == "resume" and code == 0:
            own = ("runs",)
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert all(name.split("/")[0] in own for name in changed if not name.endswith("/.lock")), changed
        shutil.rmtree(self.folder)
        return code
