"""The reservoir's slot rule, and the two memories that share it."""

import numpy as np
import pytest

from dqn_mer.agents.memory import ReservoirMemory, Transition
from dqn_mer.reservoir import ReservoirSlots
from dqn_mer.storage.state import SavedState, StateError
from dqn_mer.supervised.memory import ExampleMemory


def example(number: int) -> tuple[np.ndarray, np.int64]:
    return np.full(3, number, np.float32), np.int64(number)


def test_every_item_is_kept_with_probability_capacity_over_count() -> None:
    capacity, count, trials = 5, 20, 4_000
    kept = np.zeros(count)
    slots = ReservoirSlots(capacity, np.random.default_rng(0))
    for _ in range(trials):
        held = {}
        for number in range(1, count + 1):
            slot = slots.slot_for(number)
            if slot is not None:
                held[slot] = number - 1
        kept[list(held.values())] += 1
    expected = trials * capacity / count
    spread = np.sqrt(expected * (1 - capacity / count))
    assert (abs(kept - expected) < 4 * spread).all()


def test_both_memories_keep_the_same_of_equal_generators() -> None:
    transitions = ReservoirMemory(4, (3,), np.dtype(np.float32), np.random.default_rng(7))
    examples = ExampleMemory(4, example(0), np.random.default_rng(7))
    for number in range(1, 40):
        inputs, label = example(number)
        transitions.add(Transition(inputs, int(label), 0.0, inputs, False))
        examples.add((inputs, label))
    assert transitions.actions.tolist() == examples.columns[1].tolist()
    assert len(set(examples.columns[1].tolist())) == 4


def test_examples_of_any_columns_are_kept_once_and_whole() -> None:
    like = (np.zeros((2, 2), np.uint8), np.float64(0), np.array([True, False]))
    memory = ExampleMemory(3, like, np.random.default_rng(0))
    for number in range(3):
        memory.add((np.full((2, 2), number), number / 2, [number == 1, True]))
    assert memory.nbytes == 3 * (4 + 8 + 2)
    newest = (np.full((2, 2), 9), 4.5, [True, True])
    images, numbers, flags = memory.sample(50, np.random.default_rng(1), newest)
    assert (images[0] == 9).all() and numbers[0] == 4.5 and flags[0].tolist() == [True, True]
    assert set(numbers[1:].tolist()) == {0.0, 0.5, 1.0}
    assert (images[1:].reshape(50, 4) == (2 * numbers[1:, None])).all()
    assert (flags[1:, 0] == (numbers[1:] == 0.5)).all()


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ((np.zeros(1), 0), r"example\[0\]: must be float32 of shape \(3,\), is float64 of shape \(1,\)"),
        ((np.zeros(3), 0.5), r"example\[1\]: must be int64 of shape \(\), is float64 of shape \(\)"),
        ((np.zeros(3), "1"), r"example\[1\]: must be int64 of shape \(\), is <U1 of shape \(\)"),
        ((np.zeros(3),), "example: must have 2 parts, has 1"),
    ],
)
def test_an_example_of_another_kind_is_not_made_to_fit(wrong: tuple[object, ...], complaint: str) -> None:
    memory = ExampleMemory(3, example(0), np.random.default_rng(0))
    memory.add(example(1))
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        memory.add(wrong)
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        memory.sample(1, np.random.default_rng(0), wrong)
    assert memory.seen == 1


@pytest.mark.parametrize(("label", "kept"), [(255, True), (256, False), (-1, False), (True, True)])
def test_a_whole_number_that_another_dtype_would_change_is_refused(label: int, kept: bool) -> None:
    memory = ExampleMemory(3, (np.zeros(2), np.uint8(0)), np.random.default_rng(0))
    if kept:
        memory.add((np.zeros(2), label))
        assert memory.columns[1][0] == label
        return
    with pytest.raises(ValueError, match=r"^example\[1\]: must be uint8 of shape \(\), is int64 of shape \(\)$"):
        memory.add((np.zeros(2), label))


def test_an_empty_memory_gives_the_newest_alone() -> None:
    memory = ExampleMemory(3, example(0), np.random.default_rng(0))
    assert [len(column) for column in memory.sample(0, np.random.default_rng(0), example(5))] == [1, 1]
    with pytest.raises(ValueError, match="draws=2: must be 0 while the memory is empty"):
        memory.sample(2, np.random.default_rng(0), example(5))


def test_capacity_below_1_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity=0: must be at least 1"):
        ExampleMemory(0, example(0), np.random.default_rng(0))


def test_a_resumed_memory_keeps_what_the_first_would_have() -> None:
    first = ExampleMemory(4, example(0), np.random.default_rng(7))
    for number in range(10):
        first.add(example(number))
    second = ExampleMemory(4, example(0), np.random.default_rng(99))
    second.set_state(SavedState(first.get_state()))
    for number in range(10, 40):
        first.add(example(number))
        second.add(example(number))
    assert first.columns[1].tolist() == second.columns[1].tolist()
    assert (first.columns[0] == second.columns[0]).all()


def test_a_state_of_other_columns_is_refused() -> None:
    first = ExampleMemory(4, example(0), np.random.default_rng(7))
    first.add(example(1))
    other = ExampleMemory(4, (np.zeros(2, np.float32), np.int64(0)), np.random.default_rng(7))
    with pytest.raises(StateError, match=r"columns\.0: must be float32 of shape \(1, 2\)"):
        other.set_state(SavedState(first.get_state()))
