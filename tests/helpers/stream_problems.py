"""Small streams of labelled examples, and slow, obvious learners to compare with."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dqn_mer.networks.weights import FlatWeights
from dqn_mer.supervised.model import build_mlp

SIDE = 8
Example = tuple[np.ndarray, np.int64]


def make_examples(count: int, seed: int = 0, inputs: int = 6, classes: int = 3) -> list[Example]:
    rng = np.random.default_rng(seed)
    return [(rng.random(inputs), np.int64(rng.integers(classes))) for _ in range(count)]


def make_weights(seed: int = 0, dtype: torch.dtype = torch.float64) -> FlatWeights:
    return FlatWeights(build_mlp((6, 8, 5, 3), seed).to(dtype))


def make_twin(weights: FlatWeights) -> nn.Sequential:
    """Return an ordinary model with the same weights."""
    twin = build_mlp((6, 8, 5, 3), seed=0).to(weights.vector.dtype)
    twin.load_state_dict(weights.model.state_dict())
    return twin


def sgd_step(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, rate: float) -> None:
    """Take one plain SGD step on the mean cross-entropy."""
    model.zero_grad()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= rate * weight.grad


def weights_of(model: nn.Module) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in model.parameters()]


def reptile(model: nn.Module, before: list[torch.Tensor], rate: float) -> None:
    with torch.no_grad():
        for weight, start in zip(model.parameters(), before, strict=True):
            weight.copy_(start + rate * (weight - start))


def vector_of(model: nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().reshape(-1) for weight in model.parameters()])


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write an IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_images(folder: Path, train: int = 300, test: int = 60, classes: int = 4, seed: int = 0) -> Path:
    """Write four IDX files of noisy images of a few classes, which an MLP learns quickly; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    patterns = (rng.random((classes, SIDE, SIDE)) < 0.3) * 200
    for part, count in (("train", train), ("t10k", test)):
        labels = np.arange(count) % classes
        noise = rng.integers(0, 50, (count, SIDE, SIDE))
        write_idx(folder / f"{part}-images-idx3-ubyte", patterns[labels] + noise)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder
