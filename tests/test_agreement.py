"""How far gradients of saved agents agree, against one backward pass for each transition."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import agreement
import numpy as np
import pytest
import torch
from evidence import table

from dqn_mer.evaluation.agent_options import EvaluateOptions
from dqn_mer.evaluation.saved_agent import SavedAgent, load_agent


def gradients(agent: SavedAgent, setting: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the gradient of Q and of half the squared error, of each transition of a setting."""
    model, found = agent.checkpoint.model, []
    parts = agreement.transitions(agent, agent.task.schedule.settings[setting])
    for observation, action, reward, following, terminated in zip(*map(torch.from_numpy, parts), strict=True):
        with torch.no_grad():
            target = reward + (0.0 if terminated else agent.config.discount * model(following[None]).max())
        pair = []
        for of_loss in (False, True):
            value = model(observation[None])[0, action]
            model.zero_grad()
            ((value - target) ** 2 / 2 if of_loss else value).backward()
            pair.append(torch.cat([weight.grad.flatten().clone() for weight in model.parameters()]))
        found.append((pair[0], pair[1]))
    return found


def test_both_factors_and_their_product(flappy_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "FRAMES", 60)
    monkeypatch.setattr(agreement, "EXAMPLES", 5)
    agent = load_agent(EvaluateOptions(path=flappy_run))
    measured = agreement.measure(agent)
    pairs = list(itertools.product(gradients(agent, 0), gradients(agent, 1)))
    cosine = torch.nn.functional.cosine_similarity
    of_q, of_loss = (
        np.array([float(cosine(one[kind], other[kind], dim=0)) for one, other in pairs]) for kind in (0, 1)
    )
    assert measured["frame"] == 40
    assert measured["cosine_q"] == pytest.approx(of_q.mean(), abs=1e-5)
    assert measured["cosine_loss"] == pytest.approx(of_loss.mean(), abs=1e-5)
    assert measured["same_sign"] == pytest.approx(np.sign(of_loss * of_q).mean(), abs=1e-5)


def test_each_saved_agent_has_a_row_and_the_first_has_no_pair_of_settings(
    flappy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "FRAMES", 40)
    monkeypatch.setattr(agreement, "EXAMPLES", 3)
    run = tmp_path / "run"
    shutil.copytree(flappy_run, run)
    agreement.measure_run(run)
    first, last = table(run / agreement.NAME)
    assert (first["frame"], last["frame"]) == ("20", "40")
    assert first["cosine_q"] == "" and -1 <= float(last["cosine_q"]) <= 1
