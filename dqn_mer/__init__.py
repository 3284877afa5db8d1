"""DQN with Meta-Experience Replay, for reinforcement learning on a stream that changes.

The public names are loaded when they are first used: ``import dqn_mer`` takes no time and loads no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dqn_mer import _former_names

if TYPE_CHECKING:
    from dqn_mer.agents.dqn import DQNAgent
    from dqn_mer.agents.memory import FifoMemory, ReservoirMemory, Transition
    from dqn_mer.analysis.runs import load_run
    from dqn_mer.config.agent_registry import register_agent
    from dqn_mer.config.config import Config
    from dqn_mer.config.defaults import default_config
    from dqn_mer.evaluation.hub import from_hub, push_to_hub
    from dqn_mer.fast.choose import make_learner
    from dqn_mer.losses import CrossEntropy
    from dqn_mer.mer import MERUpdate
    from dqn_mer.mer_parameters import MERParameters
    from dqn_mer.mini_batch import MiniBatchUpdate
    from dqn_mer.networks.weights import FlatWeights
    from dqn_mer.public import benchmark, compare, evaluate, load_agent, watch
    from dqn_mer.reptile_every import ReptileEvery
    from dqn_mer.supervised.memory import ExampleMemory
    from dqn_mer.supervised.mer_learner import MERLearner
    from dqn_mer.training.stream_run import StreamRun
    from dqn_mer.training.trainer import resume, train

__all__ = [
    "Config",
    "CrossEntropy",
    "DQNAgent",
    "ExampleMemory",
    "FifoMemory",
    "FlatWeights",
    "MERLearner",
    "MERParameters",
    "MERUpdate",
    "MiniBatchUpdate",
    "ReptileEvery",
    "ReservoirMemory",
    "StreamRun",
    "Transition",
    "benchmark",
    "compare",
    "default_config",
    "evaluate",
    "from_hub",
    "load_agent",
    "load_run",
    "make_learner",
    "push_to_hub",
    "register_agent",
    "resume",
    "train",
    "watch",
]

_HOMES = {
    "Config": "dqn_mer.config.config",
    "CrossEntropy": "dqn_mer.losses",
    "DQNAgent": "dqn_mer.agents.dqn",
    "ExampleMemory": "dqn_mer.supervised.memory",
    "FifoMemory": "dqn_mer.agents.memory",
    "FlatWeights": "dqn_mer.networks.weights",
    "MERLearner": "dqn_mer.supervised.mer_learner",
    "MERParameters": "dqn_mer.mer_parameters",
    "MERUpdate": "dqn_mer.mer",
    "MiniBatchUpdate": "dqn_mer.mini_batch",
    "ReptileEvery": "dqn_mer.reptile_every",
    "ReservoirMemory": "dqn_mer.agents.memory",
    "StreamRun": "dqn_mer.training.stream_run",
    "Transition": "dqn_mer.agents.memory",
    "benchmark": "dqn_mer.public",
    "compare": "dqn_mer.public",
    "default_config": "dqn_mer.config.defaults",
    "evaluate": "dqn_mer.public",
    "from_hub": "dqn_mer.evaluation.hub",
    "load_agent": "dqn_mer.public",
    "load_run": "dqn_mer.analysis.runs",
    "make_learner": "dqn_mer.fast.choose",
    "push_to_hub": "dqn_mer.evaluation.hub",
    "register_agent": "dqn_mer.config.agent_registry",
    "resume": "dqn_mer.training.trainer",
    "train": "dqn_mer.training.trainer",
    "watch": "dqn_mer.public",
}
"""Where each public name is defined."""

_former_names.install()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
