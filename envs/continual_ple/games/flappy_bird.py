"""Flappy Bird: flap through the gaps between pipes. Dynamics are exactly those of PLE's Flappy Bird."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from continual_ple.games import flappy_art, flappy_screen, flappy_thumbnail
from continual_ple.games.base import REWARD_LOSS, REWARD_POSITIVE, Controls, Draws, Game, Image
from continual_ple.games.parameters import Parameter

WIDTH, HEIGHT = flappy_art.WIDTH, flappy_art.HEIGHT
FLOOR = 0.79 * HEIGHT  # px from the top
BIRD_X, BIRD_WIDTH, BIRD_HEIGHT = flappy_art.BIRD_X, flappy_art.BIRD_WIDTH, flappy_art.BIRD_HEIGHT
PIPE_WIDTH = flappy_art.PIPE_WIDTH
HALF_PIPE = PIPE_WIDTH / 2
START_OFFSETS = (0.0, WIDTH * 0.5, float(WIDTH))
RETURN_OFFSET = WIDTH * 0.2
FLAP = 0  # index of the action
HIGHEST_FLAP = -2.0 * BIRD_HEIGHT  # px: at or above it PLE ignores a flap, and the next episode keeps the velocity
GROUND_SPAN = 48  # px that the ground moves before it jumps back
FRAMES_PER_WING_POSITION, WING_POSITIONS = 15, 3


@dataclass
class Pipe:
    """A pair of pipes: `x` is its centre, `gap_start` the lower end of the upper pipe (px)."""

    x: float
    gap_start: int


class FlappyBird(Game):
    """PLE's Flappy Bird with changeable parameters.

    Like PLE, a reset keeps the bird's velocity at its death (the flap that opens an episode takes its thrust off
    *that*) and leaves the ground where it is; a new game starts from rest. The recordings of upstream show it: of the
    332 episodes in them that follow another and do not open with a flap of the player's, 326 fit only a velocity
    carried over, none only one of 0.
    """

    name = "flappy_bird"
    score_name = "pipes passed"
    actions = ("flap", "noop")
    state_names = (
        "player_y",
        "player_vel",
        "next_pipe_dist_to_player",
        "next_pipe_top_y",
        "next_pipe_bottom_y",
        "next_next_pipe_dist_to_player",
        "next_next_pipe_top_y",
        "next_next_pipe_bottom_y",
    )
    parameter_table = (
        Parameter("pipe_gap", "px", 100, 40, 300, "height of the gap between two pipes", whole=True),
        Parameter("gravity", "px/frame²", 1.0, 0.1, 4.0, "speed gained by each frame of falling"),
        Parameter("flap_power", "px/frame", 9.0, 1.0, 20.0, "speed that a flap gives"),
        Parameter("max_drop_speed", "px/frame", 10.0, 1.0, 20.0, "speed at which falling stops getting faster"),
        Parameter("pipe_speed", "px/frame", 4.0, 1.0, 12.0, "speed of the pipes and the ground"),
    )
    varied_parameter = "pipe_gap"
    default_values = (100, 95, 90, 85, 80, 75)  # Riemer et al. 2019, section 6
    random_odds = "flap_probability"
    controls = Controls({"flap": ("SPACE", "UP")}, help="SPACE flaps", tapped=("flap",))
    width, height = WIDTH, HEIGHT

    def __init__(self, *, rounding: str = "nearest", **parameters: object) -> None:
        super().__init__(rounding=rounding, **parameters)
        self._gap = int(self.parameters["pipe_gap"])
        self._gap_starts = range(int(self._gap / 4), int(FLOOR * 0.6 - self._gap / 2) + 1)
        self._velocity = 0.0
        self._frames = self._frames_before = 0
        # Frames after which the ground is where it was; the one in which it jumps back is one of them.
        self._ground_cycle = math.ceil(GROUND_SPAN / self.parameters["pipe_speed"]) + 1

    @staticmethod
    def state_range(parameters: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """Return the (8, 2) range of the state: heights above the floor, distances within 1.6 screens."""
        height, distance = (0.0, FLOOR), (0.0, 1.6 * WIDTH)
        return np.array([height, (-16, 16), distance, height, height, distance, height, height], np.float64)

    def reset(self, draws: Draws, looks: Draws) -> None:
        """Start an episode with a flap pending, three new pipes and new looks."""
        self._draws = draws
        self._look = flappy_art.Look(
            sky=looks.choose(range(len(flappy_art.SKIES))),
            bird=looks.choose(range(len(flappy_art.BIRDS))),
            pipe=looks.choose(range(len(flappy_art.PIPES))),
        )
        self._pipes = [Pipe(WIDTH + PIPE_WIDTH + offset, draws.choose(self._gap_starts)) for offset in START_OFFSETS]
        self._y = float(HEIGHT // 2)
        self._flapping, self._thrusting = True, False
        self._frames_before = (self._frames_before + self._frames) % self._ground_cycle
        self._frames = 0
        self.score = 0
        self.lost = False

    def step(self, action: int) -> float:
        """Play one frame: flap or noop. Deaths and passed pipes are judged before anything moves."""
        if action == FLAP and self._y > HIGHEST_FLAP:
            self._velocity, self._flapping = 0.0, True
        reward = 0.0
        for pipe in self._pipes:
            self.lost |= self._hits(pipe)
            reward += REWARD_POSITIVE * self._passes(pipe)
            if pipe.x < -PIPE_WIDTH:
                pipe.gap_start = self._draws.choose(self._gap_starts)
                pipe.x = WIDTH + PIPE_WIDTH + RETURN_OFFSET
        self.score += int(reward)
        self.lost |= self._y >= FLOOR - BIRD_HEIGHT or self._y <= 0
        self._move_bird()
        for pipe in self._pipes:
            pipe.x -= self.parameters["pipe_speed"]
        self._frames += 1
        return reward + REWARD_LOSS * self.lost

    def _hits(self, pipe: Pipe) -> bool:
        left, bird_left = self._whole(pipe.x) - PIPE_WIDTH // 2, BIRD_X - BIRD_WIDTH // 2
        overlap = left - BIRD_WIDTH < bird_left < left + PIPE_WIDTH
        within = pipe.x - HALF_PIPE - 20 <= BIRD_X < pipe.x + HALF_PIPE
        outside_gap = self._y <= pipe.gap_start or self._y + BIRD_HEIGHT > pipe.gap_start + self._gap
        return overlap and within and outside_gap

    def _passes(self, pipe: Pipe) -> bool:
        # As wide as a frame's movement (PLE: 4 px), so that a pipe counts exactly once at any speed.
        return pipe.x - HALF_PIPE <= BIRD_X < pipe.x - HALF_PIPE + self.parameters["pipe_speed"]

    def score_ceiling(self, frames: int) -> float:
        """Return the number of pipes that move past the bird in ``frames`` frames; it is the same in every episode.

        >>> FlappyBird(pipe_gap=100).score_ceiling(2_000)
        52.0
        """
        again_passed, again_gone = self._way_of_pipe(WIDTH + PIPE_WIDTH + RETURN_OFFSET)
        passed = 0
        for offset in START_OFFSETS:
            first_passed, first_gone = self._way_of_pipe(WIDTH + PIPE_WIDTH + offset)
            passed += first_passed < frames
            passed += max(0, math.ceil((frames - first_gone - again_passed) / again_gone))
        return float(passed)

    def _way_of_pipe(self, x: float) -> tuple[int, int]:
        """Return the frames until a pipe whose centre is at ``x`` is passed, and until it returns to the right."""
        passed = frame = 0
        while x >= -PIPE_WIDTH:
            passed = frame if self._passes(Pipe(x, 0)) else passed
            x -= self.parameters["pipe_speed"]
            frame += 1
        return passed, frame

    def _move_bird(self) -> None:
        if self._velocity < self.parameters["max_drop_speed"] and not self._thrusting:
            self._velocity += self.parameters["gravity"]
        # Thrust lasts one frame, and a flap in the frame after it only stops the bird: PLE's timer still runs.
        if self._flapping and not self._thrusting:
            self._velocity -= self.parameters["flap_power"]
            self._thrusting = True
        else:
            self._flapping = self._thrusting = False
        self._y += self._velocity

    def state(self) -> npt.NDArray[np.float64]:
        """Return the bird's y and velocity and, for the next two pipes, right edge ahead, gap top and gap bottom."""
        ahead = sorted(
            (pipe.x + HALF_PIPE - BIRD_X, pipe.gap_start) for pipe in self._pipes if pipe.x + HALF_PIPE > BIRD_X
        )
        values = [self._y, self._velocity]
        for distance, top in ahead[:2]:
            values += [distance, top, top + self._gap]
        return np.array(values, np.float64)

    def _scene(self) -> flappy_screen.Scene:
        return flappy_screen.Scene(
            look=self._look,
            pipes=tuple((self._whole(pipe.x) - PIPE_WIDTH // 2, pipe.gap_start) for pipe in self._pipes),
            gap=self._gap,
            bird_y=self._whole(self._y),
            wing=(self._frames + 1) // FRAMES_PER_WING_POSITION % WING_POSITIONS,
            scrolled=int((self._frames_before + self._frames) % self._ground_cycle * self.parameters["pipe_speed"]),
        )

    def draw(self) -> Image:
        """Return the screen as a new RGB image (512, 288, 3) uint8."""
        return flappy_screen.draw(self._scene())

    def thumbnail(self, size: int) -> Image:
        """Return the screen in grey, resized by area to a new (size, size) uint8 image.

        Put together from parts that are already reduced: within one grey level of reducing the drawn screen.
        """
        return flappy_thumbnail.thumbnail(self._scene(), size)

    def get_state(self) -> dict[str, Any]:
        """Return everything that changes in play as plain JSON values.

        `frames_before` is left out where it is 0, as in states saved before there was one.
        """
        before = {"frames_before": self._frames_before} if self._frames_before else {}
        return before | {
            "y": self._y,
            "velocity": self._velocity,
            "flapping": self._flapping,
            "thrusting": self._thrusting,
            "pipes": [[pipe.x, pipe.gap_start] for pipe in self._pipes],
            "look": list(self._look),
            "frames": self._frames,
            "score": self.score,
            "lost": self.lost,
        }

    def set_state(self, state: Mapping[str, Any], draws: Draws) -> None:
        """Resume from what `get_state` returned, drawing from `draws`."""
        self._draws = draws
        self._y, self._velocity = float(state["y"]), float(state["velocity"])
        self._flapping, self._thrusting = bool(state["flapping"]), bool(state["thrusting"])
        self._pipes = [Pipe(float(x), int(gap_start)) for x, gap_start in state["pipes"]]
        if len(self._pipes) != len(START_OFFSETS):
            raise ValueError(f"pipes: must be {len(START_OFFSETS)}, are {len(self._pipes)}")
        self._look = flappy_art.Look(*(int(index) for index in state["look"]))
        self._frames, self._frames_before = int(state["frames"]), int(state.get("frames_before", 0))
        self.score, self.lost = int(state["score"]), bool(state["lost"])
