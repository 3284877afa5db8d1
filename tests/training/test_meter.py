"""The meter against gradients taken one by one, by hand, and on layers made for it; and that it changes nothing."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dqn_mer.agents.build import build_agent
from dqn_mer.agents.memory import Transition
from dqn_mer.analysis.gradient_agreement import cosines, gradient_dots, pair_means
from dqn_mer.analysis.plasticity import activations, dormant_share, effective_rank
from dqn_mer.config.defaults import default_config
from dqn_mer.config.seeds import Streams, spawn_streams
from dqn_mer.config.task import game_task
from dqn_mer.losses import HuberTDLoss
from dqn_mer.networks.q_network import build_network
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.storage.state import SavedState
from dqn_mer.training.meter import EXAMPLES, Meter, build_meter
from tests.helpers.closeness import EXACT
from tests.helpers.mer_problems import with_dtype
from tests.training.test_trainer import rows_of, tiny_run


def problem(shape: tuple[int, ...], layer_norm: bool, count: int) -> tuple[nn.Sequential, tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(1)
    model = FlatWeights(build_network(shape, 3, (16, 12), seed=2, layer_norm=layer_norm)).model
    inputs = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
    actions = torch.randint(0, 3, (count,), generator=generator)
    return model, (inputs if len(shape) == 3 else inputs / 255, actions, 2 * torch.randn(count, generator=generator))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(("shape", "count"), [((6,), 40), ((2, 36, 40), 37)])
def test_dots_are_those_of_gradients_taken_one_by_one(shape: tuple[int, ...], count: int, layer_norm: bool) -> None:
    """In float64, against the lengths of the gradients: where these are nearly orthogonal, a dot product cancels."""
    model, (inputs, actions, targets) = problem(shape, layer_norm, count)
    with_dtype(model, torch.float64)
    examples = inputs if len(shape) == 3 else inputs.double(), actions, targets.double()
    each = []
    for row in range(count):
        one, *aims = (part[row : row + 1] for part in examples)
        loss = HuberTDLoss()(model(one), *aims).sum()
        each.append(torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, list(model.parameters()))]))
    gradients = torch.stack(each)
    dots, lengths = gradient_dots(model, HuberTDLoss(), examples), gradients.norm(dim=1)
    assert dots.dtype == torch.float64 and lengths.min() > 0
    assert ((dots - gradients @ gradients.T).abs() <= EXACT * torch.outer(lengths, lengths)).all()


def test_dots_of_a_linear_model_by_hand() -> None:
    """Squared error of w·x + b with w = b = 0: the gradient is -y (x, 1)."""
    model = nn.Sequential(nn.Linear(2, 1))
    for weight in model.parameters():
        nn.init.zeros_(weight)
    examples = (torch.tensor([[1.0, 2.0], [3.0, 0.0], [1.0, 2.0]]), torch.tensor([1.0, 2.0, -1.0]))
    dots = gradient_dots(model, lambda outputs, y: 0.5 * (outputs.squeeze(1) - y) ** 2, examples)
    # (x·x' + 1) y y': 6, 4·2, -6; 10·4, 4·-2; 6
    assert dots.tolist() == [[6.0, 8.0, -6.0], [8.0, 40.0, -8.0], [-6.0, -8.0, 6.0]]
    angles = cosines(dots.double().numpy())
    assert angles[0, 2] == pytest.approx(-1) and angles[0, 1] == pytest.approx(8 / np.sqrt(6 * 40))


def test_a_gradient_of_zero_has_no_direction() -> None:
    assert cosines(np.array([[4.0, 0.0], [0.0, 0.0]])).tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_pair_means_leave_out_each_example_with_itself() -> None:
    values = np.array([[99.0, 1.0, 2.0, 3.0], [1.0, 99.0, 4.0, 5.0], [2.0, 4.0, 99.0, 6.0], [3.0, 5.0, 6.0, 99.0]])
    means = pair_means(values, [2, 0, 2, 2], 3)
    np.testing.assert_array_equal(means.pairs, [[0, 0, 3], [0, 0, 0], [3, 0, 3]])
    between, within = (1 + 4 + 5) / 3, (2 + 3 + 6) / 3
    np.testing.assert_allclose(means.means, [[np.nan, np.nan, between], [np.nan] * 3, [between, np.nan, within]])
    assert (means.within(), means.between()) == pytest.approx((within, between))
    assert np.isnan(pair_means(values, [1, 1, 1, 1], 3).between())


def test_dormant_units_of_layers_made_for_it() -> None:
    dense = torch.tensor([[0.0, 1.0, 0.02, 3.0], [0.0, 1.0, 0.02, 3.0]])  # mean 1.005: units 0 and 2 are dormant
    maps = torch.zeros(2, 3, 4, 4)
    maps[0, 1, 2, 2] = 5.0  # one pixel in one example is enough, since others of the layer are rarer still
    assert dormant_share([dense]) == 0.5
    assert dormant_share([dense], threshold=0.0) == 0.25
    assert dormant_share([maps]) == pytest.approx(2 / 3)
    assert dormant_share([dense, maps]) == pytest.approx(4 / 7)
    assert dormant_share([torch.zeros(2, 4)]) == 1.0  # a layer that is wholly dead


def test_effective_rank_of_features_made_for_it() -> None:
    left, right = (torch.linalg.qr(torch.randn(size, size, dtype=torch.float64))[0] for size in (40, 30))
    values = torch.zeros(40, 30, dtype=torch.float64)
    values[range(5), range(5)] = torch.tensor([50.0, 30.0, 15.0, 4.5, 0.5], dtype=torch.float64)
    features = left @ values @ right
    assert [effective_rank(features, tolerance) for tolerance in (0.01, 0.004, 0.06, 0.6)] == [4, 5, 3, 1]
    assert effective_rank(torch.ones(9, 4)) == 1
    assert effective_rank(torch.zeros(9, 4)) == 0


def test_activations_are_those_of_every_relu() -> None:
    model, (inputs, *_) = problem((2, 36, 40), True, 3)
    layers = activations(model, inputs)
    assert [tuple(layer.shape[:2]) for layer in layers] == [(3, 32), (3, 64), (3, 64), (3, 16), (3, 12)]
    assert torch.equal(model[-1](layers[-1]), model(inputs))
    assert all((layer >= 0).all() for layer in layers)


def played(frames: int, **choices: Any) -> Meter:
    values = {"observation": "state", "hidden_sizes": (8,), "frames_per_setting": 50, "warmup_frames": 20}
    config = default_config(**{**values, "capacity": 500, **choices})
    task, streams = game_task(config), spawn_streams(config.seed)
    env = task.training_env()
    agent = build_agent(config, env, streams)
    observation, _ = env.reset(seed=0)
    for frame in range(frames):
        after, reward, terminated, truncated, _ = env.step(frame % 3)
        agent.observe(Transition(observation, frame % 3, float(reward), after, bool(terminated)))
        observation = env.reset()[0] if terminated or truncated else after
    return build_meter(config, agent, task.schedule, streams)


@pytest.mark.parametrize("interleave_frames", [0, 10])
def test_the_sample_is_spread_evenly_over_the_settings_in_memory(interleave_frames: int) -> None:
    meter = played(190 if interleave_frames else 170, interleave_frames=interleave_frames)
    slots, settings = meter.sample()
    assert len(np.unique(slots)) == len(slots)
    sizes = np.bincount(settings, minlength=6)
    assert sizes.tolist() == ([21] * 6 if interleave_frames else [32, 32, 32, 20, 0, 0])
    frames = meter.agent.memory.born[slots] - 1
    assert settings.tolist() == [meter.schedule.index_in(meter.schedule.stretch_at(frame)) for frame in frames]


def test_of_very_many_settings_there_is_a_pair_each() -> None:
    meter = played(400, settings=tuple(0.05 + i / 1000 for i in range(90)), interleave_frames=3)
    assert np.bincount(meter.sample()[1]).tolist() == [2] * 90


def test_a_measurement_says_what_the_parts_say() -> None:
    meter = played(120)
    before = copy.deepcopy(meter.rng)
    measurement = meter.measure()
    meter.rng = before
    slots, settings = meter.sample()
    agent = meter.agent
    batch = agent.memory.read(slots)
    for row, slot in enumerate(slots):
        assert batch.rewards[row] == agent.memory.rewards[slot] and batch.actions[row] == agent.memory.actions[slot]
    dots = gradient_dots(agent.online.model, HuberTDLoss(), agent.examples_of(batch)).double().numpy()
    pairs = [(i, j) for i in range(len(slots)) for j in range(i)]
    same = {s: np.mean([dots[i, j] for i, j in pairs if settings[i] == settings[j] == s]) for s in (0, 1, 2)}
    assert measurement.values["gradients/dot_within"] == pytest.approx(np.mean(list(same.values())))
    rows = {(row.setting[0], row.other_setting[0]): row for row in measurement.rows}
    assert list(rows) == [("0", "0"), ("0", "1"), ("0", "2"), ("1", "1"), ("1", "2"), ("2", "2")]
    assert rows["1", "1"].dot_mean == pytest.approx(same[1])
    assert rows["0", "1"].pairs == 42 * 42 and rows["0", "0"].pairs == 42 * 41 / 2
    other = [dots[i, j] for i, j in pairs if {settings[i], settings[j]} == {0, 1}]
    assert rows["0", "1"].dot_mean == pytest.approx(np.mean(other))
    assert measurement.values["plasticity/weight_norm"] == pytest.approx(float(agent.online.snapshot().norm()))
    assert 0 < measurement.values["plasticity/feature_rank"] <= 8
    assert EXAMPLES == 128  # as the tags say


@pytest.mark.parametrize("agent", ["dqn", "dqn-mer"])
def test_a_cosine_of_loss_gradients_is_that_of_q_gradients_times_the_errors_signs(agent: str) -> None:
    meter = played(120, agent=agent)
    before = copy.deepcopy(meter.rng)
    values = meter.measure().values
    meter.rng = before
    slots, settings = meter.sample()
    model, examples = meter.agent.online.model, meter.agent.examples_of(meter.agent.memory.read(slots))
    with torch.no_grad():
        outputs = model(examples[0])
    errors = [float(q[action] - target) for q, action, target in zip(outputs, *examples[1:], strict=True)]
    chosen = gradient_dots(model, lambda q, actions, targets: q.gather(1, actions[:, None])[:, 0], examples)
    same = np.sign(np.outer(errors, errors))
    for name, pairs in (("cosine_q", cosines(chosen.double().numpy())), ("same_sign", same)):
        means = pair_means(pairs, settings, 6)
        for kind in ("within", "between"):
            assert values[f"gradients/{name}_{kind}"] == pytest.approx(getattr(means, kind)(), abs=1e-5)


def test_a_diverged_network_does_not_stop_the_meter() -> None:
    meter = played(60)
    meter.agent.online.load(torch.full_like(meter.agent.online.vector, float("inf")))
    assert "plasticity/feature_rank" not in meter.measure().values


def test_one_setting_has_nothing_between_settings_and_one_example_no_pair() -> None:
    assert "gradients/dot_between" not in played(40).measure().values
    alone = played(1).measure()
    assert not alone.rows and {tag.partition("/")[0] for tag in alone.values} == {"plasticity"}


@pytest.mark.parametrize(
    ("every", "sync", "frames"),
    [
        (0, 10, []),
        (10, 10, [15, 25, 35, 45, 55]),
        (25, 10, [25, 55]),  # 25 is the middle of 20 to 30, 50 is in 50 to 60
        (7, 10, [10, 17, 24, 31, 38, 45, 52, 59]),
        (20, 100, [30, 50]),
        (20, 1, [20, 40, 60]),
    ],
)
def test_measurements_are_in_the_middle_of_target_periods_or_of_their_own_if_shorter(
    every: int, sync: int, frames: list[int]
) -> None:
    meter = played(1, target_sync_frames=sync)
    meter.every_frames = every
    assert [frame for frame in range(1, 61) if meter.due(frame)] == frames


def test_the_meter_goes_on_to_the_bit() -> None:
    first, second = played(80), played(80, seed=0)
    first.measure()
    second.set_state(SavedState(copy.deepcopy(first.get_state())))
    assert first.measure() == second.measure()


def test_the_meters_stream_leaves_the_others_their_numbers() -> None:
    assert Streams._fields[-1] == "meter"
    streams = spawn_streams(5)
    children = np.random.SeedSequence(5).spawn(8)  # as before there was a meter
    assert streams.environment == int(children[0].generate_state(1)[0])
    assert streams.random_policy.random() == np.random.default_rng(children[7]).random()


@pytest.mark.parametrize("agent", ["dqn-mer", "hare-tortoise"])
def test_training_is_the_same_to_the_bit_with_and_without_it(agent: str, tmp_path: Path) -> None:
    runs = {every: tiny_run(tmp_path / str(every), agent=agent, meter_every=every) for every in (0, 30)}
    assert len({run.summary["weights_sha256"] for run in runs.values()}) == 1
    kept = [run.agent.get_state() for run in runs.values()]
    assert str(kept[0]["replay"]) == str(kept[1]["replay"]) and kept[0]["rng"] == kept[1]["rng"]
    rows = rows_of(tmp_path / "30" / "interference.csv")
    assert sorted({int(row["frame"]) for row in rows}) == list(range(45, 401, 30))
    metrics = {int(row["frame"]): row for row in rows_of(tmp_path / "30" / "metrics.csv")}
    assert sorted(metrics) == sorted({*range(45, 401, 30), *range(50, 401, 50)})
    assert metrics[195]["plasticity/dormant_share"] and not metrics[200]["plasticity/dormant_share"]
    assert metrics[225]["gradients/cosine_between"] and not metrics[195]["gradients/cosine_between"]
    assert rows_of(tmp_path / "0" / "interference.csv") == []


def test_random_play_is_not_metered(tmp_path: Path) -> None:
    tiny_run(tmp_path / "run", agent="random", meter_every=50)
    assert rows_of(tmp_path / "run" / "interference.csv") == []
