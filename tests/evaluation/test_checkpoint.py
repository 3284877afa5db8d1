"""Checkpoints: what is saved comes back, and what is damaged or foreign is refused in one line."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch

from dqn_mer.evaluation.checkpoint import CheckpointError, load_checkpoint, save_checkpoint, weights_digest
from dqn_mer.networks.q_network import build_network, network_spec
from dqn_mer.networks.weights import FlatWeights


def saved(folder: Path, shape: tuple[int, ...] = (4,)) -> tuple[Path, torch.nn.Sequential]:
    model = build_network(shape, 2, (8,), seed=3)
    FlatWeights(model)
    return save_checkpoint(folder / "frame-1", model, {"frame": 1, "network": network_spec(shape, 2, (8,))}), model


@pytest.mark.parametrize("shape", [(4,), (2, 36, 36)])
def test_weights_come_back_to_the_bit(shape: tuple[int, ...], tmp_path: Path) -> None:
    folder, model = saved(tmp_path, shape)
    loaded = load_checkpoint(folder)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)
    assert weights_digest(loaded.model) == weights_digest(model)
    assert loaded.description["frame"] == 1


def test_a_run_folder_gives_its_latest_checkpoint(tmp_path: Path) -> None:
    for frame in (5, 1_000, 20):
        model = build_network((4,), 2, (8,), seed=frame)
        description = {"frame": frame, "network": network_spec((4,), 2, (8,))}
        save_checkpoint(tmp_path / "checkpoints" / f"frame-{frame:09d}", model, description)
    assert load_checkpoint(tmp_path).description["frame"] == 1_000


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(FileExistsError, match="is there already"):
        saved(tmp_path)


def flip(path: Path, place: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def rewrite(folder: Path, **changes: object) -> None:
    path = folder / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


DAMAGE = {
    "flipped bit": lambda folder: flip(folder / "weights.safetensors"),
    "flipped header": lambda folder: flip(folder / "weights.safetensors", 3),
    "cut short": lambda folder: (folder / "weights.safetensors").write_bytes(b"\x08\x00"),
    "empty": lambda folder: (folder / "weights.safetensors").write_bytes(b""),
    "missing": lambda folder: (folder / "weights.safetensors").unlink(),
    "a pickle": lambda folder: (folder / "weights.safetensors").write_bytes(pickle.dumps({"0.weight": [1.0]})),
    "other shapes": lambda folder: safetensors.torch.save_file(
        build_network((5,), 2, (8,), 0).state_dict(), folder / "weights.safetensors"
    ),
    "extra tensor": lambda folder: safetensors.torch.save_file(
        {**build_network((4,), 2, (8,), 0).state_dict(), "x": torch.zeros(1)}, folder / "weights.safetensors"
    ),
    "no JSON": lambda folder: (folder / "checkpoint.json").write_text("{"),
    "JSON list": lambda folder: (folder / "checkpoint.json").write_text("[]"),
    "other format": lambda folder: rewrite(folder, format="zebra"),
    "other version": lambda folder: rewrite(folder, version=99),
    "other dtype": lambda folder: rewrite(folder, dtype="float64"),
    "dtype of a list": lambda folder: rewrite(folder, dtype=["float16"]),
    "dtype of other weights": lambda folder: rewrite(folder, dtype="float16"),
    "no network": lambda folder: rewrite(folder, network=None),
    "absurd network": lambda folder: rewrite(folder, network=network_spec((4,), 2, (2**40,))),
    "network of words": lambda folder: rewrite(folder, network=network_spec((4,), 2, ("a",))),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_one_line_that_names_the_file(damage, tmp_path: Path) -> None:
    folder, _ = saved(tmp_path)
    damage(folder)
    with pytest.raises(CheckpointError, match=str(folder)) as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value)


def test_neither_checkpoint_nor_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="must be a checkpoint or a run folder"):
        load_checkpoint(tmp_path)
