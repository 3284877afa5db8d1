"""DQN's arithmetic worked by hand, and what an agent does and does not do on a frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dqn_mer.agents.dqn import DQNAgent
from dqn_mer.agents.exploration import EpsilonSchedule, Exploration
from dqn_mer.agents.memory import ReservoirMemory, Transition
from dqn_mer.agents.td_targets import td_targets
from dqn_mer.config.groups import DQNParameters, ExplorationParameters
from dqn_mer.config.seeds import spawn_streams
from dqn_mer.fast.choose import make_learner
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import Examples, MERUpdate
from dqn_mer.mer_parameters import MERParameters
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import build_network
from dqn_mer.networks.weights import FlatWeights


def test_targets_by_hand() -> None:
    rewards, next_q = torch.tensor([1.0, -5.0, 0.0]), torch.tensor([[2.0, 4.0], [2.0, 4.0], [-3.0, -1.0]])
    terminated = torch.tensor([False, True, False])
    assert td_targets(rewards, terminated, next_q, 0.5).tolist() == [3.0, -5.0, -0.5]


def test_double_q_selects_with_one_network_and_values_with_the_other() -> None:
    next_q, selecting = torch.tensor([[2.0, 4.0]]), torch.tensor([[9.0, 1.0]])
    assert td_targets(torch.zeros(1), torch.tensor([False]), next_q, 0.5, selecting).tolist() == [1.0]


def test_huber_loss_by_hand_and_its_gradient_by_autograd() -> None:
    q = torch.tensor([[0.5, 2.0], [3.0, 0.0], [-4.0, 1.0]], requires_grad=True)
    actions, targets = torch.tensor([0, 0, 0]), torch.tensor([0.0, 0.0, 0.0])
    losses = HuberTDLoss()(q, actions, targets)
    assert losses.tolist() == [0.125, 2.5, 3.5]
    losses.sum().backward()
    for row in range(3):
        explicit = HuberTDLoss().output_gradient(q[row].detach().numpy(), actions[row].numpy(), targets[row].numpy())
        np.testing.assert_array_equal(explicit, q.grad[row].numpy())


def test_epsilon_without_decay_is_its_end() -> None:
    assert (
        EpsilonSchedule(ExplorationParameters(epsilon_start=1.0, epsilon_end=0.2, epsilon_decay_frames=0)).at(0) == 0.2
    )


def test_epsilon_falls_in_a_line_from_its_start() -> None:
    schedule = EpsilonSchedule(ExplorationParameters(epsilon_start=0.8, epsilon_end=0.2, epsilon_decay_frames=4))
    assert [schedule.at(frame) for frame in range(6)] == pytest.approx([0.8, 0.65, 0.5, 0.35, 0.2, 0.2])


def test_random_actions_have_their_odds() -> None:
    schedule = EpsilonSchedule(ExplorationParameters(epsilon_start=0.5, epsilon_end=0.5, epsilon_decay_frames=0))
    exploration = Exploration(schedule, np.array([0.1, 0.6, 0.3]), np.random.default_rng(0))
    actions = [exploration.random_action(0) for _ in range(20_000)]
    assert actions.count(None) == pytest.approx(10_000, abs=300)  # over 4 standard deviations, as below
    assert [actions.count(action) for action in range(3)] == pytest.approx([1_000, 6_000, 3_000], abs=280)


def test_a_zero_probability_is_never_drawn() -> None:
    schedule = EpsilonSchedule(ExplorationParameters(epsilon_start=1.0, epsilon_end=1.0, epsilon_decay_frames=0))
    exploration = Exploration(schedule, np.array([0.0, 1.0]), np.random.default_rng(0))
    assert {exploration.random_action(0) for _ in range(1000)} == {1}


class Recording:
    """A replay step that only notes what it was given."""

    num_draws = 3

    def __init__(self) -> None:
        self.seen: list[Examples] = []

    def update(self, examples: Examples) -> None:
        self.seen.append(examples)


def make_agent(replay: object, double_q: bool = False, warmup: int = 2) -> DQNAgent:
    online, target = (FlatWeights(build_network((2,), 2, (4,), seed)) for seed in (0, 1))
    memory = ReservoirMemory(10, (2,), np.dtype(np.float32), np.random.default_rng(0))
    parameters = DQNParameters(discount=0.5, target_sync_frames=4, warmup_frames=warmup, double_q=double_q)
    return DQNAgent(online, target, replay, memory, np.random.default_rng(1), parameters)


def transition(number: int) -> Transition:
    observation = np.full(2, number, np.float32)
    return Transition(observation, number % 2, float(number), observation + 1, number % 3 == 0)


def test_every_update_has_the_newest_transition_first_and_it_is_remembered_after() -> None:
    replay = Recording()
    agent = make_agent(replay)
    for number in range(1, 7):
        agent.observe(transition(number))
        assert agent.memory.seen == number
    assert [examples[0][0, 0].item() for examples in replay.seen] == [3.0, 4.0, 5.0, 6.0]
    for newest, examples in enumerate(replay.seen, start=3):
        assert len(examples[0]) == 4
        assert examples[0][1:, 0].max() < newest  # the draws come from what was there before
    assert agent.updates == 4


def test_targets_come_from_the_target_network() -> None:
    replay = Recording()
    agent = make_agent(replay, warmup=0)
    agent.online.load(torch.zeros_like(agent.online.vector))
    agent.observe(transition(1))
    with torch.no_grad():
        future = agent.draws.target_q(torch.tensor([[2.0, 2.0]])).max()
    assert torch.equal(replay.seen[0][2], 1.0 + 0.5 * future.unsqueeze(0))


def test_double_q_uses_the_online_network_to_select() -> None:
    replay = Recording()
    agent = make_agent(replay, double_q=True, warmup=0)
    with torch.no_grad():
        target_q = agent.draws.target_q(torch.tensor([[2.0, 2.0]]))[0]
        worst = int(target_q.argmin())
        agent.online.vector.zero_()
        agent.online.model[-1].bias[worst] = 1.0
    agent.observe(transition(1))
    assert torch.equal(replay.seen[0][2], 1.0 + 0.5 * target_q[worst].unsqueeze(0))


def test_target_network_moves_only_at_its_period() -> None:
    online = FlatWeights(build_network((2,), 2, (4,), 0))
    learner = make_learner(online, HuberTDLoss(), make_optimizer("sgd", online, 0.1))
    agent = make_agent(Recording(), warmup=0)
    agent.online, agent.replay = online, MERUpdate(online, learner, MERParameters(3), np.random.default_rng(0))
    agent.target.load(online.vector)
    for number in range(1, 13):
        before = agent.target.snapshot()
        agent.observe(transition(number))
        assert not torch.equal(agent.online.vector, before)
        expected = agent.online.snapshot() if number % 4 == 0 else before
        assert torch.equal(agent.target.snapshot(), expected)
    assert agent.target_syncs == 3


def test_measuring_changes_nothing() -> None:
    agents = []
    for measure in (False, True):
        online = FlatWeights(build_network((2,), 2, (4,), 0))
        agent = make_agent(Recording(), warmup=0)
        learner = make_learner(online, HuberTDLoss(), make_optimizer("adam", online, 0.01))
        agent.online, agent.replay = online, MERUpdate(online, learner, MERParameters(3), np.random.default_rng(0))
        statistics = [agent.observe(transition(number), measure) for number in range(1, 9)]
        agents.append(agent)
    assert torch.equal(agents[0].online.vector, agents[1].online.vector)
    assert all(row is not None and row.update_norm > 0 and row.gradient_norm > 0 for row in statistics)


def test_streams_differ_and_repeat() -> None:
    first, again, other = spawn_streams(1), spawn_streams(1), spawn_streams(2)
    assert first[:3] == again[:3] != other[:3]
    assert len(set(first[:3])) == 3
    draws = [generator.random() for generator in first[3:]]
    assert draws == [generator.random() for generator in again[3:]]
    assert len(set(draws)) == len(draws)
