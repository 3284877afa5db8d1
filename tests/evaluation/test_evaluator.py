"""Evaluation: worked episodes on the chain, and the choice of settings for a saved agent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from dqn_mer.config.defaults import default_config
from dqn_mer.config.task import game_task
from dqn_mer.evaluation.agent_options import EvaluateOptions
from dqn_mer.evaluation.checkpoint import CheckpointError
from dqn_mer.evaluation.choose_settings import choose_settings
from dqn_mer.evaluation.evaluator import Evaluator, GreedyPolicy, RandomPolicy, episode_score
from dqn_mer.evaluation.saved_agent import evaluate_checkpoint, load_agent
from dqn_mer.training.trainer import train
from tests.helpers.chain import LENGTH, chain_task


def test_episodes_by_hand() -> None:
    task = chain_task((1.0, 3.0))
    evaluator = Evaluator(lambda setting: task.make_env(setting, 9), task.schedule.settings, episodes=2, seed=0)
    right = evaluator.run(lambda observations: np.ones(len(observations), np.int64))
    assert [result.returns.tolist() for result in right] == [[1.0, 1.0], [3.0, 3.0]]
    assert [result.lengths.tolist() for result in right] == [[LENGTH - 1] * 2] * 2
    left = evaluator.run(lambda observations: np.zeros(len(observations), np.int64))
    assert [result.returns.tolist() for result in left] == [[0.0, 0.0]] * 2
    assert [result.lengths.tolist() for result in left] == [[9, 9]] * 2
    assert right[1].row().score_best == 3.0


def test_the_same_policy_plays_the_same_episodes_again() -> None:
    task = game_task(default_config(game="flappy_bird", observation="state"))
    evaluator = Evaluator(lambda setting: task.make_env(setting, 300), task.schedule.settings, episodes=3, seed=5)

    def play() -> list[list[int]]:
        policy = RandomPolicy(np.array([0.1, 0.9]), np.random.default_rng(0))
        return [result.lengths.tolist() for result in evaluator.run(policy)]

    first = play()
    assert first == play()
    assert len({length for lengths in first for length in lengths}) > 1
    evaluator.close()


@pytest.mark.parametrize(
    ("score", "counts"),
    [
        (3, True), (np.int16(3), True), (np.uint8(3), True), (np.float16(3), True), (np.longdouble(3), True),
        (np.array(3), True), (np.array(3.0, np.float32), True), (np.array([3, 4]), False), (np.array("3"), False),
        (np.array(np.nan), False), (float("inf"), False), (np.complex64(3), False), ("3", False), (None, False),
        (10**400, False),
    ],
)  # fmt: skip
def test_a_score_is_any_finite_real_number(score: object, counts: bool) -> None:
    assert episode_score({"score": score}, 2.5) == (3.0 if counts else 2.5)


def test_greedy_policy_takes_the_best_action() -> None:
    model = torch.nn.Linear(2, 3)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.4, 0.4]]))
        model.bias.zero_()
    policy = GreedyPolicy(model, torch.device("cpu"))
    assert policy(np.array([[1, 0], [0, 1], [-1, -1.5]], np.float32)).tolist() == [0, 1, 0]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = default_config(
        observation="state", frames=90, frames_per_setting=30, warmup_frames=10, capacity=50, eval_every=90,
        eval_episodes=1, eval_frame_limit=30, hidden_sizes=(8,), threads=1, eval_worker=False, run_dir=folder,
    )  # fmt: skip
    train(config, console=Console(quiet=True))
    return folder


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("all", [f"{i}-fall_speed={0.0608 + 0.03 * i:.4f}" for i in range(6)]),
        ("easier", ["0-fall_speed=0.0608", "1-fall_speed=0.0908"]),
        ("1-fall_speed=0.0908,0.2", ["1-fall_speed=0.0908", "fall_speed=0.2"]),
    ],
)
def test_settings_by_name_value_or_group(words: str, names: list[str], run_dir: Path) -> None:
    options = EvaluateOptions(run_dir, settings=words, episodes=1, frame_limit=20)
    content = evaluate_checkpoint(options, Console(quiet=True))
    assert content["trained_on_last"] == "2-fall_speed=0.1208"
    assert [row["setting"] for row in content["settings"]] == names


def test_an_earlier_checkpoint_knows_its_own_last_setting(run_dir: Path) -> None:
    options = EvaluateOptions(run_dir / "checkpoints" / "frame-000000030", episodes=1, frame_limit=20)
    assert evaluate_checkpoint(options, Console(quiet=True))["trained_on_last"] == "0-fall_speed=0.0608"


def test_game_parameters_change_the_game_that_is_played(run_dir: Path) -> None:
    def lengths(**parameters: float) -> list[float]:
        options = EvaluateOptions(run_dir, settings="all", episodes=2, game_parameters=parameters)
        return [row["length_mean_frames"] for row in evaluate_checkpoint(options, Console(quiet=True))["settings"]]

    assert lengths() != lengths(lives=1)


def test_unknown_or_missing_settings_are_one_line(run_dir: Path) -> None:
    agent = load_agent(EvaluateOptions(run_dir / "checkpoints" / "frame-000000030"))
    with pytest.raises(ValueError, match="settings='zebra': must be one of all, easier, 0-fall_speed="):
        choose_settings("zebra", agent.task, agent.trained_on_last)
    with pytest.raises(ValueError, match=r"no setting of the run is easier than 0-fall_speed="):
        choose_settings("easier", agent.task, agent.trained_on_last)
    with pytest.raises(ValueError, match="fall_speed"):
        choose_settings("-1", agent.task, agent.trained_on_last)
    for words in ("all,0.1", "0.1,easier"):
        with pytest.raises(ValueError, match=rf"^settings='{words}': (all|easier) must stand alone$"):
            choose_settings(words, agent.task, agent.trained_on_last)


def test_a_setting_that_is_named_twice_is_played_once(run_dir: Path) -> None:
    agent = load_agent(EvaluateOptions(run_dir))
    words = "0.3,0-fall_speed=0.0608,0.30,0.0608,3e-1"
    chosen = choose_settings(words, agent.task, agent.trained_on_last)
    assert [setting.name for setting in chosen] == ["fall_speed=0.3", "0-fall_speed=0.0608"]


def test_what_was_played_is_what_is_told(run_dir: Path) -> None:
    options = EvaluateOptions(run_dir, settings="1.5", episodes=1, game_parameters={"lives": 1})
    content = evaluate_checkpoint(options, Console(quiet=True))
    assert content["settings"][0]["parameters"] | {"width": 64, "height": 64} == content["settings"][0]["parameters"]
    assert content["settings"][0]["parameters"]["fall_speed"] == 1.5
    assert content["settings"][0]["parameters"]["lives"] == 1
    assert (content["backend"], content["rounding"], content["frame_limit"]) == ("native", "nearest", 30)


def test_a_run_with_a_schedule_file_no_longer_needs_it(tmp_path: Path) -> None:
    file = tmp_path / "schedule.json"
    settings = [{"name": name, "parameters": {"lives": 2, "fall_speed": v}} for name, v in (("a", 0.06), ("b", 0.1))]
    file.write_text(json.dumps({"frames_per_setting": 30, "settings": settings}))
    config = default_config(
        observation="state", schedule=file, warmup_frames=10, capacity=50, eval_every=60, eval_episodes=1,
        eval_frame_limit=30, hidden_sizes=(8,), threads=1, eval_worker=False, run_dir=tmp_path / "run",
    )  # fmt: skip
    train(config, console=Console(quiet=True))
    file.unlink()
    options = EvaluateOptions(tmp_path / "run", settings="a,0.2", episodes=1, frame_limit=20)
    content = evaluate_checkpoint(options, Console(quiet=True))
    assert [row["setting"] for row in content["settings"]] == ["a", "fall_speed=0.2"]
    assert [row["parameters"]["lives"] for row in content["settings"]] == [2, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"frame": "x"}, {"trained_on_last": "zebra"}, {"config": {"game": "catcher"}}, {"schedule": []},
        {"config.observation": "pixels"}, {"config.game_parameters": 3}, {"config.game_parameters": {"zebra": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_a_damaged_description_is_one_line(change: dict, run_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(run_dir / "checkpoints" / "frame-000000030", folder)
    content = json.loads((folder / "checkpoint.json").read_text())
    for name, value in change.items():
        place, _, field = name.partition(".")
        if field:
            content[place][field] = value
        else:
            content[place] = value
    (folder / "checkpoint.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="bad description") as caught:
        load_agent(EvaluateOptions(folder))
    assert "\n" not in str(caught.value)


def test_episodes_have_seeds_of_their_own_and_the_same_on_every_setting() -> None:
    task = game_task(default_config(game="flappy_bird", observation="state", settings=(100, 99)))
    evaluator = Evaluator(lambda setting: task.make_env(setting, 300), task.schedule.settings, episodes=4, seed=5)
    evaluator.run(lambda observations: np.ones(len(observations), np.int64))  # never flaps
    starts = [env.reset(seed=seed)[0].tolist() for seed, env in zip(evaluator.seeds, evaluator.envs[0], strict=True)]
    assert len(set(evaluator.seeds)) == 4
    assert len({str(start) for start in starts}) == 4
    evaluator.close()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fall_speed": 0.3}, r"^game_parameters\.fall_speed=0\.3: fall_speed is what the settings vary; "),
        ({"foo": 1.0}, r"^game_parameters\.foo=1\.0: must be one of the parameters of catcher: width, height, "),
        ({"lives": 0.0}, r"^game_parameters\.lives=0\.0: must be a whole number from 1 "),
        ({"height": 512.0, "width": 64.0}, r"^game_parameters\.width=64: must be more than \d+ \(px\) at height=512"),
    ],
)
def test_game_parameters_that_are_not_allowed_are_named(
    run_dir: Path, parameters: dict[str, float], message: str
) -> None:
    for set_up in (
        lambda: load_agent(EvaluateOptions(run_dir, game_parameters=parameters)),
        lambda: game_task(default_config(game_parameters=parameters)),
    ):
        with pytest.raises(ValueError, match=message):
            set_up()


def test_nothing_is_easier_where_all_settings_took_turns(tmp_path: Path) -> None:
    task = game_task(default_config(game="flappy_bird", observation="state", interleave_frames=500))
    assert len(choose_settings("all", task, "2-pipe_gap=90")) == 6
    with pytest.raises(ValueError, match=r"^settings='easier': the run trained on all settings in turn"):
        choose_settings("easier", task, "2-pipe_gap=90")


def test_settings_named_twice_or_by_close_values_are_told_apart(run_dir: Path) -> None:
    agent = load_agent(EvaluateOptions(run_dir))
    chosen = choose_settings("0.12345678,0.12345679,0.12345678", agent.task, agent.trained_on_last)
    assert [setting.name for setting in chosen] == ["fall_speed=0.12345678", "fall_speed=0.12345679"]


@pytest.mark.parametrize("most", [1, 5, 8, 9])
def test_more_episodes_than_are_played_at_once_give_the_same(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    task = game_task(default_config(game="flappy_bird", observation="state", settings=(100, 99)))

    def play() -> list[tuple[list[float], list[float], list[int]]]:
        evaluator = Evaluator(lambda setting: task.make_env(setting, 300), task.schedule.settings, episodes=5, seed=5)
        results = evaluator.run(lambda observations: (observations[:, 0] < observations[:, 4]).astype(np.int64))
        evaluator.close()
        return [(part.scores.tolist(), part.returns.tolist(), part.lengths.tolist()) for part in results]

    whole = play()
    assert len({length for _, _, lengths in whole for length in lengths}) > 2
    monkeypatch.setattr("dqn_mer.evaluation.evaluator.MOST_AT_ONCE", most)
    assert play() == whole
