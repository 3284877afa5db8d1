"""PLE's ``frame_skip``: an action is held for several frames, of which the agent sees the last."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

FRAMES_PLAYED = "continual_ple_frames"
"""Key of ``info``, which no environment has itself, with the frames of a step; without it a step is one frame."""


class FrameSkip(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Presses each action for some frames in a row, as PLE's ``frame_skip`` does.

    The key is pressed anew on every one of these frames, rewards are summed, and only the last frame is shown: the
    stacked frames of our games move on by one frame a step, so that two neighbours in a stack are as many frames apart
    as were skipped. Any other environment is shown as it is after the last frame; one that stacks frames by itself
    stacks all of them.
    What ends an episode ends the step at once. So a step never crosses a border of a schedule or a time limit, if
    whatever counts frames for them is inside this wrapper.

    Attributes:
        frame_skip: Frames for which an action is held at most.
        stops: Further frames in all, over all episodes, at which a step ends, in order.
        played: Frames played so far.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], frame_skip: int, stops: Sequence[int] = ()) -> None:
        """Wrap an environment.

        Args:
            env: Any environment, one of whose steps is one frame.
            frame_skip: Frames for which an action is held, at least 1.
            stops: Frames in all, in order, which no step crosses: those at which a run is evaluated and saved, or ends.

        Raises:
            ValueError: if `frame_skip` is no whole number of at least 1.
        """
        RecordConstructorArgs.__init__(self, frame_skip=frame_skip, stops=stops)
        gymnasium.Wrapper.__init__(self, env)
        if int(frame_skip) != frame_skip or frame_skip < 1:
            raise ValueError(f"frame_skip={frame_skip!r}: must be a whole number of at least 1")
        self.frame_skip, self.stops, self.played = int(frame_skip), tuple(stops), 0
        inner = env.unwrapped  # wrapped so that it shows something else, its frames are not ours to stack
        shown = env.observation_space == inner.observation_space
        self._newest: int = getattr(inner, "newest_entries", 0) if shown else 0
        self._stack: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; its first observation is the environment's."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._stack = observation.copy() if self._newest else None
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play up to `frame_skip` frames and report their number in `info`, as `FRAMES_PLAYED`."""
        following = bisect_right(self.stops, self.played)
        left = min([self.frame_skip, *(stop - self.played for stop in self.stops[following : following + 1])])
        total, frames = 0.0, 0
        while True:
            observation, reward, terminated, truncated, info = self.env.step(action)
            total, frames = total + float(reward), frames + 1
            if terminated or truncated or frames >= left:
                break
        self.played += frames
        if self._newest:
            self._stack = np.concatenate([self._stack[self._newest :], observation[-self._newest :]])
            observation = self._stack.copy()  # its reader may keep and change it
        return observation, total, terminated, truncated, info | {FRAMES_PLAYED: frames}

    def get_state(self) -> dict[str, Any]:
        """Return the frames played and the stack that the agent saw last; the environment's state is not part of it."""
        stack = {} if self._stack is None else {"stack": np.array(self._stack)}
        return {"played": self.played, **stack}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Resume from what `get_state` returned.

        Raises:
            ValueError: if the state cannot be one of this wrapper.
        """
        played, stack = int(state["played"]), state.get("stack")
        if played < 0 or (self.stops and played > self.stops[-1]):
            raise ValueError(f"played={played}: not a number of frames within the run")
        space = self.observation_space  # whose bounds an environment may break
        form = getattr(stack, "dtype", None), getattr(stack, "shape", None)
        if stack is not None and not (self._newest and form == (space.dtype, space.shape) and np.isfinite(stack).all()):
            raise ValueError(f"stack: must be finite {space.dtype} of shape {space.shape}")
        self.played, self._stack = played, stack
