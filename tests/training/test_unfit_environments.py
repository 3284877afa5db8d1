"""Environments that cannot be learned are refused in one line; those that cannot be drawn are trained all the same."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from rich.console import Console

from continual_ple.tasks import own_task
from dqn_mer.commands.train import main as train_command
from dqn_mer.commands.watch import watch
from dqn_mer.evaluation.agent_options import WatchOptions
from dqn_mer.runs.stopping import RunStopped
from tests.helpers.chain import Chain
from tests.helpers.own_envs import QUIET, Count, WithoutRenderMode, box, count_task, train_tiny


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="Pendulum-v1: must have Discrete actions"):
        own_task("Pendulum-v1", "g", [9.0, 10.0])
    with pytest.raises(AttributeError, match="CartPoleEnv has no configure\\(\\) and no attribute zebra"):
        own_task("CartPole-v1", "zebra", [1.0])
    with pytest.raises(ValueError, match=r"^parameters: gravity='easy': must be a number"):
        own_task("CartPole-v1", "gravity", ["easy", "hard"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"^parameter=\['gravity', 'length'\]: must be the name of one parameter"):
        own_task("CartPole-v1", ["gravity", "length"], [1.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^frames_per_setting: must be one number, or one for each of 2 values"):
        own_task("CartPole-v1", "gravity", [9.8, 20.0], frames_per_setting=[60, 20, 40])
    assert train_command(["--game", "cart_pole", "--log-dir", str(tmp_path)]) == 2
    assert "game='cart_pole': must be one of catcher, flappy_bird" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


REFUSED: list[tuple[Any, str]] = [
    (functools.partial(Count, box=spaces.Dict({"a": spaces.Box(0, 1, (2,))})), "must have Box observations, has Dict"),
    (functools.partial(Count, box=spaces.Tuple([spaces.Discrete(2)])), "must have Box observations, has Tuple"),
    (functools.partial(Count, box=spaces.Discrete(5)), "must have Box observations, has Discrete"),
    (functools.partial(Count, box=spaces.Text(5)), "must have Box observations, has Text"),
    (box(0, 1, (0,), np.float32), "must have observations of at least one number"),
    (box(0, 1, (2, 3, 4, 5), np.float32), "must have observations of at most 3 axes"),
    (box(-np.inf, np.inf, (3, 40, 40), np.float32), "images must have a Box with finite bounds"),
    (functools.partial(Count, show=lambda count: np.zeros(2)), r"observation: must be of shape \(1,\), is \(2,\)"),
    (functools.partial(Count, show=lambda count: np.full(1, np.nan)), "observation: must hold finite numbers only"),
    (functools.partial(Count, show=lambda count: np.full(1, 1e300)), "observation: must hold finite numbers only"),
    (functools.partial(Count, show=lambda count: np.array(["a"])), "observation: must hold numbers, is of <U1"),
    (functools.partial(Count, box=spaces.Box(0, 255, (3, 40, 40), np.uint8), show=lambda n: np.full((3, 40, 40), 0.5)),
     "observation: must be of uint8 as its Box says, is of float64"),
    (functools.partial(Count, reward=lambda reward: np.zeros(2)), r"reward=\[0. 0.\]: must be one number"),
    (functools.partial(Count, reward=lambda reward: float("nan")), "reward=nan: must be a finite number"),
    (functools.partial(Count, reward=lambda reward: "many"), "reward=many: must be one number"),
    (lambda: 7, "must make a gymnasium.Env, made a builtins.int"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*WARN", "ignore:overflow encountered in cast")
@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_cannot_be_learned_is_refused_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^[\w-]+: {message}") as error:
        count_task(make)
    assert "\n" not in str(error.value)


def test_other_actions_and_makers_are_refused_in_one_line() -> None:
    for actions in (spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1, (2,)), spaces.MultiBinary(3)):
        env = Count()
        env.action_space = actions
        with pytest.raises(
            ValueError, match=rf"^own-environment: must have Discrete actions, has {type(actions).__name__}"
        ):
            count_task(lambda env=env: env)
    empty = Count()
    empty.action_space.n = np.int64(0)
    with pytest.raises(ValueError, match=r"^own-environment: must have at least one action"):
        count_task(lambda: empty)
    same = Count()
    with pytest.raises(ValueError, match=r"^own-environment: must make a new environment at each call"):
        count_task(lambda: same)
    with pytest.raises(ValueError, match=r"^NoSuch-v0: Environment `NoSuch` doesn't exist"):
        own_task("NoSuch-v0", "speed", [1.0])


def test_a_number_that_is_not_finite_stops_a_run_in_one_line(tmp_path: Path) -> None:
    show = lambda count: np.full(1, np.nan if count == 9 else count, np.float32)  # noqa: E731
    with pytest.raises(RunStopped, match=r"^frame 108: observation: must hold finite numbers only; nothing was saved$"):
        train_tiny(count_task(functools.partial(Late, show=show)), tmp_path)


class SpoiltByGreed(Count):
    """Looks always the same, and gives no number after many equal actions in a row, as only a greedy agent takes."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        _, reward, *others = super().step(action)
        same = self.count >= 18 and len(set(self.taken[-18:])) == 1
        return (np.zeros(1, np.float32), float("nan") if same else reward, *others)


@pytest.mark.parametrize("eval_worker", [False, True])
def test_a_number_that_is_not_finite_in_evaluation_stops_a_run_in_one_line(eval_worker: bool, tmp_path: Path) -> None:
    with pytest.raises(RunStopped, match=r"^frame \d+: reward=nan: must be a finite number; nothing was saved$"):
        train_tiny(count_task(SpoiltByGreed), tmp_path, eval_worker=eval_worker, epsilon_end=1.0)


class Late(Count):
    """Shows what is wrong only in its sixth episode."""

    episodes = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.episodes += 1
        return super().reset(seed=seed)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, *others = super().step(action)
        early = self.episodes < 6
        return (np.float32([self.count]) if early else observation, *others)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (Chain, "no frames in TensorBoard: the environment has no render_mode rgb_array"),
        (WithoutRenderMode, "no frames in TensorBoard: the environment has no render_mode rgb_array"),
        ("broken", "no frames in TensorBoard: NameError: name 'seaborn' is not defined"),
        ("without a screen", "no frames in TensorBoard: RuntimeError: there is no screen"),
    ],
)
def test_what_cannot_be_drawn_is_trained_without_pictures(make: Any, line: str, tmp_path: Path) -> None:
    class Broken(Count):
        def render(self) -> Any:
            raise NameError("name 'seaborn' is not defined")

    class WithoutScreen(Count):
        def __init__(self, render_mode: str | None = None) -> None:
            if render_mode is not None:
                raise RuntimeError("there is no screen")
            super().__init__()

    said = io.StringIO()
    make = {"broken": Broken, "without a screen": WithoutScreen}.get(make, make)
    task = own_task(make, "prize" if make is Chain else "speed", [1.0], 25)
    result = train_tiny(task, tmp_path, console=Console(file=said, width=200))
    assert said.getvalue().count(line) == 1
    why = line.partition(": ")[2]
    with pytest.raises(ValueError, match=f"^{task.name}: cannot be watched: {why}$"):
        watch(WatchOptions(result.run_dir, out=tmp_path / "clips", format="gif"), QUIET, task)
    assert not (tmp_path / "clips").exists()
