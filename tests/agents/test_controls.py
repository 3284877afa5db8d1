"""Controls of a comparison, by hand: when targets are copied, how often and what is learned, how pixels go in."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from continual_ple import default_schedule
from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.draws import DrawsAlone
from dqn_mer.agents.memory import FifoMemory, Transition
from dqn_mer.config.groups import DQNParameters
from dqn_mer.evaluation.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from dqn_mer.fast.choose import make_explicit_learner, make_forward, make_mini_batch
from dqn_mer.fast.convolution import ConvolutionStack
from dqn_mer.fast.dedup_convolution import DistinctStack
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import AutogradLearner, Examples, MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.optimizer_state import optimizer_state, set_optimizer_state
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import ScalePixels, build_network, network_spec
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState, StateError
from dqn_mer.training.meter import Meter
from tests.helpers.closeness import check_same
from tests.helpers.mer_problems import BIG_CNN, make_problem, needs_numba, sparse, with_dtype


class Nudging:
    """A replay step that notes its examples and moves every weight."""

    num_draws = 3

    def __init__(self, weights: FlatWeights) -> None:
        self.weights = weights
        self.seen: list[Examples] = []

    def update(self, examples: Examples) -> None:
        self.seen.append(examples)
        self.weights.load(self.weights.vector + 1)

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, saved: object) -> None:
        pass

    def numbers(self) -> list[list[int]]:
        """Return the number of each transition learned, by update."""
        return [examples[0][:, 0].int().tolist() for examples in self.seen]


def make_agent(**settings: Any) -> DQNAgent:
    online, target = (FlatWeights(build_network((2,), 2, (4,), seed)) for seed in (0, 1))
    memory = FifoMemory(100, (2,), np.dtype(np.float32))
    values = {"discount": 0.5, "target_sync_frames": 1_000, "warmup_frames": 0, **settings}
    return DQNAgent(online, target, Nudging(online), memory, np.random.default_rng(1), DQNParameters(**values))


def transition(number: int, reward: float = 0.0, terminated: bool = False) -> Transition:
    observation = np.full(2, number, np.float32)
    return Transition(observation, number % 2, reward, observation + 1, terminated)


def copies(agent: DQNAgent, ends: dict[int, str], frames: int, frames_each: int = 1) -> list[int]:
    """Let episodes end at steps as ``ends`` says, and return the steps after which the target was copied."""
    steps = []
    for number in range(1, frames + 1):
        before, copied = agent.target.snapshot(), agent.target_syncs
        how = ends.get(number, "")
        agent.observe(transition(number, terminated="T" in how), truncated="C" in how, frames=frames_each)
        moved = agent.target_syncs > copied
        assert torch.equal(agent.target.vector, agent.online.vector if moved else before)
        steps += [number] if moved else []
    return steps


def test_the_target_is_copied_every_n_ended_episodes_terminated_or_cut() -> None:
    agent = make_agent(target_sync_frames=None, target_sync_episodes=2, warmup_frames=3)
    # Ends: 2 (in the warm-up), 5 | 6 (cut at a border), 9 (terminated and cut: one episode) | 12
    ends = {2: "T", 5: "T", 6: "C", 9: "TC", 12: "C"}
    assert copies(agent, ends, 14) == [5, 9]
    assert (agent.episodes, agent.target_syncs, agent.updates) == (5, 2, 11)
    assert copies(agent, {1: "T"}, 1) == [1]  # the sixth


def test_an_agent_that_never_loses_has_a_target_that_stands_still() -> None:
    assert copies(make_agent(target_sync_frames=None, target_sync_episodes=1), {}, 50) == []


def test_by_frames_ends_of_episodes_do_not_count() -> None:
    assert copies(make_agent(target_sync_frames=4), {1: "T", 2: "C", 3: "T"}, 9) == [4, 8]
    assert copies(make_agent(target_sync_frames=4), {}, 6, frames_each=3) == [2, 3, 4, 6]  # frames 6, 9, 12, 18


def test_rewards_are_clipped_in_memory_and_in_what_is_learned() -> None:
    rewards = [-5.0, 0.25, 3.0, -1.0]
    for clip, learned in ((False, rewards), (True, [-1.0, 0.25, 1.0, -1.0])):
        agent = make_agent(clip_rewards=clip)
        for number, reward in enumerate(rewards, start=1):
            agent.observe(transition(number, reward, terminated=True))
        assert agent.memory.rewards[:4].tolist() == learned
        assert [float(examples[2][0]) for examples in agent.replay.seen] == learned  # terminated: the target is r


def test_several_updates_a_frame_draw_afresh_each_with_the_newest_and_none_from_itself() -> None:
    agent = make_agent(updates_per_frame=3, warmup_frames=20)
    for number in range(1, 23):
        agent.observe(transition(number))
    batches = agent.replay.numbers()
    assert agent.updates == len(batches) == 6
    assert [batch[0] for batch in batches] == [21] * 3 + [22] * 3
    assert len({tuple(batch) for batch in batches}) == 6
    assert all(max(batch[1:]) < batch[0] for batch in batches)  # drawn from what was remembered before the frame
    assert agent.memory.seen == 22


def test_the_first_of_several_updates_is_measured_and_measuring_changes_nothing() -> None:
    agents = []
    for measure in (False, True):
        agent = make_agent(updates_per_frame=2)
        optimizer = make_optimizer("sgd", agent.online, 0.1)
        agent.replay = MiniBatchUpdate(agent.online, HuberTDLoss(), optimizer, 3)
        statistics = [agent.observe(transition(number, 1.0), measure) for number in range(1, 5)]
        assert [row is not None for row in statistics] == [measure] * 4
        agents.append(agent)
    assert torch.equal(agents[0].online.vector, agents[1].online.vector)


def test_updates_are_made_on_multiples_of_their_period_with_that_frames_transition() -> None:
    agent = make_agent(update_every=4, warmup_frames=4, updates_per_frame=2)
    for number in range(1, 18):
        agent.observe(transition(number))
    assert [batch[0] for batch in agent.replay.numbers()] == [8, 8, 12, 12, 16, 16]
    assert all(max(batch[1:]) < batch[0] for batch in agent.replay.numbers())
    assert sorted(agent.memory.born[:17].tolist()) == list(range(1, 18))  # all are remembered


def test_with_steps_of_several_frames_all_counts_are_frames() -> None:
    agent = make_agent(update_every=4, warmup_frames=6, freeze_after_frames=20)
    ends = []
    for number, frames in enumerate((3, 3, 1, 3, 3, 2, 3, 3, 3), start=1):
        before = agent.updates
        agent.observe(transition(number), frames=frames)
        ends += [agent.frames] if agent.updates > before else []
    assert agent.frames == agent.memory.frames == 24
    assert ends == [10, 13, 18]  # 8, 12 and 16 were reached in these steps; 4 in the warm-up; 20 and 24 end beyond 20
    assert agent.memory.born[:9].tolist() == [3, 6, 7, 10, 13, 15, 18, 21, 24]
    assert agent.memory.ages().tolist() == [21, 18, 17, 14, 11, 9, 6, 3, 0]


def test_without_the_newest_all_are_draws_from_a_memory_that_holds_it() -> None:
    agent = make_agent(newest=False)
    for number in range(1, 200):
        agent.observe(transition(number))
    batches = agent.replay.numbers()
    assert batches[0] == [1, 1, 1]  # the only one there is
    assert {len(batch) for batch in batches} == {3}
    shares = np.mean([number in batch for number, batch in enumerate(batches[98:], start=99)])
    assert 0 < shares < 0.1  # by chance alone: 3 draws of 100
    assert type(agent.draws) is DrawsAlone


def test_a_state_of_before_these_counts_is_taken_up() -> None:
    agent, resumed = make_agent(), make_agent()
    copies(agent, {3: "T"}, 6)
    state = copy.deepcopy(agent.get_state())
    del state["episodes"], state["memory"]["frames"]
    resumed.set_state(SavedState(state))
    assert (resumed.frames, resumed.memory.frames, resumed.episodes) == (6, 6, 0)
    assert resumed.memory.get_state()["born"].tolist() == agent.memory.get_state()["born"].tolist()


@pytest.mark.parametrize(("field", "value"), [("episodes", 7), ("updates", 13)])
def test_counts_beyond_the_frames_are_refused(field: str, value: int) -> None:
    agent = make_agent(updates_per_frame=2)
    copies(agent, {}, 6)
    state = copy.deepcopy(agent.get_state())
    make_agent(updates_per_frame=2).set_state(SavedState(copy.deepcopy(state)))
    state[field] = value
    with pytest.raises(StateError, match=f"state.{field}={value}: must be"):
        make_agent(updates_per_frame=2).set_state(SavedState(state))


def test_by_episodes_the_meter_has_its_own_periods() -> None:
    agent = make_agent(target_sync_frames=None, target_sync_episodes=2)
    meter = Meter(agent, default_schedule("catcher"), 20, np.random.default_rng(0))
    assert [frame for frame in range(1, 91) if meter.due(frame)] == [30, 50, 70, 90]
    assert [frame for frame in range(7, 91, 7) if meter.due(frame, 7)] == [35, 56, 70]  # a step of 7 reached it


def test_momentum_by_hand() -> None:
    """Of a loss with gradient 1 everywhere: the velocity is 1, 1.5, 1.75; Nesterov's step adds half of it to 1."""
    for nesterov, moved in ((False, [1.0, 2.5, 4.25]), (True, [1.5, 3.25, 5.125])):
        weights = FlatWeights(build_network((2,), 2, (), seed=0))
        start, optimizer = weights.snapshot(), make_optimizer("sgd", weights, 0.1, momentum=0.5, nesterov=nesterov)
        for total in moved:
            weights.vector.grad.fill_(1.0)
            optimizer.step()
            torch.testing.assert_close(weights.snapshot(), start - 0.1 * total)


