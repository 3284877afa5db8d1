"""The environments as Gymnasium and their users see them."""

import json
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from continual_ple import ENV_IDS, ArcadeEnv
from continual_ple.env_ids import MAX_EPISODE_FRAMES
from tests.helpers.same_play import check_same_play

EACH_ID = pytest.mark.parametrize("env_id", ENV_IDS.values())
EACH_OBSERVATION = pytest.mark.parametrize("observation", ["pixels", "state"])
EACH_GAME = pytest.mark.parametrize("game", ENV_IDS)


def trace(env: gymnasium.Env[Any, Any], steps: int, seed: int | None = None) -> list[Any]:
    """Play random actions over several episodes and return all that is to be seen."""
    random = np.random.default_rng(99)
    observation, info = env.reset(seed=seed)
    seen: list[Any] = [(observation.tobytes(), info)]
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(random.integers(2))
        seen.append((observation.tobytes(), reward, terminated, truncated, info))
        if terminated or truncated:
            observation, info = env.reset()
            seen.append((observation.tobytes(), info))
    return seen


@EACH_ID
@EACH_OBSERVATION
def test_obeys_gymnasium(env_id: str, observation: str) -> None:
    check_env(gymnasium.make(env_id, observation=observation, render_mode="rgb_array").unwrapped)


@EACH_ID
def test_has_the_stock_frame_limit(env_id: str) -> None:
    env = gymnasium.make(env_id, observation="state")
    assert env.spec is not None and env.spec.max_episode_steps == MAX_EPISODE_FRAMES
    with pytest.raises(ResetNeeded):
        env.unwrapped.step(0)


@EACH_ID
@EACH_OBSERVATION
def test_a_seed_fixes_this_and_all_later_episodes(env_id: str, observation: str) -> None:
    """Also in an environment that has been played before, and whatever was drawn for its looks."""
    env, other = (gymnasium.make(env_id, observation=observation) for _ in range(2))
    first = trace(env, 500, seed=5)
    assert sum(len(entry) == 2 for entry in first) > 2  # several episodes
    assert trace(other, 500, seed=5) == first
    assert trace(env, 500, seed=5) == first
    assert trace(env, 500, seed=6) != first


@EACH_GAME
def test_two_environments_do_not_disturb_each_other(game: str) -> None:
    alone = trace(ArcadeEnv(game), 200, seed=1)
    env, other = ArcadeEnv(game), ArcadeEnv(game)
    observation, info = env.reset(seed=1)
    seen: list[Any] = [(observation.tobytes(), info)]
    other.reset(seed=2)
    random = np.random.default_rng(99)
    for index in range(200):
        if other.step(index % 2)[2]:
            other.reset()
        observation, reward, terminated, truncated, info = env.step(random.integers(2))
        seen.append((observation.tobytes(), reward, terminated, truncated, info))
        if terminated:
            observation, info = env.reset()
            seen.append((observation.tobytes(), info))
    assert seen == alone


@EACH_GAME
def test_global_generator_is_untouched(game: str) -> None:
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002 - the old global state is the subject
    trace(ArcadeEnv(game), 100, seed=1)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002 - the old global state is the subject


@EACH_GAME
@EACH_OBSERVATION
def test_observations_may_be_kept_and_written_to(game: str, observation: str) -> None:
    """Nothing returned is shared: neither with a later observation nor with the environment."""
    env, vandalised = (ArcadeEnv(game, observation=observation) for _ in range(2))
    kept, _ = env.reset(seed=1)
    broken, _ = vandalised.reset(seed=1)
    copy = kept.copy()
    for _ in range(6):
        broken[...] = 0
        latest, broken = env.step(1)[0], vandalised.step(1)[0]
        np.testing.assert_array_equal(latest, broken)
    np.testing.assert_array_equal(kept, copy)


@EACH_GAME
def test_state_is_normalised_and_does_not_tell_the_setting(game: str) -> None:
    """The scale of the input is the same under all settings; all of an episode fits in [−1, 1]."""
    from continual_ple import default_schedule

    seen, scales = [], []
    for setting in default_schedule(game).settings:
        env = ArcadeEnv(game, observation="state", **setting.parameters)
        observation, _ = env.reset(seed=0)
        scales.append((env._view.scale.tolist(), env._view.shift.tolist()))
        for index in range(300):
            seen.append(observation)
            observation, _, terminated, _, _ = env.step(index % 9 % 2)
            if terminated:
                observation, _ = env.reset()
    assert all(scale == scales[0] for scale in scales)
    assert all(observation.dtype == np.float32 for observation in seen)
    assert np.abs(seen).max() <= 1 and np.ptp(seen, axis=0).min() > 0.1


