"""The state of an environment with all its wrappers, saved and restored so that resumed play is bit-identical."""

import time
from collections.abc import Mapping
from typing import Any, cast

import gymnasium
from gymnasium import wrappers
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, RecordEpisodeStatistics, TimeLimit

from continual_ple import classic_control
from continual_ple.learnable import Learnable
from continual_ple.messages import shown

Layer = gymnasium.Env[Any, Any]

STOCK_FIELDS: dict[type[Layer], dict[str, type]] = {
    TimeLimit: {"_elapsed_steps": int},
    OrderEnforcing: {"_has_reset": bool},
    PassiveEnvChecker: {},
    Learnable: {},
    wrappers.ClipReward: {},
    wrappers.DtypeObservation: {},
    wrappers.FilterObservation: {},
    wrappers.FlattenObservation: {},
    wrappers.GrayscaleObservation: {},
    wrappers.RescaleObservation: {},
    wrappers.ReshapeObservation: {},
    wrappers.ResizeObservation: {},
    RecordEpisodeStatistics: {"episode_count": int, "episode_returns": float, "episode_lengths": int},
}
"""Attributes that Gymnasium's wrappers, which have no `get_state`, keep between steps."""
QUEUES = ("return_queue", "length_queue", "time_queue")


def layers(env: Layer) -> list[Layer]:
    """Return an environment's wrappers from the outermost, and the environment itself last."""
    return [env, *layers(env.env)] if isinstance(env, gymnasium.Wrapper) else [env]


def has_state(env: Layer) -> bool:
    """Return whether every layer can hand out its state."""
    return not without_state(env)


def without_state(env: Layer) -> list[str]:
    """Return the classes of the layers that cannot hand out their state."""
    return [type(layer).__name__ for layer in layers(env) if not (type(layer) in STOCK_FIELDS or _own(layer))]


def frame_limit(env: Layer) -> int | None:
    """Return the frames after which an episode is truncated, the smallest of all limits, or None if there is none."""
    limits = [layer._max_episode_steps for layer in layers(env) if isinstance(layer, TimeLimit)]
    return min(limits, default=None)


def get_state(env: Layer) -> dict[str, Any]:
    """Return the state of all layers, by place and class, after a first reset: JSON values and arrays."""
    return {name: _layer_state(layer) for name, layer in _named(env).items()}


def set_state(env: Layer, state: Mapping[str, Any]) -> None:
    """Resume from what `get_state` of an environment made the same way gave. The running episode's clock starts anew.

    Raises:
        ValueError: if the state is another environment's, or not one that `get_state` can have given.
    """
    named = _named(env)
    if not isinstance(state, Mapping) or set(state) != set(named):
        raise ValueError(f"environment: must have the layers {', '.join(named)}")
    for name in reversed(named):
        try:
            _set_layer_state(named[name], state[name])
            _check_equal(_layer_state(named[name]), state[name])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"environment: not a state of {name}: {' '.join(str(error).split())}") from None


def _named(env: Layer) -> dict[str, Layer]:
    return {f"{place}-{type(layer).__name__}": layer for place, layer in enumerate(layers(env))}


def _own(layer: Layer) -> bool:
    """Return whether a layer defines both `get_state` and `set_state`, or is an environment whose state is known here.

    A method of a wrapper may be that of what it wraps, and one of the two alone means something else in other projects.
    """
    return {"get_state", "set_state"} <= set(dir(type(layer))) or type(layer) in classic_control.FIELDS


def _layer_state(layer: Layer) -> dict[str, Any]:
    if type(layer) in classic_control.FIELDS:
        return classic_control.get_state(layer)
    if _own(layer):
        own: dict[str, Any] = cast(Any, layer).get_state()
        return own
    state = {field: kind(getattr(layer, field)) for field, kind in STOCK_FIELDS[type(layer)].items()}
    if isinstance(layer, RecordEpisodeStatistics):
        state |= {queue: [float(value) for value in getattr(layer, queue)] for queue in QUEUES}
    return state


def _set_layer_state(layer: Layer, state: Mapping[str, Any]) -> None:
    if type(layer) in classic_control.FIELDS:
        classic_control.set_state(layer, state)
        return
    if _own(layer):
        cast(Any, layer).set_state(state)
        return
    for field, kind in STOCK_FIELDS[type(layer)].items():
        setattr(layer, field, kind(state[field]))
    if isinstance(layer, RecordEpisodeStatistics):
        for queue in QUEUES:
            getattr(layer, queue).clear()
            getattr(layer, queue).extend(state[queue])
        layer.episode_start_time = time.perf_counter()
    if isinstance(layer, PassiveEnvChecker):  # it looks at the first steps of a process only
        layer.checked_reset = layer.checked_step = layer.checked_data_reuse = True


def _check_equal(current: Any, given: Any) -> None:
    """Raise ValueError unless what was set comes back: a state of the wrong kind would fail later, in play."""
    if isinstance(current, Mapping):
        if not isinstance(given, Mapping) or set(current) != set(given):
            raise ValueError(f"fields must be {', '.join(current)}")
        for name in current:
            _check_equal(current[name], given[name])
    elif hasattr(current, "shape"):
        if getattr(given, "dtype", None) != current.dtype or given.shape != current.shape or (given != current).any():
            raise ValueError(f"an array must be {current.dtype} of shape {current.shape}")
    elif current != given or (isinstance(current, int | float) and type(current) is not type(given)):
        raise ValueError(f"{shown(given)} is not possible")
