"""Checkpoints: a folder with weights (safetensors) and a description (JSON). Loading never unpickles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from dqn_mer.evaluation.checkpoint_folders import DESCRIPTION, CheckpointError, OwnNetworkError, find_checkpoint
from dqn_mer.networks.own_networks import MakeNetwork
from dqn_mer.networks.q_network import NetworkMissing, network_from_spec
from dqn_mer.storage.escapes import message, shown
from dqn_mer.storage.files import DamagedError, write_folder
from dqn_mer.storage.run_reader import RunReader

FORMAT = "dqn-mer checkpoint"
VERSION = 1
WEIGHTS = "weights.safetensors"
SHARED_WEIGHTS = "model.safetensors"
"""Name of the weights of an agent that is shared, as the Hugging Face hub expects it."""
WEIGHTS_BYTES = 2**33
"""Largest file of weights: two thousand million of them."""
DTYPES = {"float32": "F32", "float16": "F16"}
"""How weights are stored, by the name of PyTorch's dtype, and safetensors's name for it; they are float32 in use."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        path: Folder of the checkpoint.
        model: Q-network with its weights, on the CPU.
        description: Contents of ``checkpoint.json``.
    """

    path: Path
    model: nn.Sequential
    description: dict[str, Any]

    def __repr__(self) -> str:
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        return f"<Checkpoint: {weights:,} weights; {self.path}>"


def weights_digest(model: nn.Module) -> str:
    """Return the SHA-256 of the weights as they would be saved."""
    return hashlib.sha256(_weights_bytes(model)).hexdigest()


def save_checkpoint(folder: Path, model: nn.Module, description: Mapping[str, Any]) -> Path:
    """Write a checkpoint folder, whole or not at all.

    Args:
        folder: Folder to make. It must not exist.
        model: Q-network whose weights are saved.
        description: JSON values; must hold ``network`` (see `network_spec`).

    Raises:
        FileExistsError: if the folder exists.
    """
    write_folder(folder, checkpoint_files(model, description))
    return folder


def checkpoint_files(
    model: nn.Module, description: Mapping[str, Any], weights: str = WEIGHTS, dtype: str = "float32"
) -> dict[str, bytes]:
    """Return the files of a checkpoint, by name.

    Args:
        model: Q-network whose weights are saved.
        description: JSON values; must hold ``network`` (see `network_spec`).
        weights: Name of the file of weights: `WEIGHTS` or `SHARED_WEIGHTS`.
        dtype: Name of what the weights are stored as, one of `DTYPES`.
    """
    data = _weights_bytes(model, dtype)
    about = {"format": FORMAT, "version": VERSION, "weights_sha256": hashlib.sha256(data).hexdigest()}
    if dtype != "float32":
        about["dtype"] = dtype
    return {weights: data, DESCRIPTION: json.dumps({**about, **description}, indent=2).encode()}


def load_checkpoint(path: Path, network: MakeNetwork | None = None) -> Checkpoint:
    """Load a checkpoint, or the latest one of a run folder.

    Nothing of a network's size is made before the header of its weights has the same shapes.

    Args:
        path: Path of a checkpoint or a run folder.
        network: The user's function that built the network, if one did (see `continual_ple.own_task`).

    Raises:
        OwnNetworkError: if ``network`` is needed and not given.
        CheckpointError: if it is missing, damaged or not ours.
    """
    try:
        return _load(find_checkpoint(path), network)
    except DamagedError as error:
        raise CheckpointError(str(error)) from None


def _load(reader: RunReader, network: MakeNetwork | None) -> Checkpoint:
    description = _read_description(reader)
    weights = SHARED_WEIGHTS if reader.has(SHARED_WEIGHTS) else WEIGHTS
    path = reader.folder / weights
    file = reader.tensors(weights, WEIGHTS_BYTES, "pt")
    shapes = {name: (file.get_slice(name).get_dtype(), tuple(file.get_slice(name).get_shape())) for name in file.keys()}
    described = reader.folder / DESCRIPTION
    try:
        spec = description["network"] if network is None else {**description["network"], "make": network}
        sizes = [*spec["observation_shape"], spec["num_actions"], *spec["hidden_sizes"]]
        if not all(type(size) is int and 1 <= size < 2**31 for size in sizes):
            raise ValueError("sizes must be whole numbers above 0")
        if network is None and len(spec["hidden_sizes"]) > len(shapes):
            raise ValueError(f"hidden_sizes: must be at most {len(shapes):,}, for each of which there are weights")
        device = "meta" if network is None else "cpu"  # a user's function is not a stranger's file
        state = network_from_spec(spec, device=device).state_dict()
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        said = message(str(error).partition("\n")[0])
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        complaint = f"{described}: bad network: {kind}{said}"
        if isinstance(error, NetworkMissing):
            raise OwnNetworkError(complaint, description.get("config")) from None
        raise CheckpointError(complaint) from None
    stored = DTYPES[description.get("dtype", "float32")]
    expected = {
        name: (stored if tensor.dtype is torch.float32 else "", tuple(tensor.shape)) for name, tensor in state.items()
    }
    if shapes != expected:
        wrong = min(set(shapes.items()) ^ set(expected.items()))
        raise CheckpointError(f"{path}: tensors do not fit the network; first difference: {shown(wrong)}")
    if reader.digest(weights, WEIGHTS_BYTES) != description.get("weights_sha256"):
        raise CheckpointError(f"{path}: checksum differs from the one in {DESCRIPTION}; the file is damaged")
    try:
        model = network_from_spec(spec)
        model.load_state_dict({name: file.get_tensor(name) for name in shapes})
    except (MemoryError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be loaded: {error}") from None
    return Checkpoint(reader.folder, model, description)


def _weights_bytes(model: nn.Module, dtype: str = "float32") -> bytes:
    # Copied, because safetensors refuses tensors that are views of one storage, as FlatWeights makes them.
    kinds = {torch.float32: getattr(torch, dtype)}
    state = {
        name: tensor.cpu().to(kinds.get(tensor.dtype), memory_format=torch.contiguous_format, copy=True)
        for name, tensor in model.state_dict().items()
    }
    return safetensors.torch.save(state)


def _read_description(reader: RunReader) -> dict[str, Any]:
    description, path = reader.json(DESCRIPTION), reader.folder / DESCRIPTION
    if description.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format must be {FORMAT!r}")
    if description.get("version") != VERSION:
        raise CheckpointError(f"{path}: version={shown(description.get('version'))}: must be {VERSION}")
    if (dtype := description.get("dtype", "float32")) not in tuple(DTYPES):
        raise CheckpointError(f"{path}: dtype={shown(dtype)}: must be one of {', '.join(DTYPES)}")
    return description
