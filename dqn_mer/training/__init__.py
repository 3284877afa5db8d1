"""One training run, from its folder to its summary."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Return a name that version 0.1.0 documented here."""
    if name not in ("train", "train_on"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dqn_mer._former_names import former_train_on
    from dqn_mer.training.trainer import train

    return train if name == "train" else former_train_on(train)
