"""Nothing depends on what the program around has set in PyTorch, and that stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import dqn_mer
from dqn_mer import Config
from dqn_mer.config.agent_registry import AGENTS
from dqn_mer.networks.own_networks import build_own_network
from dqn_mer.networks.q_network import build_network, network_from_spec, network_spec, own_network_spec
from tests.helpers.own_envs import count_task, train_tiny

LENGTH: dict[str, Any] = {
    "frames": 40, "warmup_frames": 20, "frames_per_setting": 20, "eval_every": 20, "capacity": 50, "eval_episodes": 1,
    "eval_frame_limit": 5, "hidden_sizes": (8,), "eval_worker": False,
}  # fmt: skip


@pytest.fixture
def float64_by_default() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    assert torch.get_default_dtype() == torch.float64
    torch.set_default_dtype(before)


def weights_of(run_dir: Path, **fields: Any) -> str:
    """Train, and return the digest of the trained weights."""
    summary = dqn_mer.train(Config(run_dir=run_dir, **LENGTH, **fields)).summary
    return str(summary["weights_sha256"])


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the digests of the weights that each agent has with PyTorch as it is."""
    folder = tmp_path_factory.mktemp("plain")
    return {agent: weights_of(folder / agent, agent=agent, observation="state") for agent in AGENTS}


@pytest.mark.usefixtures("float64_by_default")
def test_a_network_of_your_own_is_of_float32_where_float64_is_the_default() -> None:
    network = build_own_network(lambda shape, actions: nn.Linear(*shape, actions), (3,), 2, None)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.fixture
def elsewhere_by_default() -> Iterator[None]:
    """Make a device the default on which nothing can be computed, as a GPU is none for what is on the CPU."""
    torch.set_default_device("meta")
    yield
    assert torch.empty(0).device.type == "meta"
    torch.set_default_device(None)


@pytest.mark.parametrize("default", ["float64_by_default", "elsewhere_by_default"])
@pytest.mark.parametrize("agent", AGENTS)
def test_a_run_is_the_same_where_another_type_or_device_is_the_default(
    agent: str, default: str, digests: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(default)
    assert weights_of(tmp_path / "run", agent=agent, observation="state") == digests[agent]
    loaded = dqn_mer.load_agent(tmp_path / "run")
    action, _ = loaded.predict(loaded.observation_space.sample())
    assert int(action) in range(int(loaded.action_space.n))
    assert dqn_mer.evaluate(tmp_path / "run", episodes=1, frame_limit=5)["settings"]


@pytest.mark.usefixtures("elsewhere_by_default")
def test_pixels_and_networks_of_your_own_are_learned_where_another_device_is_the_default(tmp_path: Path) -> None:
    assert weights_of(tmp_path / "pixels", observation="pixels", device="cpu", meter_every=10)
    train_tiny(count_task(network=lambda shape, actions: nn.Linear(*shape, actions)), tmp_path)
    outputs = torch.tensor([[1.0, 2.0]], device="cpu")
    assert dqn_mer.CrossEntropy().mean_gradient(outputs, torch.tensor([1], device="cpu")).isfinite().all()


def test_no_generator_of_a_gpu_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(seed: int) -> None:
        raise AssertionError("seeds the generators of all GPUs")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    build_network((3,), 2, (4,), seed=0)
    own = own_network_spec(network_spec((3,), 2, ()), lambda shape, actions: nn.Linear(*shape, actions), False, 0)
    network_from_spec(own)
