"""Deep Q-learning: the agent, which is given its memory and its replay step."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqn_mer.agents.draws import make_draws
from dqn_mer.agents.learning_statistics import LearningStatistics, measured_update
from dqn_mer.agents.memory import Memory, Transition, TransitionBatch
from dqn_mer.agents.td_targets import td_targets
from dqn_mer.config.groups import DQNParameters
from dqn_mer.fast.choose import make_forward
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import Examples
from dqn_mer.networks.own_networks import num_outputs
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.periods import reaches_multiple
from dqn_mer.storage.state import SavedState, State, StateError


class ReplayUpdate(Protocol):
    """The replay step: what makes an agent DQN or DQN-MER."""

    num_draws: int
    """Transitions to draw from memory for one update."""

    def update(self, examples: Examples) -> None:
        """Learn from the newest example (row 0) and the draws, in place; without ``newest``, from the draws alone."""

    def get_state(self) -> State:
        """Return what is kept from update to update, without the weights."""

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` gave."""


class DQNAgent:
    """DQN (Mnih et al., 2015) with updates from the newest transition and draws from memory, one a frame by default.

    With `MERUpdate` over a reservoir this is Algorithm 8, DQN-MER; with `MiniBatchUpdate` it is DQN with ordinary
    replay. Nothing else differs, and the agent is never told which setting is on.

    Args:
        online: Weights of the network that acts and learns.
        target: Weights of a network of the same form; overwritten with the online weights at once, and after that only
            every ``target_sync_frames``, or ``target_sync_episodes``.
        replay: Replay step, on the online weights.
        memory: Memory that is drawn from before each update. The newest transition is added after the update; if
            ``parameters.newest`` is off, it is added before the update and may be drawn like any other.
        rng: Random generator for drawing from memory.
        parameters: Discount, periods and which transitions are learned.

    Attributes:
        frames: Environment frames so far.
        episodes: Training episodes that have ended so far, terminated or truncated.
        updates: Replay updates so far.
        target_syncs: Copies into the target network so far.
    """

    def __init__(
        self,
        online: FlatWeights,
        target: FlatWeights,
        replay: ReplayUpdate,
        memory: Memory,
        rng: np.random.Generator,
        parameters: DQNParameters,
    ) -> None:
        self.online = online
        self.target = target
        self.replay = replay
        self.memory = memory
        self.parameters = parameters
        self.loss = HuberTDLoss()
        self.device = online.vector.device
        self.online_q = make_forward(online)
        self.draws = make_draws(memory, replay.num_draws, rng, target, parameters.newest)
        self.frames = 0
        self.episodes = 0
        self.updates = 0
        self.target_syncs = 0
        target.load(online.vector)

    @torch.no_grad()  # not inference_mode: what a user's network keeps from it could not be learned with
    def greedy_action(self, observation: NDArray[Any]) -> int:
        """Return argmax_a Q(s, a) for one observation."""
        q = self.online_q(torch.from_numpy(observation).unsqueeze(0).to(self.device))
        return int(q.argmax())

    def observe(
        self, transition: Transition, measure: bool = False, truncated: bool = False, frames: int = 1
    ) -> LearningStatistics | None:
        """Learn from the newest transition, then remember it.

        Args:
            transition: Latest step of the environment, with its raw reward.
            measure: Whether to return statistics of the first update; costs about one more mini-batch.
            truncated: Whether the step ended its episode without terminating it.
            frames: Environment frames that the step took, at least 1.

        Returns:
            Statistics if they were asked for and an update was made, else None.
        """
        parameters, statistics = self.parameters, None
        sync_due = self._count(frames, ended=transition.terminated or truncated)
        if parameters.clip_rewards:
            transition = transition._replace(reward=min(max(transition.reward, -1.0), 1.0))
        updates = parameters.updates_per_frame if learns_at(parameters, self.frames, frames) else 0
        if not (updates and parameters.newest):
            self.memory.add(transition, frames)
        for left in reversed(range(updates)):
            batch, next_q = self.draws.take(transition)
            examples = self.examples_of(batch, next_q)
            if parameters.newest and not left:
                self.memory.add(transition, frames)  # no update reads the memory, but the next draws may be made now
            self.draws.prepare(sure=bool(left) or (not sync_due and self._next_step_learns()))
            if measure and statistics is None:
                statistics = measured_update(self.online, self.loss, examples, self.replay.update)
            else:
                self.replay.update(examples)
            self.updates += 1
        if sync_due:
            self.target.load(self.online.vector)
            self.target_syncs += 1
        self.draws.prepare(sure=self._next_step_learns())
        return statistics

    def _count(self, frames: int, ended: bool) -> bool:
        """Count a step; return whether a copy into the target network is due after it."""
        parameters, frames_before, episodes_before = self.parameters, self.frames, self.episodes
        self.frames += frames
        self.episodes += ended
        by_frames = reaches_multiple(frames_before, self.frames, parameters.target_sync_frames)
        return by_frames or reaches_multiple(episodes_before, self.episodes, parameters.target_sync_episodes)

    def get_state(self) -> State:
        """Return everything that changes while the agent learns."""
        return {
            "online": self.online.vector.detach(),
            "target": self.target.vector.detach(),
            "frames": self.frames,
            "episodes": self.episodes,
            "updates": self.updates,
            "target_syncs": self.target_syncs,
            "rng": self.draws.rng_state,
            "replay": self.replay.get_state(),
            "memory": self.memory.get_state(),
        }

    def set_state(self, saved: SavedState) -> None:
        """Resume from what `get_state` of an agent made the same way gave.

        Raises:
            StateError: if it does not fit; the agent is then unusable.
        """
        with saved:
            for name, weights in (("online", self.online), ("target", self.target)):
                weights.load(torch.from_numpy(saved.array(name, np.float32, tuple(weights.vector.shape))))
            self.frames = saved.whole("frames")
            # A state from before episodes were counted: nothing depended on them.
            self.episodes = saved.whole("episodes", high=self.frames) if "episodes" in saved else 0
            self.updates = saved.whole("updates", high=self.frames * self.parameters.updates_per_frame)
            self.target_syncs = saved.whole("target_syncs", high=self.frames)
            saved.generator("rng", self.draws.rng)
            self.replay.set_state(saved.part("replay"))
            self.memory.set_state(saved.part("memory"))
        actions = num_outputs(self.online.model)
        if not ((self.memory.actions >= 0) & (self.memory.actions < actions)).all():
            raise StateError(f"{saved.path}.memory.actions: must be from 0 to {actions - 1}")
        # Made in their turn instead, their values would be rounded otherwise, as one batch with the newest's.
        self.draws.prepare(sure=self._next_step_learns())

    def _next_step_learns(self) -> bool:
        """Return whether it is certain that the next step makes an update, however many frames it takes."""
        lengths = range(1, self.parameters.frame_skip + 1)
        return all(learns_at(self.parameters, self.frames + frames, frames) for frames in lengths)

    @torch.no_grad()
    def examples_of(self, batch: TransitionBatch, next_q: Tensor | None = None) -> Examples:
        """Return (observations, actions, TD targets) of transitions.

        The targets of one update are computed once: Q̂ does not move during it. With double Q-learning the
        greedy actions are those of the weights before the update.

        Args:
            batch: Transitions to learn.
            next_q: Q̂(s', ·) of the transitions, ``(n, actions)``, if it is known.
        """
        observations, actions, rewards, terminated = (
            torch.from_numpy(part).to(self.device)
            for part in (batch.observations, batch.actions, batch.rewards, batch.terminated)
        )
        next_observations = torch.from_numpy(batch.next_observations)
        if next_q is None:
            next_q = self.draws.target_q(next_observations.to(self.device))
        selecting_q = self.online_q(next_observations.to(self.device)) if self.parameters.double_q else None
        return observations, actions, td_targets(rewards, terminated, next_q, self.parameters.discount, selecting_q)

    @torch.no_grad()
    def td_errors(self, examples: Examples) -> Tensor:
        """Return Q of the action less the target, ``(n,)``, of examples as `examples_of` returns them."""
        observations, actions, targets = examples
        chosen: Tensor = self.online.model(observations).gather(1, actions.unsqueeze(1)).squeeze(1)
        return chosen - targets


def learns_at(parameters: DQNParameters, frame: int, frames: int = 1) -> bool:
    """Return whether updates are made after ``frame``, counted from 1, which ends a step of ``frames`` frames.

    >>> parameters = DQNParameters(warmup_frames=2, freeze_after_frames=5)
    >>> [frame for frame in range(1, 9) if learns_at(parameters, frame)]
    [3, 4, 5]
    """
    if frame <= parameters.warmup_frames or not reaches_multiple(frame - frames, frame, parameters.update_every):
        return False
    return parameters.freeze_after_frames is None or frame <= parameters.freeze_after_frames
