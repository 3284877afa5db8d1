"""A Gymnasium environment around a game: observations, rendering, seeds."""

import operator
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from continual_ple.games.base import FRAMES_PER_SECOND, FirstDraws, Game, GeneratorDraws, Parameter, one_of
from continual_ple.games.catalogue import game_class, make_game

SCREEN_SIZE = 84  # px, of Mnih et al. 2015
FRAME_STACK = Parameter("frame_stack", "frames", 4, 1, 64, "frames in an observation of pixels", whole=True)
OBSERVATIONS = ("pixels", "state")
RENDER_MODES = ("human", "rgb_array")

Observation = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


class ArcadeEnv(gymnasium.Env[npt.NDArray[Any], np.int64]):
    """One of the games as an environment.

    Observations are `pixels`, (frame_stack, 84, 84) uint8, grey, oldest frame first and at a reset the first frame
    repeated; or `state`, PLE's non-visual state scaled to [−1, 1] and clipped, (columns,) float32, without stacking
    since it holds the velocity. Rewards are PLE's. `terminated` means lost; the frame limit is Gymnasium's `TimeLimit`.
    `info` holds `score`: pellets caught or pipes passed in this episode so far.

    A reset with a seed starts from a new game and fixes this episode and all later ones.

    Attributes:
        game_name: `catcher` or `flappy_bird`.
        action_meanings: Names of the actions, in order.
        score_name: What `info["score"]` counts.
        stacks_frames: Whether an observation is stacked frames, oldest first.
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
            game: `catcher` or `flappy_bird`; set by the registered ids.
            backend: `native`, or `ple` for the upstream package where it is installed.
            observation: `pixels` or `state`.
            frame_stack: Frames in an observation of pixels.
            render_mode: `rgb_array` for the screen at full size, `human` for a window, or None.
            rounding: How positions become whole pixels, `nearest` (today's pygame) or `truncate` (the paper's time).
                None is `nearest`, or what the installed pygame does with the upstream package.
            fixed_looks: Whether to keep background and colours the same in all episodes.
            **parameters: Values of the game's parameters to change, as in its `parameter_table`.

        Raises:
            ValueError: A value is not allowed; the message is one line.
            ImportError: `backend="ple"` and the package is missing.
        """
        kind = game_class(game)
        self.game_name, self.action_meanings, self.score_name = kind.name, kind.actions, kind.score_name
        self._pixels = one_of("observation", observation, OBSERVATIONS) == "pixels"
        if not isinstance(fixed_looks, bool):
            raise ValueError(f"fixed_looks={fixed_looks!r}: must be True or False")
        self.stacks_frames = self._pixels
        self.render_mode = None if render_mode is None else one_of("render_mode", render_mode, RENDER_MODES)
        self._backend, self._rounding, self._fixed_looks = backend, rounding, fixed_looks
        self._game = make_game(game, parameters, backend, rounding)
        self._given: dict[str, object] = {name: self._game.parameters[name] for name in parameters}
        self._changed = False
        self._started = self._playing = False
        self._frame_stack = int(FRAME_STACK.check(frame_stack))
        self._frames: deque[npt.NDArray[np.uint8]] = deque(maxlen=self._frame_stack)
        self._looks_random: np.random.Generator | None = None
        self._window: Any = None
        self.action_space = spaces.Discrete(len(kind.actions))
        self.observation_space = (
            spaces.Box(0, 255, (self._frame_stack, SCREEN_SIZE, SCREEN_SIZE), np.uint8)
            if self._pixels
            else spaces.Box(-1.0, 1.0, (len(kind.state_names),), np.float32)
        )
        self._scale_state()

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
            ValueError: A name is unknown or a value not allowed; then nothing changes.
        """
        given = self._given | parameters
        checked = make_game(
            self.game_name, given, self._backend, self._rounding
        ).parameters  # also what the backend can do
        self._given, self._changed = {name: checked[name] for name in given}, True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Start an episode; a `seed` fixes it and all later ones."""
        super().reset(seed=seed)
        if seed is not None:
            self._looks_random = None
        if seed is not None or self._changed:
            # Upstream carries the bird's velocity into the next episode; after a seed nothing may be carried.
            self._game = make_game(self.game_name, self._given, self._backend, self._rounding)
            self._changed = False
            self._scale_state()
        looks = FirstDraws() if self._fixed_looks else GeneratorDraws(self._looks_generator())
        self._game.reset(GeneratorDraws(self.np_random), looks)
        self._started = self._playing = True
        if self._pixels:
            self._frames.extend([self._game.thumbnail(SCREEN_SIZE)] * self._frame_stack)
        if self.render_mode == "human":
            self.render()
        return self._observe(), {"score": 0}

    def step(self, action: np.int64 | int) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Play one frame (1/30 s).

        Raises:
            ValueError: There is no such action.
            ResetNeeded: No episode is running.
        """
        if not self._playing:
            raise ResetNeeded("no episode is running: call reset() before step()")
        index = operator.index(action)
        if not 0 <= index < len(self.action_meanings):
            raise ValueError(f"action={index}: must be from 0 to {len(self.action_meanings) - 1}")
        game = self._game
        reward = game.step(index)
        self._playing = not game.lost
        if self._pixels:
            self._frames.append(game.thumbnail(SCREEN_SIZE))
        if self.render_mode == "human":
            self.render()
        return self._observe(), reward, game.lost, False, {"score": game.score}

    def _looks_generator(self) -> np.random.Generator:
        if self._looks_random is None:
            # A child of its own: what an episode looks like never shifts how it plays.
            self._looks_random = self.np_random.spawn(1)[0]
        return self._looks_random

    def _scale_state(self) -> None:
        low, high = self._game.state_range(self._game.parameters).T
        self._state_scale = 2 / (high - low)
        self._state_shift = -1 - low * self._state_scale

    def _observe(self) -> npt.NDArray[Any]:
        if self._pixels:
            # Gymnasium's FrameStackObservation spends 30 µs here, as long as the rest of a Catcher step: this takes 2.
            return np.array(self._frames)
        scaled: npt.NDArray[np.float64] = self._game.state() * self._state_scale + self._state_shift
        return np.minimum(np.maximum(scaled, -1.0), 1.0).astype(np.float32)  # a third of the time of np.clip

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Return the screen as RGB (height, width, 3) uint8, or show it in the window.

        Raises:
            ResetNeeded: There is nothing to show yet.
        """
        if self.render_mode is None:
            gymnasium.logger.warn(
                'render() shows nothing: make the environment with render_mode="rgb_array" or "human"'
            )
            return None
        if not self._started:
            raise ResetNeeded("there is nothing to show yet: call reset() before render()")
        if self.render_mode == "rgb_array":
            return self._game.draw()
        from continual_ple.window import Window  # here, because nothing but a window needs a display

        if self._window is None:
            self._window = Window(self.game_name)
        self._window.show(self._game.draw())
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def get_state(self) -> dict[str, Any]:
        """Return all that is needed to resume exactly from here: JSON values and one uint8 array."""
        return {
            "given": dict(self._given),
            "in_force": self.parameters,
            "changed": self._changed,
            "playing": self._playing,
            "game": self._game.get_state() if self._started else None,
            "frames": np.array(self._frames, np.uint8),
            "draws": self.np_random.bit_generator.state,
            "looks": self._looks_generator().bit_generator.state,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Resume from what `get_state` of an environment made with the same arguments returned.

        Raises:
            ValueError: It cannot be that; or another of `AttributeError`, `IndexError`, `KeyError`, `TypeError`.
        """
        self._given, self._changed = dict(state["given"]), bool(state["changed"])
        self._game = make_game(self.game_name, state["in_force"], self._backend, self._rounding)
        self._scale_state()
        self.np_random, self._looks_random = _generator(state["draws"]), _generator(state["looks"])
        self._started, self._playing = state["game"] is not None, bool(state["playing"])
        if self._started:
            self._game.set_state(state["game"], GeneratorDraws(self.np_random))
        self._frames.clear()
        self._frames.extend(np.array(frame, np.uint8) for frame in state["frames"])
        if self._started:
            self._game.draw()  # what cannot be drawn fails here, not later in play
            if not self.observation_space.contains(self._observe()):
                raise ValueError(f"frames and game must give an observation in {self.observation_space}")


def _generator(state: Mapping[str, Any]) -> np.random.Generator:
    """Return a generator of Gymnasium's kind in the state of another."""
    generator = np.random.Generator(np.random.PCG64())
    generator.bit_generator.state = state
    return generator
