"""Games, observations and agents that a test adds, by a call or as an installed package, and takes away again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import gymnasium

from continual_ple import ENV_IDS, GAMES, OBSERVATIONS
from dqn_mer.config import agent_registry


@contextmanager
def nothing_left() -> Iterator[None]:
    """Take away at the end what was registered meanwhile, and leave the path and the modules as they were."""
    modules, path, known = set(sys.modules), list(sys.path), set(ENV_IDS)
    before = [(registry, dict(registry._classes)) for registry in (GAMES, OBSERVATIONS)]
    agents = mock.patch.dict(agent_registry._AGENTS)
    with mock.patch.dict(ENV_IDS), mock.patch.dict(gymnasium.registry), agents:
        try:
            yield
        finally:
            for registry, classes in before:
                registry._classes.clear()
                registry._classes.update(classes)
            sys.path[:] = path
            for name in set(sys.modules) - modules:
                if "added_package" in name:
                    del sys.modules[name]
    assert set(ENV_IDS) == known


def install(folder: Path, group: str, entries: dict[str, str], code: str = "") -> Path:
    """Write what `pip install` leaves of a package with these entry points: its module ``added_package``, a dist-info.

    Args:
        folder: Where; to be put on the path.
        group: Of the entry points.
        entries: From the name of each to what it loads.
        code: Of the module.
    """
    described = folder / "added_package-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: added-package\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (described / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    (folder / "added_package.py").write_text(code)
    return folder


def put_agent_on_path(site: Path, code: str, value: str = "added_package:register") -> None:
    """Put a package with an entry point for the agent `plugged` into a folder, and the folder on the path."""
    sys.path.insert(0, str(install(site, agent_registry.ENTRY_POINTS, {"plugged": value}, code)))


def installed(folder: Path, entries: dict[str, str], code: str = "", group: str = "continual_ple.games") -> None:
    """Put a package with these entry points, as `install` takes them, into a folder, and the folder on the path."""
    sys.path.insert(0, str(install(folder, group, entries, code)))
