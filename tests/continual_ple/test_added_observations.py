"""Observations from outside the package: as environments, and what cannot be one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from continual_ple import (
    ENV_IDS,
    OBSERVATIONS,
    ArcadeEnv,
    FrameSkip,
    Game,
    Observation,
    register_game,
    register_observation,
)
from continual_ple.observations import ScaledState, sees_images
from tests.helpers.added import installed, nothing_left
from tests.helpers.falling_stone import Colour, FallingStone, StateStack
from tests.helpers.same_play import check_same_play


@pytest.fixture(autouse=True)
def taken_away() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.mark.parametrize("kind", [StateStack, Colour])
@pytest.mark.parametrize("game", ["catcher", "flappy_bird", "falling_stone"])
def test_a_registered_observation_obeys_gymnasium_in_every_game(kind: type[Observation], game: str) -> None:
    register_game(FallingStone)
    assert register_observation(kind) is kind
    check_env(gymnasium.make(ENV_IDS[game], observation=kind.name, render_mode="rgb_array").unwrapped)
    assert sees_images(kind.name) == kind.is_image and not sees_images("unknown")


def test_an_installed_observation_is_loaded_when_its_name_is_looked_up(tmp_path: Path) -> None:
    installed(tmp_path, {"colour": "tests.helpers.falling_stone:Colour"}, group="continual_ple.observations")
    assert list(OBSERVATIONS) == ["pixels", "state", "colour"]
    assert gymnasium.make("ContinualPLE/Catcher-v0", observation="colour").observation_space.shape == (3, 192, 192)


@pytest.mark.parametrize("kind", [StateStack, Colour])
def test_an_environment_resumes_exactly_with_an_added_observation(kind: type[Observation]) -> None:
    register_observation(kind)
    env, copy = (ArcadeEnv("catcher", observation=kind.name) for _ in range(2))
    env.reset(seed=4)
    for index in range(30):
        env.step(index % 9 % 2)
    saved = env.get_state()
    copy.set_state(json.loads(json.dumps(saved | {"frames": None})) | {"frames": saved["frames"]})
    check_same_play(env, copy, 200)


def test_a_stack_of_numbers_holds_the_last_frames_oldest_first() -> None:
    register_observation(StateStack)
    env = ArcadeEnv("catcher", observation="state_stack", frame_stack=3)
    seen = [env.reset(seed=0)[0].reshape(3, 4)]
    assert (seen[0] == env.game.state().astype(np.float32)).all()
    states = [seen[0][0]]
    for _ in range(5):
        seen.append(env.step(0)[0].reshape(3, 4))
        states.append(env.game.state().astype(np.float32))
    np.testing.assert_array_equal(seen[-1], states[-3:])


def test_only_the_last_frame_of_a_step_is_stacked_where_frames_are_skipped() -> None:
    register_observation(StateStack)
    plain = ArcadeEnv("catcher", observation="state_stack", frame_stack=1)
    skipping = FrameSkip(ArcadeEnv("catcher", observation="state_stack", frame_stack=3), 4)
    states = [plain.reset(seed=0)[0]] * 3
    np.testing.assert_array_equal(skipping.reset(seed=0)[0], np.concatenate(states))
    for _ in range(5):
        for _ in range(4):
            newest = plain.step(0)[0]
        states = [*states[1:], newest]
        np.testing.assert_array_equal(skipping.step(0)[0], np.concatenate(states))


@pytest.mark.parametrize(("kind", "is_image"), [(Colour, False), (StateStack, True), (ScaledState, True)])
def test_an_observation_that_no_network_fits_is_refused_in_one_line(kind: type[Observation], is_image: bool) -> None:
    register_observation(type("Bad", (kind,), {"name": "bad", "is_image": is_image}))
    with pytest.raises(ValueError, match=r"^Bad.space=Box.*: must be a Box of .*, since is_image=") as caught:
        ArcadeEnv("catcher", observation="bad")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("seen", "given"),
    [
        (np.zeros(2), r"float64 of shape \(2,\)"),
        (np.zeros((1, 2), np.float32), r"float32 of shape \(1, 2\)"),
        ([0.0, 0.0], "a list"),
    ],
)
def test_an_observation_that_is_not_of_its_space_is_one_line_at_the_first_reset(seen: object, given: str) -> None:
    class Wrong(ScaledState):
        name = "wrong"

        def __init__(self, game: Game, frame_stack: int) -> None:
            super().__init__(game, frame_stack)
            self.space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

        def observe(self) -> Any:
            return seen

    register_observation(Wrong)
    env = ArcadeEnv("catcher", observation="wrong")
    expected = rf"^Wrong.observe: must return float32 of shape \(2,\), as its space says, returned {given}$"
    with pytest.raises(ValueError, match=expected):
        env.reset(seed=0)
