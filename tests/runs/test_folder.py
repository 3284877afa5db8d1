"""What a run folder needs of its file system, and which commit it records."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dqn_mer.__main__ import main
from dqn_mer.commands.train import main as train_command
from dqn_mer.runs import folder
from tests.helpers.resuming import ROOT, flags

fcntl = pytest.importorskip("fcntl")
ERRORS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP]


def without_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


def tree(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("flag", ["run_dir", "log_dir"])
def test_a_run_without_file_locks_is_refused_and_leaves_nothing(
    flag: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_locks(monkeypatch, number)
    folder = tmp_path / "new" / "runs"
    assert train_command(flags(**{flag: folder})) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith(
        f"error: {flag}='{folder}': the file system of {tmp_path} has no file"
    )
    assert os.strerror(number) in said
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("number", ERRORS)
def test_resuming_without_file_locks_is_refused_and_changes_nothing(
    number: int, stopped_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(stopped_run, tmp_path / "run"))
    (run / folder.LOCK).unlink()
    before = tree(tmp_path)
    without_locks(monkeypatch, number)
    assert train_command(["--resume", str(run)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "has no file locks" in said and str(run) in said
    assert tree(tmp_path) == before


@pytest.mark.parametrize("number", ERRORS)
def test_a_sweep_without_file_locks_is_refused_and_leaves_nothing(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_locks(monkeypatch, number)
    assert main(["sweep", "--out", str(tmp_path / "new" / "sweep"), "--seeds", "0"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith(f"error: out='{tmp_path / 'new' / 'sweep'}': the file system of")
    assert tree(tmp_path) == {}


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def recorded_commit(folder: Path, **environment: str) -> str:
    """Return the commit that the package in a folder records, as Python prints it."""
    words = [sys.executable, "-c", "from dqn_mer.runs.own_commit import git_commit; print(git_commit())"]
    path = os.pathsep.join(map(str, (folder, ROOT / "envs")))
    return subprocess.run(
        words, check=True, capture_output=True, text=True, cwd=folder.anchor,
        env={**os.environ, "PYTHONPATH": path, **environment},
    ).stdout.strip()  # fmt: skip


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_packages_own_checkout_alone(tmp_path: Path) -> None:
    """Not that of a repository around its virtual environment, nor of one that a copy lies in."""
    own, other = tmp_path / "own", tmp_path / "other"
    site = other / ".venv" / "lib" / "site-packages"
    for place in (own, site):
        shutil.copytree(ROOT / "dqn_mer", place / "dqn_mer", ignore=shutil.ignore_patterns("__pycache__"))
    for repository in (own, other):
        git(repository, "init", "--quiet")
        (repository / "file").write_text("")
        git(repository, "add", "dqn_mer" if repository == own else "file")
        git(repository, "commit", "--quiet", "-m", "A commit")
    (own / "file").unlink()
    assert recorded_commit(own) == git(own, "rev-parse", "HEAD")
    assert recorded_commit(own, GIT_DIR=str(other / ".git")) == git(own, "rev-parse", "HEAD")
    (own / "dqn_mer" / "__init__.py").write_text("")
    assert recorded_commit(own) == f"{git(own, 'rev-parse', 'HEAD')}-dirty"
    assert recorded_commit(site) == "None"
    shutil.move(site / "dqn_mer", other / "dqn_mer")  # at the top of somebody's repository, but no part of it
    assert recorded_commit(other) == "None"


def test_the_machine_is_named_by_its_processor(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9B45\nprocessor\t: 1\n")
    assert folder.processor_model(cpuinfo) == f"AMD EPYC 9B45, {platform.machine()}"
    for told in ("arm", platform.machine(), ""):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(platform, "processor", lambda told=told: told)
            expected = platform.machine() if told in ("", platform.machine()) else f"{told}, {platform.machine()}"
            assert folder.processor_model(tmp_path / "none") == expected
