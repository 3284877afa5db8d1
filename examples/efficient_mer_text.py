"""Efficient MER beside an ordinary training loop: ``python examples/efficient_mer_text.py``, about a minute.

A small model learns to predict the next character of a text that changes: prose, then code, then tables, then names,
all from files that ship with Python. Each batch holds as many windows replayed from a reservoir as new ones. The three
lines of `ReptileEvery` are all that differs between the two runs that are compared.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dqn_mer import ExampleMemory, ReptileEvery

TEXTS = {
    "prose": "pydoc_data.topics",
    "code": "argparse",
    "tables": "encodings.cp1252",
    "names": "html.entities",
}
CONTEXT, CHARACTERS, BATCH, TESTS = 16, 128, 32, 1_000


def read_windows(module: str) -> Tensor:
    """Return all windows of a module's source, ``(n, CONTEXT + 1)`` int64: characters and the one that follows."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    text = Path(spec.origin).read_bytes()[:200_000]
    codes = torch.tensor([code for code in text if code < CHARACTERS])
    return codes.unfold(0, CONTEXT + 1, 1)


def make_model() -> nn.Module:
    """Return a model from ``(n, CONTEXT)`` characters to logits ``(n, CHARACTERS)``."""
    return nn.Sequential(
        nn.Embedding(CHARACTERS, 16), nn.Flatten(), nn.Linear(16 * CONTEXT, 128), nn.ReLU(), nn.Linear(128, CHARACTERS)
    )


def stream(windows: dict[str, Tensor], steps_per_text: int, seed: int) -> Iterator[Tensor]:
    """Yield batches of new windows, one text after the other; the last tenth of each is kept for tests."""
    generator = torch.Generator().manual_seed(seed)
    for rows in windows.values():
        known = TensorDataset(rows[: -len(rows) // 10])
        loader = DataLoader(known, BATCH // 2, shuffle=True, drop_last=True, generator=generator)
        done = 0
        while done < steps_per_text:
            for (batch,) in loader:
                yield batch
                done += 1
                if done == steps_per_text:
                    break


def train(windows: dict[str, Tensor], steps_per_text: int, every: int, rate: float, seed: int = 0) -> dict[str, float]:
    """Learn the stream with replay, and a Reptile step every so often; returns the loss on each text at the end."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    memory = ExampleMemory(2_000, (np.zeros(CONTEXT + 1, np.int64),), rng)
    reptile = ReptileEvery(model, every=every, rate=rate)  # the second line; the first is its import
    for new in stream(windows, steps_per_text, seed):
        replayed = [] if not len(memory) else [memory.sample(len(new), rng, (new[0],))[0][1:]]
        batch = torch.cat([new, *replayed])
        loss = nn.functional.cross_entropy(model(batch[:, :-1]), batch[:, -1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        reptile.step()  # the third
        for row in new.numpy():
            memory.add((row,))
    return {name: test(model, rows[-len(rows) // 10 :]) for name, rows in windows.items()}


@torch.no_grad()
def test(model: nn.Module, rows: Tensor) -> float:
    """Return the mean loss, in bits a character, on evenly spaced windows."""
    chosen = rows[:: max(1, len(rows) // TESTS)]
    return float(nn.functional.cross_entropy(model(chosen[:, :-1]), chosen[:, -1])) / float(np.log(2))


def main(steps_per_text: int = 2_000) -> None:
    """Compare replay alone (rate 1 has no effect) with a Reptile step every 100 optimizer steps."""
    windows = {name: read_windows(module) for name, module in TEXTS.items()}
    print("bits a character after the last text, by text:", *windows, "mean", sep="  ")
    for label, every, rate in (("replay alone", 100, 1.0), ("with Reptile", 100, 0.5)):
        losses = train(windows, steps_per_text, every, rate)
        print(f"{label:14}", *(f"{loss:.3f}" for loss in losses.values()), f"{np.mean(list(losses.values())):.3f}")


if __name__ == "__main__":
    main()