@needs_numba
@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_the_same_in_every_inner_loop(nesterov: bool) -> None:
    ends = []
    for kind in (AutogradLearner, make_explicit_learner):
        model, examples = make_problem(BIG_CNN, 5, torch.float64)
        weights = FlatWeights(model)
        optimizer = make_optimizer("sgd", weights, 0.01, momentum=0.9, nesterov=nesterov)
        learner = kind(weights, HuberTDLoss(), optimizer)
        update = MERUpdate(weights, learner, MERParameters(4), np.random.default_rng(0))
        for _ in range(2):
            update.update(examples)
        ends.append(weights.snapshot())
    check_same(ends[0], ends[1])


def test_the_velocity_is_part_of_the_state_and_plain_sgd_has_none() -> None:
    vectors = []
    for _ in range(2):
        weights = FlatWeights(build_network((2,), 2, (4,), seed=0))
        vectors.append((weights, make_optimizer("sgd", weights, 0.1, momentum=0.9)))
    (first, optimizer), (second, resumed) = vectors
    assert optimizer_state(optimizer, first.vector) == {}
    first.vector.grad.fill_(1.0)
    optimizer.step()
    second.load(first.vector)
    saved = optimizer_state(optimizer, first.vector)
    assert saved["momentum_buffer"].tolist() == [1.0] * len(first.vector)
    set_optimizer_state(resumed, second.vector, SavedState(copy.deepcopy(saved)))
    for weights, each in vectors:
        weights.vector.grad.fill_(0.5)
        each.step()
    assert torch.equal(first.vector, second.vector)
    with pytest.raises(StateError, match=r"momentum_buffer: unknown field"):
        set_optimizer_state(make_optimizer("sgd", second, 0.1), second.vector, SavedState(copy.deepcopy(saved)))


