"""Every field of a configuration reaches the part that it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from continual_ple.observations import sees_images
from dqn_mer.agents.build import build_agent, build_exploration, describe_network
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.efficient_mer import EfficientMERUpdate
from dqn_mer.agents.hare_tortoise import HareTortoiseUpdate
from dqn_mer.agents.memory import FifoMemory, ReservoirMemory
from dqn_mer.config.agent_registry import AGENTS
from dqn_mer.config.defaults import default_config
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.config.task import game_task
from dqn_mer.mer import MERUpdate
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.device import choose_device
from dqn_mer.training.meter import build_meter


def built(**choices: Any) -> DQNAgent:
    config = default_config(observation="state", hidden_sizes=(8,), **choices)
    task = game_task(config)
    return build_agent(config, task.training_env(), spawn_streams(config.seed), task.action_probabilities)


@pytest.mark.parametrize(("observation", "expected"), [("pixels", "cuda"), ("state", "cpu")])
def test_auto_takes_a_gpu_for_pixels(observation: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = sees_images(observation)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto", images).type == "cpu" and choose_device("mps", images).type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto", images).type == expected
    assert choose_device("cuda", images).type == "cuda"


@pytest.mark.parametrize(
    ("agent", "memory", "update"),
    [
        ("dqn", FifoMemory, MiniBatchUpdate),
        ("dqn-reservoir", ReservoirMemory, MiniBatchUpdate),
        ("dqn-mer", ReservoirMemory, MERUpdate),
        ("efficient-mer", ReservoirMemory, EfficientMERUpdate),
        ("hare-tortoise", ReservoirMemory, HareTortoiseUpdate),
    ],
)
def test_agents(agent: str, memory: type, update: type) -> None:
    made = built(agent=agent, capacity=77, batch_size=5)
    assert type(made.memory) is memory
    assert isinstance(made.replay, update)
    assert (made.memory.capacity, made.replay.num_draws) == (77, 5)


@pytest.mark.parametrize("agent", AGENTS)
def test_parts_read_the_configuration_itself(agent: str) -> None:
    config = default_config(agent=agent, observation="state", hidden_sizes=(8,), epsilon_start=0.5)
    env = game_task(config).training_env()
    streams = spawn_streams(0)
    made = build_agent(config, env, streams)
    schedule = build_exploration(config, np.full(3, 1 / 3), streams).schedule
    assert getattr(made.replay, "parameters", config) is config
    if agent == "random":
        assert (
            made.parameters
            == schedule.parameters
            == replace(config, freeze_after_frames=0, epsilon_start=1.0, epsilon_end=1.0)
        )
    else:
        assert made.parameters is schedule.parameters is config
    inner = getattr(made.replay, "inner", made.replay)
    assert isinstance(inner, MERUpdate if agent == "dqn-mer" else MiniBatchUpdate)


def test_each_part_draws_from_a_stream_of_its_own() -> None:
    config = default_config(agent="dqn-mer", observation="state", hidden_sizes=(8,))
    task, streams = game_task(config), spawn_streams(0)
    made = build_agent(config, task.training_env(), streams)
    assert made.memory.rng is made.memory.reservoir.rng is streams.reservoir
    assert made.draws.rng is streams.sampling
    assert made.replay.rng is streams.ordering
    assert build_exploration(config, task.action_probabilities, streams).rng is streams.exploration
    assert build_meter(config, made, task.schedule, streams).rng is streams.meter


def test_layer_norm() -> None:
    assert isinstance(built(layer_norm=True).online.model[1], torch.nn.LayerNorm)


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.AdamW)])
def test_weight_decay(name: str, kind: type) -> None:
    optimizer = built(agent="dqn", optimizer=name, weight_decay=0.01).replay.optimizer
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["weight_decay"] == 0.01


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("rmsprop", torch.optim.RMSprop)]
)
@pytest.mark.parametrize("agent", ["dqn", "dqn-mer"])
def test_optimizers(name: str, kind: type, agent: str) -> None:
    made = built(optimizer=name, learning_rate=0.123, agent=agent)
    optimizer = made.replay.optimizer if agent == "dqn" else made.replay.learner.optimizer
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["lr"] == 0.123
    assert optimizer.param_groups[0]["params"] == [made.online.vector]


@pytest.mark.parametrize("agent", ["dqn", "dqn-mer"])
def test_momentum(agent: str) -> None:
    made = built(agent=agent, optimizer="sgd", momentum=0.8, nesterov=True)
    optimizer = made.replay.optimizer if agent == "dqn" else made.replay.learner.optimizer
    assert (optimizer.param_groups[0]["momentum"], optimizer.param_groups[0]["nesterov"]) == (0.8, True)


def test_frame_skip_and_scaling() -> None:
    config = default_config(frame_skip=3, input_scaling="centred")
    task = game_task(config)
    assert task.frame_skip == 3
    env = task.training_env()
    assert env.frame_skip == task.agents_env(task.schedule.settings[0]).frame_skip == 3
    assert describe_network(config, env)["input_scaling"] == "centred"
    assert build_agent(config, env, spawn_streams(0)).online.model[0].scaling == "centred"


def test_odds_of_random_actions() -> None:
    config = default_config(game="flappy_bird", flap_probability=0.2)
    task = game_task(config)
    env = task.make_env(task.schedule.settings[0])
    assert env.unwrapped.action_meanings[0] == "up" or env.unwrapped.action_meanings[0] == "flap"
    assert task.action_probabilities.tolist() == [0.2, 0.8]


def test_games() -> None:
    config = default_config(
        game="catcher", observation="state", rounding="truncate", game_parameters={"lives": 2}, settings=(0.1,)
    )
    env = game_task(config).make_env(game_task(config).schedule.settings[0], frame_limit=3).unwrapped
    assert (env.parameters["lives"], env.parameters["fall_speed"]) == (2, 0.1)
    env.reset(seed=0)
    heights = [env.game.state()[3]]
    for _ in range(3):
        env.step(2)
        heights.append(env.game.state()[3])
    assert np.diff(heights)[0] == 4  # 0.1 px/ms is 3.3 px a frame: above the screen truncation takes that to 4


@pytest.mark.parametrize("fixed", [False, True])
def test_looks(fixed: bool) -> None:
    task = game_task(default_config(game="flappy_bird", fixed_looks=fixed))
    env = task.make_env(task.schedule.settings[0], render_mode="rgb_array")
    skies = set()
    for seed in range(6):
        env.reset(seed=seed)
        skies.add(env.render()[2, 2].tobytes())
    assert len(skies) == (1 if fixed else 2)


def test_schedules() -> None:
    task = game_task(default_config(game="flappy_bird", vary="gravity", settings=(0.8, 1.2), cycles=2))
    assert task.parameter == "gravity"
    assert [dict(setting.parameters) for setting in task.schedule.settings] == [{"gravity": 0.8}, {"gravity": 1.2}]
    assert task.schedule.order == (0, 1, 0, 1)
