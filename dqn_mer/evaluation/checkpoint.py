"""Checkpoints: a folder with weights (safetensors) and a description (JSON). Loading never unpickles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from dqn_mer.networks.own_networks import MakeNetwork
from dqn_mer.networks.q_network import network_from_spec
from dqn_mer.storage.files import write_folder

FORMAT = "dqn-mer checkpoint"
VERSION = 1
WEIGHTS = "weights.safetensors"
DESCRIPTION = "checkpoint.json"


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or not ours; the message is one line that names the file."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        path: its folder.
        model: the Q-network, with its weights, on the CPU.
        description: everything in ``checkpoint.json``.
    """

    path: Path
    model: nn.Sequential
    description: dict[str, Any]


def weights_digest(model: nn.Module) -> str:
    """Return the SHA-256 of the weights as they would be saved."""
    return hashlib.sha256(_weights_bytes(model)).hexdigest()


def save_checkpoint(folder: Path, model: nn.Module, description: Mapping[str, Any]) -> Path:
    """Write a checkpoint folder, whole or not at all.

    Args:
        folder: to make; must not exist.
        model: whose weights are saved.
        description: JSON values; must hold ``network`` (see `network_spec`).

    Raises:
        FileExistsError: if the folder exists.
    """
    data = _weights_bytes(model)
    text = json.dumps(
        {"format": FORMAT, "version": VERSION, "weights_sha256": hashlib.sha256(data).hexdigest(), **description},
        indent=2,
    )
    write_folder(folder, {WEIGHTS: data, DESCRIPTION: text.encode()})
    return folder


def find_checkpoint(path: Path) -> Path:
    """Return ``path`` if it is a checkpoint, or the latest checkpoint of the run folder ``path``.

    Raises:
        CheckpointError: if it is neither.
    """
    if (path / DESCRIPTION).is_file():
        return path
    found = sorted(entry.parent for entry in path.glob(f"checkpoints/frame-*/{DESCRIPTION}"))
    if not found:
        raise CheckpointError(f"{path}: must be a checkpoint or a run folder with checkpoints/frame-*/{DESCRIPTION}")
    return found[-1]


def load_checkpoint(path: Path, network: MakeNetwork | None = None) -> Checkpoint:
    """Load a checkpoint, or the latest one of a run folder.

    Args:
        path: of either.
        network: the user's function that built the network, if one did (see `dqn_mer.config.task.own_task`).

    Raises:
        CheckpointError: if it is missing, damaged or not ours, or if ``network`` is needed and not given.
    """
    folder = find_checkpoint(path)
    description = _read_description(folder / DESCRIPTION)
    weights = folder / WEIGHTS
    try:
        spec = description["network"]
        model = network_from_spec(spec if network is None else {**spec, "make": network})
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder / DESCRIPTION}: bad network: {error}") from None
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    try:
        with safetensors.safe_open(weights, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{weights}: cannot be read: {error}") from None
    if shapes != expected:
        wrong = sorted(set(_pairs(shapes)) ^ set(_pairs(expected)))
        raise CheckpointError(f"{weights}: tensors do not fit the network; first difference: {wrong[0]}")
    data = weights.read_bytes()
    if hashlib.sha256(data).hexdigest() != description.get("weights_sha256"):
        raise CheckpointError(f"{weights}: checksum differs from the one in {DESCRIPTION}; the file is damaged")
    model.load_state_dict(safetensors.torch.load(data))
    return Checkpoint(folder, model, description)


def _weights_bytes(model: nn.Module) -> bytes:
    # Cloned, because safetensors refuses tensors that are views of one storage, as FlatWeights makes them.
    state = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    return safetensors.torch.save(state)


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format must be {FORMAT!r}")
    if description.get("version") != VERSION:
        raise CheckpointError(f"{path}: version={description.get('version')!r}: must be {VERSION}")
    return description


def _pairs(shapes: Mapping[str, list[int]]) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(shape)) for name, shape in shapes.items()]
