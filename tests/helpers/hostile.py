"""What the tests of files from strangers share: things to put in the place of a file, commands with a time limit."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dqn_mer.__main__ import main

SECONDS = 60
"""No command on a tiny run takes longer, however busy the machine is; one that blocks would for ever."""
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
