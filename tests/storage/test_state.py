"""State of every part: what is handed out and taken back goes on bit for bit; what does not fit is one line."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import zstandard

from dqn_mer.agents.build import build_agent, build_exploration
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.memory import Memory, ReservoirMemory, Transition
from dqn_mer.config.agent_registry import AGENTS
from dqn_mer.config.config import Config
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.storage.state import SavedState, State, StateError

PIXELS, VECTOR = (2, 36, 36), (3,)


def make_agent(shape: tuple[int, ...], **choices: Any) -> DQNAgent:
    """Return a small agent and nothing of its environment."""
    values = {"hidden_sizes": (8,), "warmup_frames": 5, "target_sync_frames": 7, "capacity": 12, "learning_rate": 1e-3}
    config = Config(**{**values, "observation": "state" if len(shape) == 1 else "pixels", **choices})
    env = gymnasium.Env()
    kind = np.float32 if len(shape) == 1 else np.uint8
    env.observation_space, env.action_space = gymnasium.spaces.Box(0, 1, shape, kind), gymnasium.spaces.Discrete(2)
    return build_agent(config, env, spawn_streams(config.seed))


def feed(agent: DQNAgent, first: int, last: int) -> None:
    """Let an agent observe some made-up transitions, the same ones in each call."""
    shape = agent.memory.shape
    frames = np.random.default_rng(3).integers(0, 255, (100, *shape[-2:])).astype(np.uint8)
    vectors = np.random.default_rng(4).random((100, *shape)).astype(np.float32)
    for t in range(first, last):
        pair = (vectors[t], vectors[t + 1]) if len(shape) == 1 else (frames[t : t + 2], frames[t + 1 : t + 3])
        agent.observe(Transition(pair[0], t % 2, float(t % 3), pair[1], t % 10 == 9))


def same(one: Any, two: Any) -> bool:
    """Whether two states are equal bit for bit."""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[name], two[name]) for name in one)
    return np.array_equal(np.asarray(one), np.asarray(two))


OPTIONS: dict[str, dict[str, Any]] = {  # so that steps of an arm's own come before and after the state is saved
    "efficient-mer": {"reptile_every_updates": 4},
    "hare-tortoise": {"hare_reset_updates": 6, "tortoise_rate": 0.1},
}


@pytest.mark.parametrize("shape", [VECTOR, PIXELS])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adamw"])
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_goes_on_to_the_bit(agent: str, optimizer: str, shape: tuple[int, ...]) -> None:
    choices = {"agent": agent, "optimizer": optimizer, **OPTIONS.get(agent, {})}
    if optimizer == "adamw":
        choices |= {"optimizer": "adam", "weight_decay": 0.1, "layer_norm": True}
    whole = make_agent(shape, **choices)
    feed(whole, 0, 24)
    for stop in (3, 20):  # before the first update, and with the memory full
        first = make_agent(shape, **choices)
        feed(first, 0, stop)
        state = copy.deepcopy(first.get_state())
        second = make_agent(shape, **choices, seed=9)
        second.set_state(SavedState(state))
        assert same(second.get_state(), state)
        feed(second, stop, 24)
        assert same(second.get_state(), whole.get_state())
        assert second.memory.nbytes == whole.memory.nbytes


def test_exploration_goes_on_to_the_bit() -> None:
    first, second = (build_exploration(Config(), np.array([0.5, 0.5]), spawn_streams(seed)) for seed in (0, 1))
    first.random_action(3)
    second.set_state(SavedState(copy.deepcopy(first.get_state())))
    assert [first.random_action(3) for _ in range(20)] == [second.random_action(3) for _ in range(20)]


def swap(state: State, path: str, value: Any) -> None:
    """Put another value in the place of a field; None takes it away."""
    *folders, name = path.split(".")
    for folder in folders:
        state = state[folder]
    if value is None:
        del state[name]
    else:
        state[name] = value(state[name]) if callable(value) else value


HOSTILE: dict[str, tuple[str, Any]] = {
    "missing": ("memory.seen", None),
    "unknown": ("memory.extra", 1),
    "no object": ("memory", 3),
    "negative": ("frames", -1),
    "true": ("frames", True),
    "more updates than frames": ("updates", 21),
    "absurd count": ("memory.seen", 10**30),
    "not the rows": ("memory.seen", 5),
    "other shape": ("online", lambda kept: kept[:-1]),
    "other type": ("online", lambda kept: kept.double()),
    "no array": ("online", [1.0]),
    "not a number": ("target", lambda kept: kept * float("nan")),
    "moments of another network": ("replay.optimizer.exp_avg", np.zeros(3, np.float32)),
    "half an optimizer": ("replay.optimizer.exp_avg", None),
    "another's optimizer": ("replay.optimizer.square_avg", np.zeros(3, np.float32)),
    "no generator": ("rng", {}),
    "another generator": ("rng.bit_generator", "MT19937"),
    "generator out of range": ("rng.state.state", 2**200),
    "no such action": ("memory.actions", lambda kept: kept + 1),
    "infinite reward": ("memory.rewards", lambda kept: kept + np.float32("inf")),
    "dates from the future": ("memory.born", lambda kept: kept + 9),
    "no blocks": ("memory.store.blocks", lambda kept: kept[:0]),
    "empty blocks": ("memory.store.lengths", lambda kept: kept * 0),
    "negative lengths": ("memory.store.lengths", lambda kept: -kept),
    "blocks that are no zstd": ("memory.store.blocks", lambda kept: kept ^ 255),
}


@pytest.mark.parametrize(("path", "value"), HOSTILE.values(), ids=HOSTILE)
def test_what_does_not_fit_is_one_line_that_names_the_field(path: str, value: Any) -> None:
    agent = make_agent(PIXELS)
    feed(agent, 0, 20)
    state = copy.deepcopy(agent.get_state())
    swap(state, path, value)
    with pytest.raises(StateError, match=rf"^state\.{path.split('.')[0]}") as caught:
        make_agent(PIXELS).set_state(SavedState(state))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raw_bytes", [1, 10**9])
def test_a_block_cannot_unpack_to_more_than_its_frames(raw_bytes: int) -> None:
    def bomb(memory: Memory) -> State:
        block = zstandard.ZstdCompressor().compress(bytes(raw_bytes))
        lengths = np.array([len(block)], np.int64)
        return {**memory.get_state()["store"], "lengths": lengths, "blocks": np.frombuffer(block, np.uint8)}

    memory = ReservoirMemory(4, PIXELS, np.dtype(np.uint8), np.random.default_rng(0))
    memory.add(Transition(np.zeros(PIXELS, np.uint8), 0, 0.0, np.zeros(PIXELS, np.uint8), False))
    state = {**copy.deepcopy(memory.get_state()), "store": bomb(memory)}
    empty = ReservoirMemory(4, PIXELS, np.dtype(np.uint8), np.random.default_rng(0))
    with pytest.raises(StateError, match=r"store\.(blocks|lengths)"):
        empty.set_state(SavedState(state))


def test_no_bytes_are_read_before_the_shape_is_right() -> None:
    class Stored:
        dtype, shape = np.dtype(np.float32), (2**40,)

        def load(self) -> Any:
            raise AssertionError("read")

    with (
        pytest.raises(StateError, match=r"must be float32 of shape \(3,\), is float32 of shape"),
        SavedState({"a": Stored()}) as saved,
    ):
        saved.array("a", np.float32, (3,))


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda saved: saved.number("a", 0, 1), 2.0),
        (lambda saved: saved.number("a"), float("nan")),
        (lambda saved: saved.number("a"), "1"),
        (lambda saved: saved.numbers("a"), [1, "b"]),
        (lambda saved: saved.numbers("a"), [float("inf")]),
        (lambda saved: saved.plain("a"), {"b": [1e300]}),
        (lambda saved: saved.plain("a"), {"b": np.zeros(2**20 + 1, np.uint8)}),
    ],
)
def test_values_out_of_range(read: Callable[[SavedState], Any], value: Any) -> None:
    with pytest.raises(StateError, match=r"^state\.a"):
        read(SavedState({"a": value}))
