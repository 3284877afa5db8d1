"""Defaults that suit a game, an observation and an agent, and the presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from continual_ple import GAMES
from continual_ple.observations import sees_images
from dqn_mer.config.agent_registry import find_agent
from dqn_mer.config.combinations import SCHEDULE_FLAGS, TARGET_PERIODS
from dqn_mer.config.config import CHOICES, Config
from dqn_mer.config.flag_hints import unknown_field

# How the tuned defaults were found, on seeds that are not the reported ones, is explained in results/README.md.
STATE = {"hidden_sizes": (128, 128)}
UNTUNED_STATE = {**STATE, "target_sync_frames": 100}
"""What any other game or task starts with if the agent sees numbers: the network of the tuned games, and the period of
their `dqn`. It is in frames, since an episode may never end elsewhere; no learning rate was best on both games."""
PIXELS = {"learning_rate": 1e-4, "target_sync_episodes": 1, "clip_rewards": True}
PIXELS_SGD = {"learning_rate": 2e-2, "target_sync_frames": 100, "clip_rewards": True}
"""One of the best two trials with SGD on Catcher; on Flappy Bird none learned anything."""
TUNED: dict[tuple[str, str], dict[str, dict[str, Any]]] = {
    ("catcher", "state"): {
        "dqn": {"learning_rate": 1e-4, "target_sync_frames": 100},
        "dqn-reservoir": {"learning_rate": 3e-4, "target_sync_episodes": 1},
        "dqn-mer": {"learning_rate": 2e-4, "target_sync_episodes": 1},
        "dqn-mer-sgd": {"learning_rate": 4e-2, "target_sync_episodes": 1},
        "efficient-mer": {"learning_rate": 2e-4, "target_sync_frames": 100},
    },
    ("flappy_bird", "state"): {
        "dqn": {"learning_rate": 3e-4, "target_sync_frames": 100},
        "dqn-reservoir": {"learning_rate": 3e-4, "target_sync_episodes": 1},
        "dqn-mer": {"learning_rate": 6e-4, "across_batch_rate": 0.1, "target_sync_frames": 100},
        "dqn-mer-sgd": {"learning_rate": 2e-2, "target_sync_episodes": 1},
        "efficient-mer": {"learning_rate": 6e-4, "target_sync_frames": 100},
    },
    ("catcher", "pixels"): {
        "dqn": PIXELS,
        "dqn-mer-sgd": PIXELS_SGD,
        "efficient-mer": {**PIXELS, "learning_rate": 2e-4},
    },
    ("flappy_bird", "pixels"): {
        "dqn": {"learning_rate": 1e-4, "target_sync_frames": 100, "clip_rewards": True},
        "dqn-mer": PIXELS,
        "dqn-mer-sgd": PIXELS_SGD,
        "efficient-mer": {"learning_rate": 2e-4, "target_sync_frames": 100, "clip_rewards": True},
    },
}
"""Tuned values of agents by game and observation; ``dqn-mer-sgd`` is dqn-mer with ``--optimizer sgd``. Those that are
not here take dqn's; efficient-mer has twice dqn's learning rate, because it keeps half of what it learns."""

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "observation": "pixels",
        "learning_rate": 1e-4,
        # The paper gives no number: this one is not tuned. Of random play it is about 1,600 frames of Catcher or 600 of
        # Flappy Bird.
        "target_sync_episodes": 10,
        # The paper does not say: as in the DQN that it names (Mnih et al., 2015).
        "clip_rewards": True,
    },
    "quick": {
        "observation": "state",
        "frames_per_setting": 10_000,
        "epsilon_decay_frames": 5_000,
        "capacity": 20_000,
        "eval_every": 5_000,
    },
}
"""Named groups of defaults. ``paper``: the values of the paper's section 6, as far as it gives them; the
target network is copied by episodes, as transcriptions of Algorithm 8 have it, and rewards are clipped.
``quick``: a run of a minute or two on two cores that visibly learns."""

PRESETS_OF_AGENTS: dict[tuple[str, str], dict[str, Any]] = {("paper", "dqn-mer"): {"optimizer": "sgd"}}
"""What a preset holds for one agent: the paper's MER takes SGD steps, its baseline's optimizer is not named."""


def default_config(preset: str = "tuned", **choices: Any) -> Config:
    """Return the configuration for some choices, with the defaults that suit them.

    Args:
        preset: ``tuned``, or a name in `PRESETS`.
        choices: Fields of `Config`; they win over the preset, and the preset over the tuned defaults. A period of the
            target network replaces one in the other unit.

    Raises:
        ValueError: if a preset or a field is unknown, or a value is not allowed.

    >>> default_config(observation="state").hidden_sizes
    (128, 128)
    """
    if preset not in CHOICES["preset"]:
        raise ValueError(f"preset={preset!r}: must be one of {', '.join(CHOICES['preset'])}")
    agent = find_agent(choices.get("agent", Config.agent))
    known = {f.name for f in dataclasses.fields(Config)}
    for name in (*choices, *agent.defaults):
        if name not in known:
            raise ValueError(unknown_field(name, known))
    presets = {**PRESETS.get(preset, {}), **PRESETS_OF_AGENTS.get((preset, agent.name), {})}
    if choices.get("game", Config.game) not in GAMES:  # a task has its own schedule
        presets = {name: value for name, value in presets.items() if name not in SCHEDULE_FLAGS}
    chosen = {"preset": preset, **presets, **choices}
    if chosen.get("schedule") is not None:
        chosen["schedule"] = Path(chosen["schedule"])
        if "frames_per_setting" not in choices:
            chosen.pop("frames_per_setting", None)  # the file gives it
    game, observation, optimizer = (
        str({**agent.defaults, **chosen}.get(name, getattr(Config, name)))
        for name in ("game", "observation", "optimizer")
    )
    tuned = _tuned(game, observation, agent.name, optimizer)
    periods = _other_target_period(choices, presets, agent.defaults, tuned)
    return Config(**{**tuned, **agent.defaults, **chosen, **periods})


def _tuned(game: str, observation: str, agent: str, optimizer: str) -> Mapping[str, Any]:
    """Return the tuned values; an observation takes those of `pixels` or `state`, whichever it resembles."""
    like = "pixels" if sees_images(observation) else "state"
    of_agents = TUNED.get((game, like))
    if of_agents is None:
        return UNTUNED_STATE if like == "state" else {}
    names = (f"{agent}-{optimizer}", agent, "dqn")
    values: dict[str, Any] = next((of_agents[name] for name in names if name in of_agents), {})
    return {**(STATE if like == "state" else {}), **values}


def _other_target_period(choices: Mapping[str, Any], *lower: Mapping[str, Any]) -> dict[str, None]:
    """Return None for the target period that another one replaces: by a choice, or else the first layer's."""
    chosen = {name: choices[name] for name in TARGET_PERIODS if name in choices}
    for layer in (chosen, *({name: each[name] for name in each if name not in chosen} for each in lower)):
        given = [name for name in TARGET_PERIODS if layer.get(name) is not None]
        if given:
            return {name: None for name in TARGET_PERIODS if name not in given and name not in chosen}
    return {}
