"""Evaluation apart from training: its own environments and seeds, greedy, raw reward, nothing learned or stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from continual_ple.frame_skip import FRAMES_PLAYED
from continual_ple.settings import Setting
from dqn_mer.analysis.metrics import EvaluationRow

Policy = Callable[[NDArray[Any]], NDArray[np.int64]]
"""Function from observations ``(n, ...)`` to actions ``(n,)``."""


@dataclass(frozen=True)
class SettingResult:
    """Results of the episodes on one setting, one entry per episode.

    Attributes:
        scores: The game's own points (``info["score"]``), or the return where an environment has none.
        returns: Undiscounted sums of raw rewards.
        lengths: Lengths in frames.
    """

    setting_index: int
    setting: Setting
    scores: NDArray[np.float64]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]

    def row(self) -> EvaluationRow:
        """Summarise the episodes."""
        return EvaluationRow(
            setting_index=self.setting_index,
            setting=self.setting.name,
            episodes=len(self.scores),
            score_mean=float(self.scores.mean()),
            score_std=float(self.scores.std()),
            score_best=float(self.scores.max()),
            return_mean=float(self.returns.mean()),
            length_mean=float(self.lengths.mean()),
        )


class GreedyPolicy:
    """Takes argmax_a Q(s, a)."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model = model
        self.device = device

    @torch.no_grad()  # as in `DQNAgent.greedy_action`, whose network may be the one that plays here
    def values(self, observations: NDArray[Any]) -> Tensor:
        """Return the Q values ``(n, actions)`` of observations ``(n, ...)``."""
        q: Tensor = self.model(torch.from_numpy(observations).to(self.device))
        return q

    def __call__(self, observations: NDArray[Any]) -> NDArray[np.int64]:
        """Return the greedy action for each observation."""
        actions: NDArray[np.int64] = self.values(observations).argmax(dim=1).cpu().numpy()
        return actions


def observation_rows(given: NDArray[Any], space: gymnasium.Space[Any]) -> NDArray[Any]:
    """Return one observation of a space, or several ``(n, ...)``, as rows of the space's dtype.

    Raises:
        ValueError: if they are of another shape or kind of number.

    >>> observation_rows(np.arange(4.0), gymnasium.spaces.Box(-9, 9, (4,))).shape
    (1, 4)
    """
    rows = given[np.newaxis] if given.shape == space.shape else given
    if rows.shape[1:] != space.shape or not np.can_cast(rows.dtype, space.dtype or rows.dtype, "same_kind"):
        raise ValueError(
            f"observation: must be {space.dtype} of shape {space.shape}, or rows of these, is {given.dtype} of shape "
            f"{given.shape}"
        )
    return np.ascontiguousarray(rows, space.dtype)


@runtime_checkable
class Predictor(Protocol):
    """An agent of Stable-Baselines3 or of a library that predicts as it does."""

    def predict(self, observation: NDArray[Any], *, deterministic: bool) -> tuple[NDArray[Any], Any]:
        """Return the actions ``(n,)`` for observations ``(n, ...)``, and None: no memory of the episode."""


AnyPolicy = Policy | Predictor


def as_policy(policy: AnyPolicy | None) -> Policy:
    """Return what chooses actions for observations ``(n, ...)``, greedily if it is an object with ``predict``.

    What it returns raises ValueError unless the actions are ``(n,)`` whole numbers, and if ``predict`` also gives a
    memory of the episode, as recurrent policies do: nothing here would hand it back to them in the next frame.

    Raises:
        ValueError: if it is neither that nor a function.
    """
    if not isinstance(policy, Predictor) and not callable(policy):
        raise ValueError(f"policy={policy!r}: must be a function of observations, or have a method predict")

    def choose(observations: NDArray[Any]) -> NDArray[np.int64]:
        if isinstance(policy, Predictor):
            given, *more = policy.predict(observations, deterministic=True)
            if more and more[0] is not None:
                raise ValueError("policy: predict gave a memory of the episode; must be a policy without one")
        else:
            given = policy(observations)
        actions = np.asarray(given)
        if actions.shape != (len(observations),):
            raise ValueError(f"policy: gave actions of shape {actions.shape}; must be ({len(observations)},)")
        return _whole_numbers(actions)

    return choose


