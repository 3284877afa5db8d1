"""The table of agents, and how one is added from outside. Loads no PyTorch, and no agent before it is built.

An agent is a memory, a replay step and, if it has any, a dataclass of options. A built-in agent is one call of
`register_agent` in this file. Its options, if any, are a group of `Config`, each with a flag; those of an agent from
outside are given as `Config.agent_options`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pkgutil import resolve_name
from typing import Annotated, Any

from continual_ple.messages import shown
from continual_ple.registry import described
from dqn_mer.config.fields import Allowed, Known, allowed_values, bad_value
from dqn_mer.config.groups import EfficientMERParameters, HareTortoiseParameters
from dqn_mer.mer_parameters import MERParameters

ENTRY_POINTS = "dqn_mer.agents"
"""Entry points of installed packages: each has an agent's name, and is a function that registers the agent."""
NUMBERS = (int, float, bool)

Make = Callable[[Any], Any] | str
"""Makes a part of an agent from `dqn_mer.agents.makers.AgentContext`; or where it is, as ``module:function``."""


@dataclass(frozen=True)
class AgentKind:
    """One agent; its fields are the arguments of `register_agent`."""

    name: str
    memory: Make
    replay: Make
    options: type[Any] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    learns: bool = True
    summary: str = ""


_AGENTS: dict[str, AgentKind] = {}


