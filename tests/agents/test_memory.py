"""Memories: what is kept, with what probability, and read back exactly."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import continual_ple  # noqa: F401 - imported for its effect: it registers the games with Gymnasium
from dqn_mer.agents.memory import FifoMemory, Memory, ReservoirMemory, Transition, largest_bytes
from dqn_mer.storage.state import SavedState
from tests.helpers.profiles import tries

FLOAT = np.dtype(np.float32)
BYTE = np.dtype(np.uint8)


def vector_transition(number: int, terminated: bool = False) -> Transition:
    return Transition(
        np.full(3, number, np.float32), number % 2, float(number), np.full(3, number + 0.5, np.float32), terminated
    )


def filled(memory: Memory, count: int) -> Memory:
    for number in range(1, count + 1):
        memory.add(vector_transition(number, terminated=number % 5 == 0))
    return memory


def test_fifo_keeps_the_last_ones() -> None:
    memory = filled(FifoMemory(4, (3,), FLOAT), 6)
    assert len(memory) == 4
    assert sorted(memory.rewards) == [3, 4, 5, 6]
    assert sorted(memory.ages()) == [0, 1, 2, 3]


def test_newest_is_in_row_zero_and_draws_are_whole_transitions() -> None:
    memory = filled(FifoMemory(10, (3,), FLOAT), 10)
    batch = memory.sample(200, np.random.default_rng(0), vector_transition(77, True))
    assert batch.rewards[0] == 77 and batch.terminated[0]
    assert set(batch.rewards[1:]) == set(range(1, 11))
    np.testing.assert_array_equal(batch.observations[:, 0], batch.rewards)
    np.testing.assert_array_equal(batch.next_observations[:, 0], batch.rewards + 0.5)
    np.testing.assert_array_equal(batch.actions, batch.rewards.astype(int) % 2)
    np.testing.assert_array_equal(batch.terminated[1:], batch.rewards[1:] % 5 == 0)
    assert [part.dtype for part in batch] == [np.float32, np.int64, np.float32, np.float32, np.bool_]


def test_empty_memory_gives_the_newest_alone_and_refuses_draws() -> None:
    memory = FifoMemory(4, (3,), FLOAT)
    assert len(memory.sample(0, np.random.default_rng(0), vector_transition(1)).rewards) == 1
    with pytest.raises(ValueError, match="draws=2: must be 0 while the memory is empty"):
        memory.sample(2, np.random.default_rng(0), vector_transition(1))


def test_capacity_one_and_below() -> None:
    memory = filled(ReservoirMemory(1, (3,), FLOAT, np.random.default_rng(0)), 50)
    assert len(memory) == 1
    assert memory.sample(3, np.random.default_rng(0), vector_transition(99)).rewards[1] == memory.rewards[0]
    with pytest.raises(ValueError, match="capacity=0: must be at least 1"):
        FifoMemory(0, (3,), FLOAT)


def test_every_transition_is_kept_with_probability_capacity_over_n() -> None:
    capacity, seen, trials = 5, 20, 4_000
    kept = np.zeros(seen + 1)
    for trial in range(trials):
        memory = ReservoirMemory(capacity, (1,), BYTE, np.random.default_rng(trial))
        for number in range(1, seen + 1):
            memory.add(Transition(np.zeros(1, np.uint8), 0, float(number), np.zeros(1, np.uint8), False))
        kept[memory.rewards.astype(int)] += 1
    expected = trials * capacity / seen
    sigma = np.sqrt(expected * (1 - capacity / seen))
    assert np.abs(kept[1:] - expected).max() < 4.5 * sigma
    chi_square = ((kept[1:] - expected) ** 2 / (expected * (1 - capacity / seen))).sum()
    assert chi_square < 45  # 19 degrees of freedom: 1 in 1,000 lies above 44


def test_reservoir_dates_are_those_of_what_is_kept() -> None:
    memory = filled(ReservoirMemory(8, (3,), FLOAT, np.random.default_rng(2)), 100)
    np.testing.assert_array_equal(memory.born, memory.rewards.astype(int))
    np.testing.assert_array_equal(memory.ages(), 100 - memory.rewards)


def frames(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 256, (count, 6, 5), dtype=np.uint8)


@tries(30)
@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_stacked_frames_come_back_to_the_byte(capacity: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    memory = ReservoirMemory(capacity, (4, 6, 5), BYTE, np.random.default_rng(seed))
    pairs = {}
    stack = frames(rng, 4)
    for number in range(1, count + 1):
        following = np.concatenate([stack[1:], frames(rng, 1)])
        pairs[number] = (stack, following)
        memory.add(Transition(stack, 0, float(number), following, False))
        stack = frames(rng, 4) if rng.random() < 0.2 else following
    batch = memory.sample(30, rng, Transition(*pairs[count][:1], 0, float(count), pairs[count][1], False))
    for row, number in enumerate(batch.rewards.astype(int)):
        np.testing.assert_array_equal(batch.observations[row], pairs[number][0])
        np.testing.assert_array_equal(batch.next_observations[row], pairs[number][1])


@pytest.mark.parametrize(("shape", "dtype"), [((4, 6, 5), BYTE), ((3, 6, 5), FLOAT), ((1, 6, 5), BYTE)])
def test_images_that_are_no_moving_stack_come_back_as_they_were_and_after_a_save(
    shape: tuple[int, ...], dtype: np.dtype
) -> None:
    rng = np.random.default_rng(0)
    pairs = [(rng.random((2, *shape)) * 255).astype(dtype) for _ in range(5)]
    pairs[2][1, :-1] = pairs[2][0, 1:]  # one moves on by a frame
    memory, again = FifoMemory(5, shape, dtype), FifoMemory(5, shape, dtype)
    for before, after in pairs:
        memory.add(Transition(before, 0, 0.0, after, False))
    again.set_state(SavedState(memory.get_state()))
    for each in (memory, again):
        batch = each.read(np.arange(5))
        np.testing.assert_array_equal(batch.observations, [before for before, _ in pairs])
        np.testing.assert_array_equal(batch.next_observations, [after for _, after in pairs])
    assert memory.nbytes <= largest_bytes(5, shape, dtype)


@pytest.mark.parametrize("shape", [(3,), (3, 6, 5)])
@pytest.mark.parametrize("given", [np.float64, np.float16, np.int64])
def test_numbers_of_another_dtype_are_kept_as_those_of_the_memory(shape: tuple[int, ...], given: type) -> None:
    before, after = (np.arange(np.prod(shape)).reshape(shape).astype(given) + number for number in (0, 1))
    memory = FifoMemory(1, shape, FLOAT)
    memory.add(Transition(before, 0, 0.0, after, False))
    batch = memory.read(np.zeros(1, np.int64))
    assert batch.observations.dtype == batch.next_observations.dtype == FLOAT
    np.testing.assert_array_equal(batch.observations[0], before)
    np.testing.assert_array_equal(batch.next_observations[0], after)


@pytest.mark.parametrize("shape", [(3,), (3, 6, 5)])
def test_a_dtype_may_be_given_as_a_type(shape: tuple[int, ...]) -> None:
    memory, again = (FifoMemory(2, shape, np.uint8) for _ in range(2))
    memory.add(Transition(np.ones(shape, np.uint8), 0, 0.0, np.zeros(shape, np.uint8), False))
    again.set_state(SavedState(memory.get_state()))
    assert again.dtype == BYTE and again.read(np.zeros(1, np.int64)).observations.all()


def test_size_of_vectors_is_known_before() -> None:
    memory = FifoMemory(7, (3,), FLOAT)
    columns = (memory.actions, memory.rewards, memory.terminated, memory.born)
    assert largest_bytes(7, (3,), FLOAT) == memory.nbytes == 7 * 2 * 3 * 4 + sum(column.nbytes for column in columns)


def test_size_of_frames_follows_what_is_kept_and_noise_stays_within_the_bound() -> None:
    memory = FifoMemory(3, (4, 60, 50), BYTE)
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 256, (4, 60, 50), dtype=np.uint8)
    for _ in range(7):
        following = np.concatenate([stack[1:], rng.integers(0, 256, (1, 60, 50), dtype=np.uint8)])
        memory.add(Transition(stack, 0, 0.0, following, False))
        stack = following
    kept = sum(len(block) for block in memory.store.blocks) + 60 * 50  # and one example
    assert kept > 3 * 5 * 60 * 50
    assert memory.nbytes == kept + 3 * (8 + 33 + 8 + 4 + 1 + 8) <= largest_bytes(3, (4, 60, 50), BYTE, moving=True)


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("count", [30, 75, 76, 100, 260])
def test_frames_come_back_whether_or_not_examples_helped_to_compress_them_and_after_a_save(
    count: int, older: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    places = rng.integers(0, 256, (8, 60, 50), dtype=np.uint8)
    stacks = [places[rng.integers(0, 8, 4)] for _ in range(count + 60)]
    memory, again = FifoMemory(120, (4, 60, 50), BYTE), FifoMemory(120, (4, 60, 50), BYTE)
    with monkeypatch.context() as without:
        if older:  # a version that took no examples
            without.setattr("dqn_mer.agents.stores.EXAMPLE_SLOTS", ())
        for stack in stacks[:count]:
            memory.add(Transition(stack, 0, 0.0, places[:4], False))
        state = memory.get_state()
    if older:
        del state["store"]["examples"]
    again.set_state(SavedState(state))
    for each in (again,) if older else (memory, again):
        for stack in stacks[count:]:
            each.add(Transition(stack, 0, 0.0, places[:4], False))
        batch = each.read(np.argsort(each.born[: len(each)]))
        np.testing.assert_array_equal(batch.observations, stacks[-len(each) :])
    assert older or again.store.blocks == memory.store.blocks


def test_frames_that_look_like_the_examples_take_less() -> None:
    rng = np.random.default_rng(0)
    places = rng.integers(0, 256, (8, 60, 50), dtype=np.uint8)
    memory = FifoMemory(200, (4, 60, 50), BYTE)
    for _ in range(200):
        memory.add(Transition(places[rng.integers(0, 8, 4)], 0, 0.0, places[:4], False))
    sizes = [len(block) for block in memory.store.blocks]
    assert np.mean(sizes[76:]) < 0.8 * np.mean(sizes[:76])


def test_fifty_thousand_transitions_of_play_fit_into_125_megabytes() -> None:
    for game in ("Catcher", "FlappyBird"):
        env = gymnasium.make(f"ContinualPLE/{game}-v0")
        env.action_space.seed(0)
        memory = FifoMemory(300, (4, 84, 84), BYTE)
        observation, _ = env.reset(seed=0)
        for _ in range(300):
            following, _, terminated, truncated, _ = env.step(env.action_space.sample())
            memory.add(Transition(observation, 0, 0.0, following, terminated))
            observation = env.reset()[0] if terminated or truncated else following
        assert memory.nbytes / 300 * 50_000 < 125e6
        env.close()