def _whole_numbers(actions: NDArray[Any]) -> NDArray[np.int64]:
    """Return actions as int64; raises ValueError if one is no whole number, which would become another action."""
    try:
        with np.errstate(invalid="ignore"):  # of NaN
            whole: NDArray[np.int64] = actions.astype(np.int64)
    except (TypeError, ValueError):
        raise ValueError(f"policy: gave actions of {actions.dtype}; must be whole numbers") from None
    wrong = actions[actions != whole]
    if wrong.size:
        raise ValueError(f"policy: gave action {wrong[0]}; must be a whole number")
    return whole


class RandomPolicy:
    """Takes random actions with fixed probabilities: the floor of every comparison."""

    def __init__(self, probabilities: NDArray[np.float64], rng: np.random.Generator) -> None:
        self.probabilities = probabilities
        self.rng = rng

    def __call__(self, observations: NDArray[Any]) -> NDArray[np.int64]:
        """Return one action for each observation."""
        return self.rng.choice(len(self.probabilities), size=len(observations), p=self.probabilities)


def episode_seeds(seed: int, episodes: int) -> list[int]:
    """Return the seeds of the first episodes under one seed; more episodes have the same first ones."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(episodes)]


def episode_score(info: Mapping[str, Any], returned: float) -> float:
    """Return the game's own points, ``info["score"]``, or the return where an environment gives none.

    >>> episode_score({"score": 7}, 2.5), episode_score({}, 2.5), episode_score({"score": "7:5"}, 2.5)
    (7.0, 2.5, 2.5)
    """
    score = info.get("score")
    if isinstance(score, (int, float, np.generic, np.ndarray)):
        number = np.asarray(score)
        if number.shape == () and number.dtype.kind in "biuf" and np.isfinite(number):
            return float(number)
    return returned


MOST_AT_ONCE = 512
"""Environments that are played in lockstep at most, which bounds their memory."""


class Evaluator:
    """Plays the same episodes on every setting at each call, hundreds of them in lockstep.

    Episode k starts from the same seed on every setting and in every evaluation, so that differences between
    settings and between evaluations are the policy's.

    Args:
        make_env: Makes a time-limited environment under a setting.
        settings: Settings to evaluate on.
        episodes: Episodes per setting, at least 1.
        seed: Seed of the first episode of each setting; that of episode k is derived from it.
    """

    def __init__(
        self,
        make_env: Callable[[Setting], gymnasium.Env[Any, Any]],
        settings: Sequence[Setting],
        episodes: int,
        seed: int,
    ) -> None:
        self.settings = list(settings)
        self.episodes = episodes
        self.seeds = episode_seeds(seed, episodes)
        self.at_once = min(episodes, max(1, MOST_AT_ONCE // len(self.settings)))  # of each setting
        self.envs = [[make_env(setting) for _ in range(self.at_once)] for setting in self.settings]

    def run(self, policy: Policy) -> list[SettingResult]:
        """Play every episode to its end and return one result for each setting, in order."""
        starts = range(0, self.episodes, self.at_once)
        played = [self._play(policy, self.seeds[start : start + self.at_once]) for start in starts]
        parts = zip(*(np.concatenate(part, axis=1) for part in zip(*played, strict=True)), strict=True)
        return [SettingResult(i, self.settings[i], *part) for i, part in enumerate(parts)]

    def _play(self, policy: Policy, seeds: Sequence[int]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Play the episodes of these seeds on every setting; return scores, returns and lengths, (settings, seeds)."""
        envs = [env for row in self.envs for env in row[: len(seeds)]]
        first = [env.reset(seed=seeds[index % len(seeds)]) for index, env in enumerate(envs)]
        observations = np.stack([observation for observation, _ in first])
        scores, returns, lengths = np.zeros(len(envs)), np.zeros(len(envs)), np.zeros(len(envs), np.int64)
        running = np.arange(len(envs))
        while running.size:
            actions = policy(observations[running])
            still = []
            for index, action in zip(running, actions, strict=True):
                observation, reward, terminated, truncated, info = envs[index].step(int(action))
                observations[index] = observation
                returns[index] += float(reward)
                lengths[index] += info.get(FRAMES_PLAYED, 1)
                if not (terminated or truncated):
                    still.append(index)
                else:
                    scores[index] = episode_score(info, float(returns[index]))
            running = np.array(still, np.int64)
        shape = (len(self.settings), len(seeds))
        return scores.reshape(shape), returns.reshape(shape), lengths.reshape(shape)

    def close(self) -> None:
        """Close the environments."""
        for row in self.envs:
            for env in row:
                env.close()
