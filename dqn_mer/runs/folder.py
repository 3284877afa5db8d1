"""The folder of a run: its path, and the files that explain it."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from dqn_mer.config.config import Config
from dqn_mer.runs.own_commit import git_commit
from dqn_mer.storage.file_locks import check_locks
from dqn_mer.storage.files import check_may_make, is_taken, naming_field
from dqn_mer.storage.run_reader import CONFIG, LOCK, RESUME, RunReader

PACKAGES = ("dqn-mer", "torch", "gymnasium", "numpy", "pygame", "opencv-python-headless", "tensorboard", "numba")


def check_run_folder(config: Config) -> None:
    """Raise ValueError if the run's folder cannot be made, before anything is built for it."""
    field = "log_dir" if config.run_dir is None else "run_dir"
    path: Path = getattr(config, field)
    with naming_field(field, path):
        if config.run_dir is not None and is_taken(path):
            raise ValueError(f"run_dir={str(path)!r}: exists already; must be a new folder")
    check_may_train(field, path, path)


def check_may_train(field: str, path: Path, folder: Path) -> None:
    """Raise ValueError unless a folder can be made, as `check_may_make`, and its file system has locks."""
    above = check_may_make(field, path, folder)
    with naming_field(field, path):
        check_locks(f"{field}={str(path)!r}", above)


def check_may_begin(field: str, path: Path) -> None:
    """Raise ValueError if a folder of runs is new and cannot be made; in one that exists, runs may be finished."""
    with naming_field(field, path):
        new = not is_taken(path)
    if new:
        check_may_train(field, path, path)


def check_is_run(run_dir: Path) -> None:
    """Raise ValueError unless a folder is that of a run, which may have been stopped."""
    reader = RunReader(run_dir)
    if not reader.has_folder(RESUME) and not reader.has(CONFIG):
        raise ValueError(f"resume={str(run_dir)!r}: must be the folder of a run")


def create_run_folder(config: Config) -> Path:
    """Make the run's folder and return it: ``run_dir`` exactly, or a new named one inside ``log_dir``.

    Raises:
        ValueError: if ``run_dir`` exists, or the folder cannot be made.
    """
    try:
        if config.run_dir is not None:
            config.run_dir.mkdir(parents=True)
            return config.run_dir
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        name = f"{config.game}-{config.observation}-{config.agent}-seed{config.seed}-{stamp}"
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            folder = config.log_dir / (name + suffix)
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                continue
    except FileExistsError:
        raise ValueError(f"run_dir={str(config.run_dir)!r}: exists already; must be a new folder") from None
    except OSError as error:
        field = "log_dir" if config.run_dir is None else "run_dir"
        raise ValueError(f"{field}={str(getattr(config, field))!r}: cannot be written: {error.strerror}") from None
    raise ValueError(f"log_dir={str(config.log_dir)!r}: no free name for the run")


def create_new_folder(field: str, path: Path) -> None:
    """Make a folder that a flag named.

    Raises:
        ValueError: if the folder exists or cannot be made; the message names the field.
    """
    with naming_field(field, path):
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise ValueError(f"{field}={str(path)!r}: exists already; must be a new folder") from None


def lock_run(run_dir: Path) -> BaseFileLock:
    """Take a run folder for this process alone, until it releases the lock or ends, however it ends.

    Raises:
        ValueError: if another process has it, the folder cannot be written, or its file system has no
            locks; then nothing is left in the folder.
    """
    lock = FileLock(run_dir / LOCK)
    try:
        check_locks(str(run_dir), run_dir)
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(f"{run_dir}: another process is training in this folder") from None
    except OSError as error:
        raise ValueError(f"{run_dir}: cannot be written: {error.strerror}") from None
    return lock


def describe_run(
    configuration: Mapping[str, Any], schedule: Any, arguments: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return everything that explains a run, as JSON: configuration, schedule, command, versions, commit, machine.

    Args:
        configuration: Value of ``config``, and whatever else belongs to it.
        schedule: Description of what is learned when.
        arguments: Words of the command to record; by default those that started this process.
    """
    import torch  # here, because it takes seconds, and a wrong folder is reported at once

    return {
        **configuration,
        "schedule": schedule,
        "command": shlex.join(command_line() if arguments is None else arguments),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **versions()},
        "git_commit": git_commit(),
        "machine": {
            "system": platform.system(),
            "processor": processor_model(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
        },
    }


def processor_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the model and the architecture of the processor, or the architecture alone where the system hides it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
    except OSError:  # not Linux
        found = None
    model = found[1].strip() if found else platform.processor()
    return f"{model}, {platform.machine()}" if model not in ("", platform.machine()) else platform.machine()


def command_line() -> list[str]:
    """Return the command that started this process, as a user would type it."""
    return ["python", *sys.orig_argv[1:]]


def versions() -> dict[str, str]:
    """Return the version of each package that results depend on; of Numba only where it can be imported."""
    from dqn_mer.fast.kernels.dense import COMPILED  # here, because it takes time and a finished run needs none of it

    package_versions = {}
    for name in PACKAGES:
        if name == "numba" and not COMPILED:
            continue
        try:
            package_versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return package_versions
