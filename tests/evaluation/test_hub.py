"""Agents on the Hugging Face hub, without it: its own client talks to a server here, or to a stand-in for its API."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from unittest.mock import create_autospec
from urllib.parse import urlsplit

import pytest
from rich.console import Console

import dqn_mer
from dqn_mer.__main__ import main
from dqn_mer.evaluation.agent_options import ExportOptions
from dqn_mer.evaluation.checkpoint import CheckpointError
from dqn_mer.evaluation.export import export_agent
from tests.commands.test_sweep import ROOT

COMMIT = "c" * 40


@pytest.fixture
def agent(flappy_run: Path, tmp_path: Path) -> Path:
    return export_agent(ExportOptions(flappy_run, tmp_path / "agent", episodes=1), Console(quiet=True))


class Hub(BaseHTTPRequestHandler):
    """Answers what the hub's client asks to download a repository, someone/agent, whose files are in ``folder``.

    The files have the sizes that ``sizes`` gives for some of them.
    """

    folder: Path
    sizes: ClassVar[dict[str, int]] = {}

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        name = path.rpartition("/")[2]
        if not f"{path.removeprefix('/api/models')}/".startswith("/someone/agent/"):
            self.send_error(404)
        elif "/resolve/" in path:
            body = (self.folder / name).read_bytes()
            self.answer(body, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'})
        elif "/tree/" in path:
            files = [
                {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": COMMIT}
                for path in self.folder.iterdir()
            ]
            self.answer(json.dumps(files).encode(), {"Content-Type": "application/json"})
        else:
            files = [
                {"rfilename": path.name, "size": self.sizes.get(path.name, path.stat().st_size)}
                for path in self.folder.iterdir()
            ]
            about = {"id": "someone/agent", "sha": COMMIT, "private": False, "tags": [], "siblings": files}
            self.answer(json.dumps(about).encode(), {"Content-Type": "application/json"})

    do_HEAD = do_GET

    def answer(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub(agent: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of a server that has the agent, as someone/agent."""
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(Hub, "folder", agent, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def evaluate(address: str, home: Path, path: str = "hf://someone/agent") -> tuple[int, str, str]:
    """Evaluate an agent of the hub in a process that takes the hub to be at an address."""
    settings = {
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": address,
        "HF_HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    paths = [str(ROOT), str(ROOT / "envs"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "dqn_mer", "evaluate", path, "--episodes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stdout, done.stderr


def test_an_agent_of_the_hub_is_evaluated_by_its_name(hub: str, agent: Path, tmp_path: Path) -> None:
    (agent / "code.py").write_text("raise SystemExit")
    code, output, error = evaluate(hub, tmp_path / "home")
    assert (code, error) == (0, "") and "0-pipe_gap=100" in output
    folder = tmp_path / "home" / "dqn-mer" / "someone" / "agent"
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "README.md", "checkpoint.json", "model.safetensors",
    ]  # fmt: skip


def test_a_repository_that_holds_no_sound_agent_is_one_line(hub: str, agent: Path, tmp_path: Path) -> None:
    weights = bytearray((agent / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (agent / "model.safetensors").write_bytes(weights)
    for address, path, expected in (
        (hub, "hf://someone/agent", "checksum differs"),
        (hub, "hf://someone/other", "404 Not Found"),
        (hub, "hf://some one/agent", "some one/agent"),
        (hub, "hf://../../agent", "../../agent"),
        ("http://127.0.0.1:9", "hf://someone/agent", "someone/agent: cannot be downloaded: "),
    ):
        code, _, error = evaluate(address, tmp_path / "home", path)
        assert code == 2 and expected in error and error.startswith("error: ") and error.count("\n") == 1, error


def test_what_no_agent_can_have_is_not_downloaded(
    hub: str, agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hub, "sizes", {"model.safetensors": 2**33 + 1})
    code, _, error = evaluate(hub, tmp_path / "home")
    expected = "error: someone/agent: model.safetensors must have at most 8,589,934,592 bytes, has 8,589,934,593\n"
    assert (code, error) == (2, expected)
    (agent / "model.safetensors").unlink()
    code, _, error = evaluate(hub, tmp_path / "home")
    assert code == 2 and error.startswith("error: someone/agent: has no model.safetensors; must hold what")
    assert not (tmp_path / "home" / "dqn-mer").exists()


def test_what_is_downloaded_goes_where_it_is_asked_to(
    agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")

    kind = create_autospec(huggingface_hub.HfApi)
    files = [{"rfilename": path.name, "size": path.stat().st_size} for path in agent.iterdir()]
    about = huggingface_hub.ModelInfo(id="someone/agent", sha=COMMIT, siblings=files)
    kind.return_value.model_info.return_value = about
    monkeypatch.setattr(huggingface_hub, "HfApi", kind)

    def download(repo_id: str, *, revision: str, local_dir: Path, allow_patterns: list[str]) -> None:
        assert (repo_id, revision) == ("someone/agent", COMMIT)
        local_dir.mkdir()
        for name in allow_patterns:
            shutil.copy(agent / name, local_dir)

    stand_in = create_autospec(huggingface_hub.snapshot_download, side_effect=download)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", stand_in)
    folder = dqn_mer.from_hub("someone/agent", tmp_path / "mine", revision="v1")
    kind.return_value.model_info.assert_called_once_with("someone/agent", revision="v1", files_metadata=True)
    assert folder == tmp_path / "mine" and dqn_mer.load_agent(folder).frame == 40


def test_an_exported_agent_is_uploaded_and_nothing_else(
    agent: Path, flappy_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    kind = create_autospec(huggingface_hub.HfApi)
    kind.return_value.create_repo.return_value = "https://huggingface.co/someone/agent"
    monkeypatch.setattr(huggingface_hub, "HfApi", kind)
    assert dqn_mer.push_to_hub(agent, "someone/agent", private=True) == "https://huggingface.co/someone/agent"
    api = kind.return_value
    api.create_repo.assert_called_once_with("someone/agent", private=True, exist_ok=True)
    files = ["model.safetensors", "checkpoint.json", "README.md"]
    api.upload_folder.assert_called_once_with(repo_id="someone/agent", folder_path=agent, allow_patterns=files)
    with pytest.raises(ValueError, match=r"has no model.safetensors; must be what `python -m dqn_mer export` wrote"):
        dqn_mer.push_to_hub(flappy_run, "someone/agent")
    (agent / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError):
        dqn_mer.push_to_hub(agent, "someone/agent")
    assert api.create_repo.call_count == api.upload_folder.call_count == 1


@pytest.mark.parametrize("name", ["agent", "someone/agent/more", "/agent", "someone/", ""])
def test_a_name_of_another_form_is_not_looked_up(
    name: str, agent: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: pytest.fail("the hub was asked"))
    for call in (dqn_mer.from_hub, lambda name: dqn_mer.push_to_hub(agent, name)):
        with pytest.raises(ValueError, match=f"^repo_id='{name}': must be USER/REPO$"):
            call(name)
    said = f"hf://{name.strip('/')}"  # a path has no slash at an end
    for command in (["evaluate"], ["watch"], ["play", "flappy_bird", "--against"]):
        assert main([*command, f"hf://{name}"]) == 2
        assert capsys.readouterr() == ("", f"error: {said}: must be hf://USER/REPO\n")


@pytest.mark.parametrize("words", [["evaluate"], ["watch"]])
def test_an_agent_of_the_hub_is_called_as_it_was_typed(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # which makes its import fail
    assert main([*words, "hf://someone/agent"]) == 2
    assert capsys.readouterr().out.startswith(f"{words[0].removesuffix('e')}ing hf://someone/agent\n")


def test_without_its_client_the_extra_is_named(
    agent: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # which makes its import fail
    assert main(["evaluate", "hf://someone/agent"]) == 2
    assert capsys.readouterr().err == "error: the hub: needs huggingface_hub: pip install 'dqn-mer[hub]'\n"
    with pytest.raises(ImportError, match=r"dqn-mer\[hub\]"):
        dqn_mer.push_to_hub(agent, "someone/agent")
