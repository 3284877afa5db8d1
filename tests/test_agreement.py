"""How far gradients of saved agents agree, against one backward pass for each transition."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from pathlib import Path

import agreement
import numpy as np
import pytest
import torch
from evidence import table

from continual_ple.frame_skip import FrameSkip
from continual_ple.settings import Setting
from continual_ple.tasks import Task
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


def test_rewards_are_those_that_the_agent_learned(flappy_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "FRAMES", 120)
    monkeypatch.setattr(agreement, "EXAMPLES", 120)
    agent = load_agent(EvaluateOptions(path=flappy_run))
    raw, learned = (
        agreement.transitions(
            dataclasses.replace(
                agent, config=dataclasses.replace(agent.config, clip_rewards=clipped, eval_frame_limit=120)
            ),
            agent.task.schedule.settings[0],
        )[2]
        for clipped in (False, True)
    )
    assert raw.min() == -5.0, "a crash is more than is learned of it"
    assert learned.tolist() == np.clip(raw, -1.0, 1.0).tolist()


def test_an_agent_that_skips_frames_plays_as_many(flappy_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FrameSkip] = []

    def agents_env(task: Task, setting: Setting, frame_limit: int) -> FrameSkip:
        made.append(FrameSkip(task.make_env(setting, frame_limit), 2))
        return made[-1]

    monkeypatch.setattr(agreement, "FRAMES", 60)
    monkeypatch.setattr(agreement, "EXAMPLES", 5)
    monkeypatch.setattr(Task, "agents_env", agents_env)
    agent = load_agent(EvaluateOptions(path=flappy_run))
    agreement.transitions(agent, agent.task.schedule.settings[0])
    assert [env.played for env in made] in ([60], [61])


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
