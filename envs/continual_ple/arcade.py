"""A Gymnasium environment around a game: observations, rendering, seeds."""

import operator
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from continual_ple.games.base import FRAMES_PER_SECOND, FirstDraws, Game, GeneratorDraws
from continual_ple.games.catalogue import game_class, make_game
from continual_ple.games.parameters import Parameter
from continual_ple.messages import one_of, shown
from continual_ple.observations import check_played, check_seen, check_space, observation_class

FRAME_STACK = Parameter("frame_stack", "frames", 4, 1, 64, "frames in an observation that stacks them", whole=True)
RENDER_MODES = ("human", "rgb_array")


class ArcadeEnv(gymnasium.Env[npt.NDArray[Any], np.int64]):
    """One of the games as an environment.

    Observations are `pixels`, (frame_stack, 84, 84) uint8, grey, oldest frame first and at a reset the first frame
    repeated; or `state`, PLE's non-visual state scaled to [−1, 1] and clipped, (columns,) float32, without stacking
    since it holds the velocity; or those of another class in `continual_ple.observations.OBSERVATIONS`. Rewards are
    the game's. `terminated` means lost; the frame limit is Gymnasium's `TimeLimit`. `info` holds `score`, such as the
    pellets caught in this episode so far.

    A reset with a seed starts from a new game and fixes this episode and all later ones.

    Attributes:
        game_name: Name of the game.
        action_meanings: Names of the actions, in order.
        score_name: What `info["score"]` counts.
        newest_entries: Entries at the end of an observation's first axis that come from the newest frame; 0 if frames
            are not stacked.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc] # Gymnasium lacks the ClassVar
        "render_modes": list(RENDER_MODES),
        "render_fps": FRAMES_PER_SECOND,
    }

    def __init__(
        self,
        game: str,
        *,
        backend: str = "native",
        observation: str = "pixels",
        frame_stack: int = 4,
        render_mode: str | None = None,
        rounding: str | None = None,
        fixed_looks: bool = False,
        **parameters: object,
    ) -> None:
        """Make an environment.

        Args:
            game: Name of the game; set by the registered ids.
            backend: `native`, or `ple` for the upstream package where it is installed.
            observation: `pixels`, `state`, or the name of another observation.
            frame_stack: Frames in an observation that stacks them, as pixels do.
            render_mode: `rgb_array` for the screen at full size, `human` for a window, or None.
            rounding: How positions become whole pixels, `nearest` (today's pygame) or `truncate` (the paper's time).
                None is `nearest`, or what the installed pygame does with the upstream package.
            fixed_looks: Whether to keep background and colours the same in all episodes.
            **parameters: Values of the game's parameters that differ from the default, as in its `parameter_table`.

        Raises:
            ValueError: if a value is not allowed.
            ImportError: if `backend="ple"` and the package is missing.
        """
        kind = game_class(game)
        self.game_name, self.action_meanings, self.score_name = kind.name, kind.actions, kind.score_name
        self._view_class = observation_class(observation)
        if not isinstance(fixed_looks, bool):
            raise ValueError(f"fixed_looks={fixed_looks!r}: must be True or False")
        self.render_mode = None if render_mode is None else one_of("render_mode", render_mode, RENDER_MODES)
        self._backend, self._rounding, self._fixed_looks = backend, rounding, fixed_looks
        self._frame_stack = int(FRAME_STACK.check(frame_stack))
        self._make(parameters)
        self._given: dict[str, object] = {name: self._game.parameters[name] for name in parameters}
        self._changed = False
        self._from_outside = any(part.__module__.partition(".")[0] != __package__ for part in (kind, self._view_class))
        self._started = self._playing = False
        self._looks_random: np.random.Generator | None = None
        self._window: Any = None
        self.action_space = spaces.Discrete(len(kind.actions))
        self.observation_space, self.newest_entries = self._view.space, self._view.newest_entries
        check_space(self._view_class, self.observation_space)

    def _make(self, parameters: Mapping[str, object]) -> None:
        """Make a new game with these parameters, and what looks at it."""
        self._game = make_game(self.game_name, parameters, self._backend, self._rounding)
        self._view = self._view_class(self._game, self._frame_stack)

    @property
    def parameters(self) -> dict[str, float]:
        """The value of each of the game's parameters in the running episode."""
        return dict(self._game.parameters)

    @property
    def game(self) -> Game:
        """The game being played."""
        return self._game

    def configure(self, **parameters: object) -> None:
        """Change parameters of the game from the next reset on; those not named stay as they are.

        Raises:
            ValueError: if a name is unknown, a value not allowed, or the observations would be of another space; then
                nothing changes.
        """
        given = self._given | parameters
        game = make_game(self.game_name, given, self._backend, self._rounding)  # also what the backend can do
        space = self._view_class(game, self._frame_stack).space
        if space != self.observation_space:
            raise ValueError(
                f"{self._view_class.__name__}.space: must be the same for all parameters, is {_words(space)} after "
                f"{_words(self.observation_space)}"
            )
        self._given, self._changed = {name: game.parameters[name] for name in given}, True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Start an episode; a `seed` fixes it and all later ones.

        Raises:
            UnlearnableError: if the observation is not of the shape and dtype of its space, or not finite.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._looks_random = None
        if seed is not None or self._changed:
            # Upstream carries the bird's velocity into the next episode; after a seed nothing may be carried.
            self._make(self._given)
            self._changed = False
        looks = FirstDraws() if self._fixed_looks else GeneratorDraws(self._looks_generator())
        self._game.reset(GeneratorDraws(self.np_random), looks)
        self._started = self._playing = True
        self._view.begin()
        if self.render_mode == "human":
            self.render()
        observation = self._view.observe()
        check_seen(self._view, observation)
        return observation, {"score": 0}

    def step(self, action: np.int64 | int) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Play one frame (1/30 s).

        Raises:
            ValueError: if the action is unknown, or what a game or observation from outside gives cannot be learned.
            ResetNeeded: if no episode is running.
        """
        if not self._playing:
            raise ResetNeeded("no episode is running: call reset() before step()")
        index = operator.index(action)
        if not 0 <= index < len(self.action_meanings):
            raise ValueError(f"action={index}: must be from 0 to {len(self.action_meanings) - 1}")
        game = self._game
        reward = game.step(index)
        self._playing = not game.lost
        self._view.advance()
        if self.render_mode == "human":
            self.render()
        observation = self._view.observe()
        if self._from_outside:
            reward = check_played(self._view, observation, reward)
        return observation, reward, game.lost, False, {"score": game.score}

    def _looks_generator(self) -> np.random.Generator:
        if self._looks_random is None:
            # A separate child: what an episode looks like never shifts how it plays.
            self._looks_random = self.np_random.spawn(1)[0]
        return self._looks_random

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Return the screen as RGB (height, width, 3) uint8, or show it in the window.

        Raises:
            ResetNeeded: if there is nothing to show yet.
        """
        if self.render_mode is None:
            gymnasium.logger.warn(
                'render() shows nothing: make the environment with render_mode="rgb_array" or "human"'
            )
            return None
        if not self._started:
            raise ResetNeeded("there is nothing to show yet: call reset() before render()")
        if self.render_mode == "rgb_array":
            return self._game.screen()
        from continual_ple.window import Window  # here, because nothing but a window needs a display

        if self._window is None:
            self._window = Window(self.game_name)
        self._window.show(self._game.screen())
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def get_state(self) -> dict[str, Any]:
        """Return everything that is needed to resume exactly from here: JSON values and one array."""
        return {
            "given": dict(self._given),
            "in_force": self.parameters,
            "changed": self._changed,
            "playing": self._playing,
            "game": self._game.get_state() if self._started else None,
            "frames": self._view.get_state(),
            "draws": self.np_random.bit_generator.state,
            "looks": self._looks_generator().bit_generator.state,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Resume from what `get_state` of an environment made with the same arguments returned.

        Raises:
            ValueError: if the state cannot be one of this environment; or another of `AttributeError`, `IndexError`,
                `KeyError`, `TypeError`.
        """
        self._given, self._changed = dict(state["given"]), bool(state["changed"])
        self._make(state["in_force"])
        self.np_random, self._looks_random = _generator(state["draws"]), _generator(state["looks"])
        self._started, self._playing = state["game"] is not None, bool(state["playing"])
        if self._started:
            self._game.set_state(state["game"], GeneratorDraws(self.np_random))
        self._view.set_state(state["frames"])
        if self._started:
            self._game.screen()  # what cannot be drawn fails here, not later in play
            observation = self._view.observe()
            check_seen(self._view, observation)
            if not np.isfinite(observation).all():
                raise ValueError("frames and game must give an observation of finite numbers")


def _words(space: object) -> str:
    return " ".join(shown(space).split())


def _generator(state: Mapping[str, Any]) -> np.random.Generator:
    """Return a generator of Gymnasium's kind in the state of another."""
    generator = np.random.Generator(np.random.PCG64())
    generator.bit_generator.state = state
    return generator