def register_agent(
    name: str,
    memory: Make,
    replay: Make,
    *,
    options: type[Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    learns: bool = True,
    summary: str = "",
) -> None:
    """Add an agent, so that all commands and functions know it by its name.

    An installed package registers its agents when they are asked for: its entry point of the group ``dqn_mer.agents``
    has the agent's name and leads to a function without arguments that calls this one. In the processes that ``sweep``
    starts, an agent is known by its entry point alone.

    Args:
        name: Value of ``--agent``: letters, digits, ``.``, ``_`` and ``-``. If it is registered again, the last one
            counts.
        memory: Function from `dqn_mer.agents.makers.AgentContext` to the `Memory` that is drawn from, such as
            `dqn_mer.agents.makers.reservoir`; or its location as ``module:function``, imported when it is used.
        replay: Function from the parts to the `ReplayUpdate`, given in the same ways.
        options: Frozen dataclass of whole numbers, numbers and switches, with defaults and, where wanted, ranges as in
            ``Annotated[int, Range(1, 9, whole=True)]``. They are given by ``--agent-options NAME=VALUE,...``, a switch
            as 0 or 1. A group of `Config`, such as `MERParameters`, keeps its own flags.
        defaults: Fields of `Config` for which this agent has other defaults.
        learns: False for an agent that never makes an update.
        summary: Description in a few words, for the help.

    Raises:
        ValueError: if the name, a maker, the options or the defaults are not allowed.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise bad_value("name", name, "letters, digits, '.', '_' and '-', at most 100")
    if name in AGENTS:
        raise ValueError(f"name={name!r}: is a built-in agent; must be another name")
    for part, make in (("memory", memory), ("replay", replay)):
        if not callable(make) and not (isinstance(make, str) and re.fullmatch(r"[\w.]+:\w+", make)):
            raise bad_value(part, make, "a function, or its location as module:function")
    if options is not None:
        _check_options(options)
    if defaults:
        _check_defaults(defaults)
    _AGENTS[name] = AgentKind(name, memory, replay, options, dict(defaults or {}), learns, summary)


def _check_defaults(defaults: Mapping[str, Any]) -> None:
    from dqn_mer.config.config import ALLOWED  # which is made of this module's fields

    for name, value in defaults.items():
        if name not in ALLOWED:
            raise bad_value("defaults", name, "fields of Config")
        ALLOWED[name].check(f"defaults.{name}", ALLOWED[name].as_held(value))


def agents() -> tuple[AgentKind, ...]:
    """Return the agents that are registered, the built-in ones first."""
    return tuple(_AGENTS.values())


def known_agent(name: object) -> AgentKind | None:
    """Return an agent that is registered, or that an installed package registers now; None if there is none.

    Raises:
        ValueError: if a package's entry point of that name fails.
    """
    if isinstance(name, str) and name not in _AGENTS:
        for entry in metadata.entry_points(group=ENTRY_POINTS, name=name):
            _load(entry)
    return _AGENTS.get(name) if isinstance(name, str) else None


def find_agent(name: object) -> AgentKind:
    """Return an agent as `known_agent` does; raises ValueError, in one line, if there is none."""
    kind = known_agent(name)
    if kind is None:
        known = f"one of {', '.join(_AGENTS)}, or one that a program of yours registers, or an installed package"
        raise bad_value("agent", name, f"{known}, by an entry point of the group {ENTRY_POINTS}")
    return kind


def check_installed(field: str, name: str) -> None:
    """Raise ValueError unless other processes know an agent too.

    Args:
        field: Name of the field that named the agent.
        name: Name of an agent that is known here.
    """
    if name not in AGENTS and not metadata.entry_points(group=ENTRY_POINTS, name=name):
        allowed = f"an agent of an installed package, with an entry point of the group {ENTRY_POINTS}"
        raise bad_value(field, name, f"{allowed}; other processes do not know it")


def make_part(make: Make, parts: Any) -> Any:
    """Return what a maker makes of `dqn_mer.agents.makers.AgentContext`."""
    return (resolve_name(make) if isinstance(make, str) else make)(parts)


def options_of(config: AgentFields) -> Any:
    """Return the options of a configuration's agent: the configuration itself, or an instance of the agent's dataclass.

    Raises:
        ValueError: if the agent is unknown or an option is not allowed.
    """
    kind = find_agent(config.agent)
    if kind.options is not None and not isinstance(config, kind.options):
        return _own_options(kind.options, config)
    if config.agent_options:
        raise ValueError(
            f"agent_options={shown(config.agent_options)}: agent {kind.name} has none; must be left at {{}}"
        )
    return config


def all_options(config: AgentFields) -> dict[str, float]:
    """Return `Config.agent_options` completed with defaults; unchanged if the agent is not known here."""
    if known_agent(config.agent) is None:
        return dict(config.agent_options)
    options = options_of(config)
    return {} if options is config else {name: value + 0 for name, value in dataclasses.asdict(options).items()}


def _own_options(options: type[Any], config: AgentFields) -> Any:
    allowed = allowed_values(options)
    for name in config.agent_options:
        if name not in allowed:
            has = f"must be one of {', '.join(allowed)}"
            raise ValueError(f"agent_options: {shown(name)}: no option of agent {config.agent}; {has}")
    return options(**{name: _number(name, value, allowed[name]) for name, value in config.agent_options.items()})


def _number(name: str, value: float, allowed: Allowed) -> float:
    """Return a number as the field of an option holds it."""
    if allowed.kind is bool and value in (0, 1):
        return bool(value)
    number = int(value) if allowed.kind is int and value == int(value) else value
    if allowed.kind is bool:
        raise bad_value(f"agent_options.{name}", value, "0 or 1")
    allowed.check(f"agent_options.{name}", number)
    return number


def _check_options(options: object) -> None:
    """Raise ValueError unless an agent's options are a frozen dataclass of numbers with defaults."""
    if not (isinstance(options, type) and dataclasses.is_dataclass(options)) or not _is_frozen(options):
        raise bad_value("options", options, "a frozen dataclass")
    allowed = allowed_values(options)
    for option in dataclasses.fields(options):
        name = f"options.{option.name}"
        if allowed[option.name].kind not in NUMBERS or allowed[option.name].optional:
            raise ValueError(f"{name}: must be an int, a float or a bool")
        if option.default is dataclasses.MISSING:
            raise ValueError(f"{name}: must have a default")
        allowed[option.name].check(name, option.default)


def _is_frozen(kind: Any) -> bool:
    return bool(kind.__dataclass_params__.frozen)


def _load(entry: metadata.EntryPoint) -> None:
    """Let a package register its agent, which is code that the user installed."""
    try:
        entry.load()()
    except (Exception, SystemExit) as error:  # whatever the package's code raises
        first = str(error).partition("\n")[0]
        why = f"fails: {type(error).__name__}: {first}"
    else:
        if entry.name in _AGENTS:
            return
        why = "registers no agent of this name"
    raise ValueError(f"agent={entry.name!r}: {described(entry)} {why}")


AGENTS: tuple[str, ...] = ()
_MAKERS = "dqn_mer.agents.makers"
_FIFO, _RESERVOIR, _MINI_BATCH = f"{_MAKERS}:fifo", f"{_MAKERS}:reservoir", f"{_MAKERS}:mini_batch"

register_agent("dqn", _FIFO, _MINI_BATCH, summary="FIFO replay, with the newest transition in every batch")
register_agent("dqn-reservoir", _RESERVOIR, _MINI_BATCH, summary="reservoir replay (the paper's ablation)")
register_agent("dqn-mer", _RESERVOIR, f"{_MAKERS}:mer", options=MERParameters, summary="Algorithm 8")
register_agent(
    "efficient-mer", _RESERVOIR, f"{_MAKERS}:efficient_mer", options=EfficientMERParameters,
    summary="dqn-reservoir with a Reptile step now and then",
)  # fmt: skip
register_agent(
    "hare-tortoise", _RESERVOIR, f"{_MAKERS}:hare_tortoise", options=HareTortoiseParameters,
    summary="dqn-reservoir with weights reset to their slow average",
)  # fmt: skip
register_agent("random", _FIFO, _MINI_BATCH, learns=False, summary="random play, which learns nothing")

AGENTS = tuple(_AGENTS)


@dataclass(frozen=True)
class AgentFields:
    """The agent."""

    agent: Annotated[str, Known(AGENTS)] = "dqn-mer"
    """What acts and learns, of these or of those that a package of yours registers."""
    agent_options: Mapping[str, float] = field(default_factory=dict)
    """Options of an agent that a package of yours registers, as NAME=VALUE,..."""
