"""Draws and values made an update ahead are those that would have been made in their turn."""

from __future__ import annotations

import copy
import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from dqn_mer.agents import draws
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.draws import Draws, DrawsAhead, DrawsAlone, pays_ahead
from dqn_mer.agents.memory import ReservoirMemory, Transition
from dqn_mer.config.groups import DQNParameters
from dqn_mer.mer import Examples
from dqn_mer.networks.device import denormals_are_zero, processor
from dqn_mer.networks.q_network import build_network
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState, State
from tests.helpers.closeness import check_same
from tests.helpers.mer_problems import with_dtype

SHAPE = (4, 84, 84)
SYNC, WARMUP, LAST = 5, 3, 15


class Nudging:
    """A replay step that notes its examples and moves every weight, so that stale values of a target would show."""

    num_draws = 6

    def __init__(self, weights: FlatWeights) -> None:
        self.weights = weights
        self.seen: list[Examples] = []

    def update(self, examples: Examples) -> None:
        self.seen.append(examples)
        self.weights.load(self.weights.vector * 1.1)

    def get_state(self) -> State:
        return {}

    def set_state(self, saved: object) -> None:
        pass


def make_agent(double_q: bool = False, dtype: torch.dtype = torch.float32, **more: Any) -> DQNAgent:
    online, target = (FlatWeights(with_dtype(build_network(SHAPE, 3, (512,), 0), dtype)) for _ in range(2))
    memory = ReservoirMemory(8, SHAPE, np.dtype(np.uint8), np.random.default_rng(0))
    settings = DQNParameters(
        discount=0.9, target_sync_frames=SYNC, warmup_frames=WARMUP, double_q=double_q, freeze_after_frames=LAST, **more
    )
    return DQNAgent(online, target, Nudging(online), memory, np.random.default_rng(1), settings)


def transitions() -> list[Transition]:
    frames = np.random.default_rng(2).integers(0, 256, (24, *SHAPE[1:]), np.uint8)
    return [Transition(frames[n : n + 4], n % 3, float(n), frames[n + 1 : n + 5], n % 7 == 0) for n in range(19)]


def in_turn(agent: DQNAgent) -> None:
    """Have an agent make its draws when it takes them."""
    agent.draws = Draws(agent.memory, agent.replay.num_draws, agent.draws.rng, agent.target)


def examples_of(agent: DQNAgent, stream: list[Transition]) -> list[Examples]:
    for transition in stream:
        agent.observe(transition)
    assert isinstance(agent.replay, Nudging)
    return agent.replay.seen


@pytest.mark.parametrize("double_q", [False, True])
def test_examples_are_those_made_in_their_turn(double_q: bool) -> None:
    agent, plain = (make_agent(double_q, torch.float64) for _ in range(2))  # a batch is rounded as its size says
    assert type(agent.draws) is DrawsAhead
    in_turn(plain)
    ours, theirs = (examples_of(each, transitions()) for each in (agent, plain))
    assert len(ours) == len(theirs) == LAST - WARMUP
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine[0], other[0])
        assert torch.equal(mine[1], other[1])
        check_same(mine[2], other[2])
    assert agent.draws.rng_state == plain.draws.rng_state


def test_the_pools_thread_computes_as_the_thread_that_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone it has as many OpenMP threads as there are cores, or as OMP_NUM_THREADS says."""
    monkeypatch.setattr(draws, "usable_cores", lambda: 8)
    for threads, flushed in ((1, True), (2, False), (2, True)):
        with processor(threads):
            torch.set_flush_denormal(flushed)
            agent = make_agent()
            examples_of(agent, transitions()[: WARMUP + 2])
            pool = agent.draws._pool
            assert pool.submit(arithmetic).result() == arithmetic() == (threads, threads, flushed)


def arithmetic() -> tuple[int, int, bool]:
    """Return OpenMP's threads, PyTorch's (asked last, since that sets OpenMP's) and whether denormals are zero."""
    libraries = [info for info in threadpool_info() if info["user_api"] == "openmp"]  # other packages may bring theirs
    own = [info for info in libraries if Path(torch.__file__).parent in Path(info["filepath"]).parents] or libraries
    return own[0]["num_threads"], torch.get_num_threads(), denormals_are_zero()


@pytest.mark.parametrize(
    ("more", "updates"),
    [
        ({"updates_per_frame": 3}, 36),
        ({"update_every": 4}, 3),  # 4, 8, 12
        ({"update_every": 2, "updates_per_frame": 2}, 12),  # 4, 6, 8, 10, 12, 14
        ({"target_sync_frames": None, "target_sync_episodes": 1}, 12),
        ({"clip_rewards": True, "updates_per_frame": 2}, 24),
    ],
)
def test_examples_are_those_made_in_their_turn_however_often_and_rarely_there_are_updates(
    more: dict[str, Any], updates: int
) -> None:
    agent, plain = (make_agent(dtype=torch.float64) for _ in range(2))
    for each in (agent, plain):
        each.parameters = dataclasses.replace(each.parameters, **more)
    assert type(agent.draws) is DrawsAhead
    in_turn(plain)
    ours, theirs = (examples_of(each, transitions()) for each in (agent, plain))
    assert len(ours) == len(theirs) == updates
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine[0], other[0])
        check_same(mine[2], other[2])
    assert agent.draws.rng_state == plain.draws.rng_state
    assert agent.target_syncs == plain.target_syncs > 0


