"""MER against the oracle, and the identities of the paper, for MLP and CNN and every inner loop."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from dqn_mer import kernels, sequential
from dqn_mer.agents import make_optimizer
from dqn_mer.dqn import HuberTDLoss
from dqn_mer.mer import AutogradLearner, MERParameters, MERUpdate, MiniBatchUpdate, arrange_batches
from dqn_mer.networks import FlatWeights, build_network
from dqn_mer.sequential import ExplicitLearner, has_explicit_form, is_plain_sgd, make_learner
from tests.oracle import naive_mer

MLP, CNN, BIG_CNN = "mlp", "cnn", "nature-cnn"
ALGORITHMS = {
    "1": MERParameters(batch_size=5, num_batches=3, within_batch_rate=0.7, across_batch_rate=0.3),
    "6": MERParameters(batch_size=5, num_batches=3, across_batch_rate=0.3, one_big_batch=True),
    "7": MERParameters(batch_size=6, across_batch_rate=0.4, current_example_boost=3.0),
    "8": MERParameters(batch_size=16, across_batch_rate=0.3),
}
LEARNERS = {"autograd": AutogradLearner, "explicit": ExplicitLearner}


class CrossEntropy:
    """A supervised loss with its gradient, to show that MER is not tied to DQN."""

    def __call__(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, labels, reduction="none")

    def output_gradient(self, outputs: np.ndarray, label: np.int64) -> np.ndarray:
        gradient = np.exp(outputs - outputs.max())
        gradient /= gradient.sum()
        gradient[label] -= 1
        return gradient


def make_problem(kind: str, count: int, dtype: torch.dtype) -> tuple[nn.Sequential, tuple[torch.Tensor, ...]]:
    shape, hidden = {MLP: ((6,), (16, 12)), CNN: ((2, 36, 40), (20,)), BIG_CNN: ((4, 84, 84), (512,))}[kind]
    generator = torch.Generator().manual_seed(1)
    model = build_network(shape, 3, hidden, seed=2).to(dtype)
    if kind == MLP:
        inputs = torch.randn(count, *shape, generator=generator, dtype=dtype)
    else:
        inputs = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
        model[0].forward = lambda pixels: (pixels.to(torch.float32) / 255.0).to(dtype)
    actions = torch.randint(0, 3, (count,), generator=generator)
    targets = 2 * torch.randn(count, generator=generator, dtype=dtype)
    return model, (inputs, actions, targets)


def make_update(
    weights: FlatWeights, learner: str, parameters: MERParameters, optimizer: str = "sgd", rate: float = 0.05
):
    opt = make_optimizer(optimizer, weights, rate)
    return MERUpdate(weights, LEARNERS[learner](weights, HuberTDLoss(), opt), parameters, np.random.default_rng(3))


def flat(weights: dict[str, torch.Tensor], like: nn.Module) -> torch.Tensor:
    return torch.cat([weights[name].reshape(-1) for name, _ in like.named_parameters()])


def named(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("kind", [MLP, CNN])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_update_equals_the_oracle(algorithm: str, kind: str, learner: str) -> None:
    parameters = ALGORITHMS[algorithm]
    model, examples = make_problem(kind, parameters.num_draws + 1, torch.float64)
    twin = copy.deepcopy(model)
    start = flat(named(twin), twin).clone()
    weights = FlatWeights(model)
    update = make_update(weights, learner, parameters)
    for seed in (3, 4):  # a second update shows that nothing stale is left from the first
        update.rng = np.random.default_rng(seed)
        update.update(examples)
        batches = arrange_batches(parameters, parameters.num_draws, np.random.default_rng(seed))
        expected = naive_mer(
            twin,
            HuberTDLoss(),
            examples,
            [batch.tolist() for batch in batches],
            0.05,
            1.0 if parameters.one_big_batch else parameters.within_batch_rate,
            parameters.across_batch_rate,
            parameters.current_example_boost,
        )
    moved = (flat(expected, twin) - start).abs().max()
    assert moved > 1e-3
    torch.testing.assert_close(flat(named(model), model), flat(expected, twin), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize(("kind", "rate"), [(MLP, 1e-3), (CNN, 1e-3), (BIG_CNN, 1e-3)])
def test_explicit_loop_equals_autograd_in_float32(kind: str, rate: float, optimizer: str) -> None:
    parameters = MERParameters(batch_size=8, across_batch_rate=0.3)
    results = []
    for learner in LEARNERS:
        model, examples = make_problem(kind, 9, torch.float32)
        weights = FlatWeights(model)
        start = weights.snapshot()
        update = make_update(weights, learner, parameters, optimizer, rate)
        for _ in range(2):
            update.update(examples)
        results.append(weights.snapshot() - start)
    assert results[0].abs().max() > 1e-5
    # Adam divides by the square root of tiny gradients, so single weights may differ; the movement may not.
    assert (results[0] - results[1]).norm() <= 2e-3 * results[0].norm()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernels_with_and_without_numba(compiled: bool, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    if compiled:
        pytest.importorskip("numba")
    monkeypatch.setattr(kernels, "COMPILED", compiled)
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((40, 7)).astype(dtype)
    inputs = np.maximum(rng.standard_normal(40), 0).astype(dtype)
    gradient = rng.standard_normal(7).astype(dtype)
    np.testing.assert_allclose(kernels.product(matrix, inputs), inputs @ matrix, rtol=1e-5, atol=1e-5)
    expected = np.where(inputs > 0, matrix @ gradient, 0)
    np.testing.assert_allclose(kernels.product_of_active(matrix, gradient, inputs), expected, rtol=1e-5, atol=1e-5)
    patches = rng.standard_normal((3, 2, 4, 3, 5)).astype(dtype)
    below, slow = np.full((9, 5, 5), np.nan, dtype), np.zeros((9, 5, 5), dtype)
    kernels.scatter_patches(patches, below, (2, 1))
    for y, x, a, b in np.ndindex(3, 2, 4, 3):
        slow[2 * y + a, x + b] += patches[y, x, a, b]
    np.testing.assert_allclose(below, slow, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("compiled", [False, True])
def test_large_layers_equal_autograd_in_float64(
    optimizer: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled:
        pytest.importorskip("numba")
    for module in (kernels, sequential):
        monkeypatch.setattr(module, "COMPILED", compiled)
    parameters = MERParameters(
        batch_size=8, num_batches=2, within_batch_rate=0.6, across_batch_rate=0.3, current_example_boost=1.5
    )
    results = []
    for learner in LEARNERS:
        model, examples = make_problem(BIG_CNN, 17, torch.float64)
        weights = FlatWeights(model)
        start = weights.snapshot()
        update = make_update(weights, learner, parameters, optimizer, rate=0.01)
        for _ in range(2):
            update.update(examples)
        results.append(weights.snapshot() - start)
    assert (results[0] - results[1]).norm() <= 1e-9 * results[0].norm()
    if optimizer == "adam":
        assert float(update.learner.optimizer.state[weights.vector]["step"]) == 36


@pytest.mark.parametrize("learner", LEARNERS)
def test_another_loss_learns_the_same_in_both_loops(learner: str) -> None:
    model, (inputs, labels, _) = make_problem(MLP, 6, torch.float64)
    twin = copy.deepcopy(model)
    weights = FlatWeights(model)
    opt = make_optimizer("sgd", weights, 0.1)
    update = MERUpdate(
        weights, LEARNERS[learner](weights, CrossEntropy(), opt), MERParameters(5), np.random.default_rng(0)
    )
    update.update((inputs, labels))
    (batch,) = arrange_batches(MERParameters(5), 5, np.random.default_rng(0))
    expected = naive_mer(twin, CrossEntropy(), (inputs, labels), [batch.tolist()], 0.1, 1.0, 0.3)
    torch.testing.assert_close(flat(named(model), model), flat(expected, twin), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("kind", [MLP, CNN])
def test_rates_of_one_are_plain_sequential_sgd(kind: str, learner: str) -> None:
    parameters = MERParameters(4, 2, within_batch_rate=1.0, across_batch_rate=1.0)
    model, examples = make_problem(kind, 9, torch.float64)
    twin = copy.deepcopy(model)
    make_update(FlatWeights(model), learner, parameters).update(examples)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    for batch in arrange_batches(parameters, 8, np.random.default_rng(3)):
        for row in batch:
            inputs, *targets = (part[row : row + 1] for part in examples)
            optimizer.zero_grad()
            HuberTDLoss()(twin(inputs), *targets).sum().backward()
            optimizer.step()
    torch.testing.assert_close(flat(named(model), model), flat(named(twin), twin), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("num_batches", [1, 3])
@pytest.mark.parametrize("kind", [MLP, CNN])
def test_across_batch_rate_of_zero_leaves_every_bit(kind: str, num_batches: int, learner: str) -> None:
    model, examples = make_problem(kind, 4 * num_batches + 1, torch.float32)
    weights = FlatWeights(model)
    before = weights.snapshot()
    make_update(weights, learner, MERParameters(4, num_batches, across_batch_rate=0.0)).update(examples)
    assert torch.equal(weights.snapshot(), before)


@pytest.mark.parametrize("learner", LEARNERS)
def test_one_example_is_sgd_with_the_product_of_the_rates(learner: str) -> None:
    model, examples = make_problem(MLP, 1, torch.float64)
    twin = copy.deepcopy(model)
    make_update(FlatWeights(model), learner, MERParameters(0, across_batch_rate=0.3)).update(examples)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05 * 0.3)
    HuberTDLoss()(twin(examples[0]), *examples[1:]).sum().backward()
    optimizer.step()
    torch.testing.assert_close(flat(named(model), model), flat(named(twin), twin), rtol=1e-10, atol=1e-12)


def test_before_and_after_are_different_tensors() -> None:
    """The commonest bug of earlier attempts: the copy shared memory with the weights, and γ did nothing."""
    moves = []
    for rate in (1.0, 0.5):
        model, examples = make_problem(MLP, 9, torch.float64)
        weights = FlatWeights(model)
        before = weights.snapshot()
        make_update(weights, "autograd", MERParameters(8, across_batch_rate=rate)).update(examples)
        moves.append(weights.snapshot() - before)
    torch.testing.assert_close(moves[1], 0.5 * moves[0])


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_optimizer_state_is_kept_across_updates(name: str) -> None:
    model, examples = make_problem(MLP, 9, torch.float32)
    weights = FlatWeights(model)
    optimizer = make_optimizer(name, weights, 1e-3)
    update = MERUpdate(
        weights, make_learner(weights, HuberTDLoss(), optimizer), MERParameters(8), np.random.default_rng(0)
    )
    for _ in range(3):
        update.update(examples)
    assert float(optimizer.state[weights.vector]["step"]) == 27


@pytest.mark.parametrize("parameters", ALGORITHMS.values(), ids=ALGORITHMS)
def test_newest_example_is_in_every_batch_and_every_draw_is_used_once(parameters: MERParameters) -> None:
    batches = arrange_batches(parameters, parameters.num_draws, np.random.default_rng(0))
    assert len(batches) == (1 if parameters.one_big_batch else parameters.num_batches)
    assert all(0 in batch for batch in batches)
    rows = np.concatenate(batches)
    assert np.count_nonzero(rows == 0) == parameters.num_batches
    assert sorted(rows[rows > 0]) == list(range(1, parameters.num_draws + 1))


def test_order_within_a_batch_is_random() -> None:
    rng = np.random.default_rng(0)
    places = [int(np.flatnonzero(arrange_batches(MERParameters(3), 3, rng)[0] == 0)[0]) for _ in range(4000)]
    assert np.bincount(places, minlength=4) == pytest.approx([1000] * 4, abs=120)  # over 4 standard deviations


def test_empty_memory_learns_the_newest_alone() -> None:
    assert [b.tolist() for b in arrange_batches(MERParameters(16, 2), 0, np.random.default_rng(0))] == [[0], [0]]


def test_mini_batch_is_one_step_on_the_mean() -> None:
    model, examples = make_problem(MLP, 9, torch.float64)
    twin = copy.deepcopy(model)
    weights = FlatWeights(model)
    MiniBatchUpdate(weights, HuberTDLoss(), make_optimizer("sgd", weights, 0.05), 8).update(examples)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    HuberTDLoss()(twin(examples[0]), *examples[1:]).mean().backward()
    optimizer.step()
    torch.testing.assert_close(flat(named(model), model), flat(named(twin), twin))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", -1),
        ("num_batches", 0),
        ("within_batch_rate", 1.1),
        ("across_batch_rate", float("nan")),
        ("current_example_boost", 0.0),
    ],
)
def test_bad_parameters_name_the_field(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{field}={value}: must be "):
        MERParameters(**{field: value})


def tied() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("model", "explicit"),
    [
        (build_network((4,), 2, (8,), 0), True),
        (build_network((1, 40, 40), 2, (8, 8), 0), True),
        (nn.Sequential(nn.Linear(3, 2)), True),
        (nn.Sequential(nn.Linear(3, 2, bias=False)), False),
        (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), False),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)), False),
        (nn.Linear(3, 2), False),
        (tied(), False),
        (frozen(), False),
    ],
)
def test_which_models_have_an_explicit_form(model: nn.Module, explicit: bool) -> None:
    assert has_explicit_form(model) is explicit
    weights = FlatWeights(model)
    learner = make_learner(weights, HuberTDLoss(), make_optimizer("sgd", weights, 0.1))
    assert isinstance(learner, ExplicitLearner if explicit else AutogradLearner)


def test_padded_convolutions_have_no_explicit_form() -> None:
    model = build_network((1, 40, 40), 2, (8,), 0)
    model[1] = nn.Conv2d(1, 32, 8, 4, padding=1)
    assert not has_explicit_form(model)


def test_momentum_and_decay_are_not_plain_sgd() -> None:
    weights = FlatWeights(build_network((4,), 2, (8,), 0))
    assert is_plain_sgd(torch.optim.SGD([weights.vector], lr=0.1))
    assert not is_plain_sgd(torch.optim.SGD([weights.vector], lr=0.1, momentum=0.9))
    assert not is_plain_sgd(torch.optim.SGD([weights.vector], lr=0.1, weight_decay=0.1))
    assert not is_plain_sgd(torch.optim.Adam([weights.vector]))


def test_flat_weights_and_model_are_one() -> None:
    model = build_network((2, 36, 36), 3, (8,), 0)
    expected = build_network((2, 36, 36), 3, (8,), 0).state_dict()
    weights = FlatWeights(model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name])
    weights.load(torch.arange(len(weights.vector), dtype=torch.float32))
    assert float(model[-1].bias[-1].detach()) == len(weights.vector) - 1
    pixels = torch.randint(0, 256, (5, 2, 36, 36), dtype=torch.uint8)
    model(pixels).sum().backward()
    assert torch.equal(model[-1].bias.grad, torch.full((3,), 5.0))
    assert float(weights.vector.grad[-1]) == 5.0
