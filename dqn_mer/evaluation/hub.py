"""Agents on the Hugging Face hub: what is uploaded, and what is read of a stranger's repository."""

from __future__ import annotations

from pathlib import Path

from dqn_mer.evaluation.checkpoint import DESCRIPTION, SHARED_WEIGHTS, load_checkpoint
from dqn_mer.storage.run_reader import RunReader

CARD = "README.md"
SHARED_FILES = (SHARED_WEIGHTS, DESCRIPTION, CARD)
"""All that a shared agent is made of."""
NEEDS = "the hub: needs huggingface_hub: pip install 'dqn-mer[hub]'"


def push_to_hub(folder: Path | str, repo_id: str, private: bool = False) -> str:
    """Upload an agent to the Hugging Face hub, under the account that ``hf auth login`` set up.

    Args:
        folder: Folder of the agent, as ``python -m dqn_mer export`` writes it.
        repo_id: Name of the repository, as USER/REPO; made if there is none.
        private: Whether a new repository is private.

    Returns:
        The address of the repository.

    Raises:
        ValueError: if the folder holds no sound agent that was exported.
        ImportError: if huggingface_hub is missing.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ImportError(NEEDS) from None
    folder = Path(folder)
    for name in SHARED_FILES:
        if not RunReader(folder).has(name):
            raise ValueError(f"{folder}: has no {name}; must be what `python -m dqn_mer export` wrote")
    load_checkpoint(folder)
    api = HfApi()
    url = api.create_repo(repo_id, private=private, exist_ok=True)
    api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=list(SHARED_FILES))
    return str(url)


def from_hub(repo_id: str, folder: Path | str | None = None, revision: str | None = None) -> Path:
    """Download an agent from the Hugging Face hub; loading it runs no code.

    Args:
        repo_id: Name of the repository, as USER/REPO.
        folder: Folder to download into; by default one in the hub's cache, which is brought up to date.
        revision: Branch, tag or commit; by default the newest.

    Returns:
        The folder, for `evaluate` and `load_agent`.

    Raises:
        CheckpointError: if the repository holds no sound agent.
        ImportError: if huggingface_hub is missing.
        ValueError: if the name is not one of a repository.
        OSError: if there is no such repository, or the hub cannot be reached.
    """
    try:
        from huggingface_hub import constants, snapshot_download
    except ImportError:
        raise ImportError(NEEDS) from None
    # As plain files: those in the hub's own cache are links, which are never followed inside an agent.
    into = Path(folder) if folder is not None else Path(constants.HF_HOME) / "dqn-mer" / repo_id
    snapshot_download(repo_id, revision=revision, local_dir=into, allow_patterns=list(SHARED_FILES))
    load_checkpoint(into)
    return into
