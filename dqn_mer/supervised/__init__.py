"""MER on streams of labelled examples: the experiments in which the authors introduced it, with their baselines.

It stands beside the reinforcement-learning agents and knows nothing of them. For a model of your own you need
`CrossEntropy`, `ExampleMemory` and `dqn_mer.mer.MERUpdate`; the command is ``python -m dqn_mer supervised``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dqn_mer.cross_entropy import CrossEntropy
    from dqn_mer.supervised.memory import ExampleMemory

__all__ = ["CrossEntropy", "ExampleMemory"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``--help`` does not load PyTorch."""
    modules = {"CrossEntropy": "dqn_mer.cross_entropy", "ExampleMemory": "dqn_mer.supervised.memory"}
    if name not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(modules[name]), name)
