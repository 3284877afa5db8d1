"""What an agent gets of any environment: arrays of its own, scaled by their Box, and plain numbers."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from continual_ple import saved_state
from continual_ple.classic_control import FIELDS
from continual_ple.learnable import Learnable
from continual_ple.own import own_name
from tests.helpers.own_envs import Count, ForgetsItsDraws, KeepsAnObject, WithState


def learnable(low: float, high: float, shape: tuple[int, ...], dtype: type, own_shape: bool = False) -> Learnable:
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    return Learnable(Count(box=spaces.Box(low, high, shape, dtype), show=lambda _: values.astype(dtype)), own_shape)


@pytest.mark.parametrize(
    ("low", "high", "shape", "dtype", "seen", "seen_dtype", "scale"),
    [
        (-np.inf, np.inf, (3,), np.float64, (3,), np.float32, 1),
        (0, 255, (3,), np.uint8, (3,), np.float32, 1),
        (0, 7, (3,), np.int16, (3,), np.float32, 1),
        (-np.inf, np.inf, (), np.float32, (1,), np.float32, 1),
        (0, 255, (3, 40, 41), np.uint8, (3, 40, 41), np.uint8, 1),
        (0, 255, (40, 41, 3), np.uint8, (3, 40, 41), np.uint8, 1),
        (0, 255, (40, 41), np.uint8, (1, 40, 41), np.uint8, 1),
        (0, 100, (40, 41), np.uint8, (1, 40, 41), np.float32, 100),
        (0, 255, (40, 41, 3), np.float32, (3, 40, 41), np.float32, 255),
        (0, 1, (40, 41, 3), np.float32, (3, 40, 41), np.float32, 1),
        (0, 10**6, (36, 36, 36), np.int64, (36, 36, 36), np.float32, 10**6),
        (0, 255, (7, 6, 3), np.uint8, (126,), np.float32, 255),
        (-np.inf, np.inf, (40, 41), np.float32, (1640,), np.float32, 1),
        (-np.finfo(np.float32).max, np.finfo(np.float32).max, (4, 5), np.float32, (20,), np.float32, 1),
        (0, 40, (35, 90), np.float64, (3150,), np.float32, 40),
    ],
)
def test_what_is_seen_of_each_box(
    low: float, high: float, shape: tuple[int, ...], dtype: type, seen: tuple[int, ...], seen_dtype: type, scale: float
) -> None:
    env = learnable(low, high, shape, dtype)
    observation, _ = env.reset()
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    if len(shape) == 3 and seen[0] == 3:
        values = values if shape[0] == 3 else values.transpose(2, 0, 1)
    expected = (values / scale).astype(seen_dtype).reshape(seen)
    np.testing.assert_array_equal(observation, expected)
    assert observation.dtype == seen_dtype and observation.flags.c_contiguous
    assert env.observation_space.contains(observation)
    assert env.step(0)[0] is not observation


def test_bounds_may_differ_and_be_below_zero_and_numbers_leave_them() -> None:
    low, high = np.array([[-1.0, 0.0], [5.0, 2.0]]), np.array([[1.0, 10.0], [5.0, 4.0]])
    shown = np.array([[0.0, 20.0], [6.0, 2.5]])
    env = Learnable(Count(box=spaces.Box(low, high, dtype=np.float64), show=lambda _: shown))
    np.testing.assert_allclose(env.reset()[0], [0.5, 2.0, 1.0, 0.25])


def test_a_network_of_ones_own_gets_the_environments_own_shape() -> None:
    for shape in ((40, 41, 3), (2, 3, 4, 5), (7, 6, 3)):
        env = learnable(0, 255, shape, np.uint8, own_shape=True)
        assert env.reset()[0].shape == shape and env.observation_space.dtype == np.uint8
    assert learnable(0, 255, (9,), np.uint8, own_shape=True).observation_space.dtype == np.float32
    unbounded = learnable(-np.inf, np.inf, (3, 40, 40), np.float64, own_shape=True)
    assert unbounded.reset()[0].shape == (3, 40, 40) and unbounded.reset()[0].max() == 4799


def test_names_are_safe_for_folders_and_titles() -> None:
    class Maker:
        def __call__(self) -> Count:
            return Count()

    names = [own_name(make) for make in ("a/b:c/../D-v0", "..", Count, Maker(), lambda: Count(), "x" * 500)]
    assert names == ["c-..-D-v0", "own-environment", "Count", "Maker", "own-environment", "x" * 60]


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1"])
def test_classic_control_resumes_exactly(env_id: str) -> None:
    first, second = gymnasium.make(env_id), gymnasium.make(env_id)
    assert saved_state.has_state(first) and type(first.unwrapped) in FIELDS
    rng = np.random.default_rng(0)
    first.reset(seed=1)
    for _ in range(5):
        first.step(int(rng.integers(2)))
    second.reset(seed=9)
    saved_state.set_state(second, saved_state.get_state(first))
    for _ in range(300):
        action = int(rng.integers(2))
        (seen, *rest, _), (again, *same, _) = first.step(action), second.step(action)
        np.testing.assert_array_equal(seen, again)
        assert rest == same
        if rest[1] or rest[2]:
            np.testing.assert_array_equal(first.reset()[0], second.reset()[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", np.zeros(3)),
        ("state", np.full(4, np.nan)),
        ("state", np.zeros(4, int)),
        ("beyond", -1),
        ("beyond", "x"),
    ],
)
def test_a_state_that_no_classic_control_can_have_is_refused(field: str, value: object) -> None:
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=0)
    state = saved_state.get_state(env)
    (inner,) = (name for name in state if "CartPole" in name)
    with pytest.raises(ValueError, match="environment: not a state of "):
        saved_state.set_state(env, state | {inner: state[inner] | {field: value}})


def test_only_both_methods_together_are_a_state() -> None:
    class OnlySet(Count):
        def set_state(self, position: float, velocity: float) -> None:
            """As MuJoCo's environments have it."""

    class OnlyGet(Count):
        def get_state(self) -> np.ndarray:
            return np.zeros(3)

    for kind in (OnlySet, OnlyGet, Count):
        assert saved_state.without_state(Learnable(kind())) == [kind.__name__]
    for kind in (WithState, ForgetsItsDraws, KeepsAnObject):
        assert saved_state.has_state(gymnasium.wrappers.FlattenObservation(kind()))
