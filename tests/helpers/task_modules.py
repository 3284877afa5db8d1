"""Modules of a user's, in the current folder, that hold tasks for ``--task``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dqn_mer.config.task_references import load_task

TASK = "tests.helpers.own_envs:kept_task"
"""A task that every process of a test can import, and whose runs can be resumed."""
FLAGS = (
    "--frames 120 --warmup-frames 20 --capacity 100 --batch-size 4 --eval-every 40 --eval-episodes 1 "
    "--eval-frame-limit 30 --hidden-sizes 8 --meter-every 0 --log-every 20 --save-every 30 --no-eval-worker"
).split()
"""Flags of a tiny run on a task."""
MODULE = """
import functools
from continual_ple import Task, own_task

def poles(frames_per_setting=60):
    return own_task("CartPole-v1", "gravity", [9.8, 5.0], frames_per_setting)

TASK = poles()
partial = functools.partial(poles, 30)
NUMBER = 3

def needs(frames):
    return poles(frames)

def fails():
    raise RuntimeError("a bad\\n\\x1b[31mday")

def leaves():
    raise SystemExit(3)

def unknown():
    return own_task("NoSuchPole-v1", "gravity", [9.8])

def odd():
    return Task(lambda setting, frame_limit=None, render_mode=None: None, TASK.schedule, "gravity", [1.0])
"""
"""Text of a module with tasks, and with what is taken for some."""


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Work in a folder, and forget at the end what was imported from there."""
    before, path, modules = Path.cwd(), list(sys.path), set(sys.modules)
    os.chdir(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        load_task.cache_clear()
        for name in set(sys.modules) - modules:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
