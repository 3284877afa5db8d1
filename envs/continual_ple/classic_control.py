"""The state of Gymnasium's classic control environments with Discrete actions, which have no `get_state`."""

from collections.abc import Mapping
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import AcrobotEnv, CartPoleEnv, MountainCarEnv

FIELDS: dict[type[gymnasium.Env[Any, Any]], int] = {AcrobotEnv: 4, CartPoleEnv: 4, MountainCarEnv: 2}
"""Numbers in the attribute `state` of each: with the random generator, all that their steps change.

Subclasses may keep more, and so are not meant.
"""


def get_state(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """Return everything that is needed to resume an episode exactly: JSON values and one array of floats."""
    inner = cast(Any, env)
    return {
        "state": np.array(inner.state),
        "beyond": getattr(inner, "steps_beyond_terminated", None),
        "draws": env.np_random.bit_generator.state,
    }


def set_state(env: gymnasium.Env[Any, Any], state: Mapping[str, Any]) -> None:
    """Resume from what `get_state` of an environment of the same class returned.

    Raises:
        ValueError: if the state cannot be one of this environment; or another of `KeyError` and `TypeError`.
    """
    inner, values, beyond = cast(Any, env), np.array(state["state"]), state["beyond"]
    if values.shape != (FIELDS[type(env)],) or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise ValueError(f"state must be {FIELDS[type(env)]} finite numbers")
    if beyond is not None and (type(beyond) is not int or beyond < 0):
        raise ValueError(f"beyond={beyond!r}: must be a count of frames")
    inner.state = values
    if hasattr(inner, "steps_beyond_terminated"):
        inner.steps_beyond_terminated = beyond
    generator = np.random.Generator(np.random.PCG64())
    generator.bit_generator.state = state["draws"]
    env.np_random = generator