def test_scalings_by_hand_and_as_tables() -> None:
    pixels = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    torch.testing.assert_close(ScalePixels()(pixels), torch.tensor([[0.0, 0.2, 1.0]]))
    torch.testing.assert_close(ScalePixels("centred")(pixels), torch.tensor([[-0.5, -0.3, 0.5]]))
    for scaling in ("unit", "centred"):
        layer = ScalePixels(scaling)
        assert layer.table().tolist() == layer(torch.arange(256).to(torch.uint8)).tolist()


@needs_numba
@pytest.mark.parametrize("stack", [ConvolutionStack, DistinctStack])
def test_centred_pixels_learn_the_same_on_every_path(stack: type, monkeypatch: pytest.MonkeyPatch) -> None:
    share = 1.0 if stack is DistinctStack else 0.0
    monkeypatch.setattr("dqn_mer.fast.choose.MAX_DISTINCT_SHARE", share)
    _, (pixels, *targets) = make_problem(BIG_CNN, 5, torch.float64)
    examples = (sparse(pixels), *targets)
    movements, values = [], []
    for fast in (False, True):
        model = build_network((4, 84, 84), 3, (512,), seed=2, input_scaling="centred")
        weights = FlatWeights(with_dtype(model, torch.float64))
        start = weights.snapshot()
        values.append(make_forward(weights)(examples[0]) if fast else weights.model(examples[0]).detach())
        optimizer = make_optimizer("sgd", weights, 0.01)
        learner = (make_explicit_learner if fast else AutogradLearner)(weights, HuberTDLoss(), optimizer)
        MERUpdate(weights, learner, MERParameters(4), np.random.default_rng(0)).update(examples)
        assert not fast or type(learner.convolutions) is stack
        mini = make_mini_batch if fast else MiniBatchUpdate
        mini(weights, HuberTDLoss(), optimizer, 4).update(examples)
        movements.append(weights.snapshot() - start)
    check_same(values[0], values[1])
    check_same(movements[0], movements[1])
    unit = build_network((4, 84, 84), 3, (512,), seed=2)(examples[0])
    assert (unit - values[0]).abs().max() > 1e-3  # it is another network


def test_a_checkpoint_knows_its_scaling(tmp_path: Any) -> None:
    model = build_network((1, 36, 36), 2, (8,), seed=1, input_scaling="centred")
    spec = network_spec((1, 36, 36), 2, (8,), input_scaling="centred")
    loaded = load_checkpoint(save_checkpoint(tmp_path / "frame-1", model, {"network": spec})).model
    pixels = torch.randint(0, 256, (2, 1, 36, 36), dtype=torch.uint8)
    assert torch.equal(loaded(pixels), model(pixels))
    save_checkpoint(tmp_path / "frame-2", model, {"network": {**spec, "input_scaling": "other"}})
    with pytest.raises(CheckpointError, match=r"input_scaling='other': must be one of unit, centred"):
        load_checkpoint(tmp_path / "frame-2")
