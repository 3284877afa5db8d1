"""What is shipped: the wheel holds both packages with their types, and containers need no privilege."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.pypi_page import page_for_pypi, source_address

ROOT = Path(__file__).parents[2]
DOCKERFILE, COMPOSE = (ROOT / "Dockerfile").read_text(), (ROOT / "compose.yaml").read_text()


def test_the_wheel_holds_both_packages_whole_and_typed(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path / "source"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("dqn_mer", "envs"):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE", "train.py"):
        shutil.copy(ROOT / name, source / name)
    agent = source / "dqn_mer" / "pretrained" / "some-agent"
    agent.mkdir(parents=True)
    for name in ("README.md", "SHA256SUMS", "checkpoint.json", "model.safetensors"):
        (agent / name).touch()
    words = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(tmp_path), str(source)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("dqn_mer-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        required = archive.read(metadata).decode()
    files = {path.relative_to(source).as_posix() for path in (source / "dqn_mer").rglob("*") if path.is_file()}
    games = source / "envs"
    files |= {path.relative_to(games).as_posix() for path in games.rglob("*") if path.is_file()}
    assert held == files
    assert {"dqn_mer/py.typed", "continual_ple/py.typed", "continual_ple/__init__.py"} <= held
    assert not re.search(r"^Requires-Dist: (tyro|docstring)", required, re.MULTILINE)
    assert not re.search(r"^Requires-Dist: .* @ ", required, re.MULTILINE)  # an address, which PyPI refuses


README = """\
![curves](results/curves.png) <img src="results/games.png" width="4">
[paper](https://arxiv.org/abs/1), [a](#here), [docs/mer.md](docs/mer.md#x) and [two
words](LICENSE)
```python
x[0](docs)
```
![far](https://example.org/a.png)
"""


def test_on_pypi_readme_leads_to_the_repository() -> None:
    page = page_for_pypi(README, "https://example.org/repo")
    assert "![curves](https://example.org/repo/raw/HEAD/results/curves.png)" in page
    assert '<img src="https://example.org/repo/raw/HEAD/results/games.png" width="4">' in page
    assert "[docs/mer.md](https://example.org/repo/blob/HEAD/docs/mer.md#x)" in page
    assert "[two\nwords](https://example.org/repo/blob/HEAD/LICENSE)" in page
    for same in ("[paper](https://arxiv.org/abs/1)", "[a](#here)", "x[0](docs)", "![far](https://example.org/a.png)"):
        assert same in page


def test_on_pypi_no_link_leads_nowhere_while_the_repository_has_no_address() -> None:
    page = page_for_pypi(README, None)
    assert "[a](#here), docs/mer.md and two\nwords (LICENSE)\n" in page and "curves.png" not in page
    whole = page_for_pypi((ROOT / "README.md").read_text(), None)
    targets = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", re.sub(r"```.*?```", "", whole, flags=re.DOTALL))
    assert targets and all(link.startswith("https://") for pair in targets for link in pair if link)


def test_the_address_is_that_of_the_metadata() -> None:
    paper = "Name: x\nProject-URL: Paper, https://arxiv.org/abs/1\n"
    assert source_address(paper + "\nProject-URL: Source, https://example.org/text") is None
    assert source_address(paper + "Project-URL: Source, https://example.org/repo/\n") == "https://example.org/repo"


def service(name: str) -> str:
    """Return a block of compose.yaml, from its name to the next one as far left."""
    (block,) = re.findall(rf"^( *){re.escape(name)}:.*\n((?:\1 +.*\n|\n)*)", COMPOSE, re.MULTILINE)
    return block[1]


def test_compose_gives_its_services_no_privilege() -> None:
    shared = re.sub(r" *#.*", "", service("x-service"))
    for lines in ("read_only: true", "tmpfs:\n    - /tmp", "cap_drop:\n    - ALL",
                  "security_opt:\n    - no-new-privileges:true"):  # fmt: skip
        assert f"\n  {lines}\n" in shared
    services = re.findall(r"^  (\S+):\n", service("services"), re.MULTILINE)
    assert services == ["trainer", "trainer-gpu", "tensorboard"]
    for name in services:
        block = service(f"  {name}".strip())
        assert re.search(r"<<: (\*service\b|\[\*service\b)", block), name
        assert not re.search(r"^ *(privileged|cap_add|read_only|security_opt|cap_drop|tmpfs):", block, re.MULTILINE), (
            name
        )


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml"])
def test_tensorboard_is_published_on_this_machine_alone(name: str) -> None:
    text = (ROOT / name).read_text()
    published = re.findall(r"(\S*)\b6006:6006", text)
    assert published and {where.strip("\"'") for where in published} == {"127.0.0.1:"}


def test_the_image_keeps_its_caches_where_anybody_may_write() -> None:
    for name in ("MPLCONFIGDIR", "NUMBA_CACHE_DIR"):
        assert re.search(rf"^ *(ENV )?{name}=/tmp/\w+", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.index("\nUSER trainer\n") < DOCKERFILE.index("\nENTRYPOINT ")
