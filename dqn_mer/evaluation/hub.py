"""Agents on the Hugging Face hub: what is uploaded, and what is read of a stranger's repository."""

from __future__ import annotations

from pathlib import Path

from dqn_mer.evaluation.checkpoint import SHARED_WEIGHTS, WEIGHTS_BYTES, load_checkpoint
from dqn_mer.evaluation.checkpoint_folders import DESCRIPTION, CheckpointError
from dqn_mer.evaluation.pretrained import REPO_ID
from dqn_mer.storage.run_reader import JSON_BYTES, RunReader

CARD = "README.md"
CARD_BYTES = 2**20
SHARED_FILES = {SHARED_WEIGHTS: WEIGHTS_BYTES, DESCRIPTION: JSON_BYTES, CARD: CARD_BYTES}
"""All that a shared agent is made of, with the largest size of each in bytes."""
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
        ValueError: if the folder holds no sound agent that was exported, or the name is not of that form.
        ImportError: if huggingface_hub is missing.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ImportError(NEEDS) from None
    _check_repo_id(repo_id)
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
        folder: Folder to download into, where files of the agent's names are replaced; by default
            ``dqn-mer/USER/REPO`` in ``HF_HOME``, which is brought up to date.
        revision: Branch, tag or commit; by default the newest.

    Returns:
        The folder, for `evaluate` and `load_agent`.

    Raises:
        CheckpointError: if the repository holds no sound agent; one that is too large is not downloaded.
        ImportError: if huggingface_hub is missing.
        ValueError: if the name is not one of a repository.
        OSError: if there is no such repository, or the hub cannot be reached.
    """
    try:
        from huggingface_hub import constants, snapshot_download
    except ImportError:
        raise ImportError(NEEDS) from None
    _check_repo_id(repo_id)
    # As plain files: those in the hub's own cache are links, which are never followed inside an agent.
    into = Path(folder) if folder is not None else Path(constants.HF_HOME) / "dqn-mer" / repo_id
    try:
        commit = _commit_of_an_agent(repo_id, revision)
        snapshot_download(repo_id, revision=commit, local_dir=into, allow_patterns=list(SHARED_FILES))
    except ValueError:  # of the name, or a CheckpointError
        raise
    except Exception as error:  # the client's own, and those of its HTTP library, of which not all are an OSError
        raise OSError(f"{repo_id}: cannot be downloaded: {error}") from None
    load_checkpoint(into)
    return into


def _check_repo_id(repo_id: str) -> None:
    """Raise ValueError unless a name has the form that the hub is asked for; its client checks the characters."""
    if not REPO_ID.fullmatch(repo_id):
        raise ValueError(f"repo_id={repo_id!r}: must be USER/REPO")


def _commit_of_an_agent(repo_id: str, revision: str | None) -> str:
    """Return the commit of a revision, after a look at the names and sizes of its files.

    Raises:
        CheckpointError: if they are not those of an agent.
    """
    from huggingface_hub import HfApi

    repository = HfApi().model_info(repo_id, revision=revision, files_metadata=True)
    sizes = {file.rfilename: file.size for file in repository.siblings or ()}
    for name, most_bytes in SHARED_FILES.items():
        size = sizes.get(name)
        if size is None:
            raise CheckpointError(f"{repo_id}: has no {name}; must hold what `python -m dqn_mer export` wrote")
        if size > most_bytes:
            raise CheckpointError(f"{repo_id}: {name} must have at most {most_bytes:,} bytes, has {size:,}")
    return str(repository.sha)