def test_draws_are_made_ahead_only_if_the_next_step_learns_however_long_it_is() -> None:
    agent = make_agent(frame_skip=3, update_every=4)
    waiting = []
    for transition, frames in zip(transitions(), (3, 1, 3, 2, 3, 2), strict=False):
        agent.observe(transition, frames=frames)
        waiting.append((agent.frames, agent.draws._waiting is not None))
    # A step from 7 reaches 8 however long it is, one from 11 reaches 12; from 14 it may end beyond the last, 15
    assert waiting == [(3, True), (4, False), (7, True), (9, False), (12, False), (14, False)]
    assert agent.updates == 3  # on the steps that reached 4, 8 and 12


def test_with_no_newest_transition_nothing_can_be_drawn_ahead() -> None:
    assert type(make_agent(newest=False).draws) is DrawsAlone


def test_an_agent_that_draws_nothing_learns_the_newest_transition_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Nudging, "num_draws", 0)
    stream = transitions()
    seen = examples_of(make_agent(), stream)
    assert [len(observations) for observations, *_ in seen] == [1] * (LAST - WARMUP)
    assert all(
        np.array_equal(observations[0], transition.observation)
        for (observations, *_), transition in zip(seen, stream[WARMUP:LAST], strict=True)
    )


def test_a_resumed_agent_has_draws_waiting_as_it_had() -> None:
    """Made in their turn, the targets of the first update would be rounded as one batch with the newest's."""
    stream, whole, resumed = transitions(), make_agent(), make_agent()
    examples_of(whole, stream[: SYNC + 1])
    resumed.set_state(SavedState(copy.deepcopy(whole.get_state())))
    assert whole.draws.rng_state == resumed.draws.rng_state
    state = whole.draws.rng.bit_generator.state
    assert resumed.draws.rng.bit_generator.state == state != whole.draws.rng_state


def test_one_core_gives_the_same_bits_as_two(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, threads = [], []
    for cores in (torch.get_num_threads() + 1, 1):
        monkeypatch.setattr(draws, "usable_cores", lambda cores=cores: cores)
        agent = make_agent()
        runs.append(examples_of(agent, transitions()))
        threads.append(sum(thread.name.startswith("targets") for thread in threading.enumerate()))
        del agent
    assert threads[0] >= 1
    for mine, other in zip(*runs, strict=True):
        assert all(torch.equal(*parts) for parts in zip(mine, other, strict=True))


@pytest.mark.parametrize("frames", [WARMUP, SYNC - 1, SYNC, LAST])
def test_a_saved_agent_goes_on_to_the_same_bits(frames: int) -> None:
    stream, whole, resumed = transitions(), make_agent(), make_agent()
    examples_of(whole, stream[:frames])
    resumed.set_state(SavedState(copy.deepcopy(whole.get_state())))
    before = len(examples_of(whole, []))
    rest, again = examples_of(whole, stream[frames:])[before:], examples_of(resumed, stream[frames:])
    assert len(rest) == len(again) == LAST - max(frames, WARMUP)
    for mine, other in zip(again, rest, strict=True):
        assert all(torch.equal(*parts) for parts in zip(mine, other, strict=True))


def test_draws_that_were_not_prepared_are_made_when_they_are_taken() -> None:
    agent = make_agent()
    (newest,) = transitions()[:1]
    batch, next_q = agent.draws.take(newest)
    assert len(batch.actions) == len(next_q) == 1  # the memory is empty
    agent.memory.add(newest)
    agent.draws.prepare(sure=False)
    assert agent.draws.rng_state == agent.draws.rng.bit_generator.state
    batch, next_q = agent.draws.take(newest)
    assert len(batch.actions) == len(next_q) == 1 + Nudging.num_draws


def test_preparing_twice_draws_once() -> None:
    agent = make_agent()
    for transition in transitions()[:2]:
        agent.memory.add(transition)
    agent.draws.prepare(sure=True)
    before, after = agent.draws.rng_state, copy.deepcopy(agent.draws.rng.bit_generator.state)
    agent.draws.prepare(sure=True)
    assert agent.draws.rng_state is before and agent.draws.rng.bit_generator.state == after != before


def test_small_networks_do_not_pay() -> None:
    assert not pays_ahead(FlatWeights(build_network((8,), 2, (128, 128), 0)))
    assert pays_ahead(FlatWeights(build_network(SHAPE, 2, (512,), 0)))