def test_info_counts_this_episode() -> None:
    env = ArcadeEnv("catcher", lives=1)
    env.reset(seed=0)
    score, rewards = 0, []
    for index in range(600):
        paddle, _, pellet, _ = env.game.state()
        away = pellet - paddle - 4
        skilled = 2 if abs(away) < 3 else int(away > 0)
        _, reward, terminated, truncated, info = env.step(skilled if index < 200 else 0)
        rewards.append(reward)
        score += reward == 1
        assert info == {"score": score} and not truncated
        if terminated:
            assert env.reset()[1] == {"score": 0}
            score = 0
    assert 1.0 in rewards and -6.0 in rewards


def test_settings_change_at_the_next_reset_only() -> None:
    env = ArcadeEnv("catcher", observation="state", lives=5)
    env.reset(seed=0)
    env.configure(fall_speed=0.2)
    assert env.parameters["fall_speed"] == pytest.approx(0.0608)
    before = env.game.state()[3]
    env.step(2)
    assert env.game.state()[3] - before == 2
    env.reset()
    assert env.parameters == {"width": 64, "height": 64, "fall_speed": 0.2, "paddle_speed": 1.344, "lives": 5}
    with pytest.raises(ValueError, match=r"^lives=0: must be"):
        env.configure(lives=0, fall_speed=0.3)
    env.reset()
    assert env.parameters["fall_speed"] == 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"observation": "rgb"},
            "^observation='rgb': must be one of pixels, state, or one that an installed package offers as an entry",
        ),
        (
            {"observation": None},
            "^observation=None: must be one of pixels, state, or one that an installed package offers as an entry",
        ),
        ({"backend": "gym"}, "^backend='gym': must be one of native, ple$"),
        ({"frame_stack": 0}, r"^frame_stack=0: must be a whole number from 1 to 64 \(frames\)$"),
        ({"frame_stack": True}, "^frame_stack=True: must be a whole number"),
        ({"rounding": ""}, "^rounding='': must be one of nearest, truncate$"),
        ({"rounding": "up"}, "^rounding='up': must be one of nearest, truncate$"),
        ({"fixed_looks": 1}, "^fixed_looks=1: must be True or False$"),
        ({"pipe_gap": 100}, "^pipe_gap=100: must be one of the parameters of catcher: width, "),
        ({"fall_speed": float("nan")}, "^fall_speed=nan: must be a number from 0.03 to 2 "),
    ],
)
def test_bad_arguments_are_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gymnasium.make("ContinualPLE/Catcher-v0", **arguments)


def test_bad_actions() -> None:
    env = ArcadeEnv("flappy_bird")
    with pytest.raises(ResetNeeded, match="there is nothing to show yet"):
        ArcadeEnv("catcher", render_mode="rgb_array").render()
    env.reset(seed=0)
    for action in (-1, 2):
        with pytest.raises(ValueError, match=f"^action={action}: must be from 0 to 1$"):
            env.step(action)
    with pytest.raises(TypeError):
        env.step(0.5)
    while not env.step(1)[2]:
        pass
    with pytest.raises(ResetNeeded, match="no episode is running"):
        env.step(1)


@EACH_GAME
@EACH_OBSERVATION
@pytest.mark.parametrize("at", [-1, 0, 30])
def test_goes_on_exactly_from_a_saved_state(game: str, observation: str, at: int) -> None:
    env, copy = (ArcadeEnv(game, observation=observation) for _ in range(2))
    if at >= 0:
        env.reset(seed=4)
    for index in range(at):
        env.step(index % 9 % 2)
    env.configure(**({"fall_speed": 0.1} if game == "catcher" else {"pipe_gap": 150}))
    saved = env.get_state()
    copy.set_state(json.loads(json.dumps(saved | {"frames": None})) | {"frames": saved["frames"]})
    if at < 0:
        np.testing.assert_array_equal(env.reset()[0], copy.reset()[0])
    check_same_play(env, copy, 300)
    assert env.parameters == copy.parameters


@EACH_ID
@EACH_OBSERVATION
def test_stable_baselines3_learns_on_it(env_id: str, observation: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own imports' deprecations
        dqn = pytest.importorskip("stable_baselines3").DQN
    policy = "CnnPolicy" if observation == "pixels" else "MlpPolicy"
    env = gymnasium.make(env_id, observation=observation)
    agent = dqn(policy, env, learning_starts=10, batch_size=4, buffer_size=50, train_freq=4, seed=0)
    agent.learn(40)
    assert agent._n_updates > 0
